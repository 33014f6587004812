//! Whose records are there, and whose are missing: processes by what they say of their beginning and end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::query::{Field, Query, Term};
use super::search::{Indexes, Search};
use super::seen::Seen;
use crate::audit::spool::reader::ReadError;
use crate::audit::spool::segment::{self, Segment};

/// The logs of some folders.
#[derive(Debug, Default)]
pub struct Census {
    /// Each log.
    pub logs: Vec<LogCensus>,
}

/// One log.
#[derive(Debug)]
pub struct LogCensus {
    /// Its folder.
    pub directory: PathBuf,
    /// Its id.
    pub log: Uuid,
    /// Sequence of the first record that is there.
    pub oldest: u64,
    /// What its processes say, in order.
    pub processes: Vec<Process>,
    /// Processes that began segments.
    writers: BTreeSet<String>,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub instance: String,
    /// When it began; empty if that record is not there.
    pub started: String,
    /// It said that it stops.
    pub stopped: bool,
    /// The process before, as it says.
    previous: Option<String>,
}

/// Something that ought to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// A process is named by the one after it, and none of its records are there.
    Process {
        /// The log's folder.
        directory: PathBuf,
        /// The process.
        instance: String,
        /// The one that names it.
        named_by: String,
    },
    /// A process did not say that it stops, and none after it is there.
    End {
        /// The log's folder.
        directory: PathBuf,
        /// The process.
        instance: String,
        /// When it began.
        started: String,
    },
    /// A log or process that was expected.
    Expected(String),
    /// There are fewer logs than expected.
    Count {
        /// How many were expected.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}

/// Whose logs are expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// So many logs.
    Count(usize),
    /// Logs or processes with these ids.
    Ids(Vec<String>),
}

impl Census {
    /// Takes the census of these folders.
    ///
    /// # Errors
    /// A folder cannot be read. What is missing within a log is for whoever searches it to say.
    pub fn of(folders: &[PathBuf], indexes: Indexes) -> Result<Self, ReadError> {
        let logs =
            folders.iter().map(|folder| LogCensus::of(folder, indexes)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { logs: logs.into_iter().flatten().collect() })
    }

    /// What ought to be there.
    pub fn missing(&self, expected: Option<&Expected>) -> Vec<Missing> {
        let mut missing: Vec<_> = self.logs.iter().flat_map(LogCensus::missing).collect();
        let logs: BTreeSet<_> = self.logs.iter().map(|log| log.log.to_string()).collect();
        match expected {
            None => {}
            Some(Expected::Count(count)) if logs.len() < *count => {
                missing.push(Missing::Count { expected: *count, found: logs.len() });
            }
            Some(Expected::Count(_)) => {}
            Some(Expected::Ids(ids)) => {
                let known = |id: &String| logs.contains(id) || self.logs.iter().any(|log| log.knows(id));
                missing.extend(ids.iter().filter(|id| !known(id)).cloned().map(Missing::Expected));
            }
        }
        missing
    }
}

impl LogCensus {
    /// None if there is not yet a segment.
    fn of(directory: &Path, indexes: Indexes) -> Result<Option<Self>, ReadError> {
        let listed = segment::list(directory);
        let segments =
            listed.map_err(|error| ReadError::Folder { directory: directory.to_owned(), error })?;
        let headers: Vec<_> = segments
            .iter()
            .filter_map(|file| Segment::open(&file.path).ok().map(|segment| segment.header().clone()))
            .collect();
        let Some(first) = headers.first() else { return Ok(None) };
        let (log, oldest) = (first.log, first.first);
        let writers = headers.iter().map(|header| header.instance.to_string()).collect();
        let mut processes: BTreeMap<u64, Process> = BTreeMap::new();
        for kind in ["start", "stop"] {
            let query = Query { terms: vec![Term::new(Field::Kind, kind)], ..Query::default() };
            let found = Search::new(directory, query, u64::MAX, indexes)?;
            for hit in found.filter_map(Result::ok) {
                note(&mut processes, hit.sequence, &Seen::read(&hit.line));
            }
        }
        let processes = processes.into_values().collect();
        Ok(Some(Self { directory: directory.to_owned(), log, oldest, processes, writers }))
    }

    fn knows(&self, id: &str) -> bool {
        self.writers.contains(id) || self.processes.iter().any(|process| process.instance == id)
    }

    fn missing(&self) -> Vec<Missing> {
        let directory = || self.directory.clone();
        let unknown = self.processes.iter().filter_map(|process| {
            let previous = process.previous.as_ref()?;
            // Where the oldest records are kept no longer, so may be those of the process before.
            let is_missing = self.oldest == 0 && !self.knows(previous);
            is_missing.then(|| Missing::Process {
                directory: directory(),
                instance: previous.clone(),
                named_by: process.instance.clone(),
            })
        });
        let endless = self.processes.last().filter(|last| !last.stopped).map(|last| Missing::End {
            directory: directory(),
            instance: last.instance.clone(),
            started: last.started.clone(),
        });
        unknown.chain(endless).collect()
    }
}

fn note(processes: &mut BTreeMap<u64, Process>, sequence: u64, seen: &Seen<'_>) {
    let instance = seen.instance.to_string();
    if seen.kind == "start" {
        let previous = Some(seen.previous.instance.to_string()).filter(|previous| !previous.is_empty());
        let started = seen.time.to_string();
        processes.insert(sequence, Process { instance, started, stopped: false, previous });
        return;
    }
    match processes.values_mut().rfind(|process| process.instance == instance) {
        Some(process) => process.stopped = true,
        None => {
            let stopped = Process { instance, started: String::new(), stopped: true, previous: None };
            processes.insert(sequence, stopped);
        }
    }
}

impl Missing {
    /// Whether it is missing because somebody expected it.
    pub fn is_of_expected(&self) -> bool {
        matches!(self, Self::Expected(_) | Self::Count { .. })
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { directory, instance, named_by } => write!(
                f,
                "{}: nothing is here of the process {instance}, which ran before {named_by}",
                directory.display()
            ),
            Self::End { directory, instance, started } => write!(
                f,
                "{}: the process {instance}, begun {started}, does not say that it stopped, and no later one is here: it \
                 runs still, or its last records are missing",
                directory.display()
            ),
            Self::Expected(id) => write!(f, "no log or process {id} is here, and one was expected"),
            Self::Count { expected, found } => {
                write!(f, "{found} logs are here, and {expected} were expected")
            }
        }
    }
}

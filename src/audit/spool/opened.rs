//! Opening a log that may have been left in any state: who else writes it, where it ends, and what the last process said of
//! itself.

use std::borrow::Cow;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use uuid::Uuid;

use super::frame::{self, Found};
use super::segment::{self, Segment, SegmentError, SegmentFile};
use crate::audit::tree::checkpoint::{Checkpoint, Facts};
use crate::audit::tree::keys::TrustedKeys;
use crate::audit::tree::notary::FILE_NAME as CHECKPOINT;

/// The file that the writing process holds.
const LOCK: &str = "lock";

/// Why a log cannot be written to.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be used.
    #[error("the decision log in {} cannot be opened: {error}", directory.display())]
    Folder {
        /// The log's folder.
        directory: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another process writes it.
    #[error("the decision log in {} is being written by another process: give each its own `log.directory`", .0.display())]
    Taken(PathBuf),
    /// A segment is not what a crash leaves.
    #[error(
        "{}: {error}, and there are records behind it: this is no torn end. Nothing is added to it, for it is evidence as it is. \
         `mandate log verify` tells more. To go on, put the log's folder aside whole and start with a new one",
        path.display()
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// What is wrong with it.
        error: SegmentError,
    },
    /// What is not whole was whole once.
    #[error(
        "{}: {error}, and the log's last checkpoint covers what stood there, or cannot be read: this is no torn end. Nothing is \
         added to it, for it is evidence as it is. `mandate log verify` tells more. To go on, put the log's folder aside whole \
         and start with a new one",
        path.display()
    )]
    Covered {
        /// The segment.
        path: PathBuf,
        /// What is wrong with it.
        error: SegmentError,
    },
    /// A segment cannot be read.
    #[error("{}: {error}", path.display())]
    Segment {
        /// The segment.
        path: PathBuf,
        /// Why.
        error: SegmentError,
    },
}

/// A log that this process alone writes.
#[derive(Debug)]
pub(in crate::audit) struct Opened {
    /// Its id.
    pub(in crate::audit) log: Uuid,
    /// The last segment, its first record's sequence, and where it ends.
    pub(in crate::audit) last: Option<(File, u64, u64)>,
    /// Bytes behind the last whole frame that were cut off.
    pub(in crate::audit) torn_bytes: u64,
    /// What the latest records say.
    pub(in crate::audit) traces: Traces,
    /// Held as long as the log is written.
    pub(in crate::audit) lock: File,
}

/// What the records of the last process say of it.
#[derive(Debug, Default)]
pub(in crate::audit) struct Traces {
    /// The process; none if the log is new.
    pub(in crate::audit) instance: Option<Uuid>,
    /// What its last checkpoint says.
    pub(in crate::audit) facts: Option<Facts>,
    /// Records that answers made, written after that checkpoint, or since its start if it made none.
    pub(in crate::audit) since: u64,
    /// It said that it stops.
    pub(in crate::audit) stopped: bool,
    /// There are checkpoints among the latest records.
    pub(in crate::audit) has_checkpoints: bool,
    /// The traces reach back to its start, or to a checkpoint of its own.
    pub(in crate::audit) anchored: bool,
}

impl Opened {
    /// Opens the log in a folder, which is made if need be.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(in crate::audit) fn open(directory: &Path) -> Result<Self, OpenError> {
        let failed = |error| OpenError::Folder { directory: directory.to_owned(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let lock = lock(directory)?;
        let mut segments = segment::list(directory).map_err(failed)?;
        let mut torn_bytes = 0;
        if let Some(last) = segments.last() {
            torn_bytes = cut(last, covered(directory).map_err(failed)?)?;
        }
        let Some(last) = segments.pop() else {
            let log = random().map_err(failed)?;
            return Ok(Self { log, last: None, torn_bytes, traces: Traces::default(), lock });
        };
        let at = |error| OpenError::Segment { path: last.path.clone(), error };
        let mut segment = Segment::open(&last.path).map_err(at)?;
        while segment.next().map_err(at)?.is_some() {}
        let (log, end) = (segment.header().log, segment.offset());
        let file = OpenOptions::new().read(true).write(true).open(&last.path).map_err(failed)?;
        segments.push(last);
        let traces = Traces::of(&segments)?;
        let first = segments.last().map_or(0, |last| last.first);
        Ok(Self { log, last: Some((file, first, end)), torn_bytes, traces, lock })
    }
}

fn lock(directory: &Path) -> Result<File, OpenError> {
    let failed = |error| OpenError::Folder { directory: directory.to_owned(), error };
    let path = directory.join(LOCK);
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Taken(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// How many records were signed, whoever signed it: all, as far as can be told, where that cannot be read.
fn covered(directory: &Path) -> io::Result<u64> {
    match fs::read_to_string(directory.join(CHECKPOINT)) {
        Ok(note) => Ok(unverified(&note).map_or(u64::MAX, |checkpoint| checkpoint.size)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(u64::MAX),
        Err(error) => Err(error),
    }
}

/// Cuts off what a crash left behind the last whole frame of a segment, and says how much it was. The first `covered` records
/// of the log were synced and signed: a crash tears none of them.
fn cut(last: &SegmentFile, covered: u64) -> Result<u64, OpenError> {
    let path = || last.path.clone();
    let failed = |error: io::Error| OpenError::Segment { path: path(), error: error.into() };
    let at = |error| OpenError::Segment { path: path(), error };
    let mut segment = Segment::open(&last.path).map_err(at)?;
    let mut whole = last.first;
    let error = loop {
        match segment.next() {
            Ok(Some(_)) => whole += 1,
            Ok(None) => return Ok(0),
            Err(error @ (SegmentError::Torn { .. } | SegmentError::Damaged { .. })) => break error,
            Err(error) => return Err(at(error)),
        }
    };
    let file = OpenOptions::new().read(true).write(true).open(&last.path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let offset = segment.offset();
    if matches!(error, SegmentError::Damaged { .. }) && is_followed(&file, offset, length).map_err(failed)? {
        return Err(OpenError::Damaged { path: path(), error });
    }
    if whole < covered {
        return Err(OpenError::Covered { path: path(), error });
    }
    file.set_len(offset).and_then(|()| file.sync_all()).map_err(failed)?;
    tracing::warn!(path = %last.path.display(), bytes = length - offset, "a record that was not whole is cut off the decision log");
    Ok(length - offset)
}

/// Whether whole records stand behind a damaged frame: a crash tears the end of a file, and nothing before it.
fn is_followed(file: &File, damaged: u64, length: u64) -> io::Result<bool> {
    let size = usize::try_from(length - damaged).map_err(io::Error::other)?;
    let mut rest = vec![0; size];
    file.read_exact_at(&mut rest, damaged)?;
    let begins = |at: usize| {
        let here = rest.get(at..).unwrap_or_default();
        matches!(frame::first(here), Found::Whole(payload) if payload.starts_with(b"{"))
    };
    Ok((1..size).any(begins))
}

/// The kinds of record that the writer makes by itself: no answer made them.
const OF_THE_WRITER: [&str; 5] = ["start", "stop", "gap", "checkpoint", "retention"];

/// What is read of a record.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    instance: Uuid,
    #[serde(borrow, default)]
    note: Option<Cow<'a, str>>,
}

impl Traces {
    /// Reads back from the end, by whole segments, until it is known what the last process said.
    fn of(segments: &[SegmentFile]) -> Result<Self, OpenError> {
        let mut traces = Self::default();
        for from in (0..segments.len()).rev() {
            traces = Self::default();
            for file in segments.get(from..).unwrap_or_default() {
                traces.read(file)?;
            }
            if traces.anchored {
                break;
            }
        }
        Ok(traces)
    }

    fn read(&mut self, file: &SegmentFile) -> Result<(), OpenError> {
        let at = |error| OpenError::Segment { path: file.path.clone(), error };
        let mut segment = Segment::open(&file.path).map_err(at)?;
        while let Some(framed) = segment.next().map_err(at)? {
            // What is no record of ours is for whoever verifies to tell.
            if let Ok(head) = serde_json::from_slice(framed.line) {
                self.take(&head);
            }
        }
        Ok(())
    }

    fn take(&mut self, head: &Head<'_>) {
        if self.instance != Some(head.instance) {
            let has_checkpoints = self.has_checkpoints;
            *self = Self { instance: Some(head.instance), has_checkpoints, ..Self::default() };
        }
        let Head { kind, note, .. } = head;
        self.stopped = kind == "stop" || self.stopped && kind == "checkpoint";
        self.anchored |= kind == "start";
        if !OF_THE_WRITER.contains(&kind.as_ref()) {
            self.since += 1;
        }
        let note = note.as_ref().filter(|_| kind == "checkpoint");
        if let Some(checkpoint) = note.and_then(|note| unverified(note)) {
            // It covers everything before its own record.
            (self.since, self.has_checkpoints, self.anchored) = (0, true, true);
            self.facts = Some(checkpoint.facts);
        }
    }
}

/// A checkpoint that nobody has vouched for yet.
fn unverified(note: &str) -> Option<Checkpoint> {
    let nobody = TrustedKeys::read("").ok()?;
    Checkpoint::read(note, &nobody).ok().map(|(checkpoint, _unknown)| checkpoint)
}

/// A random id.
pub(in crate::audit) fn random() -> io::Result<Uuid> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

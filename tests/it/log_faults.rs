//! The decision log after a crash: processes are killed, power is cut, files end anywhere. Every answer that was given is
//! accounted for, exactly.

mod killed;
mod torn;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use mandate::server::pb;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Client, Process, Sources, all_records, mandate, question};

fn view() -> pb::AuthorizeRequest {
    question(("User", "ana"), "view", ("Doc", "plan"))
}

/// A server's sources, its log and its counters, over many starts.
#[derive(Debug)]
struct Site {
    sources: Sources,
    log: PathBuf,
    counters: TempDir,
    settings: Vec<String>,
}

impl Site {
    /// A log in the sources' own folder, with settings of `[log]`.
    fn new(settings: &[&str]) -> Self {
        let sources = Sources::small();
        let log = sources.path("data/log");
        Self::of(sources, log, settings)
    }

    /// A log in a folder of its own.
    fn at(log: &Path, settings: &[&str]) -> Self {
        Self::of(Sources::small(), log.to_owned(), settings)
    }

    fn of(sources: Sources, log: PathBuf, settings: &[&str]) -> Self {
        let counters = tempfile::tempdir_in("/dev/shm").expect("memory");
        let mut all = vec![
            format!("MANDATE__LOG__DIRECTORY={}", log.display()),
            format!("MANDATE__LOG__COUNTERS={}", counters.path().display()),
        ];
        all.extend(settings.iter().map(|setting| format!("MANDATE__LOG__{setting}")));
        Self { sources, log, counters, settings: all }
    }

    fn start(&self) -> Process {
        let settings: Vec<_> = self.settings.iter().map(String::as_str).collect();
        Process::try_start_with(&self.sources, &settings).unwrap_or_else(|ended| panic!("{ended:?}"))
    }

    /// Every record, which are numbered from nought without a gap.
    #[track_caller]
    fn records(&self) -> Vec<Value> {
        let records = all_records(&self.log);
        for (sequence, record) in records.iter().enumerate() {
            assert_eq!(record["sequence"], sequence, "{record}");
        }
        records
    }

    /// Whether the log is what was written and signed.
    #[track_caller]
    fn verify(&self) {
        let key = self.sources.path("data/keys/log.pub");
        let words = ["log", "verify", "--key"].map(std::ffi::OsString::from);
        let words = words.into_iter().chain([key.into(), self.log.clone().into()]);
        mandate(words).check_code(0);
    }
}

/// The records that answers made, of one process.
fn of_answers<'r>(records: &'r [Value], instance: &Value) -> Vec<&'r Value> {
    let is_of_the_writer = |record: &Value| {
        ["start", "stop", "gap", "checkpoint", "retention", "generation"]
            .contains(&record["kind"].as_str().unwrap())
    };
    records.iter().filter(|record| record["instance"] == *instance && !is_of_the_writer(record)).collect()
}

/// A number of a record; nought if it is not there.
fn number(value: &Value) -> u64 {
    if value.is_null() { 0 } else { value.as_u64().unwrap_or_else(|| panic!("{value} is no number")) }
}

/// What clients saw of one process.
#[derive(Debug, Default)]
struct Seen {
    /// The decisions that they were told.
    answered: Mutex<Vec<String>>,
    /// The questions that they asked.
    asked: AtomicU64,
}

impl Seen {
    /// Asks, one question after another, until no answer comes.
    fn ask(&self, client: &Client) {
        loop {
            self.asked.fetch_add(1, Ordering::SeqCst);
            match client.authorize(view()) {
                Ok(answer) => self.answered.lock().unwrap().push(answer.decision_id),
                Err(_none) => return,
            }
        }
    }

    /// As [`ask`](Self::ask), many questions at once.
    fn ask_many(&self, client: &Client) {
        const MANY: usize = 40;
        let batch = pb::AuthorizeBatchRequest {
            defaults: Some(view()),
            requests: vec![pb::AuthorizeRequest::default(); MANY],
        };
        loop {
            self.asked.fetch_add(MANY as u64, Ordering::SeqCst);
            let Ok(results) = client.batch(batch.clone()) else { return };
            let mut answered = self.answered.lock().unwrap();
            for result in results {
                match result.outcome {
                    Some(pb::authorize_result::Outcome::Response(answer)) => {
                        answered.push(answer.decision_id)
                    }
                    _ => return,
                }
            }
        }
    }

    fn answers(&self) -> u64 {
        self.answered.lock().unwrap().len() as u64
    }
}

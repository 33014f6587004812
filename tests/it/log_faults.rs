//! The decision log under faults. Processes are killed, power is cut, disks are full or stand still: every answer that was
//! given is accounted for, exactly.

mod frozen;
mod full;
mod killed;
mod torn;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mandate::server::pb;
use serde_json::Value;

pub(crate) use killed::kill;

use crate::support::{Client, Numbers, Process, Sources, mandate, question, records_from};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn view() -> pb::AuthorizeRequest {
    question(("User", "ana"), "view", ("Doc", "plan"))
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A server's sources and its log, over many starts.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) sources: Sources,
    pub(crate) log: PathBuf,
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

    /// A log of these sources.
    pub(crate) fn of(sources: Sources, log: PathBuf, settings: &[&str]) -> Self {
        let mut all = vec![format!("MANDATE__LOG__DIRECTORY={}", log.display())];
        all.extend(settings.iter().map(|setting| format!("MANDATE__LOG__{setting}")));
        Self { sources, log, settings: all }
    }

    pub(crate) fn start(&self) -> Process {
        self.start_with(&[])
    }

    /// Starts it with more settings, each a variable and its value.
    pub(crate) fn start_with(&self, more: &[&str]) -> Process {
        let settings: Vec<_> = self.settings.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Process::try_start_with(&self.sources, &settings).unwrap_or_else(|ended| panic!("{ended:?}"))
    }

    /// Every record, which are numbered from nought without a gap.
    #[track_caller]
    fn records(&self) -> Vec<Value> {
        self.records_from(0)
    }

    /// The same, from the record of this number on.
    #[track_caller]
    fn records_from(&self, first: u64) -> Vec<Value> {
        let records = records_from(&self.log, first);
        for (sequence, record) in (first..).zip(&records) {
            assert_eq!(record["sequence"], sequence, "{record}");
        }
        records
    }

    /// Whether the log is what was written and signed.
    #[track_caller]
    pub(crate) fn verify(&self) {
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

/// How many were dropped for any reason.
fn dropped(account: &Value) -> u64 {
    account["dropped"].as_object().map_or(0, |reasons| reasons.values().map(number).sum())
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

/// The account of a process, as its metrics give it: issued, written, on their way, dropped.
pub(crate) fn account(process: &Process) -> [u64; 4] {
    let numbers = Numbers::read(&process.ops);
    let records = |written: bool| {
        let records = numbers.named("pdp_audit_records_total");
        records
            .filter(move |(series, _)| series.contains("outcome=\"written\"") == written)
            .map(|(_, count)| count)
            .sum()
    };
    let issued = numbers.sum("pdp_audit_records_issued_total");
    let account = [issued, records(true), numbers.sum("pdp_audit_queue_depth"), records(false)];
    let whole = |count: f64| format!("{count}").parse().expect("a whole number");
    let account = account.map(whole);
    let [issued, written, queued, dropped] = account;
    assert_eq!(issued, written + queued + dropped, "{account:?}");
    account
}

/// The end of a process that was told to end: its last account balances, holds what it wrote, and what is missing was told.
#[track_caller]
fn check_orderly_end(site: &Site) -> Value {
    let records = site.records();
    let stop = records.iter().rfind(|record| record["kind"] == "stop").expect("it stopped").clone();
    let written = of_answers(&records, &stop["instance"]).len() as u64;
    assert_eq!(number(&stop["written"]), written, "{stop}");
    assert_eq!(number(&stop["issued"]), written + dropped(&stop), "{stop}");
    let gaps =
        records.iter().filter(|record| record["kind"] == "gap" && record["instance"] == stop["instance"]);
    assert_eq!(gaps.map(|gap| number(&gap["count"])).sum::<u64>(), dropped(&stop), "{stop}");
    site.verify();
    stop
}

//! What became of a sink's records: delivered, or lost for a reason; and how far behind it is.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::audit::spool::Progress;

/// No record waits.
const NONE: i64 = i64::MIN;

/// Why a sink will never have a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The other side refused it for good.
    Refused,
    /// The other side took a batch but for so many records that it does not name.
    Rejected,
    /// It was deleted from this disk before the sink had it.
    Retention,
    /// It cannot be read any more on this disk.
    Unreadable,
}

impl Loss {
    /// Its name, as in the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Retention => "retention",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Records that a sink will never have, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    /// See [`Loss::Refused`].
    pub refused: u64,
    /// See [`Loss::Rejected`].
    pub rejected: u64,
    /// See [`Loss::Retention`].
    pub retention: u64,
    /// See [`Loss::Unreadable`].
    pub unreadable: u64,
}

impl Lost {
    /// Adds records.
    pub(super) fn add(&mut self, reason: Loss, records: u64) {
        let count = match reason {
            Loss::Refused => &mut self.refused,
            Loss::Rejected => &mut self.rejected,
            Loss::Retention => &mut self.retention,
            Loss::Unreadable => &mut self.unreadable,
        };
        *count = count.saturating_add(records);
    }

    /// Each reason and how many.
    pub fn by_reason(&self) -> [(&'static str, u64); 4] {
        [
            (Loss::Refused.as_str(), self.refused),
            (Loss::Rejected.as_str(), self.rejected),
            (Loss::Retention.as_str(), self.retention),
            (Loss::Unreadable.as_str(), self.unreadable),
        ]
    }
}

/// How a sink stands. `next = begun + delivered + lost` at all times.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SinkStatus {
    /// Its name.
    pub name: String,
    /// What it is: `stdout`, `file`, `http`, `otlp`, `nats`.
    pub kind: &'static str,
    /// Sequence of the first record that it was due.
    pub begun: u64,
    /// Sequence of the next record that it is due.
    pub next: u64,
    /// Records that it took.
    pub delivered: u64,
    /// Records that it will never have.
    pub lost: Lost,
    /// Records that are synced here, and that it does not have.
    pub lag_records: u64,
    /// Age of the oldest of them, in seconds.
    pub lag_seconds: f64,
    /// Deliveries that failed, each attempt counted, since the start.
    pub failures: u64,
    /// What is wrong with it now; none: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What is settled about the records of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) begun: u64,
    pub(super) next: u64,
    pub(super) delivered: u64,
    pub(super) lost: Lost,
}

/// The account of one sink: written by its thread, read by whoever asks.
#[derive(Debug)]
pub struct Account {
    name: String,
    kind: &'static str,
    tally: Mutex<Tally>,
    settled: AtomicU64,
    failures: AtomicU64,
    failing: AtomicBool,
    problem: Mutex<Option<String>>,
    /// Time of the oldest record that waits, in microseconds since 1970.
    waiting: AtomicI64,
    progress: Mutex<Option<watch::Receiver<Progress>>>,
}

impl Account {
    pub(super) fn new(name: &str, kind: &'static str, tally: Tally) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            settled: AtomicU64::new(tally.next),
            tally: Mutex::new(tally),
            failures: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            problem: Mutex::new(None),
            waiting: AtomicI64::new(NONE),
            progress: Mutex::new(None),
        }
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn follows(&self, progress: watch::Receiver<Progress>) {
        *held(&self.progress) = Some(progress);
    }

    pub(super) fn set(&self, tally: Tally) {
        *held(&self.tally) = tally;
    }

    /// What is on disk of it.
    pub(super) fn set_settled(&self, next: u64) {
        self.settled.store(next, Ordering::Release);
    }

    /// Sequence below which the sink needs no record again, whatever happens to this process.
    pub(super) fn settled(&self) -> u64 {
        self.settled.load(Ordering::Acquire)
    }

    pub(super) fn waits_since(&self, time: Option<Timestamp>) {
        self.waiting.store(time.map_or(NONE, Timestamp::as_microsecond), Ordering::Relaxed);
    }

    /// Notes a failure; true if it is the first after something that went well.
    pub(super) fn failed(&self, why: &str) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *held(&self.problem) = Some(why.to_owned());
        !self.failing.swap(true, Ordering::Relaxed)
    }

    /// Notes that things go well; true if they did not before.
    pub(super) fn recovered(&self) -> bool {
        let failed = self.failing.swap(false, Ordering::Relaxed);
        if failed {
            *held(&self.problem) = None;
        }
        failed
    }

    /// How the sink stands.
    pub(super) fn status(&self) -> SinkStatus {
        let Tally { begun, next, delivered, lost } = *held(&self.tally);
        let synced = held(&self.progress).as_ref().map_or(next, |progress| progress.borrow().synced);
        SinkStatus {
            name: self.name.clone(),
            kind: self.kind,
            begun,
            next,
            delivered,
            lost,
            lag_records: synced.saturating_sub(next),
            lag_seconds: self.waited(),
            failures: self.failures.load(Ordering::Relaxed),
            problem: held(&self.problem).clone(),
        }
    }

    /// How long the oldest record has waited, in seconds.
    fn waited(&self) -> f64 {
        let since = Timestamp::from_microsecond(self.waiting.load(Ordering::Relaxed));
        // What nobody waits for is before the first instant there is.
        since.map_or(0.0, |since| Timestamp::now().duration_since(since).as_secs_f64().max(0.0))
    }
}

/// Whoever panicked while holding it left a value that is whole.
fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

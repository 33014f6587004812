//! The decision log: a record for every answer, on this disk before anywhere else, and provable afterwards.
//!
//! A decision moves what it used into a [`record`], which is masked (`fields`, `masking`), turned into a line (`line`) and put
//! into a bounded [`queue`]; one thread ([`writer`], `worker`) numbers lines and appends them to the [`spool`] through its
//! `journal`, which hashes them into the [`tree`] and signs it. From the spool they go to [`sinks`]. A line is made where its
//! answer is, in one buffer: what a record consists of would cost more to hand over than to write down. Nothing waits for a disk
//! there. At all times `issued = written + queued + dropped` ([`counts`]).

mod canonical;
mod chain;
pub mod counts;
mod fields;
mod first_seen;
mod generation;
mod journal;
mod json;
pub mod ledger;
mod lifecycle;
mod line;
mod masking;
pub mod outcome;
pub mod queue;
pub mod reading;
mod recent;
pub mod record;
mod replace;
mod said;
mod salts;
mod search;
pub mod sinks;
pub mod spool;
pub mod tree;
mod verdict;
mod worker;
pub mod writer;

#[cfg(test)]
pub(crate) mod examples_for_tests;
#[cfg(test)]
pub(crate) mod faults_for_tests;
#[cfg(test)]
mod ledger_tests;
#[cfg(test)]
mod line_tests;
#[cfg(test)]
mod queue_tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use journal::Journal;
use ledger::{Ledger, Left};
use lifecycle::{Counted, Previous, Start};
use line::Encoder;
use queue::Queue;
use reading::contents::Sealed;
use reading::source::Source;
use sinks::config::SinkConfig;
use sinks::{Accounts, Sinks, SinksError};
use spool::appender::Appender;
use spool::opened::{self, OpenError, Opened};
use spool::retention::Limits;
use tree::notary::{Notary, NotaryConfig, NotaryError};
use tree::witness::WitnessState;
use uuid::Uuid;
use worker::Worker;

pub use counts::{Counts, DropReason};
pub use fields::{Disclose, Facts, Fields};
pub use generation::GenerationRecord;
pub use json::is_hidden;
pub use queue::{NotRecorded, Recording, Room, WriterGone};
pub use recent::ReportedBy;
pub use record::{ChangeRecord, DecisionRecord, EntityChange, Record, RefusalRecord};
pub use salts::Salts;
pub use search::SearchRecord;
pub use sinks::Feeding;
pub use writer::Writer;

/// How decisions are recorded.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// Whether answers wait until their records last.
    pub mode: Mode,
    /// The log's folder, which is made if need be.
    pub directory: PathBuf,
    /// Most records that wait to be written; one over [`queue::RECORD_BYTES`] counts for more.
    pub queue: u32,
    /// What happens to a record that finds the queue full.
    pub overflow: Overflow,
    /// How large segments grow, and how long they are kept.
    pub limits: Limits,
    /// Folder of the counters that outlive the process; none: where there is one in memory.
    pub counters: Option<PathBuf>,
    /// What of callers' words is written.
    pub fields: Fields,
    /// Who signs the log.
    pub notary: NotaryConfig,
    /// Where it is delivered to.
    pub sinks: Vec<SinkConfig>,
}

/// Whether answers wait until their records last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They do not; those that a policy says need a record do.
    Async,
    /// They do.
    Durable,
}

/// What happens to a record that finds no room, or a disk that takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The record is dropped and counted; the answer is given.
    Drop,
    /// The caller waits for room before it decides; without room there is no answer.
    Block,
    /// The record is dropped and counted; the answer is a denial.
    Deny,
}

impl Overflow {
    /// What comes of a disk that takes nothing.
    fn consequence(self) -> &'static str {
        match self {
            Self::Drop => "records are dropped and counted",
            Self::Block => "answers wait once the queue is full",
            Self::Deny => "what is asked is denied",
        }
    }
}

/// Why the decision log cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Its folder.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Who signs it, or what was signed.
    #[error(transparent)]
    Notary(#[from] NotaryError),
    /// Where it is delivered to.
    #[error(transparent)]
    Sinks(#[from] SinksError),
    /// The system refuses.
    #[error("the decision log cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// The decision log, as decisions see it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct AuditLog {
    queue: Option<Queue>,
    accounts: Accounts,
    witnesses: Arc<[WitnessState]>,
    signed: Arc<AtomicI64>,
    lost: u64,
    source: Option<Source>,
}

/// A log that is open, the thread that writes it, and those that deliver it.
#[derive(Debug)]
pub struct OpenLog {
    /// For decisions.
    pub log: AuditLog,
    /// The thread that writes.
    pub writer: Writer,
    /// The threads that deliver; none where nothing is written.
    pub feeding: Option<Feeding>,
}

impl AuditLog {
    /// A log that is off: no thread, no queue, nothing counted.
    pub fn off() -> OpenLog {
        OpenLog { log: Self::default(), writer: Writer::off(), feeding: None }
    }

    /// Opens the log, says that it begins, and starts the threads that write and deliver it.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(config: &AuditConfig) -> Result<OpenLog, LogError> {
        Self::open_with(
            config,
            #[cfg(test)]
            faults_for_tests::Faults::default(),
        )
    }

    /// As [`open`](Self::open); in tests with a disk that fails as they want.
    fn open_with(
        config: &AuditConfig,
        #[cfg(test)] faults: faults_for_tests::Faults,
    ) -> Result<OpenLog, LogError> {
        let AuditConfig { directory, limits, .. } = config;
        let Opened { log, last, torn_bytes, traces, lock, .. } = Opened::open(directory)?;
        let instance = opened::random()?;
        let notary = Notary::open(&config.notary, directory, log, instance, traces.has_checkpoints)?;
        let sinks = Sinks::open(&config.sinks, directory)?;
        let accounts = sinks.accounts();
        let (witnesses, signed) = (notary.witnesses().into(), notary.signed());
        let (appender, sealed) = (Appender::new(directory, last), Sealed::default());
        let parts = journal::Parts {
            directory: directory.clone(),
            log,
            instance,
            appender,
            notary,
            limits: limits.clone(),
            sealed: sealed.clone(),
            lock,
        };
        let journal = Journal::new(parts);
        let progress = journal.progress();
        let (ledger, left) = config.ledger(log, instance);
        let telling = (config.fields.clone(), Encoder::new(instance));
        let (queue, receiver) = Queue::new(config.queue, config.overflow, config.mode, telling, ledger);
        let counted = left.into_iter().find(|left| Some(left.instance) == traces.instance).map(Counted::from);
        let previous = Previous::of(&traces, counted);
        let lost =
            previous.as_ref().and_then(|previous| previous.lost.or(previous.lost_at_most)).unwrap_or(0);
        let start = config.start(torn_bytes, previous);
        let writer = Worker::spawn(worker::Parts {
            queue: queue.clone(),
            receiver,
            journal,
            accounts: accounts.clone(),
            start,
            #[cfg(test)]
            faults,
        })?;
        let feeding = sinks.start(log, directory.clone(), &progress)?;
        let source = Some(Source { directory: directory.clone(), progress, sealed });
        let log = Self { queue: Some(queue), accounts, witnesses, signed, lost, source };
        Ok(OpenLog { log, writer, feeding: Some(feeding) })
    }

    /// Room for this many records: under [`Overflow::Block`] it waits until there is, otherwise never. Dropping the
    /// future or the [`Room`] gives the room back.
    ///
    /// # Errors
    /// [`WriterGone`], under [`Overflow::Block`] only: no answer may be given, for none can be recorded.
    pub async fn reserve(&self, records: usize) -> Result<Room, WriterGone> {
        match &self.queue {
            Some(queue) => queue.reserve(records).await,
            None => Ok(Room::off()),
        }
    }

    /// Room for a record that nobody waited to make: of a call that is refused.
    pub fn room_at_once(&self) -> Room {
        self.queue.as_ref().map_or_else(Room::off, Queue::room)
    }

    /// Counts a record that is left out because it would be one of many that say the same.
    pub fn leave_out(&self) {
        if let Some(queue) = &self.queue {
            queue.tally().issued();
            queue.tally().dropped(DropReason::Overload, 1);
        }
    }

    /// The decision that this caller reports an outcome of, if it asked for it and it was written of late.
    pub fn report(&self, decision: Uuid, caller: &str) -> ReportedBy {
        self.queue.as_ref().map_or(ReportedBy::Unknown, |queue| queue.recent().report(decision, caller))
    }

    /// Whether what was recorded as a digest is this one, as it is or under this month's key.
    pub fn is_digest_of(&self, recorded: &str, digest: &str) -> bool {
        recorded == digest
            || self.queue.as_ref().is_some_and(|queue| queue.fields().is_keyed(recorded, digest))
    }

    /// Records what became of what decisions are made with.
    pub fn tell(&self, record: GenerationRecord) {
        if let Some(queue) = &self.queue {
            queue.tell(record);
        }
    }

    /// Whether no answer, or none but a denial, can be given until the disk takes records again.
    pub fn is_stalled(&self) -> bool {
        self.queue.as_ref().is_some_and(Queue::is_stalled)
    }

    /// The log on disk, for whoever reads it while it is written; none if nothing is recorded.
    pub fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// What became of every record so far.
    pub fn counts(&self) -> Counts {
        self.queue.as_ref().map(Queue::counts).unwrap_or_default()
    }

    /// To whom checkpoints are shown, and how they are.
    pub fn witnesses(&self) -> &[WitnessState] {
        &self.witnesses
    }

    /// When this process signed a checkpoint last, in seconds since 1970; 0 if it did not.
    pub fn signed(&self) -> i64 {
        self.signed.load(Ordering::Relaxed)
    }

    /// How many records of the process before are missing, or may be at most where its counters did not outlive it.
    pub fn lost_before(&self) -> u64 {
        self.lost
    }

    /// What became of them at the sinks.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }
}

impl AuditConfig {
    /// The counters that outlive the process, and what the one before left in theirs. A log without them is kept
    /// all the same: what a crash costs is bounded then, and not counted.
    fn ledger(&self, log: Uuid, instance: Uuid) -> (Option<Ledger>, Vec<Left>) {
        let memory = PathBuf::from(ledger::FOLDER);
        let folder = match &self.counters {
            Some(folder) => folder,
            None if memory.is_dir() => &memory,
            // A disk that stands still holds up answers there.
            None => &self.directory,
        };
        match Ledger::open(folder, log, instance) {
            Ok((ledger, left)) => (Some(ledger), left),
            Err(error) => {
                tracing::warn!(%error, "what is issued is counted in this process only: after a crash, losses are bounded and not counted");
                (None, Vec::new())
            }
        }
    }

    fn start(&self, torn_bytes: u64, previous: Option<Previous>) -> Start {
        Start {
            version: env!("CARGO_PKG_VERSION"),
            mode: match self.mode {
                Mode::Async => "async",
                Mode::Durable => "durable",
            },
            overflow: match self.overflow {
                Overflow::Drop => "drop",
                Overflow::Block => "block",
                Overflow::Deny => "deny",
            },
            torn_bytes,
            previous,
        }
    }
}

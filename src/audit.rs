//! The decision log: one line of JSON for every answer.
//!
//! A decision moves what it used into a [`record`] and puts it into a bounded [`queue`]; one thread ([`writer`]) turns
//! records into lines and writes them to a [`sink`]. Nothing is formatted, hashed or written where decisions are made.
//! At all times `issued = written + queued + dropped` ([`counts`]). In reading order: [`record`], [`queue`], [`writer`],
//! `line` (a record as text), [`sink`], [`mod@file`] and [`stdout`].

mod canonical;
mod chain;
pub mod counts;
mod fields;
pub mod file;
mod first_seen;
mod json;
pub mod ledger;
mod line;
mod lines;
mod masking;
pub mod outcome;
pub mod queue;
mod recent;
pub mod reading;
pub mod record;
mod replace;
mod salts;
pub mod sink;
pub mod sinks;
pub mod spool;
pub mod stdout;
pub mod tree;
pub mod writer;

#[cfg(test)]
pub(crate) mod examples_for_tests;
#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod ledger_tests;
#[cfg(test)]
mod line_tests;
#[cfg(test)]
mod queue_tests;

use std::path::PathBuf;

use file::FileSink;
use queue::Queue;
use sink::Sink;
use stdout::StdoutSink;
use uuid::Uuid;
use writer::Worker;

pub use counts::{Counts, DropReason};
pub use fields::{Disclose, Facts, Fields};
pub use json::is_hidden;
pub use queue::{Room, WriterGone};
pub use recent::ReportedBy;
pub use record::{ChangeRecord, DecisionRecord, EntityChange, Record, RefusalRecord};
pub use salts::Salts;
pub use writer::Writer;

/// How decisions are recorded.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// Where to.
    pub sink: SinkConfig,
    /// Most records that wait to be written; one over [`queue::RECORD_BYTES`] counts for more.
    pub queue: u32,
    /// What happens to a record that finds the queue full.
    pub overflow: Overflow,
    /// What of callers' words is written.
    pub fields: Fields,
}

/// Where decisions are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkConfig {
    /// To files that rotate.
    File(FileConfig),
    /// To standard output.
    Stdout,
    /// Nowhere: no thread, no queue, nothing counted.
    Off,
}

/// How the files of a decision log rotate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileConfig {
    /// The folder, which is created where it does not exist.
    pub directory: PathBuf,
    /// Size a file has at most before another begins, in bytes.
    pub rotate_bytes: u64,
    /// How many rotated files are kept.
    pub keep: usize,
}

/// What happens to a record that finds the queue full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// It is dropped and counted; the answer is given.
    Drop,
    /// The caller waits for room before it decides; without room there is no answer.
    Block,
}

/// The decision log, as decisions see it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AuditLog {
    queue: Option<Queue>,
    source: Option<reading::source::Source>,
}

impl AuditLog {
    /// Opens the sink and starts the thread that writes to it.
    ///
    /// # Errors
    /// The sink cannot be opened, with its path, or the system gives no thread.
    pub fn open(config: &AuditConfig) -> std::io::Result<(Self, Writer)> {
        let sink: Box<dyn Sink + Send> = match &config.sink {
            SinkConfig::File(file) => Box::new(FileSink::open(file)?),
            SinkConfig::Stdout => Box::new(StdoutSink::open()?),
            SinkConfig::Off => return Ok((Self { queue: None, source: None }, Writer::off())),
        };
        Self::with_sink(config, sink)
    }

    /// Starts the thread that writes to this sink, whatever sink the configuration names.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn with_sink(config: &AuditConfig, sink: Box<dyn Sink + Send>) -> std::io::Result<(Self, Writer)> {
        let (queue, receiver) = Queue::new(config.queue, config.overflow, config.fields.clone());
        let writer = Worker::spawn(queue.clone(), receiver, sink)?;
        Ok((Self { queue: Some(queue), source: None }, writer))
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

    /// The decision that this caller reports an outcome of, if it asked for it and it was written of late.
    pub fn report(&self, decision: Uuid, caller: &str) -> ReportedBy {
        self.queue.as_ref().map_or(ReportedBy::Unknown, |queue| queue.recent().report(decision, caller))
    }

    /// Whether what was recorded as a digest is this one, as it is or under this month's key.
    pub fn is_digest_of(&self, recorded: &str, digest: &str) -> bool {
        recorded == digest
            || self.queue.as_ref().is_some_and(|queue| queue.fields().is_keyed(recorded, digest))
    }

    /// Whether no answer can be given until the sink takes records again.
    pub fn is_stalled(&self) -> bool {
        self.queue.as_ref().is_some_and(Queue::is_stalled)
    }

    /// The log on disk, for whoever reads it while it is written; none if nothing is recorded.
    pub fn source(&self) -> Option<&reading::source::Source> {
        self.source.as_ref()
    }

    /// What became of every record so far.
    pub fn counts(&self) -> Counts {
        self.queue.as_ref().map(Queue::counts).unwrap_or_default()
    }
}

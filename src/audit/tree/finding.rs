//! What a verification finds, in the order of the log.

use std::fmt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// A place in a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Where in it, in bytes from its beginning.
    pub offset: Option<u64>,
    /// The record's number in the log.
    pub sequence: Option<u64>,
}

impl Place {
    /// A whole file.
    pub(super) fn of(file: &Path) -> Self {
        Self { file: file.to_owned(), offset: None, sequence: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(offset) = self.offset {
            write!(f, ", byte {offset}")?;
        }
        match self.sequence {
            Some(sequence) => write!(f, ", record {sequence}"),
            None => Ok(()),
        }
    }
}

/// Evidence that a log is not what was written and signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// What.
    pub fault: Fault,
}

/// What can be wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A file is no segment, or one of another format.
    #[error("this is no segment that can be read: {0}")]
    Unreadable(String),
    /// A frame's length or checksum is wrong.
    #[error("the record is damaged: its length or its checksum is wrong")]
    Damaged,
    /// A segment that is not the last ends within a record.
    #[error("the segment ends within this record, though nothing was writing to it any more")]
    Cut,
    /// A segment is not what its name or place says.
    #[error("the segment's header says that it begins with record {0}: it was renamed or replaced")]
    Misplaced(u64),
    /// A segment is another log's.
    #[error("the segment is of the log {0}: it was copied from there")]
    OtherLog(Uuid),
    /// The hashes in a header are of no tree, or not of the records before.
    #[error("the segment's header does not fit the records before it: one or the other was changed")]
    Header,
    /// Segments or their ends are missing.
    #[error("{} records before this segment are missing: {from} to {}", until - from, until - 1)]
    Missing {
        /// The first missing one.
        from: u64,
        /// The first that is there again.
        until: u64,
    },
    /// Records stand twice.
    #[error("the segment begins before the one before it ends, at record {0}: records stand twice")]
    Overlap(u64),
    /// A record is no JSON of ours.
    #[error("this is no record: {0}")]
    NoRecord(String),
    /// A record says that it is another.
    #[error("the record says that it is number {0}: records were removed, added or moved before it")]
    Number(u64),
    /// A process speaks that did not say that it started.
    #[error("the record is of the process {0}, which did not say that it started")]
    Stranger(Uuid),
    /// A process speaks that had said that it stopped.
    #[error("the record comes after the process said that it stopped")]
    AfterStop,
    /// A start does not say what became of the process before.
    #[error(
        "the process before did not say that it stopped, and this start does not say so: records may be missing"
    )]
    Undeclared,
    /// A checkpoint's record holds none.
    #[error("this is no checkpoint: {0}")]
    NoCheckpoint(String),
    /// A checkpoint is another log's.
    #[error("the checkpoint is of the log {0}")]
    OtherCheckpoint(Uuid),
    /// A checkpoint stands in another place than where it was made.
    #[error("the checkpoint covers {0} records, and stands in another place")]
    CheckpointMoved(u64),
    /// A signature is false.
    #[error("the checkpoint's signature is false: it was changed, or made by somebody who has not the key")]
    Forged,
    /// The checkpoint's key is not among those that are believed, and no later checkpoint vouches for it.
    #[error("the checkpoint is signed by no key that was given, and no later one covers it")]
    UnknownKey,
    /// Records are not what was signed.
    #[error(
        "records below number {size} are not those that were signed at {time}: after record {good} something was changed"
    )]
    Root {
        /// How many were signed.
        size: u64,
        /// When.
        time: String,
        /// Below this they are what was signed.
        good: u64,
    },
    /// A segment's header is not what was signed.
    #[error("the header of the segment that begins with record {0} is not what was signed: it was changed")]
    HeaderChanged(u64),
    /// There is less than was signed.
    #[error(
        "{covered} records were signed at {time}, and the log ends at {there}: records are missing from its end"
    )]
    Short {
        /// How many were signed.
        covered: u64,
        /// When.
        time: String,
        /// How many are there.
        there: u64,
    },
    /// Nothing vouches for the log.
    #[error("no checkpoint by a key that was given is in the log: nothing shows that it is what was written")]
    Unsigned,
    /// There is no log.
    #[error("there is no segment here: this is no log's folder, or all of it is gone")]
    Empty,
    /// Checkpoints are of a log that is not here.
    #[error("a checkpoint is of the log {0}, and no folder that was given holds it")]
    LogMissing(Uuid),
}

/// What is told of a log that does not speak against it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Remark {
    /// Records that the process says it dropped.
    #[error("gap: {count} records were dropped ({reason})")]
    Gap {
        /// How many.
        count: u64,
        /// Why.
        reason: String,
    },
    /// Records that a crash took.
    #[error("lost: {count} records were issued before the process {instance} ended, and not written")]
    Lost {
        /// How many.
        count: u64,
        /// Whose.
        instance: Uuid,
    },
    /// As many at most.
    #[error("lost: at most {count} records were issued before the process {instance} ended, and not written")]
    LostAtMost {
        /// How many at most.
        count: u64,
        /// Whose.
        instance: Uuid,
    },
    /// A process ended without saying so, and the next one says that it did.
    #[error("the process {0} ended without saying so; the next start declares it")]
    UncleanEnd(Uuid),
    /// The last process is running, or ended without saying so.
    #[error("the last process, {0}, has not said that it stopped: it runs, or ended uncleanly")]
    Open(Uuid),
    /// The file ends within a record.
    #[error(
        "the last segment ends within a record ({0} bytes of it): it is being written, or a crash cut it short"
    )]
    Torn(u64),
    /// Older segments are gone, as retention wants it.
    #[error("the log begins at record {0}: older segments were deleted")]
    Begins(u64),
    /// Records that nothing vouches for yet.
    #[error("the last {0} records are covered by no checkpoint yet")]
    Uncovered(u64),
    /// A checkpoint by a key that was not given, which a later one covers.
    #[error("{0} checkpoints are signed by keys that were not given; later ones cover them")]
    UnknownKeys(u64),
    /// A checkpoint of records that are kept no longer.
    #[error("{0} checkpoints cover records that are kept no longer, and could not be compared")]
    Old(u64),
}

impl Remark {
    /// Whether it means that records are missing, though it is said that they are.
    pub fn is_gap(&self) -> bool {
        matches!(self, Self::Gap { .. } | Self::Lost { .. } | Self::LostAtMost { count: 1.., .. })
    }
}

//! What can be written, and what comes of it.

use std::sync::Arc;

use cedar_policy::EntityUid;

use super::super::Published;
use super::super::revision::RevisionError;
use crate::engine::edits::Refusal;
use crate::engine::suspensions::Suspended;

/// Most entities in one write.
pub(super) const MAX_BATCH: usize = 1_000;
/// Most bytes of one entity, as it is kept.
pub(super) const MAX_ENTITY_BYTES: usize = 256 * 1024;
/// Longest reason, in bytes.
pub(super) const MAX_REASON_BYTES: usize = 1024;
/// Most entities that callers own.
pub(super) const MAX_ENTITIES: usize = 5_000_000;
/// Most delegations that are revoked, and most that are remembered.
pub(super) const MAX_FACTS: usize = 1_000_000;

/// What to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Stores entities, each as an entity file writes it: all or none.
    Put(Vec<String>),
    /// Forgets entities: all or none.
    Delete(Vec<EntityUid>),
    /// Stores a new delegation.
    Cut(String),
    /// Revokes a delegation, for good, whether or not it is stored.
    Revoke(EntityUid, String),
    /// Suspends a principal, or everybody, until it is lifted.
    Suspend(Suspended, String),
    /// Lifts a suspension.
    Lift(Suspended, String),
}

/// A write, and on whose order.
#[derive(Debug, Clone)]
pub struct Order {
    /// What to write.
    pub write: Write,
    /// The revision that the store must be at; empty: any.
    pub if_revision: String,
    /// Who writes.
    pub by: Arc<str>,
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Written {
    /// A world that shows it. Its revision is the write's.
    pub published: Arc<Published>,
    /// What became of each name that was written.
    pub changes: Vec<WrittenChange>,
}

/// What became of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenChange {
    /// The name; none where everybody is meant.
    pub uid: Option<EntityUid>,
    /// Digest of what was stored before, if anything was.
    pub before: Option<String>,
    /// Digest of what is stored now, if anything is.
    pub after: Option<String>,
}

/// Why nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// An edit does not fit.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A write is larger than any may be: what is, and how large that may be.
    #[error("{what} {size}; the limit is {limit}")]
    TooLarge {
        /// What is too large: `holds entities:`.
        what: &'static str,
        /// How large it is.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// Nothing is to be written.
    #[error("names no entity")]
    Empty,
    /// The store is at another revision than the write asks for.
    #[error("the store is at another revision: read again, and decide anew")]
    Moved,
    /// The revision is none of this log's.
    #[error("if_revision: {0}")]
    Revision(#[from] RevisionError),
    /// What is to be lifted is no suspension.
    #[error("{0} is not suspended")]
    NotSuspended(String),
    /// It holds as many as it may.
    #[error("the log holds {0} of these, the most it may")]
    Full(usize),
    /// More writes wait than may.
    #[error("{0} writes wait already: try again")]
    Overload(usize),
    /// The disk does not take it.
    #[error("the entity log cannot be written: {0}")]
    Disk(String),
    /// Whether the disk took it is not known yet.
    #[error("it is not known whether it was written: {0}")]
    Unknown(String),
    /// The writer has ended.
    #[error("the entity log has ended")]
    Ended,
}

impl Order {
    /// Refuses what is larger than any write may be, before it waits for anything.
    pub(super) fn check_limits(&self) -> Result<(), WriteError> {
        let within = |what, size, limit| {
            if size > limit { Err(WriteError::TooLarge { what, size, limit }) } else { Ok(()) }
        };
        match &self.write {
            Write::Put(texts) => {
                within("entities in one write:", texts.len(), MAX_BATCH)?;
                let longest = texts.iter().map(String::len).max().ok_or(WriteError::Empty)?;
                within("bytes of one entity:", longest, MAX_ENTITY_BYTES)
            }
            Write::Cut(text) => within("bytes of one entity:", text.len(), MAX_ENTITY_BYTES),
            Write::Delete(uids) if uids.is_empty() => Err(WriteError::Empty),
            Write::Delete(uids) => within("entities in one write:", uids.len(), MAX_BATCH),
            Write::Revoke(_, reason) | Write::Suspend(_, reason) | Write::Lift(_, reason) => {
                within("bytes of a reason:", reason.len(), MAX_REASON_BYTES)
            }
        }
    }
}

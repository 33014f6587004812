//! The decision log on disk: segments of framed records, numbered without a gap over the life of the log.
//!
//! In reading order: [`frame`] (one record as bytes that tell whether they are whole), [`segment`] (a file of them),
//! [`reader`] (all of them, in order). The format is described in `docs/decision-log-format.md`.

pub(super) mod appender;
pub mod frame;
pub mod opened;
pub mod reader;
pub mod retention;
pub mod segment;

#[cfg(test)]
mod opened_tests;

/// How far the log has come: sequences below which every record is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Written to the system.
    pub written: u64,
    /// Made to last.
    pub synced: u64,
}

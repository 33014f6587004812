//! A log that goes on is held to its last checkpoint first: what is on disk must be what was signed.

use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::checkpoint::Checkpoint;
use super::frontier::{Frontier, NoFrontier};
use crate::audit::spool::segment::{self, Segment, SegmentError};

/// Where a log stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The tree over all of its records.
    pub tree: Frontier,
    /// Sequence of the first record of its last segment, and the digest of that segment's header; none before the first.
    pub last: Option<(u64, String)>,
}

/// How a log differs from what was signed, or why that cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// There is less than was signed.
    #[error(
        "its last checkpoint covers {covered} records, and {there} are there: records are missing from its end"
    )]
    Short {
        /// How many were signed.
        covered: u64,
        /// How many there are.
        there: u64,
    },
    /// There is something else than was signed.
    #[error("its first {0} records are not those that its last checkpoint covers: they were changed")]
    Other(u64),
    /// What was signed is deleted, and what came after it is there.
    #[error("its last checkpoint covers {covered} records, and its oldest segment begins after {oldest}")]
    Old {
        /// How many were signed.
        covered: u64,
        /// What the oldest segment begins with.
        oldest: u64,
    },
    /// A segment does not go on where the one before ends.
    #[error("the segment {} does not go on where the one before it ends", .0.display())]
    Broken(PathBuf),
    /// A segment belongs to another log.
    #[error("the segment {} is of the log {log}, and the checkpoint is not", path.display())]
    Foreign {
        /// The segment.
        path: PathBuf,
        /// Whose it is.
        log: Uuid,
    },
    /// A header says what no tree has.
    #[error("the header of {} is wrong: {error}", path.display())]
    Header {
        /// The segment.
        path: PathBuf,
        /// What is wrong with it.
        error: NoFrontier,
    },
    /// A segment cannot be read.
    #[error("{}: {error}", path.display())]
    Segment {
        /// The segment.
        path: PathBuf,
        /// Why.
        error: SegmentError,
    },
    /// The folder cannot be read.
    #[error("its segments cannot be listed: {0}")]
    Folder(io::Error),
}

/// Reads the end of a log, from the segment that `signed` reaches into, and holds it to that: its last checkpoint, if it
/// has one. A frame that a crash tore must have been cut off before.
///
/// # Errors
/// [`Unfit`].
pub fn retrace(directory: &Path, signed: Option<&Checkpoint>) -> Result<Standing, Unfit> {
    let segments = segment::list(directory).map_err(Unfit::Folder)?;
    let from = signed.map_or(u64::MAX, |checkpoint| checkpoint.size);
    let start = segments.iter().rposition(|segment| segment.first <= from);
    if let (None, Some(oldest), Some(_)) = (start, segments.first(), signed) {
        return Err(Unfit::Old { covered: from, oldest: oldest.first });
    }
    let mut log = Retraced { signed, tree: Frontier::new(), last: None };
    for file in segments.get(start.unwrap_or(0)..).unwrap_or_default() {
        log.read(&file.path)?;
    }
    let there = log.tree.size();
    if from != u64::MAX && from > there {
        return Err(Unfit::Short { covered: from, there });
    }
    Ok(Standing { tree: log.tree, last: log.last })
}

struct Retraced<'c> {
    signed: Option<&'c Checkpoint>,
    tree: Frontier,
    last: Option<(u64, String)>,
}

impl Retraced<'_> {
    fn read(&mut self, path: &Path) -> Result<(), Unfit> {
        let failed = |error| Unfit::Segment { path: path.to_owned(), error };
        let mut segment = Segment::open(path).map_err(failed)?;
        let header = segment.header();
        if self.signed.is_some_and(|signed| signed.log != header.log) {
            return Err(Unfit::Foreign { path: path.to_owned(), log: header.log });
        }
        let tree = Frontier::resume(header.first, &header.frontier)
            .map_err(|error| Unfit::Header { path: path.to_owned(), error })?;
        if self.last.is_some() && tree != self.tree {
            return Err(Unfit::Broken(path.to_owned()));
        }
        self.last = Some((header.first, segment.header_digest().to_owned()));
        self.tree = tree;
        self.compare()?;
        while let Some(framed) = segment.next().map_err(failed)? {
            self.tree.push(framed.line);
            self.compare()?;
        }
        Ok(())
    }

    /// Once as many records were read as were signed, they must be the same.
    fn compare(&self) -> Result<(), Unfit> {
        let Some(signed) = self.signed.filter(|signed| signed.size == self.tree.size()) else {
            return Ok(());
        };
        if signed.root == self.tree.root() { Ok(()) } else { Err(Unfit::Other(signed.size)) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::audit::spool::frame;
    use crate::audit::tree::example_log_for_tests::ExampleLog;

    /// A log of 25 records in segments of ten, and the checkpoint of its first `size` records.
    fn log(size: u64) -> (ExampleLog, Checkpoint) {
        let mut log = ExampleLog::new();
        for sequence in 0..25 {
            if sequence > 0 && sequence % 10 == 0 {
                log.roll();
            }
            log.record(&format!("{{\"sequence\":{sequence}}}"));
        }
        let checkpoint = log.checkpoint_of(size);
        (log, checkpoint)
    }

    #[test]
    fn a_log_that_is_what_was_signed_goes_on_from_where_it_stands() {
        for size in 0..=25 {
            let (log, checkpoint) = log(size);
            let standing = retrace(log.directory(), Some(&checkpoint)).unwrap();
            assert_eq!(&standing.tree, log.tree());
            assert_eq!(standing.last.unwrap().0, 20);
            assert_eq!(&retrace(log.directory(), None).unwrap().tree, log.tree());
        }
    }

    #[test]
    fn a_folder_without_segments_is_an_empty_log_unless_something_was_signed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(retrace(folder.path(), None).unwrap(), Standing { tree: Frontier::new(), last: None });
        let (_log, checkpoint) = log(7);
        assert!(matches!(retrace(folder.path(), Some(&checkpoint)), Err(Unfit::Short { there: 0, .. })));
    }

    #[test]
    fn fewer_records_than_were_signed_are_not_gone_on_from() {
        let (log, checkpoint) = log(25);
        fs::remove_file(log.segment(20)).unwrap();
        assert!(matches!(
            retrace(log.directory(), Some(&checkpoint)),
            Err(Unfit::Short { covered: 25, there: 20 })
        ));
    }

    #[test]
    fn other_records_than_were_signed_are_not_gone_on_from() {
        for (changed, signed) in [(22, 25), (24, 25), (13, 15), (3, 5)] {
            let (log, checkpoint) = log(signed);
            let first = changed / 10 * 10;
            let path = log.segment(first);
            // The record is written anew, checksum and all.
            let bytes = fs::read(&path).unwrap();
            let (mut old, mut new) = (Vec::new(), Vec::new());
            frame::append(format!("{{\"sequence\":{changed}}}").as_bytes(), &mut old).unwrap();
            frame::append(format!("{{\"sequence\":{}}}", changed + 50).as_bytes(), &mut new).unwrap();
            let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
            let bytes = [&bytes[..at], &new, &bytes[at + old.len()..]].concat();
            fs::write(&path, bytes).unwrap();
            let refused = retrace(log.directory(), Some(&checkpoint)).unwrap_err();
            assert!(matches!(refused, Unfit::Other(size) if size == signed), "{changed}: {refused}");
        }
    }

    #[test]
    fn segments_that_do_not_follow_one_another_are_not_gone_on_from() {
        let (log_, checkpoint) = log(5);
        fs::remove_file(log_.segment(10)).unwrap();
        assert!(matches!(retrace(log_.directory(), Some(&checkpoint)), Err(Unfit::Broken(_))));
        fs::remove_file(log_.segment(0)).unwrap();
        let refused = retrace(log_.directory(), Some(&checkpoint));
        assert!(matches!(refused, Err(Unfit::Old { covered: 5, oldest: 20 })));
        let (other, _) = log(5);
        assert!(matches!(retrace(other.directory(), Some(&checkpoint)), Err(Unfit::Foreign { .. })));
    }
}

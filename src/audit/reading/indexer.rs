//! Makes the indexes of segments as they are sealed, so that whoever asks finds them made.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::contents::Sealed;
use super::index::{self, Index};
use crate::audit::spool::segment;

/// The indexes of a log's folder.
#[derive(Debug)]
pub struct Indexer {
    directory: PathBuf,
    /// What is known of segments without reading them.
    sealed: Sealed,
    /// Segments that were looked at. What cannot be indexed is not tried again and again.
    done: BTreeSet<u64>,
}

impl Indexer {
    /// Of the log in this folder.
    pub fn new(directory: &Path) -> Self {
        Self::after(directory, Sealed::default())
    }

    /// The same, told of segments by whoever writes them.
    pub fn after(directory: &Path, sealed: Sealed) -> Self {
        Self { directory: directory.to_owned(), sealed, done: BTreeSet::new() }
    }

    /// Makes the indexes that are missing, that of the latest segment first, one after the other, until `goes_on` says no;
    /// and deletes those whose segment is kept no longer. What cannot be read or written is left: whoever searches reads the
    /// segment through, and says why.
    pub fn index(&mut self, goes_on: impl Fn() -> bool) {
        let Ok(segments) = segment::list(&self.directory) else { return };
        let before = self.done.len();
        self.done.retain(|done| segments.iter().any(|segment| segment.first == *done));
        if self.done.len() < before {
            drop(index::sweep(&self.directory.join(segment::FOLDER)));
        }
        // The last one is written to.
        for file in segments.iter().rev().skip(1) {
            if !goes_on() {
                return;
            }
            if self.done.insert(file.first) {
                self.make(file.first, &file.path);
            }
        }
    }

    fn make(&self, first: u64, path: &Path) {
        let gathered = self.sealed.take(first);
        if gathered.is_none_or(|gathered| Index::keep(path, gathered).is_err()) {
            drop(Index::open_or_make(path));
        }
    }
}

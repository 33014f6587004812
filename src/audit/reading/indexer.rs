//! Makes the indexes of segments as they are sealed, so that whoever asks finds them made.

use std::path::Path;

use super::index::{self, Index};
use crate::audit::spool::segment;

/// Makes the indexes that are missing in a log's folder, the latest segment's first, one after the other, until
/// `goes_on` says no. What cannot be read or written is left: whoever searches reads the segment through, and says why.
pub fn index(directory: &Path, goes_on: impl Fn() -> bool) {
    let Ok(segments) = segment::list(directory) else { return };
    // The last one is written to.
    for file in segments.iter().rev().skip(1) {
        if !goes_on() {
            return;
        }
        if matches!(Index::open(&file.path), Ok(None)) {
            drop(Index::make(&file.path));
        }
    }
    drop(index::sweep(&directory.join(segment::FOLDER)));
}

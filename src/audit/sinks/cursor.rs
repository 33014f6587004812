//! Where a sink is in the log, on disk: a small file that is replaced as a whole.
//!
//! It may be behind what the sink has, by what was delivered since it was written last, and is never ahead: what is
//! delivered twice is told by log and sequence, what is left out is not.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::account::{Lost, Tally};

/// The folder of cursors, in the log's.
pub const FOLDER: &str = "cursors";
/// Version of the file.
const FORMAT: u32 = 1;

/// Where a sink is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    format: u32,
    /// The log it is in.
    pub log: Uuid,
    /// Sequence of the first record that the sink was due.
    pub begun: u64,
    /// Sequence of the next record that it is due.
    pub next: u64,
    /// Records that it took.
    pub delivered: u64,
    /// Records that it will never have.
    pub lost: Lost,
}

/// Why a cursor cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the cursor {}: {error}", path.display())]
pub struct CursorError {
    path: PathBuf,
    error: io::Error,
}

impl Cursor {
    pub(super) fn new(log: Uuid, tally: Tally) -> Self {
        let Tally { begun, next, delivered, lost } = tally;
        Self { format: FORMAT, log, begun, next, delivered, lost }
    }

    pub(super) fn tally(&self) -> Tally {
        Tally { begun: self.begun, next: self.next, delivered: self.delivered, lost: self.lost }
    }
}

/// The file of one sink's cursor.
#[derive(Debug)]
pub(super) struct CursorFile {
    folder: PathBuf,
    path: PathBuf,
    found: Option<Cursor>,
}

impl CursorFile {
    /// Reads the cursor of a sink in the folder of a log. One that cannot be understood is reported and as good as none:
    /// the sink is fed from the oldest record on.
    ///
    /// # Errors
    /// The system refuses, or the file is of a later build.
    pub(super) fn open(directory: &Path, sink: &str) -> Result<Self, CursorError> {
        let folder = directory.join(FOLDER);
        let path = folder.join(sink);
        let refused = |error| CursorError { path: path.clone(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(refused)?;
        let found = read(&path).map_err(refused)?;
        Ok(Self { folder, path, found })
    }

    /// What was found.
    pub(super) fn found(&self) -> Option<Cursor> {
        self.found
    }

    /// Replaces the cursor, for good.
    ///
    /// # Errors
    /// The system refuses: the one before stays.
    pub(super) fn write(&self, cursor: &Cursor) -> io::Result<()> {
        let whole = self.path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&whole)?;
        file.write_all(&serde_json::to_vec(cursor)?)?;
        file.sync_data()?;
        fs::rename(&whole, &self.path)?;
        File::open(&self.folder)?.sync_all()
    }
}

fn read(path: &Path) -> io::Result<Option<Cursor>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match serde_json::from_slice::<Cursor>(&text) {
        Ok(cursor) if cursor.format == FORMAT => Ok(Some(cursor)),
        Ok(cursor) => Err(io::Error::new(
            ErrorKind::InvalidData,
            format!(
                "it has format {}, and this build reads format {FORMAT}: use a later build",
                cursor.format
            ),
        )),
        Err(error) => {
            let path = path.display();
            tracing::warn!(%error, "the cursor {path} cannot be understood: the sink is fed from the oldest record on");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(next: u64) -> Cursor {
        Cursor::new(Uuid::from_u128(7), Tally { next, delivered: next, ..Tally::default() })
    }

    #[test]
    fn what_was_written_last_is_found_and_nothing_else_lies_about() {
        let log = tempfile::tempdir().unwrap();
        let file = CursorFile::open(log.path(), "siem").unwrap();
        assert_eq!(file.found(), None);
        file.write(&cursor(3)).unwrap();
        file.write(&cursor(8)).unwrap();
        assert_eq!(CursorFile::open(log.path(), "siem").unwrap().found(), Some(cursor(8)));
        assert_eq!(fs::read_dir(log.path().join(FOLDER)).unwrap().count(), 1);
    }

    #[test]
    fn what_a_crash_left_of_it_is_none_and_a_later_builds_is_an_error() {
        let log = tempfile::tempdir().unwrap();
        let file = CursorFile::open(log.path(), "siem").unwrap();
        for torn in ["", "{\"format\":1,\"log\":", "\0\0\0\0"] {
            fs::write(&file.path, torn).unwrap();
            assert_eq!(CursorFile::open(log.path(), "siem").unwrap().found(), None);
        }
        let later = Cursor { format: 2, ..cursor(1) };
        fs::write(&file.path, serde_json::to_vec(&later).unwrap()).unwrap();
        let error = CursorFile::open(log.path(), "siem").unwrap_err().to_string();
        assert!(error.contains("cursors/siem") && error.contains("use a later build"), "{error}");
    }
}

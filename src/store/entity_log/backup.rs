//! A copy of what the log holds at one moment, while it is written: lines of JSON, the last of which vouches for the others.

use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::EntityLogHandle;
use super::disk::{DiskError, ENTITIES, KNOWN, REVOKED, SUSPENDED};
use crate::engine::digest;

/// The format that this build writes, and the newest it reads.
pub(super) const FORMAT: u64 = 1;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The log cannot be read now.
    #[error("the entity log cannot be read: {0}")]
    Disk(#[from] DiskError),
    /// It is not open: it could not be written, and is not open again yet.
    #[error("the entity log is not open; `mandate status` says why")]
    Closed,
}

/// A line of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line {
    /// The first.
    MandateEntities {
        /// The format.
        format: u64,
        /// Which log it is of.
        log: String,
        /// How many lines there are between the first and the last.
        lines: u64,
    },
    /// An entity, as it is kept: type, id and text.
    Entity(String, String, String),
    /// A delegation that was revoked: type, id and why.
    Revoked(String, String, String),
    /// Who is suspended, and why; two empty texts are everybody.
    Suspended(String, String, String),
    /// A delegation that was served: its name, and a digest of what it says.
    Known(String, String),
    /// The last: a digest of all bytes before.
    End(String),
}

/// A copy on its way.
#[derive(Debug)]
pub struct Backup {
    /// Held so that nobody opens the file anew meanwhile.
    _database: Arc<Database>,
    read: ReadTransaction,
    log: String,
}

impl Backup {
    pub(super) fn begin(log: &EntityLogHandle) -> Result<Self, BackupError> {
        let database = Arc::unwrap_or_clone(log.shared.database.load_full()).ok_or(BackupError::Closed)?;
        let read = database.begin_read().map_err(DiskError::from)?;
        Ok(Self { _database: database, read, log: digest::hex(&log.shared.log) })
    }

    /// Hands out the copy, piece by piece, until `take` wants no more.
    ///
    /// # Errors
    /// [`BackupError`]: what was handed out is no copy, as its missing last line says.
    pub fn write(&self, mut take: impl FnMut(Vec<u8>) -> bool) -> Result<(), BackupError> {
        let mut sink = Pieces { take: &mut take, piece: Vec::new(), hash: Sha256::new(), wanted: true };
        self.lines(&mut sink)?;
        let sum = digest::named(&sink.hash.clone().finalize());
        sink.line(&Line::End(sum))?;
        sink.flush();
        Ok(())
    }

    fn lines<F: FnMut(Vec<u8>) -> bool>(&self, sink: &mut Pieces<'_, F>) -> Result<(), DiskError> {
        use redb::ReadableTableMetadata as _;
        let entities = self.read.open_table(ENTITIES)?;
        let revoked = self.read.open_table(REVOKED)?;
        let suspended = self.read.open_table(SUSPENDED)?;
        let known = self.read.open_table(KNOWN)?;
        let lines = entities.len()? + revoked.len()? + suspended.len()? + known.len()?;
        sink.line(&Line::MandateEntities { format: FORMAT, log: self.log.clone(), lines })?;
        type Make = fn(String, String, String) -> Line;
        let tables: [(_, Make); 3] =
            [(entities, Line::Entity), (revoked, Line::Revoked), (suspended, Line::Suspended)];
        for (table, make) in tables {
            for row in table.iter()? {
                let (name, text) = row?;
                let (type_name, id) = name.value();
                sink.line(&make(type_name.to_owned(), id.to_owned(), text.value().to_owned()))?;
                if !sink.wanted {
                    return Ok(());
                }
            }
        }
        for row in known.iter()? {
            let (name, sum) = row?;
            sink.line(&Line::Known(name.value().to_owned(), sum.value().to_owned()))?;
        }
        Ok(())
    }
}

/// Bytes of a piece.
const PIECE: usize = 64 * 1024;

struct Pieces<'f, F> {
    take: &'f mut F,
    piece: Vec<u8>,
    hash: Sha256,
    wanted: bool,
}

impl<F: FnMut(Vec<u8>) -> bool> Pieces<'_, F> {
    fn line(&mut self, line: &Line) -> Result<(), DiskError> {
        let mut text = serde_json::to_vec(line).map_err(|error| DiskError::Io(error.to_string()))?;
        text.push(b'\n');
        self.hash.update(&text);
        self.piece.extend(text);
        if self.piece.len() >= PIECE {
            self.flush();
        }
        Ok(())
    }

    fn flush(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        self.wanted = self.wanted && (piece.is_empty() || (self.take)(piece));
    }
}

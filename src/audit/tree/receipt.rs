//! A receipt: one record, with what shows that it is in the log that was signed. Whoever holds one needs neither the log nor
//! its owner.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ct_merkle::{InclusionProof, RootHash};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::checkpoint::{Checkpoint, NoCheckpoint};
use super::finding::Fault;
use super::frontier::{Frontier, NoFrontier};
use super::hash::{self, Hash};
use super::keys::{Signed, TrustedKeys};
use super::notary;
use super::path::PathBuilder;
use super::processes::{self, Head};
use crate::audit::spool::reader::{LogReader, ReadError};
use crate::audit::spool::segment::{self, Segment, SegmentError};
use crate::engine::digest::hex;

/// Version of receipts.
const VERSION: u32 = 1;
/// How many records are read at once.
const RECORDS: usize = 1024;
/// About how many bytes are read at once.
const BYTES: usize = 1024 * 1024;

/// One record of a signed log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// 1.
    pub receipt: u32,
    /// The record: its bytes, which are one line of JSON.
    pub record: String,
    /// Its number in the log, from 0: the place of its leaf.
    pub index: u64,
    /// How many records the checkpoint covers.
    pub size: u64,
    /// The hashes that lead from its leaf to the root, in lower-case hexadecimal (RFC 6962 §2.1.1).
    pub path: Vec<String>,
    /// The signed note of the checkpoint.
    pub checkpoint: String,
}

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub enum NoReceipt {
    /// No record has that id.
    #[error("no decision {id} is in {}", directory.display())]
    Unknown {
        /// The id.
        id: String,
        /// The log's folder.
        directory: PathBuf,
    },
    /// Nothing vouches for it yet.
    #[error(
        "the decision is record {index}, and the last checkpoint covers {size}: try again in a few seconds"
    )]
    Uncovered {
        /// The record's number.
        index: u64,
        /// What is covered.
        size: u64,
    },
    /// The log is not what was signed.
    #[error("the log in {} is not what was signed: `mandate log verify` tells more", .0.display())]
    NotIntact(PathBuf),
    /// There is no checkpoint.
    #[error("`{}`: {problem}", path.display())]
    Checkpoint {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A segment cannot be read.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// A header is wrong.
    #[error(transparent)]
    Header(#[from] NoFrontier),
    /// The folder cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why a receipt shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReceipt {
    /// It is none.
    #[error("this is no receipt: {0}")]
    Malformed(String),
    /// It is of a later version.
    #[error("this receipt has version {0}, and this build reads version {VERSION}: use a later build")]
    Version(u32),
    /// Its checkpoint is none.
    #[error("its checkpoint is none: {0}")]
    Checkpoint(#[from] NoCheckpoint),
    /// Nobody who is believed signed the checkpoint.
    #[error("its checkpoint is signed by no key that was given")]
    UnknownKey,
    /// The signature is false.
    #[error("its checkpoint's signature is false: it was changed, or made by somebody who has not the key")]
    Forged,
    /// The record is not in the tree.
    #[error("its record is not number {0} of the log that was signed: one or the other was changed")]
    NotIncluded(u64),
    /// The record says that it is another.
    #[error("its record says that it is number {said}, and stands for number {index}")]
    Number {
        /// What the record says.
        said: u64,
        /// What the receipt says.
        index: u64,
    },
}

/// What is read of the record that is looked for.
#[derive(Deserialize)]
struct Identified<'a> {
    #[serde(borrow, default)]
    decision_id: Option<std::borrow::Cow<'a, str>>,
}

impl Receipt {
    /// Finds the decision `id` in the log in `directory` and shows that it is in what the log's last checkpoint covers.
    /// No key is needed, and none is believed: whoever is given the receipt judges the signature.
    ///
    /// # Errors
    /// [`NoReceipt`].
    pub fn of(directory: &Path, id: &str) -> Result<Self, NoReceipt> {
        let (note, checkpoint) = last_checkpoint(directory)?;
        let known = oldest(directory)?;
        let unknown = || NoReceipt::Unknown { id: id.to_owned(), directory: directory.to_owned() };
        let (index, record) = find(directory, known.size(), id)?.ok_or_else(unknown)?;
        let size = checkpoint.size;
        let uncovered = NoReceipt::Uncovered { index, size };
        let mut path = PathBuilder::new(index, size, &known).ok_or(uncovered)?;
        each(directory, known.size(), size, |sequence, line| {
            path.record(sequence, hash::leaf(line));
            None::<()>
        })?;
        let not_intact = || NoReceipt::NotIntact(directory.to_owned());
        let path = path.finish().ok_or_else(not_intact)?;
        let record = String::from_utf8(record).map_err(|_other| not_intact())?;
        if !is_included(&checkpoint, index, record.as_bytes(), &path) {
            return Err(not_intact());
        }
        let path = path.iter().map(|hash| hex(hash)).collect();
        Ok(Self { receipt: VERSION, record, index, size, path, checkpoint: note })
    }

    /// Reads a receipt from JSON.
    ///
    /// # Errors
    /// [`BadReceipt::Malformed`] or [`BadReceipt::Version`].
    pub fn read(text: &str) -> Result<Self, BadReceipt> {
        let receipt: Self =
            serde_json::from_str(text).map_err(|error| BadReceipt::Malformed(error.to_string()))?;
        if receipt.receipt == VERSION { Ok(receipt) } else { Err(BadReceipt::Version(receipt.receipt)) }
    }

    /// The checkpoint that vouches for the record, if it does, by a key that is believed.
    ///
    /// # Errors
    /// [`BadReceipt`].
    pub fn verify(&self, keys: &TrustedKeys) -> Result<Checkpoint, BadReceipt> {
        let (checkpoint, signed) = Checkpoint::read(&self.checkpoint, keys)?;
        match signed {
            Signed::Trusted => {}
            Signed::Unknown => return Err(BadReceipt::UnknownKey),
            Signed::Forged => return Err(BadReceipt::Forged),
        }
        let path: Option<Vec<_>> = self.path.iter().map(|text| hash::from_hex(text)).collect();
        let path = path.ok_or_else(|| BadReceipt::Malformed("a hash of its path is none".to_owned()))?;
        let included = self.size == checkpoint.size
            && is_included(&checkpoint, self.index, self.record.as_bytes(), &path);
        if !included {
            return Err(BadReceipt::NotIncluded(self.index));
        }
        let head = processes::read::<Head<'_>>(self.record.as_bytes());
        let head = head.map_err(|fault: Fault| BadReceipt::Malformed(fault.to_string()))?;
        if head.sequence != self.index {
            return Err(BadReceipt::Number { said: head.sequence, index: self.index });
        }
        Ok(checkpoint)
    }
}

/// Whether a path leads from a record to the root (RFC 9162 §2.1.3.2). Sizes of checkpoints are below 2^63, as this wants.
fn is_included(checkpoint: &Checkpoint, index: u64, record: &[u8], path: &[Hash]) -> bool {
    let root = RootHash::<Sha256>::new(checkpoint.root.into(), checkpoint.size);
    InclusionProof::try_from_bytes(path.concat())
        .and_then(|proof| root.verify_inclusion(&record, index, &proof))
        .is_ok()
}

fn last_checkpoint(directory: &Path) -> Result<(String, Checkpoint), NoReceipt> {
    let path = directory.join(notary::FILE_NAME);
    let problem = |problem: String| NoReceipt::Checkpoint { path: path.clone(), problem };
    let note = fs::read_to_string(&path).map_err(|error| problem(error.to_string()))?;
    let read = Checkpoint::read(&note, &TrustedKeys::default());
    let (checkpoint, _unjudged) = read.map_err(|error| problem(error.to_string()))?;
    Ok((note, checkpoint))
}

/// The tree before the oldest record that is kept.
fn oldest(directory: &Path) -> Result<Frontier, NoReceipt> {
    let segments = segment::list(directory)?;
    let Some(oldest) = segments.first() else { return Ok(Frontier::new()) };
    let segment = Segment::open(&oldest.path)?;
    Ok(Frontier::resume(segment.header().first, &segment.header().frontier)?)
}

fn find(directory: &Path, from: u64, id: &str) -> Result<Option<(u64, Vec<u8>)>, ReadError> {
    each(directory, from, u64::MAX, |sequence, line| {
        let read: Result<Identified<'_>, _> = serde_json::from_slice(line);
        let is_it = read.is_ok_and(|read| read.decision_id.as_deref() == Some(id));
        is_it.then(|| (sequence, line.to_vec()))
    })
}

/// Reads records in order until `look` returns something.
fn each<T>(
    directory: &Path,
    from: u64,
    until: u64,
    mut look: impl FnMut(u64, &[u8]) -> Option<T>,
) -> Result<Option<T>, ReadError> {
    let mut reader = LogReader::new(directory, from);
    loop {
        let entries = reader.read(until, RECORDS, BYTES)?;
        if entries.is_empty() {
            return Ok(None);
        }
        for entry in entries {
            if let Some(found) = look(entry.sequence, &entry.line) {
                return Ok(Some(found));
            }
        }
    }
}

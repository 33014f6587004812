//! What the data directory's files look like: one line with kind, version and checksum, then JSON.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::atomic;
use crate::engine::digest;

/// The version this build writes, and the newest it reads.
const VERSION: u64 = 1;

/// Why a file of the data directory cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {defect}", path.display())]
pub struct Damaged {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub defect: Defect,
}

/// What can be wrong with a file of the data directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The system does not give it.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The first line is not what it should be.
    #[error("is damaged: its first line is not `mandate-{0} {VERSION} sha256:…`")]
    Header(&'static str),
    /// A later build wrote it.
    #[error("is of version {0}; this build reads versions up to {VERSION}: use a newer build")]
    Newer(u64),
    /// The content is not what was written.
    #[error("is damaged: its checksum differs")]
    Checksum,
    /// The content has another meaning.
    #[error("is damaged: {0}")]
    Content(String),
}

/// Writes `value` whole or not at all.
pub(super) fn write<T: Serialize>(path: &Path, kind: &'static str, value: &T) -> std::io::Result<()> {
    let body = serde_json::to_vec(value)?;
    let mut bytes = format!("mandate-{kind} {VERSION} {}\n", digest::of_bytes(&body)).into_bytes();
    bytes.extend(body);
    atomic::write(path, &bytes)
}

/// Reads what [`write()`] wrote; none if there is no such file.
pub(super) fn read<T: DeserializeOwned>(path: &Path, kind: &'static str) -> Result<Option<T>, Damaged> {
    let damaged = |defect| Damaged { path: path.to_owned(), defect };
    let bytes = atomic::read(path).map_err(|error| damaged(Defect::Unreadable(error.to_string())))?;
    bytes.map(|bytes| decode(&bytes, kind)).transpose().map_err(damaged)
}

fn decode<T: DeserializeOwned>(bytes: &[u8], kind: &'static str) -> Result<T, Defect> {
    let header = || Defect::Header(kind);
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(header)?;
    let (line, body) = bytes.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_error| header())?;
    let mut words = line.split(' ');
    let is_kind = words.next().and_then(|word| word.strip_prefix("mandate-")) == Some(kind);
    let version: u64 = words
        .next()
        .and_then(|word| word.parse().ok())
        .filter(|version| is_kind && *version > 0)
        .ok_or_else(header)?;
    if version > VERSION {
        return Err(Defect::Newer(version));
    }
    if words.next() != Some(digest::of_bytes(body).as_str()) {
        return Err(Defect::Checksum);
    }
    serde_json::from_slice(body).map_err(|error| Defect::Content(error.to_string()))
}

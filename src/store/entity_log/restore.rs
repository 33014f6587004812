//! A log made anew from a copy. It is another log: no revision of before names anything in it (R). What was revoked or
//! suspended in the one it replaces stays so, whatever the copy says (W4).

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use redb::{ReadableDatabase as _, ReadableTable as _};
use sha2::{Digest as _, Sha256};

use super::EntityLogError;
use super::backup::{FORMAT, Line};
use super::disk::{Disk, DiskError, KNOWN, REVOKED, SUSPENDED, file, soundly};
use super::facts::{Entry, Fact, Names};
use crate::engine::digest;
use crate::store::data_dir::{DataDir, DataDirError};
use crate::store::revision::unpredictable;

/// Facts that are written together.
const TOGETHER: usize = 20_000;
/// Longest line of a copy, in bytes.
const MAX_LINE: u64 = 4 * 1024 * 1024;

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The copy is none, or not whole.
    #[error("line {line} of the copy {problem}")]
    Copy {
        /// Which line.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// The copy cannot be read.
    #[error("the copy cannot be read: {0}")]
    Read(std::io::Error),
    /// The log that it would replace cannot be read: what was revoked since the copy would be forgotten.
    #[error("{0}; what was revoked or suspended since the copy is not known: `--forget-damaged` gives it up")]
    Present(#[source] EntityLogError),
    /// The new log cannot be written.
    #[error("the new log {0}")]
    Write(DiskError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataDirError),
    /// The new log cannot be put in its place.
    #[error("the new log cannot be put in its place: {0}")]
    Place(std::io::Error),
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Restored {
    /// Entities of the copy.
    pub entities: u64,
    /// Facts of the copy: revocations, suspensions and names of delegations.
    pub facts: u64,
    /// Facts of the log that was replaced.
    pub kept: u64,
}

/// Replaces the log of a data directory by a copy. `told` hears how many bytes of it were read.
///
/// # Errors
/// [`RestoreError`]; the log is what it was.
pub fn restore(
    data: &DataDir,
    copy: impl Read,
    forget_damaged: bool,
    told: impl Fn(u64),
) -> Result<Restored, RestoreError> {
    let (path, new) = (data.entity_log(), data.root().join("entities.redb.new"));
    drop(fs::remove_file(&new));
    let present = match path.exists() {
        true => match soundly(|| present(data)) {
            Err(_) if forget_damaged => Vec::new(),
            facts => {
                facts.map_err(|error| RestoreError::Present(EntityLogError { path: path.clone(), error }))?
            }
        },
        false => Vec::new(),
    };
    let (mut disk, head) =
        Disk::open(file(&new, true), Some(unpredictable())).map_err(RestoreError::Write)?;
    let kept = u64::try_from(present.len()).unwrap_or(u64::MAX);
    let mut sequence = head.reserved;
    let mut write = |facts: Vec<Fact>| {
        sequence += 1;
        let entry = Entry { sequence, by: "restore".into(), facts };
        // The history of this log begins when it is served.
        disk.commit(&[entry], sequence, sequence.saturating_add(1)).map_err(RestoreError::Write)
    };
    let mut restored = read_copy(copy, &mut write, told)?;
    present.chunks(TOGETHER).try_for_each(|facts| write(facts.to_vec()))?;
    restored.kept = kept;
    drop(disk);
    fs::rename(&new, &path).map_err(RestoreError::Place)?;
    fs::File::open(data.root()).and_then(|folder| folder.sync_all()).map_err(RestoreError::Place)?;
    data.note_format()?;
    Ok(restored)
}

/// What no copy takes back.
fn present(data: &DataDir) -> Result<Vec<Fact>, DiskError> {
    let (mut disk, _head) = Disk::open(file(&data.entity_log(), false), None)?;
    let read = disk.database()?.begin_read()?;
    let mut names = Names::default();
    let no_name = || DiskError::Damaged("a name in it is none".to_owned());
    let mut facts = Vec::new();
    for row in read.open_table(REVOKED)?.iter()? {
        let (name, reason) = row?;
        let (type_name, id) = name.value();
        let uid = names.uid(type_name, id).ok_or_else(no_name)?;
        facts.push(Fact::Revoked(uid, reason.value().into()));
    }
    for row in read.open_table(SUSPENDED)?.iter()? {
        let (name, reason) = row?;
        let (type_name, id) = name.value();
        let suspended = names.party(type_name, id).ok_or_else(no_name)?;
        facts.push(Fact::Suspended(suspended, reason.value().into()));
    }
    for row in read.open_table(KNOWN)?.iter()? {
        let (name, digest) = row?;
        facts.push(Fact::Known(name.value().to_owned(), digest.value().to_owned()));
    }
    Ok(facts)
}

fn read_copy(
    copy: impl Read,
    write: &mut impl FnMut(Vec<Fact>) -> Result<(), RestoreError>,
    told: impl Fn(u64),
) -> Result<Restored, RestoreError> {
    let mut reader = BufReader::new(copy);
    let (mut names, mut hash) = (Names::default(), Sha256::new());
    let (mut restored, mut facts) = (Restored::default(), Vec::new());
    let (mut number, mut bytes, mut expected) = (0_u64, 0_u64, None);
    loop {
        number += 1;
        let wrong = |problem: String| RestoreError::Copy { line: number, problem };
        let mut text = Vec::new();
        let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut text).map_err(RestoreError::Read)?;
        if read == 0 {
            return Err(wrong("is missing: the copy was cut short".to_owned()));
        }
        bytes += u64::try_from(read).unwrap_or(0);
        told(bytes);
        let line: Line = serde_json::from_slice(&text).map_err(|error| wrong(format!("is none: {error}")))?;
        let before = hash.clone();
        hash.update(&text);
        let uid = |type_name: &str, id: &str, names: &mut Names| {
            names.uid(type_name, id).ok_or_else(|| wrong("holds a name that is none".to_owned()))
        };
        if expected.is_none() != matches!(line, Line::MandateEntities { .. }) {
            return Err(wrong("is not where it should be: a copy begins with `mandate_entities`".to_owned()));
        }
        let fact = match line {
            Line::MandateEntities { format, .. } if format > FORMAT => {
                return Err(wrong(format!("says format {format}; this build reads formats up to {FORMAT}")));
            }
            Line::MandateEntities { lines, .. } => {
                expected = Some(lines);
                continue;
            }
            Line::Entity(type_name, id, text) => {
                restored.entities += 1;
                Fact::Put(uid(&type_name, &id, &mut names)?, Arc::from(text))
            }
            Line::Revoked(type_name, id, reason) => {
                Fact::Revoked(uid(&type_name, &id, &mut names)?, reason.into())
            }
            Line::Suspended(type_name, id, reason) => {
                let party = names.party(&type_name, &id);
                let party = party.ok_or_else(|| wrong("holds a name that is none".to_owned()))?;
                Fact::Suspended(party, reason.into())
            }
            Line::Known(name, digest) => Fact::Known(name, digest),
            Line::End(sum) => {
                if sum != digest::named(&before.finalize()) || expected != Some(number.saturating_sub(2)) {
                    return Err(wrong("vouches for other lines than these: the copy is damaged".to_owned()));
                }
                write(facts)?;
                restored.facts = number.saturating_sub(2) - restored.entities;
                return Ok(restored);
            }
        };
        facts.push(fact);
        if facts.len() >= TOGETHER {
            write(std::mem::take(&mut facts))?;
        }
    }
}

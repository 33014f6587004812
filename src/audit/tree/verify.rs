//! Whether logs are what was written and signed: offline, with public keys alone.
//!
//! Every record of a folder is hashed again. The tree must come to what each checkpoint says: those among the records, the
//! one beside them, and those that witnesses kept. Numbers must have no gap, and processes must account for themselves
//! (`processes`). The first thing that is wrong in a segment ends the reading of it; the next one is begun with what its
//! header says.

mod expected;
mod folder;
mod tail;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::checkpoint::{self, Checkpoint};
use super::finding::{Fault, Finding, Place, Remark};
use super::keys::{Signed, TrustedKeys};
use crate::audit::spool::segment::{self, Segment};
use folder::Verification;

/// What was found out about a log's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogReport {
    /// The folder.
    pub folder: PathBuf,
    /// The log's id, if there is a segment to tell it.
    pub log: Option<Uuid>,
    /// How many segments there are.
    pub segments: usize,
    /// Sequence of the first record that is kept.
    pub first: u64,
    /// Sequence of the record after the last one that was read.
    pub next: u64,
    /// How many checkpoints fit and are by a key that is believed, wherever they are kept.
    pub checkpoints: u64,
    /// All records from the first to below this are what was signed by a key that is believed.
    pub covered: u64,
    /// When the last of those was signed: RFC 3339, as the checkpoint says.
    pub covered_at: Option<String>,
    /// What speaks against it, in the order of the log.
    pub findings: Vec<Finding>,
    /// What does not.
    pub remarks: Vec<Remark>,
}

/// A checkpoint, and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) place: Place,
    pub(super) checkpoint: Checkpoint,
    pub(super) signed: Signed,
}

/// What was found out about all folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// One for each folder.
    pub logs: Vec<LogReport>,
    /// What speaks against checkpoints that were given, or says that a log is missing.
    pub findings: Vec<Finding>,
}

impl Verified {
    /// Whether nothing speaks against any log.
    pub fn is_intact(&self) -> bool {
        self.findings.is_empty() && self.logs.iter().all(|log| log.findings.is_empty())
    }

    /// Whether no log says that records are missing.
    pub fn is_complete(&self) -> bool {
        !self.logs.iter().flat_map(|log| &log.remarks).any(Remark::is_gap)
    }
}

/// The logs' folders in `folder`: itself, or those directly in it, as gathered from many instances.
///
/// # Errors
/// It cannot be read.
pub fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_log = |folder: &Path| folder.join(segment::FOLDER).is_dir();
    let mut found = Vec::new();
    if !is_log(folder) {
        for entry in fs::read_dir(folder).map_err(|error| at(folder, &error))? {
            found.extend(Some(entry?.path()).filter(|path| is_log(path)));
        }
        found.sort();
    }
    // Where there is none, its own report says so.
    Ok(if found.is_empty() { vec![folder.to_owned()] } else { found })
}

/// Verifies the logs in these folders. `files` hold checkpoints that were kept elsewhere, each any number.
///
/// # Errors
/// A folder or file cannot be read, with its path: nothing is known then.
pub fn verify(folders: &[PathBuf], files: &[PathBuf], keys: &TrustedKeys) -> io::Result<Verified> {
    let (mut by_log, mut findings) = (BTreeMap::<Uuid, Vec<Kept>>::new(), Vec::new());
    for file in files {
        for kept in read_notes(file, keys)? {
            match kept {
                Ok(kept) => by_log.entry(kept.checkpoint.log).or_default().push(kept),
                Err(finding) => findings.push(finding),
            }
        }
    }
    let ids = folders.iter().map(|folder| id(folder)).collect::<io::Result<Vec<_>>>()?;
    let mut logs = Vec::new();
    for (folder, id) in folders.iter().zip(&ids) {
        let kept = id.and_then(|log| by_log.get(&log)).map_or([].as_slice(), Vec::as_slice);
        let copies = ids.iter().filter(|other| id.is_some() && *other == id).count();
        logs.push(Verification::of(folder, kept, keys, copies > 1)?);
    }
    compare_copies(&mut logs, keys)?;
    for (log, kept) in by_log.iter().filter(|(log, _)| !ids.contains(&Some(**log))) {
        let place = kept.first().map(|kept| kept.place.clone()).unwrap_or_default();
        findings.push(Finding { place, fault: Fault::LogMissing(*log) });
    }
    Ok(Verified { logs: logs.into_iter().map(|(log, _)| log).collect(), findings })
}

/// Folders of one log must tell the same: each is held to the others' checkpoints too, or a fork would pass, whose heads
/// are both signed.
fn compare_copies(logs: &mut [(LogReport, Vec<Kept>)], keys: &TrustedKeys) -> io::Result<()> {
    let heads: Vec<_> = logs.iter().map(|(report, kept)| (report.log, kept.clone())).collect();
    for (place, (report, _)) in logs.iter_mut().enumerate() {
        let others = heads
            .iter()
            .enumerate()
            .filter(|(other, (id, _))| *other != place && id.is_some() && *id == report.log);
        let others = others.flat_map(|(_, (_, kept))| kept);
        // A copy may be older: it need not have what came later, only nothing else.
        let kept: Vec<_> = others.filter(|kept| kept.checkpoint.size <= report.next).cloned().collect();
        if !kept.is_empty() {
            let (again, _) = Verification::of(&report.folder, &kept, keys, false)?;
            let new = again.findings.into_iter().filter(|finding| !report.findings.contains(finding));
            let new: Vec<_> = new.collect();
            report.findings.extend(new);
        }
    }
    Ok(())
}

/// The id of the log in a folder, as its first readable segment says; none if there is none.
///
/// # Errors
/// The folder cannot be read, with its path.
pub fn id(folder: &Path) -> io::Result<Option<Uuid>> {
    let segments = segment::list(folder).map_err(|error| at(folder, &error))?;
    let mut readable = segments.iter().filter_map(|file| Segment::open(&file.path).ok());
    Ok(readable.next().map(|segment| segment.header().log))
}

/// The checkpoints in a file of them.
fn read_notes(file: &Path, keys: &TrustedKeys) -> io::Result<Vec<Result<Kept, Finding>>> {
    let text = fs::read_to_string(file).map_err(|error| at(file, &error))?;
    let mut kept: Vec<_> =
        checkpoint::notes(&text).into_iter().map(|note| read_note(file, note, keys)).collect();
    if kept.is_empty() {
        let fault = Fault::NoCheckpoint("the file has none that is whole".to_owned());
        kept.push(Err(Finding { place: Place::of(file), fault }));
    }
    Ok(kept)
}

/// What a checkpoint in a file says, unless it is none, or forged.
fn read_note(file: &Path, note: &str, keys: &TrustedKeys) -> Result<Kept, Finding> {
    let place = Place::of(file);
    match Checkpoint::read(note, keys) {
        Err(no) => Err(Finding { place, fault: Fault::NoCheckpoint(no.to_string()) }),
        Ok((_, Signed::Forged)) => Err(Finding { place, fault: Fault::Forged }),
        Ok((checkpoint, signed)) => Ok(Kept { place, checkpoint, signed }),
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}

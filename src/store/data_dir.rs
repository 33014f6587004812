//! The data directory: what outlives the process, and belongs to one process at a time (W7).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::atomic;
use super::revision::RevisionKey;

/// Layout of the directory that this build writes, and the newest it knows.
const FORMAT: u64 = 2;
/// From this one on there is an entity log.
const WITH_LOG: u64 = 2;

/// Permissions of the group and of others to write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// A data directory, locked for as long as this value lives.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    key: RevisionKey,
    /// What the directory says of its layout; none if it is new.
    found: Option<u64>,
    /// The system gives the lock back when the file is closed, however the process ends.
    _lock: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process holds the lock.
    #[error(
        "data directory `{}`: another process has it; stop that one, or give this one a directory of its own",
        .0.display()
    )]
    Held(PathBuf),
    /// Others could put their own keys, pins and forbids into it.
    #[error(
        "data directory `{}` has mode {mode:03o}: others than its owner can write in it; run `chmod 700 {}`, or name a directory that does not exist yet",
        path.display(),
        path.display()
    )]
    Exposed {
        /// The directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A later build wrote it.
    #[error(
        "`{}` says format {found}, this build knows formats up to {FORMAT}: use a newer build or another directory",
        path.display()
    )]
    Newer {
        /// The file that says so.
        path: PathBuf,
        /// The format it names.
        found: u64,
    },
    /// A file in it is not what this build wrote.
    #[error("`{}` {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The system refuses.
    #[error("`{}` cannot be used: {error}", path.display())]
    Io {
        /// What was to be read or written.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl DataDir {
    /// Locks a data directory, and makes it first if there is none.
    ///
    /// # Errors
    /// [`DataDirError`], naming the path.
    pub fn open(root: &Path) -> Result<Self, DataDirError> {
        at(root, atomic::create_folder(root))?;
        check_mode(root)?;
        let lock = lock(root)?;
        let found = check_format(&root.join("format"))?;
        let key = revision_key(&root.join("revision.key"))?;
        Ok(Self { root: root.to_owned(), key, found, _lock: lock })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The bearer token of the control listener.
    pub fn control_token(&self) -> PathBuf {
        self.root.join("control.token")
    }

    /// The folder of decision logs.
    pub fn decisions(&self) -> PathBuf {
        self.root.join("decisions")
    }

    /// The folder of sets that were served and may be served again.
    pub(super) fn generations(&self) -> PathBuf {
        self.root.join("generations")
    }

    /// The emergency forbids in force.
    pub(super) fn emergency(&self) -> PathBuf {
        self.root.join("emergency.set")
    }

    /// What callers write at run time, and facts that nothing undoes.
    pub fn entity_log(&self) -> PathBuf {
        self.root.join("entities.redb")
    }

    /// Whether there must be an entity log: one that was lost is not begun anew (W4).
    pub(super) fn has_entity_log(&self) -> bool {
        self.found.is_some_and(|found| found >= WITH_LOG)
    }

    /// Says that the directory has all that this build's layout has.
    pub(super) fn note_format(&self) -> Result<(), DataDirError> {
        let path = self.root.join("format");
        at(&path, atomic::write(&path, format!("{FORMAT}\n").as_bytes()))
    }

    /// Where an earlier build kept delegations that were served.
    pub(super) fn known_grants(&self) -> PathBuf {
        self.root.join("grants.known")
    }

    /// Where an earlier build kept delegations that were revoked.
    pub(super) fn known_revocations(&self) -> PathBuf {
        self.root.join("revocations.known")
    }

    /// The rollback that a restart keeps to.
    pub(super) fn pin(&self) -> PathBuf {
        self.root.join("rollback.pin")
    }

    /// What revisions are authenticated with.
    pub(super) fn key(&self) -> RevisionKey {
        self.key.clone()
    }
}

fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, DataDirError> {
    result.map_err(|error| DataDirError::Io { path: path.to_owned(), error })
}

/// Refuses a directory in which others can write.
fn check_mode(root: &Path) -> Result<(), DataDirError> {
    let mode = at(root, fs::metadata(root))?.permissions().mode() & 0o777;
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(DataDirError::Exposed { path: root.to_owned(), mode });
    }
    Ok(())
}

fn lock(root: &Path) -> Result<File, DataDirError> {
    let path = root.join("lock");
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = at(&path, opened)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DataDirError::Held(root.to_owned())),
        Err(TryLockError::Error(error)) => Err(DataDirError::Io { path, error }),
    }
}

fn check_format(path: &Path) -> Result<Option<u64>, DataDirError> {
    let Some(bytes) = at(path, atomic::read(path))? else { return Ok(None) };
    let found = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse::<u64>().ok());
    match found {
        Some(found) if found > FORMAT => Err(DataDirError::Newer { path: path.to_owned(), found }),
        Some(found) => Ok(Some(found)),
        None => {
            let problem = "holds no number: it should name the directory's format".to_owned();
            Err(DataDirError::Damaged { path: path.to_owned(), problem })
        }
    }
}

fn revision_key(path: &Path) -> Result<RevisionKey, DataDirError> {
    if let Some(bytes) = at(path, atomic::read(path))? {
        return RevisionKey::of_bytes(&bytes).ok_or_else(|| {
            let problem = format!(
                "is {} bytes long instead of {}: restore it, or delete it, which ends every revision handed out",
                bytes.len(),
                RevisionKey::BYTES
            );
            DataDirError::Damaged { path: path.to_owned(), problem }
        });
    }
    let mut bytes = [0; RevisionKey::BYTES];
    at(path, getrandom::fill(&mut bytes).map_err(io::Error::other))?;
    at(path, atomic::write(path, &bytes))?;
    Ok(RevisionKey::from(bytes))
}

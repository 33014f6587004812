//! Signs what the log comes to, again and again, and shows it to others.
//!
//! Held by the thread that writes: it tells of every record, and asks for a checkpoint whenever one is [`due`](Notary::due)
//! and everything it told of is synced. A checkpoint never covers what a loss of power could take back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use uuid::Uuid;

use super::checkpoint::{self, Checkpoint, Facts, NoCheckpoint, SegmentMark};
use super::frontier::Frontier;
use super::keys::{KeyError, LogKey, NotSigned, Signed, TrustedKeys};
use super::retrace::{self, Standing, Unfit};
use super::witness::{WitnessConfig, WitnessState, Witnesses};
use crate::audit::replace::replace;

/// The latest checkpoint's file, in the log's folder.
pub const FILE_NAME: &str = "checkpoint";
/// How long a log without new records goes without a checkpoint: whoever sees none for longer knows that the process is
/// gone, or its witness cut off.
const IDLE: Duration = Duration::from_secs(60);

/// Who signs, how often, and to whom it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotaryConfig {
    /// The file of the private key; it is made where there is none.
    pub key: PathBuf,
    /// The file of the key before it, after a change: the first checkpoint is signed by both.
    pub previous_key: Option<PathBuf>,
    /// What signatures are under; none: the log's origin.
    pub name: Option<String>,
    /// How often new records are signed.
    pub every: Duration,
    /// To whom checkpoints are shown.
    pub witnesses: Vec<WitnessConfig>,
}

/// What the process says of itself in a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Records issued so far.
    pub issued: u64,
    /// Records written so far.
    pub written: u64,
    /// Records dropped so far, for whatever reason.
    pub dropped: u64,
    /// Up to this many may be issued before the next checkpoint.
    pub reserved: u64,
}

/// Why a log is not gone on with, or has nobody to sign it.
#[derive(Debug, thiserror::Error)]
pub enum NotaryError {
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It is not what was signed.
    #[error(
        "the decision log in {} is not what was signed: {unfit}. Nothing is added to it, for it is evidence as it is. \
         `mandate log verify` tells more. To go on, put the folder aside whole and start with a new one",
        directory.display()
    )]
    Unfit {
        /// The log's folder.
        directory: PathBuf,
        /// What differs.
        unfit: Unfit,
    },
    /// The last checkpoint is not one of ours.
    #[error(
        "{}: {problem}. To go on, put the log's folder aside whole and start with a new one",
        path.display()
    )]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Unusable,
    },
    /// A witness cannot be used.
    #[error("the witness {place} cannot be used: {error}")]
    Witness {
        /// Which.
        place: String,
        /// Why.
        error: io::Error,
    },
}

/// What is wrong with the file of the last checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The system refuses.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is none.
    #[error("this is no checkpoint: {0}")]
    Malformed(#[from] NoCheckpoint),
    /// Nobody we know signed it.
    #[error(
        "it is not signed by the log's key. If the key was replaced, name the one before it by `log.previous_key`"
    )]
    Unknown,
    /// Its signature is false.
    #[error("its signature is false: it was changed after it was signed")]
    Forged,
    /// It is missing where there should be one.
    #[error("it is missing, and the log has checkpoints: it was deleted")]
    Missing,
    /// It is of another log.
    #[error("it is of the log {0}, and the folder holds another")]
    Foreign(Uuid),
}

/// A checkpoint that was not made. The next attempt comes in its time.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// It could not be signed.
    #[error(transparent)]
    Unsigned(#[from] NotSigned),
    /// It could not be put in its place.
    #[error("the checkpoint cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// Signs the log.
#[derive(Debug)]
pub struct Notary {
    path: PathBuf,
    log: Uuid,
    instance: Uuid,
    key: LogKey,
    /// Signs too, until it did once.
    previous_key: Option<LogKey>,
    tree: Frontier,
    segment: SegmentMark,
    every: Duration,
    last: Option<Last>,
    /// When a checkpoint was made last, in seconds since 1970; 0 if none was.
    signed: Arc<AtomicI64>,
    witnesses: Witnesses,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    at: Instant,
    /// The tree's size then.
    size: u64,
}

impl Notary {
    /// Opens the keys, holds the log to its last checkpoint, and starts a thread for each witness. `log` is the id of the log
    /// in `directory`, from which a frame that a crash tore has been cut off. `has_checkpoints` says whether there are
    /// records of checkpoints among its latest.
    ///
    /// # Errors
    /// [`NotaryError`]: a log that is not what was signed is not gone on with.
    pub fn open(
        config: &NotaryConfig,
        directory: &Path,
        log: Uuid,
        instance: Uuid,
        has_checkpoints: bool,
    ) -> Result<Self, NotaryError> {
        let name = config.name.clone().unwrap_or_else(|| checkpoint::origin(log));
        let key = LogKey::open_or_make(&config.key, &name)?;
        let previous_key =
            config.previous_key.as_deref().map(|path| LogKey::open(path, &name)).transpose()?;
        let path = directory.join(FILE_NAME);
        let unusable = |problem| NotaryError::Checkpoint { path: path.clone(), problem };
        let last = latest(&path, &key, previous_key.as_ref()).map_err(unusable)?;
        match &last {
            None if has_checkpoints => return Err(unusable(Unusable::Missing)),
            Some((signed, _)) if signed.log != log => return Err(unusable(Unusable::Foreign(signed.log))),
            _ => {}
        }
        let signed = last.as_ref().map(|(checkpoint, _)| checkpoint);
        let Standing { tree, last: open } = retrace::retrace(directory, signed)
            .map_err(|unfit| NotaryError::Unfit { directory: directory.to_owned(), unfit })?;
        let (first, header) = open.unwrap_or_default();
        publish(&config.key, &key);
        Ok(Self {
            path,
            log,
            instance,
            previous_key: previous_key.filter(|_| matches!(last, Some((_, By::Previous)))),
            key,
            tree,
            segment: SegmentMark { first, header },
            every: config.every,
            last: None,
            signed: Arc::default(),
            witnesses: Witnesses::start(&config.witnesses, log)?,
        })
    }

    /// The tree over all records so far.
    pub fn tree(&self) -> &Frontier {
        &self.tree
    }

    /// A record was written: its bytes as they stand in its frame.
    pub fn record(&mut self, line: &[u8]) {
        self.tree.push(line);
    }

    /// A segment was begun, whose header has this digest ([`digest`](crate::audit::spool::segment::Header::digest)).
    pub fn segment(&mut self, header: String) {
        self.segment = SegmentMark { first: self.tree.size(), header };
    }

    /// Whether it is time for a checkpoint.
    pub fn due(&self, now: Instant) -> bool {
        let Some(last) = self.last else { return true };
        // The checkpoint's own record is nothing new.
        let wait = if self.tree.size() > last.size + 1 { self.every } else { IDLE };
        now.saturating_duration_since(last.at) >= wait
    }

    /// Signs all records so far, which must be synced, and shows the note to whoever is to see it. The caller appends the
    /// record of it.
    ///
    /// # Errors
    /// [`NotMade`]: there is no checkpoint, and no record of it may be appended.
    pub fn checkpoint(&mut self, account: Account, now: Instant) -> Result<String, NotMade> {
        // What fails is tried again in its time, not at once.
        self.last = Some(Last { at: now, size: self.tree.size() });
        let Account { issued, written, dropped, reserved } = account;
        let facts = Facts {
            time: format!("{:.6}", Timestamp::now()),
            instance: self.instance,
            issued,
            written,
            dropped,
            reserved,
            segment: self.segment.clone(),
        };
        let (log, size, root) = (self.log, self.tree.size(), self.tree.root());
        let keys = [&self.key].into_iter().chain(&self.previous_key);
        let note = Checkpoint { log, size, root, facts }.sign(keys)?;
        replace(&self.path, note.as_bytes())?;
        self.previous_key = None;
        self.signed.store(Timestamp::now().as_second(), Ordering::Relaxed);
        self.witnesses.show(&note);
        Ok(note)
    }

    /// When this process made a checkpoint last, in seconds since 1970; 0 before the first.
    pub fn signed(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.signed)
    }

    /// How the witnesses are; cheap to clone.
    pub fn witnesses(&self) -> Vec<WitnessState> {
        self.witnesses.states()
    }

    /// Waits until every witness has seen the last checkpoint, no longer than until then.
    pub fn finish(&self, until: Instant) {
        self.witnesses.finish(until);
    }
}

/// By which of our keys the last checkpoint is signed.
enum By {
    Current,
    Previous,
}

fn latest(
    path: &Path,
    key: &LogKey,
    previous: Option<&LogKey>,
) -> Result<Option<(Checkpoint, By)>, Unusable> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    for (key, by) in [(Some(key), By::Current), (previous, By::Previous)] {
        let Some(key) = key else { continue };
        // Its own line of text is one that can be read.
        let keys = TrustedKeys::read(&key.verifier()).map_err(|_defect| Unusable::Unknown)?;
        match Checkpoint::read(&text, &keys)? {
            (checkpoint, Signed::Trusted) => return Ok(Some((checkpoint, by))),
            (_, Signed::Forged) => return Err(Unusable::Forged),
            (_, Signed::Unknown) => {}
        }
    }
    Err(Unusable::Unknown)
}

/// Writes the public key beside the private one. A folder that cannot be written to, as a mounted secret's, is no reason
/// not to start: `mandate log keys` tells it too.
fn publish(private: &Path, key: &LogKey) {
    let path = private.with_extension("pub");
    let line = key.verifier() + "\n";
    if fs::read_to_string(&path).is_ok_and(|there| there == line) {
        return;
    }
    match replace(&path, line.as_bytes()) {
        Ok(()) => {
            tracing::info!(key = line.trim_end(), "checkpoints of the decision log are signed by this key")
        }
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "the log's public key cannot be put beside it")
        }
    }
}

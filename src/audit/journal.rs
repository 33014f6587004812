//! The log as its one writer sees it: records go in, get their numbers, and are written, signed and synced.

use std::fs::File;
use std::io;
use std::mem;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use uuid::Uuid;

use super::first_seen::FirstSeen;
use super::generation::GenerationRecord;
use super::lifecycle::Lifecycle;
use super::line::{self, Line};
use super::reading::contents::{Gathering, Said, Sealed};
use super::spool::Progress;
use super::spool::appender::Appender;
use super::spool::frame::{self, TooLong};
use super::spool::retention::{self, Limits};
use super::spool::segment::{FORMAT, Header};
use super::tree::notary::{Account, Notary};

/// The open log.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    log: Uuid,
    instance: Uuid,
    appender: Appender,
    notary: Notary,
    seen: FirstSeen,
    limits: Limits,
    /// Frames that are not written yet, and where in them the records stand.
    frames: Vec<u8>,
    lines: Vec<Framed>,
    /// What is known of the open segment.
    gathering: Gathering,
    sealed: Sealed,
    /// As `progress` says: for each record a lock would be taken there.
    written: u64,
    progress: watch::Sender<Progress>,
    synced_at: Instant,
    /// Up to this many may be issued before the next checkpoint.
    reserved: u64,
    /// Nobody else writes while this is held.
    _lock: File,
}

/// A line that waits: where in the frames it stands, and what it says, where that was told with it.
#[derive(Debug)]
struct Framed {
    line: Range<usize>,
    said: Option<Said>,
}

/// Why a line is not added.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotFramed {
    /// It cannot be JSON: a defect.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// No frame holds it.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// How many more may be issued than the last checkpoint counted, before there must be another.
const RESERVE: u64 = 200_000;
/// How long what is written may not be synced, where nobody waits for it.
const SYNC_EVERY: Duration = Duration::from_millis(100);

/// What a journal is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) directory: PathBuf,
    pub(super) log: Uuid,
    pub(super) instance: Uuid,
    pub(super) appender: Appender,
    pub(super) notary: Notary,
    pub(super) limits: Limits,
    pub(super) sealed: Sealed,
    pub(super) lock: File,
}

impl Journal {
    /// A log that goes on at the notary's tree's size.
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { directory, log, instance, appender, notary, limits, sealed, lock } = parts;
        let next = notary.tree().size();
        Self {
            directory,
            log,
            instance,
            appender,
            notary,
            seen: FirstSeen::new(),
            limits,
            frames: Vec::new(),
            lines: Vec::new(),
            // Of a segment that an earlier process began it is not known what stands in it.
            gathering: Gathering::default(),
            sealed,
            written: next,
            progress: watch::Sender::new(Progress { written: next, synced: next }),
            synced_at: Instant::now(),
            reserved: 0,
            _lock: lock,
        }
    }

    /// How far it has come, for whoever follows.
    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// How many records there are, those of earlier processes included.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that wait to be written.
    pub(super) fn waiting(&self) -> usize {
        self.frames.len()
    }

    /// Adds a record to what waits to be written.
    ///
    /// # Errors
    /// It is too long for a frame; nothing is added.
    pub(super) fn add(&mut self, line: &Line) -> Result<(), NotFramed> {
        let first_seen = line.combination.is_some_and(|combination| self.seen.first(combination));
        self.frame(line.said(), |(_, sequence), frames| line.number(sequence, first_seen, frames))
    }

    /// Adds what became of a generation to what waits to be written.
    ///
    /// # Errors
    /// As [`add`](Self::add), or it cannot be JSON: a defect.
    pub(super) fn add_generation(&mut self, record: &GenerationRecord) -> Result<(), NotFramed> {
        self.frame(None, |named, frames| line::of_nobody("generation", record, record.at, named, frames))
    }

    fn add_own(&mut self, record: &Lifecycle) -> Result<(), NotFramed> {
        let now = SystemTime::now();
        self.frame(None, |named, frames| line::of_nobody(record.kind(), record, now, named, frames))
    }

    /// Adds a line to what waits, under its number.
    fn frame(
        &mut self,
        said: Option<Said>,
        write: impl FnOnce((Uuid, u64), &mut Vec<u8>) -> Result<(), serde_json::Error>,
    ) -> Result<(), NotFramed> {
        let start = self.frames.len();
        let sequence = self.written + self.lines.len() as u64;
        self.frames.extend_from_slice(&[0; frame::HEAD_BYTES]);
        let encoded = write((self.instance, sequence), &mut self.frames).map_err(NotFramed::from);
        let framed = encoded.and_then(|()| Ok(frame::close(start, &mut self.frames)?));
        match framed {
            Ok(()) => self.lines.push(Framed { line: start + frame::HEAD_BYTES..self.frames.len(), said }),
            Err(_) => self.frames.truncate(start),
        }
        framed
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// The disk takes no more; all of it still waits.
    pub(super) fn write(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        if !self.appender.is_open() {
            self.begin_segment()?;
        }
        let begin = self.appender.append(&self.frames)?;
        let written = self.lines.len() as u64;
        for Framed { line, said } in self.lines.drain(..) {
            let offset = begin + line.start.saturating_sub(frame::HEAD_BYTES) as u64;
            let line = self.frames.get(line).unwrap_or_default();
            self.notary.record(line);
            self.gathering.add(offset, line, said.as_ref());
        }
        self.frames.clear();
        self.written += written;
        self.progress.send_modify(|progress| progress.written = self.written);
        Ok(())
    }

    /// Forgets what waits.
    pub(super) fn forget(&mut self) {
        self.frames.clear();
        self.lines.clear();
    }

    /// Writes a record of the writer's own, after whatever waits.
    ///
    /// # Errors
    /// The disk takes no more; it does not wait.
    pub(super) fn say(&mut self, record: &Lifecycle) -> io::Result<()> {
        self.write()?;
        self.add_own(record).map_err(io::Error::other)?;
        let written = self.write();
        if written.is_err() {
            self.forget();
        }
        written
    }

    /// When what is written must be synced; none if all of it is.
    pub(super) fn sync_due(&self) -> Option<Instant> {
        let Progress { written, synced } = *self.progress.borrow();
        (written > synced).then(|| self.synced_at + SYNC_EVERY)
    }

    /// Makes what is written last.
    ///
    /// # Errors
    /// It may be lost, and nothing more can be written.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.synced_at = Instant::now();
        let Progress { written, synced } = *self.progress.borrow();
        if written > synced {
            self.appender.sync()?;
            self.synced_at = Instant::now();
            self.progress.send_modify(|progress| progress.synced = written);
        }
        Ok(())
    }

    /// Whether there must be a checkpoint: it is time, or nearly as many were issued as the last one allows for.
    pub(super) fn is_checkpoint_due(&self, issued: u64) -> bool {
        self.notary.due(Instant::now()) || issued + RESERVE / 2 > self.reserved
    }

    /// Syncs and signs what is written, and writes a record of that. What cannot be signed is told of in the process's own log.
    ///
    /// # Errors
    /// The disk fails.
    pub(super) fn checkpoint(&mut self, account: Account) -> io::Result<()> {
        self.sync()?;
        let reserved = account.issued + RESERVE;
        match self.notary.checkpoint(Account { reserved, ..account }, Instant::now()) {
            Ok(note) => {
                self.say(&Lifecycle::Checkpoint { note })?;
                // A bound counts once it is on disk.
                self.sync()?;
                self.reserved = reserved;
            }
            Err(error) => tracing::error!(%error, "the decision log is not signed"),
        }
        Ok(())
    }

    /// Begins another segment if the open one is large or old enough, and deletes what is kept no longer. `delivered` is the
    /// sequence that some sink still needs.
    ///
    /// # Errors
    /// The disk fails.
    pub(super) fn turn(&mut self, account: Account, delivered: Option<u64>) -> io::Result<()> {
        let full = |(bytes, since): (u64, Instant)| {
            bytes >= self.limits.segment_bytes || since.elapsed() >= self.limits.segment_age
        };
        let holds_records = self.appender.first().is_some_and(|first| self.written > first);
        if !self.appender.extent().is_some_and(full) || !holds_records {
            return Ok(());
        }
        self.checkpoint(account)?;
        self.begin_segment()?;
        match retention::enforce(&self.directory, &self.limits, delivered, SystemTime::now()) {
            Ok(Some(retention::Deleted { oldest, count })) => {
                self.say(&Lifecycle::Retention { oldest, count })
            }
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::error!(%error, "old segments of the decision log cannot be deleted");
                Ok(())
            }
        }
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let tree = self.notary.tree();
        let header = Header {
            format: FORMAT,
            log: self.log,
            instance: self.instance,
            first: tree.size(),
            opened: format!("{:.6}", jiff::Timestamp::now()),
            frontier: tree.hashes(),
        };
        let digest = header.digest()?;
        let before = self.appender.first().zip(self.appender.extent());
        self.appender.begin(&header)?;
        let gathered = mem::take(&mut self.gathering);
        self.gathering = Gathering::after(&gathered);
        if let Some((first, (bytes, _since))) = before {
            self.sealed.hand_over(first, bytes, gathered);
        }
        self.notary.segment(digest);
        Ok(())
    }

    /// Waits for the witnesses, no longer than until then.
    pub(super) fn finish(&self, until: Instant) {
        self.notary.finish(until);
    }
}

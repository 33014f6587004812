//! The entity log: what callers write at run time, on disk before it counts (W3, W4, R).
//!
//! One thread writes (`writer`). Whoever writes is answered once what they wrote is synced and published; many that wait
//! share one sync. Decisions read worlds, and never wait for any of this.

mod backup;
mod contents;
mod disk;
mod draft;
mod facts;
mod history;
mod lead;
mod orders;
mod restore;
mod watch;
mod writer;

#[cfg(test)]
mod disk_tests;
#[cfg(test)]
mod log_tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use redb::Database;
use tokio::sync::oneshot;

use super::Store;
use super::grants::ServedGrants;
use super::revision::RevisionKey;
use crate::engine::world::World;
pub use backup::{Backup, BackupError};
pub(super) use contents::Contents;
pub use disk::DiskError;
use disk::{Disk, Head, Opening};
use facts::{Batch, Fact};
use history::History;
pub use lead::{Difference, Lead, Leap, PrimaryBehind};
pub use orders::{Order, Write, WriteError, Written, WrittenChange};
pub use restore::{RestoreError, Restored, restore};
pub use watch::{Event, Watcher};
pub use writer::Adopted;
use writer::{Job, Writer};

/// Writes that wait at most; beyond that a write is refused as overload.
const MAX_WAITING: usize = 1024;

/// What a log goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityLogConfig {
    /// How many batches are remembered for those who watch and come back.
    pub history: usize,
}

impl Default for EntityLogConfig {
    fn default() -> Self {
        Self { history: 10_000 }
    }
}

/// Why a log cannot be used. Nothing is served then, and never the seeds alone (W4).
#[derive(Debug, thiserror::Error)]
#[error(
    "the entity log `{}` {error}; put it back from a backup with `mandate entity restore`",
    path.display()
)]
pub struct EntityLogError {
    /// Its file.
    pub path: PathBuf,
    /// Why.
    pub error: DiskError,
}

/// A log that was opened, and takes no writes yet.
#[derive(Debug)]
pub struct EntityLog {
    disk: Disk,
    head: Head,
    contents: Contents,
    config: EntityLogConfig,
}

/// What the log says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct LogStatus {
    /// Why it takes no writes, if it takes none. What is not on disk yet is tried again.
    pub error: Option<String>,
    /// Facts from files that are in force, and not on disk yet.
    pub unkept: usize,
    /// Batches that were written since the start.
    pub written: u64,
}

/// What the writer shares with those who do not write.
#[derive(Debug)]
struct Shared {
    history: Mutex<History>,
    grants: Mutex<ServedGrants>,
    database: ArcSwap<Option<Arc<Database>>>,
    status: ArcSwap<LogStatus>,
    /// Writes that nobody has taken yet.
    waiting: AtomicUsize,
    log: [u8; super::revision::LOG],
}

/// Writes, watches, backs up. A copy is the same log; the writer ends when the last one is dropped.
#[derive(Debug, Clone)]
pub struct EntityLogHandle {
    jobs: mpsc::Sender<Job>,
    store: Arc<Store>,
    shared: Arc<Shared>,
    ended: tokio::sync::watch::Receiver<()>,
}

impl EntityLog {
    /// Opens the log in a file, and makes it if there is none and `create` says so.
    ///
    /// # Errors
    /// [`EntityLogError`]: it is damaged, of a later build, or the system refuses.
    pub fn open(path: &Path, create: bool, config: EntityLogConfig) -> Result<Self, EntityLogError> {
        let failed = |error| EntityLogError { path: path.to_owned(), error };
        let new_log = create.then(super::revision::unpredictable);
        Self::open_at(disk::file(path, create), new_log, config).map_err(failed)
    }

    fn open_at(
        opening: Opening,
        new_log: Option<[u8; super::revision::LOG]>,
        config: EntityLogConfig,
    ) -> Result<Self, DiskError> {
        disk::soundly(|| {
            let (mut disk, head) = Disk::open(opening, new_log)?;
            let contents = Contents::read(&*disk.database()?)?;
            disk.compact();
            Ok(Self { disk, head, contents, config })
        })
    }

    /// Whether a process has served it before.
    pub(super) fn was_served(&self) -> bool {
        self.head.reserved > 0
    }

    /// What it holds.
    pub(super) fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Writes facts before there is any world: those that an earlier build kept elsewhere.
    ///
    /// # Errors
    /// [`DiskError`].
    pub(super) fn take_over(
        &mut self,
        revoked: Vec<cedar_policy::EntityUid>,
        grants: &ServedGrants,
    ) -> Result<(), DiskError> {
        let revoked = revoked.into_iter().map(|uid| Fact::Revoked(uid, "".into()));
        let known = grants.iter().map(|(name, digest)| Fact::Known(name.to_owned(), digest.to_owned()));
        let facts: Vec<_> = revoked.chain(known).collect();
        if facts.is_empty() {
            return Ok(());
        }
        let sequence = self.head.reserved + 1;
        let entry = facts::Entry { sequence, by: "upgrade".into(), facts };
        self.disk.commit(&[entry], sequence, 0)?;
        (self.head.reserved, self.head.last) = (sequence, sequence);
        self.contents = Contents::read(&*self.disk.database()?)?;
        Ok(())
    }

    /// A store that serves `world` with what the log says of it, and whose revisions are this log's.
    ///
    /// # Errors
    /// [`DiskError`]: that sequences are used could not be written, and a later process would use them again.
    pub(super) fn store(
        &mut self,
        world: World,
        key: RevisionKey,
        cache_bytes: Option<u64>,
    ) -> Result<Store, DiskError> {
        let first = self.head.reserved + 1;
        self.head.reserved = first + writer::RESERVE;
        self.disk.commit(&[], self.head.reserved, 0)?;
        let world = world
            .with_revocations(self.contents.revocations.clone())
            .with_suspensions(self.contents.suspensions.clone());
        Ok(Store::with(world, super::Signer::new(key, self.head.log), first, self.head.reserved, cache_bytes))
    }

    /// Starts the writer.
    ///
    /// # Errors
    /// The system gives no thread with so large a stack.
    pub(super) fn spawn(self, store: &Arc<Store>) -> io::Result<EntityLogHandle> {
        let Self { mut disk, head, contents, config } = self;
        let mut history = History::new(contents.history, config.history);
        // What the files held in the process before is not known: whoever watches looks at everything anew.
        let files = Batch { sequence: store.current().sequence, files: true, ..Batch::default() };
        history.push(Arc::new(files));
        let database = disk.database().map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            history: Mutex::new(history),
            grants: Mutex::new(contents.grants),
            database: ArcSwap::from_pointee(Some(database)),
            status: ArcSwap::default(),
            waiting: AtomicUsize::new(0),
            log: head.log,
        });
        let (jobs, waiting) = mpsc::channel();
        let ended = Writer::spawn(disk, head, Arc::clone(store), Arc::clone(&shared), waiting)?;
        Ok(EntityLogHandle { jobs, store: Arc::clone(store), shared, ended })
    }
}

impl EntityLogHandle {
    /// Writes, and answers once it is on disk and published.
    ///
    /// # Errors
    /// [`WriteError`]. Nothing was written, unless it says that this is not known.
    pub async fn write(&self, order: Order) -> Result<Written, WriteError> {
        self.send(order)?.await.unwrap_or(Err(WriteError::Ended))
    }

    /// As [`EntityLogHandle::write`], for a thread that may wait.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn write_blocking(&self, order: Order) -> Result<Written, WriteError> {
        self.send(order)?.blocking_recv().unwrap_or(Err(WriteError::Ended))
    }

    fn send(&self, order: Order) -> Result<oneshot::Receiver<Result<Written, WriteError>>, WriteError> {
        order.check_limits()?;
        let (answer, answered) = oneshot::channel();
        if self.shared.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(WriteError::Overload(MAX_WAITING));
        }
        self.jobs.send(Job::Write(order, answer)).map_err(|_gone| WriteError::Ended)?;
        Ok(answered)
    }

    /// Follows what is written, from a revision on, or from now if it is empty.
    ///
    /// # Errors
    /// [`super::revision::RevisionError`] for what is no revision of this log.
    pub fn watch(&self, from: &str) -> Result<Watcher, super::revision::RevisionError> {
        Watcher::new(self, from)
    }

    /// Leads a follower from a revision on, or from nothing. `last_write` names the last write that it knows of.
    ///
    /// # Errors
    /// [`PrimaryBehind`]: it knows of this log what this log does not have.
    pub fn lead(&self, from: &str, last_write: &str) -> Result<Lead, PrimaryBehind> {
        Lead::new(self, from, last_write)
    }

    /// Begins a copy of everything that the log holds now.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn backup(&self) -> Result<Backup, BackupError> {
        Backup::begin(self)
    }

    /// What the log says of itself.
    #[must_use]
    pub fn status(&self) -> Arc<LogStatus> {
        self.shared.status.load_full()
    }

    /// What holds the worlds.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Completes when the writer ends, for whatever reason.
    pub async fn ended(&mut self) {
        // It never says anything: it is dropped.
        while self.ended.changed().await.is_ok() {}
    }

    /// Every delegation that was served, to hold files to.
    pub(super) fn grants(&self) -> ServedGrants {
        self.shared.grants.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps delegations that are served from now on, and delegations that a file revokes, which are in force already.
    pub(super) fn keep(&self, grants: Vec<(String, String)>, revoked: Vec<cedar_policy::EntityUid>) {
        let mut served = self.shared.grants.lock().unwrap_or_else(PoisonError::into_inner);
        grants.iter().for_each(|(name, digest)| served.learn(name.clone(), digest.clone()));
        drop(served);
        let known = grants.into_iter().map(|(name, digest)| Fact::Known(name, digest));
        let revoked = revoked.into_iter().map(|uid| Fact::Revoked(uid, "revocations file".into()));
        let facts: Vec<_> = known.chain(revoked).collect();
        if !facts.is_empty() {
            // If the writer has ended, the process is about to.
            drop(self.jobs.send(Job::Keep(facts)));
        }
    }

    /// Publishes a world that was compiled for other files or another schema, with what was written since `base`.
    pub(super) fn adopt(&self, world: World, base: u64) -> mpsc::Receiver<Adopted> {
        let (answer, answered) = mpsc::channel();
        drop(self.jobs.send(Job::Adopt(Box::new(world), base, answer)));
        answered
    }

    /// Ends the writer, once everything that was handed over was tried, and waits for that at most so long.
    pub(super) fn stop(&self, within: Duration) {
        let (closing, closed) = mpsc::channel();
        if self.jobs.send(Job::Stop(closing)).is_ok() {
            // It says nothing: it is dropped.
            let _dropped = closed.recv_timeout(within);
        }
    }
}

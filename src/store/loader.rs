//! Keeps what is served up to date with the files: one thread that looks and publishes. It leaves what takes long, reading,
//! compiling, keeping and dropping, to another, which gives way to whoever answers requests, and waits for it: except that
//! emergency forbids wait for nothing (`meanwhile`).
//!
//! It wakes on file events, at every poll and on commands, and always goes by the state the files are in then, never by
//! the event: a storm of changes is one load. What is broken is rejected, and the last good world stays. The
//! threads have large stacks, because worlds may be dropped on them.

mod adopt;
mod background;
mod command;
mod emergency;
mod fit;
mod heartbeat;
mod inbox;
mod listener;
mod load;
mod meanwhile;
mod retired;
mod revocations;
mod rollback;
mod start;
mod status;
mod watch;

#[cfg(test)]
mod emergency_tests;
#[cfg(test)]
mod files_tests;
#[cfg(test)]
mod loader_tests;
#[cfg(test)]
mod log_law_tests;
#[cfg(test)]
mod meanwhile_tests;
#[cfg(test)]
mod rollback_tests;
#[cfg(test)]
mod standing_tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::Store;
use super::directory::{Fingerprint, Folders};
use super::emergency::Emergency;
use super::entity_log::{EntityLogConfig, EntityLogHandle};
use super::folder::Remembered;
use super::history::History;
use super::pin::{Pin, PinFile};
use super::provenance::Signers;
use super::revocations::RevocationList;
use super::settling::{Settling, Verdict};
use crate::engine::compile::{Compiler, Options, Sources};
use crate::engine::guard::PARSER_STACK_BYTES;
use crate::engine::progress::Progress;
pub(super) use background::discard;
pub use command::{Command, CommandError, Commands, Served};
pub use heartbeat::Heartbeat;
use inbox::{Inbox, Told};
pub(super) use listener::Listener;
pub use listener::{LoadEvent, LoadWhat};
pub(super) use retired::Retired;
pub use start::{KeptSets, OpenError};
pub use status::{
    EmergencyStatus, KeptSet, LastLoad, LoaderStatus, Outcome, Pinned, Reloads, RevocationStatus, Source,
};
use watch::Watch;

/// Shortest time between polls: a configured zero must not spin.
const MIN_POLL: Duration = Duration::from_millis(10);
/// Sets are written to disk at most this often; in a storm of loads the latest is.
const KEEP_EVERY: Duration = Duration::from_millis(250);
/// How soon replaced worlds are looked at again that requests still held.
const SWEEP: Duration = Duration::from_millis(50);

/// Longest time for the log to write, at the end, what it was handed.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// How often is looked whether the thread has ended.
const STOPPING: Duration = Duration::from_millis(5);

/// What a loader goes by.
#[derive(Debug, Clone)]
pub struct LoaderConfig {
    /// Where the sources are.
    pub folders: Folders,
    /// The folder of emergency forbids; it need not exist.
    pub emergency: PathBuf,
    /// The file of revoked delegations; it need not exist.
    pub revocations: PathBuf,
    /// How sources compile.
    pub options: Options,
    /// Whether file events wake the loader before the next poll.
    pub watch: bool,
    /// How often the files are looked at, whatever events come.
    pub poll: Duration,
    /// How long files must stand still that neither a manifest nor an atomic swap vouches for.
    pub settle: Duration,
    /// Whether the kept sets stand in at the start for files that are broken.
    pub serve_last_known_good: bool,
    /// Whose signature a set needs.
    pub signers: Signers,
    /// How many bytes of decisions each world remembers; none: none.
    pub cache_bytes: Option<u64>,
    /// What the log of entities goes by.
    pub entity_log: EntityLogConfig,
    /// Where loads count how far they have come.
    pub progress: Arc<Progress>,
}

/// A loader that has published its first world, and does not watch the files yet.
#[derive(Debug)]
pub struct Loader {
    config: LoaderConfig,
    compiler: Compiler,
    store: Arc<Store>,
    listener: Option<Listener>,
    /// What the served world was compiled from.
    served: Set,
    source: Source,
    history: History,
    emergency: Emergency,
    revocations: RevocationList,
    log: EntityLogHandle,
    /// Whether a world that was compiled anew waits for the log's writer.
    adopting: bool,
    pin: Option<Pin>,
    pin_file: PinFile,
    files: Settling<Fingerprint>,
    /// Whether emergency forbids that the folder asks for may not be in force: the system, not their text, kept them from it,
    /// or they wait for the files that came with them.
    unapplied: bool,
    /// The files as they were read last.
    remembered: Arc<Remembered>,
    /// Since when they changed whenever they were read; none if they stood still.
    moving_since: Option<Instant>,
    /// Name of what the folders held when they were read last.
    seen: String,
    /// Whether that was rejected.
    rejected: bool,
    retired: Retired,
    /// A publication that the history does not have yet.
    unkept: bool,
    kept_at: Option<Instant>,
    errors: WriteErrors,
    last_load: LastLoad,
    reloads: Reloads,
    heartbeat: Heartbeat,
    status: Arc<ArcSwap<LoaderStatus>>,
    /// Whether the status says something else than it should.
    stale_status: bool,
    commands: Commands,
    inbox: Inbox,
}

/// A set of sources and its name.
#[derive(Debug)]
struct Set {
    sources: Sources,
    digest: String,
}

/// What could not be written, by what it was.
#[derive(Debug, Default)]
struct WriteErrors {
    history: Option<String>,
    emergency: Option<String>,
    pin: Option<String>,
    /// Kept sets that were found damaged at the start.
    damaged: Option<String>,
}

/// A running loader.
#[derive(Debug)]
pub struct LoaderHandle {
    /// Tells it what to do.
    pub commands: Commands,
    /// What is written at run time; none where nothing is, on a follower.
    pub log: Option<EntityLogHandle>,
    heartbeat: Heartbeat,
    status: Arc<ArcSwap<LoaderStatus>>,
    end: oneshot::Receiver<()>,
    thread: thread::JoinHandle<()>,
}

/// How a loader ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was told to, or nobody was left to tell it anything.
    Stopped,
    /// It panicked: the last world is served, and nothing will replace it.
    Panicked,
}

impl LoaderHandle {
    /// A thread that keeps what is served up to date. It says when it ends by `end`, and drops that if it panics.
    pub(super) fn new(
        commands: Commands,
        log: Option<EntityLogHandle>,
        heartbeat: Heartbeat,
        status: Arc<ArcSwap<LoaderStatus>>,
        end: oneshot::Receiver<()>,
        thread: thread::JoinHandle<()>,
    ) -> Self {
        Self { commands, log, heartbeat, status, end, thread }
    }

    /// What the loader says of itself. Costs next to nothing.
    #[must_use]
    pub fn status(&self) -> Arc<LoaderStatus> {
        self.status.load_full()
    }

    /// Where the status can be read from elsewhere, for metrics.
    #[must_use]
    pub fn status_source(&self) -> Arc<ArcSwap<LoaderStatus>> {
        Arc::clone(&self.status)
    }

    /// How long ago the loader last completed a look at the files. Costs next to nothing.
    #[must_use]
    pub fn last_look(&self) -> Duration {
        self.heartbeat.age()
    }

    /// Where the last look can be read from elsewhere, for readiness and metrics.
    #[must_use]
    pub fn heartbeat(&self) -> Heartbeat {
        self.heartbeat.clone()
    }

    /// Completes when the thread ends, for whatever reason.
    pub async fn ended(&mut self) -> Ended {
        match (&mut self.end).await {
            Ok(()) => Ended::Stopped,
            Err(_dropped) => Ended::Panicked,
        }
    }

    /// Stops the loader, and waits for its thread at most so long. None if it still runs then: it hangs in a read, and
    /// ends with the process.
    #[must_use]
    pub fn stop(self, within: Duration) -> Option<Ended> {
        self.commands.stop();
        let start = Instant::now();
        while !self.thread.is_finished() {
            let rest = within.saturating_sub(start.elapsed());
            if rest.is_zero() {
                return None;
            }
            thread::sleep(rest.min(STOPPING));
        }
        Some(match self.thread.join() {
            Ok(()) => Ended::Stopped,
            Err(_panic) => Ended::Panicked,
        })
    }
}

impl Loader {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread with so large a stack.
    pub fn spawn(mut self) -> io::Result<LoaderHandle> {
        // The thread has none: it ends when nobody is left to tell it anything.
        let Self { commands, .. } = &mut self;
        let commands = std::mem::replace(commands, Commands::of_loader(Arc::new(mpsc::channel().0)));
        let (status, heartbeat, log) = (Arc::clone(&self.status), self.heartbeat.clone(), self.log.clone());
        let (ending, end) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("mandate-loader".to_owned())
            .stack_size(PARSER_STACK_BYTES)
            .spawn(move || {
                self.run();
                // A panic drops this without a word, which says that there was one. Nobody may be waiting.
                let _nobody_waits = ending.send(());
            })?;
        Ok(LoaderHandle::new(commands, Some(log), heartbeat, status, end, thread))
    }

    fn run(mut self) {
        let watch = self.watch();
        self.inbox.watch(watch);
        let mut wait = Duration::ZERO;
        loop {
            match self.inbox.next(wait) {
                Told::Look | Told::Files => {}
                Told::Command(command, answer) => {
                    // Whoever asked may have gone.
                    drop(answer.send(self.obey(command)));
                }
                Told::Stop => break,
            }
            wait = self.look();
            self.heartbeat.beat();
        }
        self.save_emergency();
        self.keep();
        self.log.stop(LAST_WRITES);
    }

    fn watch(&self) -> Option<Watch> {
        let Folders { policies, schemas, entities } = &self.config.folders;
        let folders = [policies, schemas, entities, &self.config.emergency, &self.config.revocations];
        let folders = folders.map(PathBuf::as_path);
        self.config.watch.then(|| Watch::new(&folders, self.inbox.waker().clone())).flatten()
    }

    /// Looks at everything, does what is due, and says when to look again.
    fn look(&mut self) -> Duration {
        let now = Instant::now();
        let revocations_due = self.take_revocations();
        let emergency_due = self.take_emergency();
        let files = Fingerprint::of(&self.config.folders);
        let files_due = self.files.see(&files, self.config.settle, now);
        match files_due {
            Verdict::Ready => self.take_changed_files(&files),
            Verdict::Wait(_) if files.is_vouched(self.files.last()) => self.take_vouched_files(),
            Verdict::Wait(_) | Verdict::Doubtful(_) | Verdict::Same => {}
        }
        // Who sees the new world should find it told of: keeping it on disk takes longer.
        self.refresh_status();
        let dropped = self.retired.sweep();
        if !dropped.is_empty() {
            background::discard(dropped);
        }
        let kept_lately = self.kept_at.is_some_and(|at| at.elapsed() < KEEP_EVERY);
        self.save_emergency();
        if !kept_lately {
            self.keep();
        }
        self.stale_status |= self.status.load().keep_error != self.keep_error();
        self.refresh_status();
        let waits = revocations_due.into_iter().chain(emergency_due).chain(files_due.wait());
        let keep = (self.unkept && kept_lately).then_some(KEEP_EVERY);
        let sweep = (!self.retired.is_empty()).then_some(SWEEP);
        let poll = self.config.poll.max(MIN_POLL);
        waits.chain(keep).chain(sweep).fold(poll, Duration::min)
    }
}

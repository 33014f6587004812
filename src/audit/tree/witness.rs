//! Where checkpoints are shown so that whoever holds this machine cannot take them back: each on a thread of its own.
//!
//! A witness that does not answer delays nothing: it has room for one note, the latest, and is tried again after pauses
//! that grow.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::notary::NotaryError;

/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// To whom checkpoints are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessConfig {
    /// A folder, on another disk or host: notes are appended to `<log id>.checkpoints` there.
    Directory(PathBuf),
}

impl WitnessConfig {
    /// The name of its kind, for people and metrics.
    fn kind(&self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
        }
    }

    /// Where it is, without anything secret.
    fn place(&self) -> String {
        match self {
            Self::Directory(path) => path.display().to_string(),
        }
    }
}

/// How a witness is. Cheap to clone; what it says changes with time.
#[derive(Debug, Clone)]
pub struct WitnessState {
    slot: Arc<Slot>,
}

impl WitnessState {
    /// Its place in the configuration, from 0, and its kind: what it is called in metrics.
    pub fn name(&self) -> &str {
        &self.slot.name
    }

    /// When it took a checkpoint last, or when it was begun with, in seconds since 1970.
    pub fn seen(&self) -> u64 {
        self.slot.seen.load(Ordering::Relaxed)
    }

    /// How often it could not be shown one.
    pub fn failures(&self) -> u64 {
        self.slot.failures.load(Ordering::Relaxed)
    }
}

/// The witnesses of a log.
#[derive(Debug)]
pub(super) struct Witnesses {
    threads: Vec<(Arc<Slot>, JoinHandle<()>)>,
}

/// What the writer leaves for a witness's thread.
#[derive(Debug)]
struct Slot {
    name: String,
    waiting: Mutex<Waiting>,
    changed: Condvar,
    seen: AtomicU64,
    failures: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The latest note that it was not shown yet. One that comes before it was replaces it.
    note: Option<String>,
    /// No more will come.
    ended: bool,
}

impl Witnesses {
    pub(super) fn start(configs: &[WitnessConfig], log: Uuid) -> Result<Self, NotaryError> {
        let mut threads = Vec::new();
        for (place, config) in configs.iter().enumerate() {
            let failed = |error| NotaryError::Witness { place: config.place(), error };
            let witness = Witness::open(config, log).map_err(failed)?;
            let slot = Arc::new(Slot::new(format!("{place}-{}", config.kind())));
            let told = slot.clone();
            let thread = thread::Builder::new()
                .name(format!("mandate-witness-{place}"))
                .spawn(move || attend(&told, witness))
                .map_err(failed)?;
            threads.push((slot, thread));
        }
        Ok(Self { threads })
    }

    pub(super) fn show(&self, note: &str) {
        for (slot, _) in &self.threads {
            slot.lock().note = Some(note.to_owned());
            slot.changed.notify_all();
        }
    }

    pub(super) fn states(&self) -> Vec<WitnessState> {
        self.threads.iter().map(|(slot, _)| WitnessState { slot: slot.clone() }).collect()
    }

    pub(super) fn finish(self, until: Instant) {
        self.end();
        for (_, thread) in &self.threads {
            // A thread that hangs is left to the end of the process.
            while !thread.is_finished() && Instant::now() < until {
                thread::sleep(Duration::from_millis(5));
            }
        }
    }

    fn end(&self) {
        for (slot, _) in &self.threads {
            slot.lock().ended = true;
            slot.changed.notify_all();
        }
    }
}

impl Drop for Witnesses {
    fn drop(&mut self) {
        self.end();
    }
}

impl Slot {
    fn new(name: String) -> Self {
        let (waiting, changed) = (Mutex::default(), Condvar::new());
        Self { name, waiting, changed, seen: AtomicU64::new(seconds()), failures: AtomicU64::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next note; none at the end.
    fn take(&self) -> Option<String> {
        let mut waiting = self.lock();
        loop {
            if let Some(note) = waiting.note.take() {
                return Some(note);
            }
            if waiting.ended {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for a pause to pass, or the end.
    fn pause(&self, pause: Duration) {
        let waiting = self.lock();
        let still = |waiting: &mut Waiting| !waiting.ended;
        drop(self.changed.wait_timeout_while(waiting, pause, still).unwrap_or_else(PoisonError::into_inner));
    }

    /// The note to try again: a later one, if it came meanwhile.
    fn later(&self, note: String) -> String {
        self.lock().note.take().unwrap_or(note)
    }

    fn ended(&self) -> bool {
        self.lock().ended
    }
}

/// A witness's thread: shows it one note after the other.
fn attend(slot: &Slot, mut witness: Witness) {
    let mut pause = FIRST_PAUSE;
    while let Some(mut note) = slot.take() {
        // After the end there is one more attempt.
        let mut last = false;
        while let Err(error) = witness.show(&note) {
            if slot.failures.fetch_add(1, Ordering::Relaxed) == 0 || pause == LONGEST_PAUSE {
                tracing::error!(%error, witness = slot.name, "a checkpoint of the decision log was not witnessed");
            }
            if last {
                return;
            }
            slot.pause(pause);
            last = slot.ended();
            (pause, note) = ((pause * 2).min(LONGEST_PAUSE), slot.later(note));
        }
        pause = FIRST_PAUSE;
        slot.seen.store(seconds(), Ordering::Relaxed);
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// One place, as its thread sees it.
#[derive(Debug)]
enum Witness {
    Directory { path: PathBuf },
}

impl Witness {
    fn open(config: &WitnessConfig, log: Uuid) -> io::Result<Self> {
        match config {
            WitnessConfig::Directory(directory) => {
                DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
                Ok(Self::Directory { path: directory.join(format!("{log}.checkpoints")) })
            }
        }
    }

    fn show(&mut self, note: &str) -> io::Result<()> {
        match self {
            Self::Directory { path } => append(path, note),
        }
    }
}

/// Appends a note between empty lines, so that what an attempt left that was cut short spoils nothing, and forces it to disk.
/// Opened anew each time: the place may be mounted again.
fn append(path: &Path, note: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(format!("\n{note}\n").as_bytes())?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::audit::tree::checkpoint::notes;

    const LOG: Uuid = Uuid::from_u128(7);

    fn note(number: u64) -> String {
        format!("mandate/{LOG}\n{number}\nroot\n\n\u{2014} name c2ln\n")
    }

    fn start(directory: &Path) -> Witnesses {
        Witnesses::start(&[WitnessConfig::Directory(directory.to_owned())], LOG).unwrap()
    }

    fn kept(directory: &Path) -> Vec<String> {
        let text = fs::read_to_string(directory.join(format!("{LOG}.checkpoints"))).unwrap_or_default();
        notes(&text).into_iter().map(str::to_owned).collect()
    }

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let patience = Instant::now() + Duration::from_secs(120);
        while !holds() {
            assert!(Instant::now() < patience, "{what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn notes_are_appended_one_after_the_other_over_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("witness");
        for number in 0..3 {
            let witnesses = start(&directory);
            witnesses.show(&note(number));
            witnesses.finish(Instant::now() + Duration::from_secs(120));
        }
        assert_eq!(kept(&directory), [note(0), note(1), note(2)]);
    }

    #[test]
    fn a_witness_that_fails_is_counted_delays_nobody_and_is_shown_the_latest_later() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("witness");
        let witnesses = start(&directory);
        fs::remove_dir(&directory).unwrap();
        let state = witnesses.states().remove(0);
        witnesses.show(&note(0));
        until("the failure is counted", || state.failures() > 0);
        let begun = Instant::now();
        for number in 1..100 {
            witnesses.show(&note(number));
        }
        assert!(begun.elapsed() < Duration::from_secs(60));
        fs::create_dir(&directory).unwrap();
        until("the latest is there", || kept(&directory).last() == Some(&note(99)));
        assert_eq!(state.name(), "0-directory");
        until("that is known", || state.seen() > 0);
    }

    #[test]
    fn a_witness_that_never_answers_does_not_hold_up_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("witness");
        let witnesses = start(&directory);
        fs::remove_dir(&directory).unwrap();
        witnesses.show(&note(0));
        let state = witnesses.states().remove(0);
        until("the failure is counted", || state.failures() > 0);
        witnesses.finish(Instant::now() + Duration::from_secs(120));
        assert!(state.failures() >= 2, "one more attempt after the end");
    }

    #[test]
    fn a_place_that_cannot_be_a_folder_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let refused = Witnesses::start(&[WitnessConfig::Directory(file.clone())], LOG).unwrap_err();
        assert!(refused.to_string().contains(&file.display().to_string()), "{refused}");
    }
}

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

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::notary::NotaryError;
use crate::outbound::{self, innermost};

/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest time for a server to be connected to, and to answer.
const MAX_ANSWER: Duration = Duration::from_secs(10);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// To whom checkpoints are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessConfig {
    /// A folder, on another disk or host: notes are appended to `<log id>.checkpoints` there.
    Directory(PathBuf),
    /// A server: each note is posted there as it is, and counts as seen once it is answered with success.
    Url {
        /// Where.
        url: Uri,
        /// Whose word for the server counts (PEM); none: the system's authorities.
        ca_file: Option<PathBuf>,
    },
}

impl WitnessConfig {
    /// The name of its kind, for people and metrics.
    fn kind(&self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
            Self::Url { .. } => "url",
        }
    }

    /// Where it is, without anything secret.
    fn place(&self) -> String {
        match self {
            Self::Directory(path) => path.display().to_string(),
            // What follows a question mark may be secret.
            Self::Url { url, .. } => url.to_string().split('?').next().unwrap_or_default().to_owned(),
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

    pub(super) fn finish(&self, until: Instant) {
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
    Server(Box<Server>),
}

/// A server, and what it is called with.
#[derive(Debug)]
struct Server {
    url: Uri,
    client: HttpClient,
    runtime: Runtime,
}

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

impl Witness {
    fn open(config: &WitnessConfig, log: Uuid) -> io::Result<Self> {
        match config {
            WitnessConfig::Directory(directory) => {
                DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
                Ok(Self::Directory { path: directory.join(format!("{log}.checkpoints")) })
            }
            WitnessConfig::Url { url, ca_file } => {
                Ok(Self::Server(Box::new(Server::open(url, ca_file.as_deref())?)))
            }
        }
    }

    fn show(&mut self, note: &str) -> io::Result<()> {
        match self {
            Self::Directory { path } => append(path, note),
            Self::Server(server) => server.post(note),
        }
    }
}

impl Server {
    fn open(url: &Uri, ca_file: Option<&Path>) -> io::Result<Self> {
        let connector = outbound::connector(url, ca_file, MAX_ANSWER).map_err(io::Error::other)?;
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { url: url.clone(), client, runtime })
    }

    /// Posts a note as it is. What is answered besides a status is nobody's business; redirects are not followed.
    fn post(&self, note: &str) -> io::Result<()> {
        let request = Request::post(self.url.clone())
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(header::USER_AGENT, concat!("mandate/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::copy_from_slice(note.as_bytes())))
            .map_err(io::Error::other)?;
        let answered = self
            .runtime
            .block_on(async { tokio::time::timeout(MAX_ANSWER, self.client.request(request)).await });
        let answered = answered.map_err(|_late| io::Error::other("no answer in time"))?;
        let status = answered.map_err(|error| io::Error::other(innermost(&error)))?.status();
        if status.is_success() { Ok(()) } else { Err(io::Error::other(format!("it answered {status}"))) }
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
#[path = "witness_tests.rs"]
mod tests;

//! An issuer's keys, kept up to date: by one task for each issuer, which alone reads files or fetches.
//!
//! A request never fetches. It may ask for a look out of turn, for a key it does not find, and waits for whatever look is
//! under way; such looks are as rare as the configuration says, however many ask.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::https::Endpoint;
use super::jwks::{KeySet, MAX_JWKS_BYTES};

/// How often a file is looked at.
const POLL: Duration = Duration::from_secs(1);
/// How long keys are kept whose server does not say.
const DEFAULT_AGE: Duration = Duration::from_secs(300);

/// How long keys are kept, and how often they may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLimits {
    /// Least time until keys are fetched again in turn.
    pub min_age: Duration,
    /// Longest.
    pub max_age: Duration,
    /// How long keys are used beyond that while they cannot be fetched; then nothing verifies.
    pub stale: Duration,
    /// Least time between two looks that unknown keys cause.
    pub refetch: Duration,
}

/// Where an issuer's keys come from.
#[derive(Debug)]
pub enum Source {
    /// A file, read again when it changes.
    File(PathBuf),
    /// An address.
    Url(Box<Endpoint>),
}

/// What came of looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Keys were read.
    Read,
    /// The document could not be had.
    Failed,
    /// The document is no key set with a key that can verify.
    Rejected,
    /// A key was unknown, and it was too early to look again.
    Limited,
}

impl Look {
    /// Every outcome, with the name metrics give it.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Read, "read"),
        (Self::Failed, "failed"),
        (Self::Rejected, "rejected"),
        (Self::Limited, "limited"),
    ];
}

/// The keys of one issuer.
#[derive(Debug)]
pub struct Keys {
    issuer: String,
    purpose: String,
    limits: KeyLimits,
    held: ArcSwapOption<Held>,
    asked: Notify,
    /// Counts looks; those who wait see it change.
    looks: watch::Sender<u64>,
    looking: AtomicBool,
    last_asked: Mutex<Option<Instant>>,
    last_problem: Mutex<String>,
    counts: [AtomicU64; 4],
}

#[derive(Debug)]
struct Held {
    set: Arc<KeySet>,
    at: Instant,
    usable_until: Instant,
}

impl Keys {
    /// No keys yet. `purpose` is the `use` that they must have where they say one.
    pub fn new(issuer: &str, purpose: &str, limits: KeyLimits) -> Self {
        Self {
            issuer: issuer.to_owned(),
            purpose: purpose.to_owned(),
            limits,
            held: ArcSwapOption::empty(),
            asked: Notify::new(),
            looks: watch::Sender::new(0),
            // The first look is on its way: whoever waits for it has asked for none out of turn.
            looking: AtomicBool::new(true),
            last_asked: Mutex::new(None),
            last_problem: Mutex::default(),
            counts: Default::default(),
        }
    }

    /// The keys that may verify now; none before the first were read, and none once they are too old.
    #[must_use]
    pub fn current(&self) -> Option<Arc<KeySet>> {
        let held = self.held.load();
        held.as_ref().filter(|held| Instant::now() < held.usable_until).map(|held| Arc::clone(&held.set))
    }

    /// Seconds since the keys were read.
    #[must_use]
    pub fn age(&self) -> Option<f64> {
        self.held.load().as_ref().map(|held| held.at.elapsed().as_secs_f64())
    }

    /// How often looking came to this.
    #[must_use]
    pub fn count(&self, look: Look) -> u64 {
        self.counts.get(look as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Waits for other keys than those seen: for the look that is under way, or for one out of turn if it is not too early
    /// for another.
    pub async fn renewed(&self, seen: Option<&Arc<KeySet>>) {
        let mut looks = self.looks.subscribe();
        if self.current().as_ref().map(Arc::as_ptr) != seen.map(Arc::as_ptr) {
            return;
        }
        if !self.looking.load(Ordering::Acquire) {
            if !self.may_look() {
                self.counted(Look::Limited);
                return;
            }
            self.asked.notify_one();
        }
        // An error means that nobody looks any more: there is nothing to wait for.
        drop(looks.changed().await);
    }

    /// Whether a look out of turn is due; if so, none is for a while.
    fn may_look(&self) -> bool {
        let mut last = self.last_asked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= self.limits.refetch);
        if due {
            *last = Some(Instant::now());
        }
        due
    }

    /// Keeps the keys up to date, for as long as it is polled.
    pub async fn keep(self: Arc<Self>, source: Source) {
        let mut seen = None;
        let mut next = Instant::now();
        loop {
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.asked.notified() => {}
            }
            self.looking.store(true, Ordering::Release);
            next = match &source {
                Source::File(path) => {
                    seen = self.look_at_file(path, seen.take()).await;
                    Instant::now() + POLL
                }
                Source::Url(endpoint) => Instant::now() + self.fetch(endpoint).await,
            };
            self.looking.store(false, Ordering::Release);
            self.looks.send_modify(|looks| *looks += 1);
        }
    }

    /// Fetches once; how long until the next time.
    async fn fetch(&self, endpoint: &Endpoint) -> Duration {
        let fetched = endpoint.fetch().await;
        let age = fetched.as_ref().ok().and_then(|fetched| fetched.max_age).unwrap_or(DEFAULT_AGE);
        let age = age.clamp(self.limits.min_age, self.limits.max_age);
        match fetched {
            Err(problem) => self.failed(Look::Failed, &problem),
            Ok(fetched) => match self.take(&fetched.document, age) {
                Ok(()) => return age,
                Err(problem) => self.failed(Look::Rejected, &problem),
            },
        }
        self.limits.refetch.min(self.limits.min_age)
    }

    /// Reads a file if it changed, where a read that hangs keeps nobody from deciding. One that stands as it was is as good
    /// as read again. Returns what was read.
    async fn look_at_file(self: &Arc<Self>, path: &Path, seen: Option<Fingerprint>) -> Option<Fingerprint> {
        let (keys, path) = (Arc::clone(self), path.to_owned());
        let looked = tokio::task::spawn_blocking(move || {
            let found = Fingerprint::of(&path);
            if found.is_some() && found == seen {
                keys.renew();
                return seen;
            }
            let read = read_limited(&path).map_err(|problem| (Look::Failed, problem)).and_then(|document| {
                keys.take(&document, keys.limits.max_age).map_err(|problem| (Look::Rejected, problem))
            });
            match read {
                Ok(()) => found,
                Err((look, problem)) => {
                    keys.failed(look, &problem);
                    None
                }
            }
        });
        looked.await.unwrap_or_default()
    }

    /// Takes over a document, if it holds a key.
    fn take(&self, document: &[u8], age: Duration) -> Result<(), String> {
        let set = KeySet::parse(document, &self.purpose)?;
        for problem in &set.unusable {
            tracing::debug!(issuer = self.issuer, problem, "a key of the set is of no use");
        }
        if set.is_empty() {
            let first = set.unusable.first().map_or("it is empty", String::as_str);
            return Err(format!("has no key that can verify a token: {first}"));
        }
        self.counted(Look::Read);
        self.last_problem.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let at = Instant::now();
        let usable_until = at + age + self.limits.stale;
        self.held.store(Some(Arc::new(Held { set: Arc::new(set), at, usable_until })));
        Ok(())
    }

    /// The keys held are as good as new.
    fn renew(&self) {
        let Some(held) = self.held.load_full() else { return };
        let at = Instant::now();
        let usable_until = at + self.limits.max_age + self.limits.stale;
        self.held.store(Some(Arc::new(Held { set: Arc::clone(&held.set), at, usable_until })));
    }

    /// Counts a failure, and tells of it if it is not the last one again.
    fn failed(&self, look: Look, problem: &str) {
        self.counted(look);
        let mut last = self.last_problem.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == problem {
            return;
        }
        problem.clone_into(&mut last);
        let holding = self.current().is_some();
        tracing::warn!(issuer = self.issuer, problem, holding, "the keys of an issuer cannot be renewed");
    }

    fn counted(&self, look: Look) {
        if let Some(count) = self.counts.get(look as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Reads a file of keys at once: a start needs them, and says what is wrong with them.
    ///
    /// # Errors
    /// What is wrong.
    pub fn read_file(&self, path: &Path) -> Result<(), String> {
        self.take(&read_limited(path)?, self.limits.max_age)
    }
}

/// What tells a file from its next version.
#[derive(Debug, PartialEq, Eq)]
struct Fingerprint {
    length: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

impl Fingerprint {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode: {
                use std::os::unix::fs::MetadataExt as _;
                (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
            },
        })
    }
}

/// A file, if it is no larger than a set of keys may be.
fn read_limited(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut document = Vec::new();
    let limit = u64::try_from(MAX_JWKS_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut document).map_err(failed)?;
    Ok(document)
}

//! Following files that are no sources of worlds: whoever reads them is told once they have changed and stand still.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use serde::Serialize;

use super::folder::{self, Look, Stamp, unreadable};
use super::settling::{Seen, Settling, Verdict};
use crate::engine::content::Content;
use crate::engine::guard::MAX_FILE_BYTES;
use crate::engine::problem::{Place, Problem, Report, SourceFile};

/// What policies' files end with.
const POLICIES: &str = ".cedar";

/// Reads every policy file directly in a folder, by name: one whole state of it.
///
/// # Errors
/// A [`Report`] naming what cannot be read, or that it did not stand still.
pub fn read_policies(folder: &Path) -> Result<Vec<SourceFile>, Report> {
    let refuse = |problem| Err(Report { problems: vec![problem] });
    let look = Look::at(folder);
    if let Err(error) = &look.place {
        return refuse(unreadable(folder, &error.message));
    }
    let names = look.entries.iter().map(|entry| &entry.name);
    let named = names.filter(|name| name.as_encoded_bytes().ends_with(POLICIES.as_bytes()));
    let mut report = Report::default();
    let mut files = Vec::new();
    for name in named {
        match look.read(name, MAX_FILE_BYTES) {
            Ok(file) => files.push(file),
            Err(unread) => report.push(unread.problem),
        }
    }
    if Look::at(folder) != look {
        let place = Place::new(&folder.display().to_string(), "");
        return refuse(Problem::error(&place, "its files changed while they were read"));
    }
    if report.rejects() { Err(report) } else { Ok(files) }
}

/// Reads a regular file of at most so many bytes.
///
/// # Errors
/// It cannot be read, or is larger; the error names it.
pub fn read_file(path: &Path, limit: usize) -> io::Result<Content> {
    let at = |error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display()));
    folder::read_file(path, limit).map_err(at)
}

/// Files and folders as they looked at some time: before they were read first.
#[derive(Debug)]
pub struct Looked {
    paths: Vec<PathBuf>,
    known: Settling<Looks>,
}

impl Looked {
    /// Looks at them now.
    #[must_use]
    pub fn at(paths: Vec<PathBuf>) -> Self {
        Self { known: Settling::after(Some(Looks::at(&paths))), paths }
    }
}

/// Files and folders that are read together, and what reads them.
pub struct Followed {
    name: &'static str,
    looked: Looked,
    take: Box<dyn FnMut() -> Result<(), String> + Send>,
}

/// What came of the changes of followed files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FollowStatus {
    /// What they are.
    pub name: &'static str,
    /// How often they were taken since the start.
    pub taken: u64,
    /// How often they were rejected: what was taken before stayed.
    pub rejected: u64,
    /// What is wrong with them as they are now.
    pub problem: Option<String>,
}

/// What came of everything that is followed.
pub type FollowStatuses = Arc<ArcSwap<Vec<FollowStatus>>>;

impl std::fmt::Debug for Followed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Followed")
            .field("name", &self.name)
            .field("looked", &self.looked)
            .finish_non_exhaustive()
    }
}

impl Followed {
    /// What was looked at, and what is called whenever it has changed since. It says why it does not take what it finds.
    pub fn new(
        name: &'static str,
        looked: Looked,
        take: impl FnMut() -> Result<(), String> + Send + 'static,
    ) -> Self {
        Self { name, looked, take: Box::new(take) }
    }
}

/// What paths looked like.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Looks(Vec<Shape>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Folder(Look),
    File(Stamp),
}

impl Looks {
    fn at(paths: &[PathBuf]) -> Self {
        let look = |path: &PathBuf| {
            if path.is_dir() { Shape::Folder(Look::at(path)) } else { Shape::File(Stamp::of(path)) }
        };
        Self(paths.iter().map(look).collect())
    }
}

impl Seen for Looks {
    fn is_recent(&self, now: SystemTime) -> bool {
        self.0.iter().any(|shape| match shape {
            Shape::Folder(look) => look.is_recent(now),
            Shape::File(stamp) => stamp.is_recent(now),
        })
    }
}

/// A thread that follows; it ends when this is dropped.
#[derive(Debug)]
pub struct Follower {
    statuses: FollowStatuses,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Follows from now on. Paths are looked at every `poll`, and must stand still for `settle`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn spawn(followed: Vec<Followed>, poll: Duration, settle: Duration) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let begun = followed.iter().map(|one| FollowStatus { name: one.name, ..FollowStatus::default() });
        let statuses = Arc::new(ArcSwap::from_pointee(begun.collect::<Vec<_>>()));
        let told = Arc::clone(&statuses);
        let mut followed = followed;
        let thread = thread::Builder::new().name("mandate-follow".to_owned()).spawn(move || {
            let mut wait = poll;
            while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                wait = round(&mut followed, &told, settle).map_or(poll, |wait| wait.min(poll));
            }
        })?;
        Ok(Self { statuses, stop: Some(stop), thread: Some(thread) })
    }

    /// What came of the changes.
    #[must_use]
    pub fn statuses(&self) -> FollowStatuses {
        Arc::clone(&self.statuses)
    }
}

/// Looks at everything once; says when to look again, if before the next poll.
fn round(followed: &mut [Followed], told: &FollowStatuses, settle: Duration) -> Option<Duration> {
    let mut statuses = told.load().to_vec();
    let waits = followed.iter_mut().zip(&mut statuses);
    let wait = waits.filter_map(|(one, status)| step(one, status, settle)).min();
    told.store(Arc::new(statuses));
    wait
}

fn step(followed: &mut Followed, status: &mut FollowStatus, settle: Duration) -> Option<Duration> {
    let Followed { name, looked: Looked { paths, known }, take } = followed;
    let looks = Looks::at(paths);
    let verdict = known.see(&looks, settle, Instant::now());
    if verdict == Verdict::Ready {
        status.problem = take().err();
        match &status.problem {
            None => {
                status.taken += 1;
                tracing::info!(what = name, "changed files are in force");
            }
            Some(problem) => {
                status.rejected += 1;
                tracing::error!(what = name, %problem, "changed files are rejected; what was in force stays");
            }
        }
        // What changed while it was read is not known.
        known.handled((Looks::at(paths) == looks).then_some(looks));
    }
    verdict.wait()
}

impl Drop for Follower {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It does nothing but look; one that panicked has said so.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn changes_of_files_and_folders_are_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let (file, inner) = (folder.path().join("key.pem"), folder.path().join("pep"));
        fs::write(&file, "one").unwrap();
        fs::create_dir(&inner).unwrap();
        let told = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&told);
        let followed = Followed::new("both", Looked::at(vec![file.clone(), inner.clone()]), move || {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        let tick = Duration::from_millis(5);
        let _follower = Follower::spawn(vec![followed], tick, Duration::ZERO).unwrap();
        let told_after = |change: &dyn Fn()| {
            thread::sleep(Duration::from_millis(150));
            let before = told.load(Ordering::SeqCst);
            change();
            let begun = Instant::now();
            while told.load(Ordering::SeqCst) == before {
                assert!(begun.elapsed() < Duration::from_secs(10), "nobody was told");
                thread::sleep(tick);
            }
        };
        told_after(&|| fs::write(&file, "two").unwrap());
        told_after(&|| fs::write(inner.join("a.cedar"), "").unwrap());
        told_after(&|| fs::remove_file(&file).unwrap());
        told_after(&|| fs::remove_dir_all(&inner).unwrap());
    }
}

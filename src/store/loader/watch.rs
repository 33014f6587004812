//! File events: they wake the loader sooner than the next poll. Without them it works as well, only later.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak, mpsc};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::super::folder::{MANIFEST, MOUNT};
use super::command::Message;

/// Wakes the loader once for however many events. Holding it does not keep the loader running.
#[derive(Debug, Clone)]
pub(super) struct Waker {
    messages: Weak<mpsc::Sender<Message>>,
    woken: Arc<AtomicBool>,
}

impl Waker {
    pub(super) fn new(messages: &Arc<mpsc::Sender<Message>>) -> Self {
        Self { messages: Arc::downgrade(messages), woken: Arc::default() }
    }

    /// Wakes the loader, unless it was woken and has not slept since.
    fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel)
            && let Some(messages) = self.messages.upgrade()
        {
            // An error means that the loader has ended.
            drop(messages.send(Message::Files));
        }
    }

    /// Events from now on wake again.
    pub(super) fn rest(&self) {
        self.woken.store(false, Ordering::Release);
    }
}

/// Watches on folders, set again whenever a folder is replaced.
#[derive(Debug)]
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    targets: Vec<Target>,
}

#[derive(Debug)]
struct Target {
    path: PathBuf,
    /// Device and inode that the watch is on.
    armed: Option<(u64, u64)>,
}

impl Watch {
    /// Watches folders and what holds them. None if the system has no events to give.
    pub(super) fn new(folders: &[&Path], waker: Waker) -> Option<Self> {
        let watched: Vec<PathBuf> = folders.iter().map(|folder| absolute(folder)).collect();
        let mut paths: Vec<PathBuf> = watched.clone();
        paths.extend(watched.iter().filter_map(|folder| folder.parent()).map(Path::to_owned));
        paths.sort();
        paths.dedup();
        let woken = move |event: notify::Result<Event>| {
            if event.map_or(true, |event| is_relevant(&event, &watched)) {
                waker.wake();
            }
        };
        match notify::recommended_watcher(woken) {
            Ok(watcher) => {
                let targets = paths.into_iter().map(|path| Target { path, armed: None }).collect();
                Some(Self { watcher, targets })
            }
            Err(error) => {
                tracing::warn!(%error, "file events are not available: changes are found by polling");
                None
            }
        }
    }

    /// Sets each watch whose folder is another one than it was set on.
    pub(super) fn rearm(&mut self) {
        for target in &mut self.targets {
            let found = fs::metadata(&target.path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
            if found == target.armed {
                continue;
            }
            // The watch may have gone with its folder.
            drop(self.watcher.unwatch(&target.path));
            target.armed = None;
            if found.is_some() {
                match self.watcher.watch(&target.path, RecursiveMode::NonRecursive) {
                    Ok(()) => target.armed = found,
                    Err(error) => {
                        tracing::debug!(folder = %target.path.display(), %error, "cannot be watched");
                    }
                }
            }
        }
    }
}

/// Whether files that matter may have changed. Reading them is an event too, which must not wake their reader; nor
/// should whatever else happens in the folder above.
fn is_relevant(event: &Event, folders: &[PathBuf]) -> bool {
    let changes = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    };
    let concerns = |path: &PathBuf| {
        folders.iter().any(|folder| path.starts_with(folder))
            || path.file_name().is_some_and(|name| name == MANIFEST || name == MOUNT)
    };
    changes && (event.paths.is_empty() || event.paths.iter().any(concerns))
}

fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_error| folder.to_owned())
}

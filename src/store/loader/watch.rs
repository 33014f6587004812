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

    /// Wakes the loader because work is done.
    pub(super) fn tell_done(&self) {
        if let Some(messages) = self.messages.upgrade() {
            drop(messages.send(Message::Done));
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

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, Flag, ModifyKind, RenameMode};

    use super::*;

    /// Whether an event of that kind at that path wakes a loader of `/etc/mandate/policies`.
    fn wakes(kind: EventKind, path: &str) -> bool {
        is_relevant(&Event::new(kind).add_path(path.into()), &["/etc/mandate/policies".into()])
    }

    #[test]
    fn what_changes_files_wakes_and_reading_them_does_not() {
        let path = "/etc/mandate/policies/a.cedar";
        for kind in [
            EventKind::Create(CreateKind::File),
            EventKind::Modify(ModifyKind::Name(RenameMode::To)),
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            EventKind::Other,
        ] {
            assert!(wakes(kind, path), "{kind:?}");
        }
        for kind in [AccessKind::Open(AccessMode::Any), AccessKind::Read, AccessKind::Close(AccessMode::Read)]
        {
            assert!(!wakes(EventKind::Access(kind), path), "{kind:?}");
        }
    }

    #[test]
    fn beside_the_folders_only_they_themselves_and_the_manifest_matter() {
        let created = EventKind::Create(CreateKind::Any);
        for (path, expected) in [
            ("/etc/mandate/policies", true),
            ("/etc/mandate/policies/..data", true),
            ("/etc/mandate/mandate.sum", true),
            ("/etc/mandate/policies-of-others/a.cedar", false),
            ("/etc/mandate/data", false),
        ] {
            assert_eq!(wakes(created, path), expected, "{path}");
        }
        let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(is_relevant(&overflow, &[]), "lost events may have been any");
    }
}

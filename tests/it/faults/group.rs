//! Control groups: a process in one may use no more of something than that, and the kernel sees to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the kernel shows them.
const ROOT: &str = "/sys/fs/cgroup";

/// A control group of this run's own, gone when this is dropped.
#[derive(Debug)]
pub(super) struct ControlGroup {
    folder: PathBuf,
}

impl ControlGroup {
    /// One that a controller holds to limits, which are files and what is in them, in the first version of the kernel's hierarchies and
    /// in the second. None if none can be made.
    pub(super) fn with(controller: &str, first: &[(&str, &str)], second: &[(&str, &str)]) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let own = Path::new(ROOT).join(controller);
        let (root, limits) = if own.is_dir() { (own, first) } else { (PathBuf::from(ROOT), second) };
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = root.join(format!("mandate-faults-{}-{number}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        let group = Self { folder };
        limits.iter().try_for_each(|(file, limit)| fs::write(group.folder.join(file), limit)).ok()?;
        Some(group)
    }

    /// Where the kernel shows it.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.folder));
    }
}

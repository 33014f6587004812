//! Control groups: a process in one may use no more of something than that, and the kernel sees to it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, io};

use nix::unistd::Pid;

/// Where the kernel shows them.
const ROOT: &str = "/sys/fs/cgroup";

/// A control group of this run's own, gone when this is dropped, and the one that this process is in.
#[derive(Debug)]
pub(super) struct ControlGroup {
    folder: PathBuf,
    before: PathBuf,
}

impl ControlGroup {
    /// One that a controller holds to limits, which are files and what is in them, in the first version of the kernel's hierarchies and
    /// in the second. None if none can be made.
    pub(super) fn with(controller: &str, first: &[(&str, &str)], second: &[(&str, &str)]) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let own = Path::new(ROOT).join(controller);
        let (root, before, limits) = if own.is_dir() {
            let is_of = |names: &str| names.split(',').any(|name| name == controller);
            let is_line = |line: &str| line.split(':').nth(1).is_some_and(is_of);
            let before = group_of_this_process(&own, is_line)?;
            (own, before, first)
        } else {
            let all = PathBuf::from(ROOT);
            let before = group_of_this_process(&all, |line| line.starts_with("0::"))?;
            (all, before, second)
        };
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = root.join(format!("mandate-faults-{}-{number}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        let group = Self { folder, before };
        limits.iter().try_for_each(|(file, limit)| fs::write(group.folder.join(file), limit)).ok()?;
        Some(group)
    }

    /// Where the kernel shows it.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts a process into it.
    pub(super) fn take(&self, pid: Pid) -> io::Result<()> {
        fs::write(self.folder.join("cgroup.procs"), pid.to_string())
    }

    /// Puts it back.
    pub(super) fn give_back(&self, pid: Pid) -> io::Result<()> {
        fs::write(self.before.join("cgroup.procs"), pid.to_string())
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.folder));
    }
}

/// The folder of the group that this process is in, under this root, by a line of `/proc/self/cgroup` that is of its kind.
fn group_of_this_process(root: &Path, is_line: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let lines = fs::read_to_string("/proc/self/cgroup").ok()?;
    let line = lines.lines().find(|line| is_line(line))?;
    let inside = root.join(line.rsplit(':').next()?.trim_start_matches('/'));
    // A container may see its own group as the root, and be told another name.
    Some(if inside.is_dir() { inside } else { root.to_owned() })
}

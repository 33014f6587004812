//! Holding a process to a part of a core, so that a machine with few of them can overload it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Process, Sources};

/// How often the share is given out anew.
const PERIOD: Duration = Duration::from_millis(20);

/// A process that may use a part of a core, until this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    pid: Pid,
    by: By,
}

#[derive(Debug)]
enum By {
    /// A control group.
    Group(Group),
    /// Stopping it for the rest of each period.
    Signals { end: Arc<AtomicBool>, thread: Option<JoinHandle<()>> },
}

impl Share {
    /// Starts a server that may use so many hundredths of a core, as a container does: it is so when it counts its processors.
    pub(crate) fn start(sources: &Sources, percent: u32) -> (Process, Self) {
        let group = Group::with(percent);
        let process = Process::start_within(sources, group.as_ref().map(|group| group.mine.as_path()), &[]);
        let pid = process.pid();
        let by = group.map_or_else(|| signals(pid, percent), By::Group);
        (process, Self { pid, by })
    }

    /// Holds a process to so many hundredths of a core: by a control group where one can be made, else by stopping it again and again.
    pub(crate) fn of_a_core(pid: Pid, percent: u32) -> Self {
        let group = Group::with(percent).filter(|group| group.take(pid).is_ok());
        Self { pid, by: group.map_or_else(|| signals(pid, percent), By::Group) }
    }

    /// The same, where no control group can be made.
    pub(crate) fn by_signals(pid: Pid, percent: u32) -> Self {
        Self { pid, by: signals(pid, percent) }
    }

    /// How it is done, for the record.
    pub(crate) fn means(&self) -> &'static str {
        match self.by {
            By::Group(_) => "control group",
            By::Signals { .. } => "signals",
        }
    }
}

fn micros(percent: u32) -> u128 {
    PERIOD.as_micros() * u128::from(percent) / 100
}

/// A control group that may use a part of a core, and the one that this process is in.
#[derive(Debug)]
struct Group {
    mine: PathBuf,
    before: PathBuf,
}

impl Group {
    /// One for so many hundredths of a core, if one can be made.
    fn with(percent: u32) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let first = Path::new("/sys/fs/cgroup/cpu");
        let (period, quota) = (PERIOD.as_micros(), micros(percent));
        let (root, before, limits) = if first.is_dir() {
            let of_processors = |line: &str| {
                line.split(':').nth(1).is_some_and(|names| names.split(',').any(|name| name == "cpu"))
            };
            let limits =
                vec![("cpu.cfs_period_us", period.to_string()), ("cpu.cfs_quota_us", quota.to_string())];
            (first, group_of_this_process(first, of_processors)?, limits)
        } else {
            let second = Path::new("/sys/fs/cgroup");
            let before = group_of_this_process(second, |line| line.starts_with("0::"))?;
            (second, before, vec![("cpu.max", format!("{quota} {period}"))])
        };
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let mine = root.join(format!("mandate-faults-{}-{number}", std::process::id()));
        fs::create_dir(&mine).ok()?;
        let group = Self { mine, before };
        limits.iter().try_for_each(|(file, limit)| fs::write(group.mine.join(file), limit)).ok()?;
        Some(group)
    }

    /// Puts a process into it.
    fn take(&self, pid: Pid) -> io::Result<()> {
        fs::write(self.mine.join("cgroup.procs"), pid.to_string())
    }

    /// Puts it back.
    fn give_back(&self, pid: Pid) -> io::Result<()> {
        fs::write(self.before.join("cgroup.procs"), pid.to_string())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.mine));
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

fn signals(pid: Pid, percent: u32) -> By {
    let end = Arc::new(AtomicBool::new(false));
    let ending = Arc::clone(&end);
    let running = PERIOD * percent / 100;
    let thread = std::thread::spawn(move || {
        // A process that has ended needs no holding.
        while !ending.load(Ordering::Relaxed) && kill(pid, Signal::SIGSTOP).is_ok() {
            std::thread::sleep(PERIOD.saturating_sub(running));
            _ = kill(pid, Signal::SIGCONT);
            std::thread::sleep(running);
        }
    });
    By::Signals { end, thread: Some(thread) }
}

impl Drop for Share {
    fn drop(&mut self) {
        match &mut self.by {
            // It may have ended.
            By::Group(group) => drop(group.give_back(self.pid)),
            By::Signals { end, thread } => {
                end.store(true, Ordering::Relaxed);
                drop(thread.take().map(JoinHandle::join));
            }
        }
    }
}

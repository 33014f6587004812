//! Holding a process to a part of a core, so that a machine with few of them can overload it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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
    /// A control group, and the one that the process was in before.
    Group { mine: PathBuf, before: PathBuf },
    /// Stopping it for the rest of each period.
    Signals { end: Arc<AtomicBool>, thread: Option<JoinHandle<()>> },
}

impl Share {
    /// Holds a process to so many hundredths of a core: by a control group where one can be made, else by stopping it again and again.
    pub(crate) fn of_a_core(pid: Pid, percent: u32) -> Self {
        let by = group(pid, percent).unwrap_or_else(|| signals(pid, percent));
        Self { pid, by }
    }

    /// The same, where no control group can be made.
    pub(crate) fn by_signals(pid: Pid, percent: u32) -> Self {
        Self { pid, by: signals(pid, percent) }
    }

    /// How it is done, for the record.
    pub(crate) fn means(&self) -> &'static str {
        match self.by {
            By::Group { .. } => "control group",
            By::Signals { .. } => "signals",
        }
    }
}

fn micros(percent: u32) -> u128 {
    PERIOD.as_micros() * u128::from(percent) / 100
}

/// The folder of the group that a process is in, under this root, by a line of `/proc/<pid>/cgroup` that begins so.
fn group_of(pid: Pid, root: &Path, is_line: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let lines = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let line = lines.lines().find(|line| is_line(line))?;
    let inside = root.join(line.rsplit(':').next()?.trim_start_matches('/'));
    // A container may see its own group as the root, and be told another name.
    Some(if inside.is_dir() { inside } else { root.to_owned() })
}

fn group(pid: Pid, percent: u32) -> Option<By> {
    let first = Path::new("/sys/fs/cgroup/cpu");
    let second = Path::new("/sys/fs/cgroup");
    let limits = if first.is_dir() {
        vec![
            ("cpu.cfs_period_us", PERIOD.as_micros().to_string()),
            ("cpu.cfs_quota_us", micros(percent).to_string()),
        ]
    } else {
        vec![("cpu.max", format!("{} {}", micros(percent), PERIOD.as_micros()))]
    };
    let (root, before) = if first.is_dir() {
        let of_processors = |line: &str| {
            line.split(':').nth(1).is_some_and(|names| names.split(',').any(|name| name == "cpu"))
        };
        (first, group_of(pid, first, of_processors)?)
    } else {
        (second, group_of(pid, second, |line| line.starts_with("0::"))?)
    };
    let mine = root.join(format!("mandate-faults-{pid}"));
    fs::create_dir(&mine).ok()?;
    let entered = limits.iter().try_for_each(|(file, limit)| fs::write(mine.join(file), limit));
    if entered.and_then(|()| fs::write(mine.join("cgroup.procs"), pid.to_string())).is_err() {
        drop(fs::remove_dir(&mine));
        return None;
    }
    Some(By::Group { mine, before })
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
            By::Group { mine, before } => {
                // It may have ended.
                drop(fs::write(before.join("cgroup.procs"), self.pid.to_string()));
                drop(fs::remove_dir(mine));
            }
            By::Signals { end, thread } => {
                end.store(true, Ordering::Relaxed);
                drop(thread.take().map(JoinHandle::join));
            }
        }
    }
}

//! Holding a process to a part of a core, so that a machine with few of them can overload it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::group::ControlGroup;
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
    Group(ControlGroup),
    /// Stopping it for the rest of each period.
    Signals { end: Arc<AtomicBool>, thread: Option<JoinHandle<()>> },
}

impl Share {
    /// Starts a server that may use so many hundredths of a core, as a container does: it is so when it counts its processors.
    pub(crate) fn start(sources: &Sources, percent: u32) -> (Process, Self) {
        let group = group(percent);
        let process = Process::start_within(sources, group.as_ref().map(ControlGroup::folder), &[]);
        let pid = process.pid();
        let by = group.map_or_else(|| signals(pid, percent), By::Group);
        (process, Self { pid, by })
    }

    /// Holds a process to so many hundredths of a core: by a control group where one can be made, else by stopping it again and again.
    pub(crate) fn of_a_core(pid: Pid, percent: u32) -> Self {
        let group = group(percent).filter(|group| group.take(pid).is_ok());
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

/// A control group that may use so many hundredths of a core, if one can be made.
fn group(percent: u32) -> Option<ControlGroup> {
    let (period, quota) = (PERIOD.as_micros().to_string(), micros(percent).to_string());
    let both = format!("{quota} {period}");
    ControlGroup::with(
        "cpu",
        &[("cpu.cfs_period_us", &period), ("cpu.cfs_quota_us", &quota)],
        &[("cpu.max", &both)],
    )
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

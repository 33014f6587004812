//! Holding a process to a part of a core, so that a machine with few of them can overload it.
//!
//! It runs on one processor and is stopped whenever it has used more than its part, some milliseconds at a time: a slow core. The kernel's
//! own bandwidth control deals out shares to processors and enforces them at its ticks; what it holds to a fifth of a core by 4 ms of
//! every 20 stands still for up to 40, which is then what a test of latency measures.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::{Pid, gettid};

use crate::support::{Process, Sources};

/// How often is looked at what it has used.
const LOOK: Duration = Duration::from_millis(1);
/// What it may use at once, if it has used nothing for long: its part of this.
const PERIOD: Duration = Duration::from_millis(10);

/// A process that may use a part of a core, until this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Share {
    /// Starts a server that may use so many hundredths of a core, and counts one processor.
    pub(crate) fn start(sources: &Sources, percent: u32) -> (Process, Self) {
        let process = Process::start_on_processor(sources, &first_processor());
        let share = Self::of_a_core(process.pid(), percent);
        (process, share)
    }

    /// Holds a process to so many hundredths of a core.
    pub(crate) fn of_a_core(pid: Pid, percent: u32) -> Self {
        let clock = clock_getcpuclockid(pid).expect("the clock of a process of ours");
        let end = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            go_first();
            hold(pid, clock, f64::from(percent) / 100.0, &ending);
        });
        Self { end, thread: Some(thread) }
    }
}

/// Stops the process whenever it has used more than its part, and lets it go on once it has not, until told to end.
fn hold(pid: Pid, clock: ClockId, part: f64, end: &AtomicBool) {
    let most = PERIOD.as_secs_f64() * part;
    let (mut left, mut stopped) = (most, false);
    let (mut looked, mut before) = (Instant::now(), used(clock));
    while !end.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
        let (now, used) = (Instant::now(), used(clock));
        left = (left + (now - looked).as_secs_f64() * part).min(most) - (used - before).as_secs_f64();
        (looked, before) = (now, used);
        let stop = left < 0.0;
        // A process that has ended needs no holding.
        if stop != stopped && kill(pid, if stop { Signal::SIGSTOP } else { Signal::SIGCONT }).is_err() {
            return;
        }
        stopped = stop;
    }
    _ = kill(pid, Signal::SIGCONT);
}

/// Processor time that was used. A process that has ended uses no more.
fn used(clock: ClockId) -> Duration {
    clock.now().map_or(Duration::ZERO, Duration::from)
}

/// Has this thread run as soon as it is to, however busy those are that the process is overloaded by. Where that is not allowed, shares
/// are less exact.
fn go_first() {
    let thread = gettid().to_string();
    let given = Command::new("renice").args(["-n", "-20", "-p", &thread]).output();
    if !given.is_ok_and(|given| given.status.success()) {
        eprintln!("shares of a core are less exact: this may not run before others");
    }
}

/// The first processor that this process may use.
fn first_processor() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("what this process may use");
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    allowed.expect("processors").trim().chars().take_while(char::is_ascii_digit).collect()
}

impl Drop for Share {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

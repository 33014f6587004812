//! CPU time of a server, counted in two ways.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use crate::Attempt;

/// What the living threads of a process have spent on a CPU, from the scheduler's own account in nanoseconds.
///
/// # Errors
/// The kernel keeps no such account.
pub(crate) fn of_threads(pid: u32) -> Attempt<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = thread?.path().join("schedstat");
        let text = fs::read_to_string(&path)?;
        let running = text.split_whitespace().next().ok_or_else(|| format!("{} is empty", path.display()))?;
        nanos += running.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// What all children that have ended and been waited for have spent, in user and kernel mode.
///
/// # Errors
/// The system call fails.
pub(crate) fn of_ended_children() -> Attempt<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.try_into()?))
}

//! CPU time of a server that runs.

use std::fs;
use std::time::Duration;

use crate::Attempt;

/// What Linux counts CPU time in where it tells processes of it.
const TICK: Duration = Duration::from_millis(10);

/// What a process has spent on CPUs so far, in user and kernel mode, threads that have ended included.
///
/// # Errors
/// The process has ended, or the kernel keeps no such account.
pub(crate) fn of_process(pid: u32) -> Attempt<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything; what is counted are the 14th and 15th words.
    let (_, rest) = text.rsplit_once(") ").ok_or("the kernel's account is of another form")?;
    let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}

//! CPU time of a server that runs.

use std::fs;
use std::time::Duration;

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

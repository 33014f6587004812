//! CPU time of servers that have ended: a second way to count it.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use crate::Attempt;

/// What all children that have ended and been waited for have spent, in user and kernel mode.
///
/// # Errors
/// The system call fails.
pub(crate) fn of_ended() -> Attempt<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.try_into()?))
}

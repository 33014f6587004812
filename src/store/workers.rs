//! Threads to compile on, and how threads give way to those that answer requests.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use rustix::process::{getpriority_process, setpriority_process};
#[cfg(target_os = "linux")]
use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, unix};

use crate::engine::compile::Workers;

/// The niceness of threads that give way mostly.
const NICE: i32 = 10;

/// As many threads as the machine runs at once. Each has the priority of the thread that compiles.
pub fn all() -> Workers {
    Workers { threads: available_parallelism().unwrap_or(NonZeroUsize::MIN) }
}

/// How far a thread gives way to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GiveWay {
    /// It runs when nobody else would, and stops at once when somebody would. A thread of low priority would stop only at the
    /// end of its slice: three milliseconds by default, which is fifty decisions.
    Wholly,
    /// It gets a small share of busy processors.
    Mostly,
}

/// Lowers the priority of the calling thread, and so of those that it starts, where threads have one of their own. Elsewhere it
/// would be the whole process's.
pub(crate) fn give_way(way: GiveWay) {
    // A thread that may not do so works all the same.
    #[cfg(target_os = "linux")]
    if way == GiveWay::Wholly {
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let _as_it_was =
            unix::set_thread_priority_and_policy(unix::thread_native_id(), ThreadPriority::Min, idle);
    }
    // Where the system refuses the one, it may not refuse the other; among idle threads it means nothing.
    if cfg!(target_os = "linux") && getpriority_process(None).is_ok_and(|nice| nice < NICE) {
        let _as_it_was = setpriority_process(None, NICE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    fn thread(way: Option<GiveWay>) -> (bool, i32) {
        let look = || {
            let policy = unix::thread_schedule_policy().unwrap();
            let idle = policy == ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
            (idle, getpriority_process(None).unwrap())
        };
        let thread = std::thread::spawn(move || {
            way.into_iter().for_each(give_way);
            // Those that it starts are alike.
            std::thread::spawn(look).join().unwrap()
        });
        thread.join().unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_give_way_as_far_as_they_are_told() {
        let ours = getpriority_process(None).unwrap();
        assert_eq!(thread(None), (false, ours));
        assert_eq!(thread(Some(GiveWay::Mostly)), (false, ours.max(NICE)));
        assert!(thread(Some(GiveWay::Wholly)).0);
        assert_eq!(getpriority_process(None).unwrap(), ours, "the thread that waits keeps its priority");
    }
}

//! Threads to compile on.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use rustix::process::{getpriority_process, setpriority_process};

use crate::engine::compile::Workers;

/// The niceness of threads that compile beside others that answer requests.
const BACKGROUND: i32 = 10;

/// As many threads as the machine runs at once.
pub fn foreground() -> Workers {
    Workers { threads: available_parallelism().unwrap_or(NonZeroUsize::MIN), ..Workers::default() }
}

/// As many, that give way to whatever else runs.
pub(super) fn background() -> Workers {
    Workers { start: give_way, ..foreground() }
}

/// Lowers the calling thread's priority where threads have one of their own. Elsewhere it would be the whole process's.
pub(crate) fn give_way() {
    // A thread that may not do so compiles all the same.
    if cfg!(target_os = "linux") && getpriority_process(None).is_ok_and(|nice| nice < BACKGROUND) {
        let _as_it_was = setpriority_process(None, BACKGROUND);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn only_threads_that_compile_in_the_background_give_way() {
        let nice = |start: fn()| {
            let thread = std::thread::spawn(move || {
                start();
                getpriority_process(None).unwrap()
            });
            thread.join().unwrap()
        };
        let ours = getpriority_process(None).unwrap();
        assert_eq!(nice(foreground().start), ours);
        assert_eq!(nice(background().start), ours.max(BACKGROUND));
        assert_eq!(getpriority_process(None).unwrap(), ours, "the thread that waits keeps its priority");
    }
}

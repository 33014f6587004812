//! Threads that share a list of work out among them.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, Scope, ScopedJoinHandle, scope};

use crate::engine::guard::{PARSER_STACK_BYTES, StackUnavailable};

/// Pieces of work a thread takes at a time.
const BATCH: usize = 32;
/// Fewer pieces of work are done where they come up: starting threads would take longer, and what is urgent is small.
const WORTH_THREADS: usize = 4 * BATCH;

/// How many threads compile. Each has the priority of the thread that starts them.
#[derive(Debug, Clone, Copy)]
pub struct Workers {
    /// How many.
    pub threads: NonZeroUsize,
}

impl Default for Workers {
    /// One thread like any other.
    fn default() -> Self {
        Self { threads: NonZeroUsize::MIN }
    }
}

impl Workers {
    /// What `work` makes of each item, in the order of the items. Runs on stacks large enough to parse on, the caller's
    /// among them.
    ///
    /// # Errors
    /// [`StackUnavailable`] when the system gives no such thread, or `work` panicked.
    pub(super) fn map<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> R + Sync,
    ) -> Result<Vec<R>, StackUnavailable> {
        if items.len() < WORTH_THREADS {
            return Ok(items.iter().map(work).collect());
        }
        let batches: Vec<&[T]> = items.chunks(BATCH).collect();
        let next = AtomicUsize::new(0);
        let take = || {
            let mut done = Vec::new();
            while let number = next.fetch_add(1, Ordering::Relaxed)
                && let Some(batch) = batches.get(number)
            {
                done.push((number, batch.iter().map(&work).collect::<Vec<R>>()));
            }
            done
        };
        let threads = self.threads.get().min(batches.len());
        let done = scope(|scope| {
            let started: Vec<_> = (0..threads).map(|_| spawn(scope, take)).collect::<Result<_, _>>()?;
            started.into_iter().map(join).collect::<Result<Vec<_>, _>>()
        })?;
        let mut done: Vec<_> = done.into_iter().flatten().collect();
        done.sort_by_key(|(number, _)| *number);
        Ok(done.into_iter().flat_map(|(_, results)| results).collect())
    }
}

fn spawn<'scope, R: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> R + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, R>, StackUnavailable> {
    Builder::new()
        .name("mandate-compile".to_owned())
        .stack_size(PARSER_STACK_BYTES)
        .spawn_scoped(scope, work)
        .map_err(|error| StackUnavailable(error.to_string()))
}

fn join<R>(thread: ScopedJoinHandle<'_, R>) -> Result<R, StackUnavailable> {
    thread.join().map_err(|_panic| StackUnavailable("a thread that compiles panicked".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for (threads, length) in [(1, 5_000), (3, 5_000), (7, WORTH_THREADS), (2, WORTH_THREADS - 1)] {
            let items: Vec<usize> = (0..length).collect();
            let workers = Workers { threads: NonZeroUsize::new(threads).unwrap() };
            let doubled = workers.map(&items, |item| item * 2).unwrap();
            assert!(doubled.into_iter().eq((0..length).map(|item| item * 2)), "{threads} {length}");
        }
    }

    #[test]
    fn a_panic_is_an_error() {
        let items = vec![0; WORTH_THREADS];
        assert!(Workers::default().map(&items, |_| panic!("a defect")).is_err());
    }
}

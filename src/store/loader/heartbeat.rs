//! When the loader last completed a look: a thread that hangs in a read says nothing, and this is how it shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Beats once per look. Clones tell of the same loader.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    start: Instant,
    /// Milliseconds from the start to the last beat.
    last: Arc<AtomicU64>,
}

impl Heartbeat {
    pub(in crate::store) fn new() -> Self {
        Self { start: Instant::now(), last: Arc::default() }
    }

    pub(in crate::store) fn beat(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis, Ordering::Release);
    }

    /// How long ago the loader completed its last look; before the first, how long ago it was opened. More than the
    /// longest load takes, and several polls, means that it hangs. Costs next to nothing.
    #[must_use]
    pub fn age(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Acquire));
        self.start.elapsed().saturating_sub(last)
    }
}

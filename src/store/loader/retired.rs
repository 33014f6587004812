//! Worlds that are no longer served, until no request is in them any more.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::Published;

/// Worlds held at most. With more, requests hold on to the oldest for longer than any should take.
const MAX_RETIRED: usize = 64;

/// Worlds that requests may still be in. Dropping one takes long and a large stack, so that no request should do it:
/// a thread that gives way does, once nobody but the loader holds one.
#[derive(Debug, Default)]
pub(in crate::store) struct Retired(VecDeque<Arc<Published>>);

impl Retired {
    /// Holds a world that was just replaced.
    pub(in crate::store) fn add(&mut self, published: Arc<Published>) {
        self.0.push_back(published);
        while self.0.len() > MAX_RETIRED {
            self.0.pop_front();
        }
    }

    /// Every world that nobody else holds, to be dropped. Nobody can come to hold one again: it is served no more.
    pub(in crate::store) fn sweep(&mut self) -> Vec<Arc<Published>> {
        let is_held = |published: &Arc<Published>| Arc::strong_count(published) > 1;
        let (held, free): (VecDeque<_>, _) = self.0.drain(..).partition(is_held);
        self.0 = held;
        free.into()
    }

    /// Whether there is anything to sweep later.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

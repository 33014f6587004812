//! Where decisions are kept: in a map of bounded size, by the question that was asked.
//!
//! A generation has one of its own, from the world that brings it to the last one that serves it, so nothing that other policies
//! decided can be found in it. Nothing is ever invalidated: whoever finds a decision holds it to the world it asks in
//! ([`Remembered::check`]). What is asked once does not push out what is asked often (`TinyLFU`).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use arc_swap::ArcSwap;
use moka::sync::Cache;

use crate::engine::key::Key;
use crate::engine::remembered::Remembered;

/// What an entry is taken to weigh besides its key and what it says, in bytes: what the map keeps of it, and what the allocator
/// adds to five pieces of memory.
const ENTRY_BYTES: usize = 512;

/// The decisions of one generation.
pub struct DecisionCache {
    /// Replaced by an empty one of another size where memory is short: none can change its own.
    entries: ArcSwap<Entries>,
    evicted: Arc<AtomicU64>,
}

type Entries = Cache<Key, Arc<Remembered>>;

impl DecisionCache {
    /// An empty cache that holds about `max_bytes`. What it drops to hold no more is counted.
    pub fn new(max_bytes: u64, evicted: Arc<AtomicU64>) -> Self {
        let entries = ArcSwap::from_pointee(empty(max_bytes, Arc::clone(&evicted)));
        Self { entries, evicted }
    }

    /// Forgets everything, and keeps about `max_bytes` from now on. Whoever looks something up meanwhile is not kept waiting.
    pub fn resize(&self, max_bytes: u64) {
        self.entries.store(Arc::new(empty(max_bytes, Arc::clone(&self.evicted))));
    }

    /// What was kept of a question's decision.
    pub fn find(&self, key: &Key) -> Option<Arc<Remembered>> {
        self.entries.load().get(key)
    }

    /// Keeps a question's decision, in place of what was kept before.
    pub fn insert(&self, key: Key, remembered: Remembered) {
        self.entries.load().insert(key, Arc::new(remembered));
    }

    /// How many decisions are kept, and about how many bytes they take. Counts what is not counted yet: for those who look,
    /// not for those who ask.
    pub fn size(&self) -> CacheSize {
        let entries = self.entries.load();
        entries.run_pending_tasks();
        CacheSize { entries: entries.entry_count(), bytes: entries.weighted_size() }
    }
}

impl fmt::Debug for DecisionCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecisionCache").finish_non_exhaustive()
    }
}

/// Keeps nothing yet, and about `max_bytes`. What it drops to keep no more is counted.
fn empty(max_bytes: u64, evicted: Arc<AtomicU64>) -> Entries {
    let weight = |key: &Key, remembered: &Arc<Remembered>| {
        u32::try_from(key.bytes() + remembered.bytes() + ENTRY_BYTES).unwrap_or(u32::MAX)
    };
    let entries = Cache::builder().max_capacity(max_bytes).weigher(weight).eviction_listener(
        move |_key, _remembered, cause| {
            if cause.was_evicted() {
                evicted.fetch_add(1, Relaxed);
            }
        },
    );
    entries.build()
}

/// How much is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheSize {
    /// Decisions.
    pub entries: u64,
    /// About how many bytes they take.
    pub bytes: u64,
}

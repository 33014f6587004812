//! Where decisions are kept: in a map of bounded size, by the question that was asked.
//!
//! A generation has one of its own, from the world that brings it to the last one that serves it, so nothing that other policies
//! decided can be found in it. Nothing is ever invalidated: whoever finds a decision holds it to the world it asks in
//! ([`Remembered::check`]). What is asked once does not push out what is asked often (`TinyLFU`).

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use moka::sync::Cache;

use crate::engine::key::Key;
use crate::engine::remembered::Remembered;

/// What an entry is taken to weigh besides its key and what it says, in bytes: what the map keeps of it, and what the allocator
/// adds to five pieces of memory.
const ENTRY_BYTES: usize = 512;

/// The decisions of one generation.
#[derive(Debug)]
pub struct DecisionCache {
    entries: Cache<Key, Arc<Remembered>>,
}

impl DecisionCache {
    /// An empty cache that holds about `max_bytes`. What it drops to hold no more is counted.
    pub fn new(max_bytes: u64, evicted: Arc<AtomicU64>) -> Self {
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
        Self { entries: entries.build() }
    }

    /// What was kept of a question's decision.
    pub fn find(&self, key: &Key) -> Option<Arc<Remembered>> {
        self.entries.get(key)
    }

    /// Keeps a question's decision, in place of what was kept before.
    pub fn insert(&self, key: Key, remembered: Remembered) {
        self.entries.insert(key, Arc::new(remembered));
    }

    /// How many decisions are kept, and about how many bytes they take. Counts what is not counted yet: for those who look,
    /// not for those who ask.
    pub fn size(&self) -> CacheSize {
        self.entries.run_pending_tasks();
        CacheSize { entries: self.entries.entry_count(), bytes: self.entries.weighted_size() }
    }
}

/// How much is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheSize {
    /// Decisions.
    pub entries: u64,
    /// About how many bytes they take.
    pub bytes: u64,
}

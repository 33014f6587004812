//! How far a load has come, for somebody who waits for it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of one load after another. Whoever shows them looks when they like; nothing waits for them.
#[derive(Debug, Default)]
pub struct Progress {
    total: AtomicU64,
    bytes: AtomicU64,
    entities: AtomicU64,
}

impl Progress {
    /// Bytes of the entity files that are read; none before reading begins.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Bytes of them that were read.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Entities that were read; stays as it is when the last one was.
    pub fn entities(&self) -> u64 {
        self.entities.load(Ordering::Relaxed)
    }

    /// Begins to read so many bytes.
    pub(super) fn begin(&self, total: usize) {
        self.bytes.store(0, Ordering::Relaxed);
        self.entities.store(0, Ordering::Relaxed);
        self.total.store(total as u64, Ordering::Relaxed);
    }

    /// Counts an entity of so many bytes.
    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.entities.fetch_add(1, Ordering::Relaxed);
    }
}

//! Names for states of things that change.

use std::sync::atomic::{AtomicU64, Ordering};

/// A name that nothing else in this process has, and that later ones are greater than. What is remembered of something is
/// true for as long as that has the version it had then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// A new name.
    #[must_use]
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A version that changes hands.
#[derive(Debug)]
pub struct AtomicVersion(AtomicU64);

impl AtomicVersion {
    /// Holds a version.
    #[must_use]
    pub fn new(version: Version) -> Self {
        Self(AtomicU64::new(version.0))
    }

    /// The version it holds.
    pub fn get(&self) -> Version {
        Version(self.0.load(Ordering::Relaxed))
    }

    /// Holds another from now on.
    pub fn set(&self, version: Version) {
        self.0.store(version.0, Ordering::Relaxed);
    }
}

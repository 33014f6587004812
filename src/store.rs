//! Where worlds come from, and the one that is served.
//!
//! [`directory`] reads folders, `manifest` says what a complete set is, [`loader`] keeps what is served up to date,
//! `history` and `emergency` keep what must outlive the process, in the [`data_dir`].

mod atomic;
pub mod cache;
pub mod data_dir;
pub mod directory;
mod emergency;
mod folder;
pub mod follow;
mod grants;
mod history;
pub mod loader;
mod manifest;
mod pin;
pub mod revision;
mod revocations;
mod sealed;
mod set_digest;
mod settling;
pub mod workers;

#[cfg(test)]
mod data_dir_tests;
#[cfg(test)]
mod directory_tests;
#[cfg(test)]
mod history_tests;
#[cfg(test)]
mod manifest_tests;
#[cfg(test)]
mod revision_tests;
#[cfg(test)]
mod support_tests;

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;

use crate::engine::world::World;
use cache::DecisionCache;
use revision::{RevisionError, RevisionKey, Signer};
pub use sealed::{Damaged, Defect};

/// Holds the world that requests see. Publishing replaces it whole; a request loads it once.
#[derive(Debug)]
pub struct Store {
    current: ArcSwap<Published>,
    signer: Signer,
    /// How many bytes of decisions each generation keeps.
    cache_bytes: Option<u64>,
    /// How many decisions were dropped to keep no more, by all of them.
    evicted: Arc<AtomicU64>,
    /// One at a time: sequences have no gaps and no doubles.
    publishing: Mutex<()>,
}

/// A world, and what names it.
#[derive(Debug)]
pub struct Published {
    /// The world.
    pub world: World,
    /// How many worlds this store has published, this one included.
    pub sequence: u64,
    /// Generation, log and sequence as one opaque string, authenticated and safe in URLs.
    pub revision: Arc<str>,
    /// The decisions that are kept of its generation, if they are.
    pub cache: Option<Arc<DecisionCache>>,
    /// When it became the one that is served.
    pub at: SystemTime,
}

impl Store {
    /// A store that serves `world`, and whose revisions mean nothing to any other.
    pub fn new(world: World) -> Self {
        Self::with_key(world, RevisionKey::random(), None)
    }

    /// A store that serves `world`, authenticates revisions with a key that outlives it, and remembers up to
    /// `cache_bytes` of decisions.
    pub(crate) fn with_key(world: World, key: RevisionKey, cache_bytes: Option<u64>) -> Self {
        let (signer, evicted) = (Signer::new(key), Arc::default());
        let cache = new_cache(cache_bytes, &evicted);
        let current = ArcSwap::from_pointee(published(world, 1, &signer, cache));
        Self { current, signer, cache_bytes, evicted, publishing: Mutex::new(()) }
    }

    /// The world that is served now.
    pub fn current(&self) -> Arc<Published> {
        self.current.load_full()
    }

    /// Replaces the world, and hands back the one before. Requests that loaded that one finish in it.
    pub fn publish(&self, world: World) -> Arc<Published> {
        let _one_at_a_time = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current.load();
        let (sequence, world) = (before.sequence + 1, world.after(&before.world));
        // What other policies decided means nothing to these (W1).
        let cache = if Arc::ptr_eq(&world.generation, &before.world.generation) {
            before.cache.clone()
        } else {
            new_cache(self.cache_bytes, &self.evicted)
        };
        drop(before);
        self.current.swap(Arc::new(published(world, sequence, &self.signer, cache)))
    }

    /// How many decisions were dropped since the start, to keep no more than may be.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Relaxed)
    }

    /// Whether `published`, which a request loaded, is at least as new as a revision its caller names; an empty one names
    /// none.
    ///
    /// # Errors
    /// [`RevisionError`] if the revision is not this store's, or later than `published`.
    pub fn check_minimum(&self, revision: &str, published: &Published) -> Result<(), RevisionError> {
        if revision.is_empty() { Ok(()) } else { self.signer.check(revision, published.sequence) }
    }
}

/// Keeps nothing yet.
fn new_cache(max_bytes: Option<u64>, evicted: &Arc<AtomicU64>) -> Option<Arc<DecisionCache>> {
    max_bytes.map(|max_bytes| Arc::new(DecisionCache::new(max_bytes, Arc::clone(evicted))))
}

/// A world as it is published.
fn published(world: World, sequence: u64, signer: &Signer, cache: Option<Arc<DecisionCache>>) -> Published {
    Published {
        revision: Arc::from(signer.sign(&world.generation.hash, sequence)),
        world,
        sequence,
        cache,
        at: SystemTime::now(),
    }
}

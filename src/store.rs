//! Where worlds come from, and the one that is served.
//!
//! [`directory`] reads folders, `manifest` says what a complete set is, [`loader`] keeps what is served up to date,
//! `history` and `emergency` keep what must outlive the process, in the [`data_dir`].

mod atomic;
pub mod cache;
pub mod data_dir;
pub mod directory;
mod emergency;
pub mod entity_log;
mod folder;
pub mod follow;
mod grants;
mod history;
pub mod loader;
mod manifest;
mod page_token;
mod pin;
pub mod provenance;
pub mod replica;
pub mod revision;
pub mod revocations;
mod sealed;
mod set_digest;
mod settling;
mod upgrade;
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
pub use page_token::PageTokenError;
use revision::{RevisionError, RevisionKey, Signer};
pub use sealed::{Damaged, Defect};

/// Holds the world that requests see. Publishing replaces it whole; a request loads it once.
#[derive(Debug)]
pub struct Store {
    current: ArcSwap<Published>,
    /// Names this store among all that ever were: its worlds are counted from one.
    process: [u8; PROCESS],
    /// How many bytes of decisions each generation keeps, where memory is not short.
    cache_bytes: Option<u64>,
    /// As what part of them.
    cache_part: AtomicU64,
    /// How many decisions were dropped to keep no more, by all of them.
    evicted: Arc<AtomicU64>,
    /// One at a time: what is published never goes back.
    publishing: Mutex<Publishing>,
    /// Tells those who wait that another world is served.
    published: tokio::sync::watch::Sender<()>,
}

/// Which sequences may be used.
#[derive(Debug)]
struct Publishing {
    /// Whether the entity log is writing: the next sequences are its own.
    writing: bool,
    /// No process uses greater ones before this is greater on disk.
    reserved: u64,
}

/// A world, and what names it.
#[derive(Debug)]
pub struct Published {
    /// The world.
    pub world: World,
    /// Grows with each publication, over restarts too. Publications while the entity log writes share one.
    pub sequence: u64,
    /// Which of the worlds that this process published: no two have one, whatever their sequence.
    pub number: u64,
    /// Generation, log and sequence as one opaque string, authenticated and safe in URLs.
    pub revision: Arc<str>,
    /// The decisions that are kept of its generation, if they are.
    pub cache: Option<Arc<DecisionCache>>,
    /// When it became the one that is served.
    pub at: SystemTime,
    /// What its revision was made with.
    signer: Arc<Signer>,
}

/// Bytes that name a process.
pub const PROCESS: usize = 16;

impl Store {
    /// A store that serves `world`, and whose revisions mean nothing to any other.
    pub fn new(world: World) -> Self {
        Self::remembering(world, None)
    }

    /// The same, which keeps up to so many bytes of decisions of each generation.
    pub fn remembering(world: World, cache_bytes: Option<u64>) -> Self {
        let signer = Signer::new(RevisionKey::random(), revision::unpredictable());
        Self::with(world, signer, 1, u64::MAX, cache_bytes)
    }

    fn with(world: World, signer: Signer, first: u64, reserved: u64, cache_bytes: Option<u64>) -> Self {
        let evicted = Arc::default();
        let cache = new_cache(cache_bytes, &evicted);
        let current = ArcSwap::from_pointee(published(world, first, 1, Arc::new(signer), cache));
        let publishing = Mutex::new(Publishing { writing: false, reserved });
        let published = tokio::sync::watch::Sender::new(());
        let (cache_part, process) = (AtomicU64::new(1), revision::unpredictable());
        Self { current, process, cache_bytes, cache_part, evicted, publishing, published }
    }

    /// The world that is served now.
    pub fn current(&self) -> Arc<Published> {
        self.current.load_full()
    }

    /// Replaces the world, and hands back the one before. Requests that loaded that one finish in it.
    pub fn publish(&self, world: World) -> Arc<Published> {
        self.update(|_before| world)
    }

    /// Replaces the world by what `edit` makes of it, and hands back the one before.
    pub(crate) fn update(&self, edit: impl FnOnce(&World) -> World) -> Arc<Published> {
        self.update_if(|before| Some(edit(before))).unwrap_or_else(|| self.current())
    }

    /// Replaces the world by what `edit` makes of it, if anything, and hands back the one before.
    fn update_if(&self, edit: impl FnOnce(&World) -> Option<World>) -> Option<Arc<Published>> {
        let publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current.load_full();
        let world = edit(&before.world)?;
        let next = before.sequence.saturating_add(1);
        let sequence = if publishing.writing || next > publishing.reserved { before.sequence } else { next };
        self.replace(&before, sequence, &before.signer, |_before| world);
        Some(before)
    }

    /// Replaces the world by what a primary published under a sequence of its own, or by what `edit` makes of the one that is
    /// served without another name; and hands back the one before.
    pub(in crate::store) fn follow(
        &self,
        named: Option<(u64, &Arc<Signer>)>,
        edit: impl FnOnce(&World) -> World,
    ) -> Arc<Published> {
        let _publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current.load_full();
        let (sequence, signer) = named.unwrap_or((before.sequence, &before.signer));
        self.replace(&before, sequence, signer, edit);
        before
    }

    /// Has the next sequences to itself, until [`Store::finish_write`] or [`Store::end_write`]: what is published meanwhile
    /// has that of the world that this returns.
    pub(in crate::store) fn begin_write(&self) -> Arc<Published> {
        let mut publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        publishing.writing = true;
        self.current()
    }

    /// Publishes what was written, as the sequence of the last of it, and returns it.
    pub(in crate::store) fn finish_write(
        &self,
        sequence: u64,
        reserved: u64,
        edit: impl FnOnce(&World) -> World,
    ) -> Arc<Published> {
        let mut publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        *publishing = Publishing { writing: false, reserved };
        let before = self.current.load_full();
        self.replace(&before, sequence, &before.signer, edit);
        self.current()
    }

    /// Gives the next sequences up: nothing was written.
    pub(in crate::store) fn end_write(&self) {
        self.publishing.lock().unwrap_or_else(PoisonError::into_inner).writing = false;
    }

    /// Called by whoever holds `publishing`.
    fn replace(
        &self,
        before: &Published,
        sequence: u64,
        signer: &Arc<Signer>,
        edit: impl FnOnce(&World) -> World,
    ) {
        let world = edit(&before.world).after(&before.world);
        // What other policies decided means nothing to these (W1).
        let cache = if Arc::ptr_eq(&world.generation, &before.world.generation) {
            before.cache.clone()
        } else {
            new_cache(self.cache_limit(), &self.evicted)
        };
        let (number, signer) = (before.number + 1, Arc::clone(signer));
        self.current.store(Arc::new(published(world, sequence, number, signer, cache)));
        self.published.send_replace(());
    }

    /// How many bytes of decisions a generation keeps now.
    pub fn cache_limit(&self) -> Option<u64> {
        Some(self.cache_bytes? / self.cache_part.load(Relaxed).max(1))
    }

    /// Has the generation that is served, and those to come, keep one in so many of the bytes of decisions that were configured,
    /// and forget what is kept.
    pub fn remember_one_in(&self, parts: u64) {
        // Nothing is published meanwhile that would keep more.
        let _publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        self.cache_part.store(parts, Relaxed);
        if let (Some(cache), Some(bytes)) = (&self.current.load().cache, self.cache_limit()) {
            cache.resize(bytes);
        }
    }

    /// How many decisions were dropped since the start, to keep no more than may be.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Relaxed)
    }

    /// Tells of every publication from now on.
    pub fn subscribe(&self) -> tokio::sync::watch::Receiver<()> {
        self.published.subscribe()
    }

    /// Whether `published`, which a request loaded, is at least as new as a revision its caller names; an empty one names
    /// none.
    ///
    /// # Errors
    /// [`RevisionError`] if the revision is not this store's, or later than `published`.
    pub fn check_minimum(&self, revision: &str, published: &Published) -> Result<(), RevisionError> {
        if revision.is_empty() {
            Ok(())
        } else {
            published.signer.check(revision, published.sequence).map(drop)
        }
    }

    /// What this process's worlds are counted under.
    pub fn process(&self) -> [u8; PROCESS] {
        self.process
    }
}

/// Keeps nothing yet.
fn new_cache(max_bytes: Option<u64>, evicted: &Arc<AtomicU64>) -> Option<Arc<DecisionCache>> {
    max_bytes.map(|max_bytes| Arc::new(DecisionCache::new(max_bytes, Arc::clone(evicted))))
}

/// A world as it is published.
fn published(
    world: World,
    sequence: u64,
    number: u64,
    signer: Arc<Signer>,
    cache: Option<Arc<DecisionCache>>,
) -> Published {
    Published {
        revision: Arc::from(signer.sign(&world.generation.hash, sequence)),
        world,
        sequence,
        number,
        cache,
        at: SystemTime::now(),
        signer,
    }
}

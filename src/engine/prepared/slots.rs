//! A fixed number of places in which things are kept that were made from entities of late: each in the one that its entity's
//! name leads to, in place of whatever was there. No lock, and no list that all requests share.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use arc_swap::ArcSwapOption;
use cedar_policy::EntityUid;
use foldhash::fast::RandomState;

use crate::engine::entities::{EntityStore, StoredEntity};
use crate::engine::index::ScopeIndex;
use crate::engine::version::{AtomicVersion, Version};

/// Something made from an entity, everything that is above it, and an index.
pub(super) trait Kept {
    /// The entity.
    fn uid(&self) -> &EntityUid;
    /// What it was made from, and what it takes.
    fn made(&self) -> &Made;
}

/// What something was made from, and what it takes to keep it.
#[derive(Debug)]
pub(super) struct Made {
    of: Origin,
    /// A store in which all of that is as it was.
    holds_in: AtomicVersion,
    /// None if there is not enough.
    room: Option<Room>,
}

impl Made {
    /// Made now, from an entity of that name, with this room.
    pub(super) fn now(store: &EntityStore, index: &ScopeIndex, uid: &EntityUid, room: Option<Room>) -> Self {
        Self { of: Origin::of(store, index, uid), holds_in: AtomicVersion::new(store.version()), room }
    }

    pub(super) fn is_kept(&self) -> bool {
        self.room.is_some()
    }
}

/// The state of what something was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin {
    /// None if the entity is not stored, and only named as a parent.
    entity: Option<Version>,
    edges: Version,
    index: Version,
}

impl Origin {
    fn of(store: &EntityStore, index: &ScopeIndex, uid: &EntityUid) -> Self {
        let entity = store.get(uid).map(StoredEntity::version);
        Self { entity, edges: store.edges(), index: index.version() }
    }
}

/// How many bytes may be kept, and how many are.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

/// Bytes of a budget, given back when it is dropped: with what takes them, whoever holds that last.
#[derive(Debug)]
pub(super) struct Room {
    bytes: usize,
    budget: Arc<Budget>,
}

impl Budget {
    pub(super) fn of(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    /// Room for so many bytes, if there is as much.
    pub(super) fn room(self: &Arc<Self>, bytes: usize) -> Option<Room> {
        let before = self.used.fetch_add(bytes, Relaxed);
        let room = Room { bytes, budget: Arc::clone(self) };
        (before.saturating_add(bytes) <= self.limit).then_some(room)
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
    }
}

/// The places.
#[derive(Debug)]
pub(super) struct Slots<T> {
    slots: Box<[ArcSwapOption<T>]>,
    hasher: RandomState,
}

impl<T: Kept> Slots<T> {
    pub(super) fn new(count: usize) -> Self {
        Self { slots: (0..count).map(|_| ArcSwapOption::empty()).collect(), hasher: RandomState::default() }
    }

    pub(super) fn count(&self) -> usize {
        self.slots.len()
    }

    /// What is kept of an entity, if it is what would be made of it now; else what `make` makes, which is kept.
    pub(super) fn get(
        &self,
        store: &EntityStore,
        index: &ScopeIndex,
        uid: &EntityUid,
        make: impl FnOnce() -> Option<T>,
    ) -> Option<Arc<T>> {
        let Some(slot) = self.slot(uid) else { return make().map(Arc::new) };
        let kept = slot.load();
        let is_it = |kept: &&Arc<T>| kept.made().of.index == index.version() && kept.uid() == uid;
        if let Some(kept) = kept.as_ref().filter(is_it) {
            let Made { of, holds_in, .. } = kept.made();
            // Where nothing has changed, nobody has to look whether the entity has.
            if holds_in.get() == store.version() {
                return Some(Arc::clone(kept));
            }
            if *of == Origin::of(store, index, uid) {
                holds_in.set(store.version());
                return Some(Arc::clone(kept));
            }
        }
        let made = Arc::new(make()?);
        // What finds no room makes some for the next.
        slot.store(made.made().is_kept().then(|| Arc::clone(&made)));
        Some(made)
    }

    fn slot(&self, uid: &EntityUid) -> Option<&ArcSwapOption<T>> {
        let count = u64::try_from(self.slots.len()).ok()?;
        self.slots.get(usize::try_from(self.hasher.hash_one(uid).checked_rem(count)?).ok()?)
    }
}

//! Stored entities made ready to decide with, and the ones of late.
//!
//! An entity is stored without its ancestors, in as little room as it takes. A decision needs them, Cedar's form of the
//! entity, and its keys in the index: a microsecond or three of work. What was made for one decision is kept for the next
//! in a table of fixed size. It is used only for the very same entity, hierarchy and index, so nothing needs to be
//! removed when they change.

use std::hash::BuildHasher;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use cedar_policy::EntityUid;
use foldhash::fast::RandomState;

use super::cedar::BuiltEntity;
use super::entities::{EntityStore, StoredEntity};
use super::index::{PartyKeys, ScopeIndex};
use super::version::{AtomicVersion, Version};

/// How many entities are kept, at most.
const SLOTS: usize = 16 * 1024;
/// How many bytes they take, at most. Usually some 4 KiB each; one in thousands of groups takes more.
const MAX_BYTES: usize = 128 * 1024 * 1024;
/// What an entity is taken to weigh besides everything it is in.
const ENTITY_BYTES: usize = 4 * 1024;
/// What it is taken to weigh for each entity it is in.
const ANCESTOR_BYTES: usize = 192;

/// A stored entity, ready to decide with.
#[derive(Debug)]
pub struct Prepared {
    of: Origin,
    /// A store in which the entity and everybody's ancestors are those that it was made from.
    holds_in: AtomicVersion,
    /// How many entities it is in.
    above: usize,
    /// The entity and everything it is in.
    pub built: BuiltEntity,
    principal: OnceLock<PartyKeys>,
    resource: OnceLock<PartyKeys>,
}

impl Prepared {
    /// What scopes ask of a principal and it fulfils. `index` is the one it was prepared for.
    pub fn principal(&self, index: &ScopeIndex) -> &PartyKeys {
        self.principal.get_or_init(|| index.principal_keys(self.built.uid(), Some(&self.built)))
    }

    /// What scopes ask of a resource and it fulfils. `index` is the one it was prepared for.
    pub fn resource(&self, index: &ScopeIndex) -> &PartyKeys {
        self.resource.get_or_init(|| index.resource_keys(self.built.uid(), Some(&self.built)))
    }

    fn bytes(&self) -> usize {
        ENTITY_BYTES + ANCESTOR_BYTES * self.above
    }
}

/// Everything that a prepared entity was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin {
    entity: Version,
    edges: Version,
    index: Version,
}

/// Entities that were prepared of late.
#[derive(Debug)]
pub struct PreparedEntities {
    slots: Box<[ArcSwapOption<Prepared>]>,
    hasher: RandomState,
    bytes: AtomicUsize,
}

impl Default for PreparedEntities {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| ArcSwapOption::empty()).collect(),
            hasher: RandomState::default(),
            bytes: AtomicUsize::new(0),
        }
    }
}

impl PreparedEntities {
    /// A stored entity, made ready; none if it is not stored.
    pub fn get(&self, store: &EntityStore, index: &ScopeIndex, uid: &EntityUid) -> Option<Arc<Prepared>> {
        let Some(slot) = self.slot(uid) else {
            let entity = store.get(uid)?;
            return Some(Arc::new(prepare(store, index, uid, entity)));
        };
        let kept = slot.load();
        if let Some(kept) =
            kept.as_ref().filter(|kept| kept.built.uid() == uid && kept.of.index == index.version())
        {
            // Where nothing has changed, nobody has to look whether the entity has.
            if kept.holds_in.get() == store.version() {
                return Some(Arc::clone(kept));
            }
            if kept.of == Origin::of(store, index, store.get(uid)?) {
                kept.holds_in.set(store.version());
                return Some(Arc::clone(kept));
            }
        }
        let prepared = Arc::new(prepare(store, index, uid, store.get(uid)?));
        self.keep(slot, &prepared);
        Some(prepared)
    }

    /// Keeps an entity in place of whichever was there, if there is room.
    fn keep(&self, slot: &ArcSwapOption<Prepared>, prepared: &Arc<Prepared>) {
        let bytes = prepared.bytes();
        if self.bytes.fetch_add(bytes, Relaxed) + bytes > MAX_BYTES {
            self.bytes.fetch_sub(bytes, Relaxed);
            return;
        }
        if let Some(before) = slot.swap(Some(Arc::clone(prepared))) {
            self.bytes.fetch_sub(before.bytes(), Relaxed);
        }
    }

    fn slot(&self, uid: &EntityUid) -> Option<&ArcSwapOption<Prepared>> {
        let hash = usize::try_from(self.hasher.hash_one(uid) % SLOTS as u64).ok()?;
        self.slots.get(hash)
    }
}

impl Origin {
    fn of(store: &EntityStore, index: &ScopeIndex, entity: &StoredEntity) -> Self {
        Self { entity: entity.version(), edges: store.edges(), index: index.version() }
    }
}

fn prepare(store: &EntityStore, index: &ScopeIndex, uid: &EntityUid, entity: &StoredEntity) -> Prepared {
    let above = store.ancestors(uid);
    Prepared {
        of: Origin::of(store, index, entity),
        holds_in: AtomicVersion::new(store.version()),
        above: above.len(),
        built: BuiltEntity::new(uid, Arc::clone(entity.members()), above),
        principal: OnceLock::new(),
        resource: OnceLock::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(id: usize) -> EntityUid {
        format!("E::\"{id}\"").parse().unwrap()
    }

    #[test]
    fn entities_in_very_many_others_do_not_fill_the_memory() {
        let mut store = EntityStore::default();
        let groups: Vec<_> = (0..10_000).map(uid).collect();
        for member in 20_000..20_200 {
            store.put(uid(member), StoredEntity::new(groups.clone(), [], [])).unwrap();
        }
        let (index, of_late) = (ScopeIndex::of(&[]), PreparedEntities::default());
        for member in 20_000..20_200 {
            let prepared = of_late.get(&store, &index, &uid(member)).unwrap();
            assert!(prepared.built.is_in(&groups[9_999]));
        }
        let kept: usize =
            of_late.slots.iter().filter_map(|slot| slot.load_full()).map(|kept| kept.bytes()).sum();
        assert_eq!(kept, of_late.bytes.load(Relaxed), "what is kept is counted");
        assert!((MAX_BYTES / 2..=MAX_BYTES).contains(&kept), "{kept} bytes are kept");
    }

    #[test]
    fn what_is_kept_is_used_for_the_very_same_only() {
        let (mut store, index) = (EntityStore::default(), ScopeIndex::of(&[]));
        store.put(uid(1), StoredEntity::new([uid(2)], [], [])).unwrap();
        store.put(uid(2), StoredEntity::new([], [], [])).unwrap();
        let of_late = PreparedEntities::default();
        let other = ScopeIndex::of(&[]);
        let get = |store: &EntityStore, index| of_late.get(store, index, &uid(1)).unwrap();
        let first = get(&store, &index);
        assert!(Arc::ptr_eq(&first, &get(&store, &index)), "it is kept");
        assert!(!Arc::ptr_eq(&first, &get(&store, &other)), "another index has other keys");
        let before = store.clone();
        store.put(uid(2), StoredEntity::new([uid(3)], [], [])).unwrap();
        assert!(get(&store, &index).built.is_in(&uid(3)), "its parent moved");
        assert!(!get(&before, &index).built.is_in(&uid(3)), "not in the store before");
        store.put(uid(1), StoredEntity::new([], [], [])).unwrap();
        assert_eq!(get(&store, &index).built.ancestors().count(), 0, "it is another entity");
    }
}

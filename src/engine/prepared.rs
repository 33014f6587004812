//! Stored entities made ready to decide with, and the ones of late.
//!
//! An entity is stored without its ancestors, in as little room as it takes. A decision needs them, Cedar's form of the
//! entity, and its keys in the index: a microsecond or three of work. What was made for one decision is kept for the next
//! in a table of fixed size. It is used only for the very same entity, hierarchy and index, so nothing needs to be
//! removed when they change.

use std::hash::BuildHasher;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use cedar_policy::EntityUid;
use foldhash::fast::RandomState;

use super::cedar::BuiltEntity;
use super::entities::{EntityStore, StoredEntity};
use super::index::{PartyKeys, ScopeIndex};
use super::version::Version;

/// How many entities are kept, at most: some 3 KiB each.
const SLOTS: usize = 16 * 1024;

/// A stored entity, ready to decide with.
#[derive(Debug)]
pub struct Prepared {
    of: Origin,
    /// The entity and everything it is in.
    pub built: BuiltEntity,
    /// What scopes ask of a principal and it fulfils.
    pub principal: PartyKeys,
    /// What scopes ask of a resource and it fulfils.
    pub resource: PartyKeys,
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
}

impl Default for PreparedEntities {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| ArcSwapOption::empty()).collect(), hasher: RandomState::default() }
    }
}

impl PreparedEntities {
    /// A stored entity, made ready; none if it is not stored.
    pub fn get(&self, store: &EntityStore, index: &ScopeIndex, uid: &EntityUid) -> Option<Arc<Prepared>> {
        let entity = store.get(uid)?;
        let of = Origin { entity: entity.version(), edges: store.edges(), index: index.version() };
        let Some(slot) = self.slot(uid) else {
            return Some(Arc::new(prepare(store, index, uid, entity, of)));
        };
        match &*slot.load() {
            Some(prepared) if prepared.of == of => Some(Arc::clone(prepared)),
            _ => {
                let prepared = Arc::new(prepare(store, index, uid, entity, of));
                slot.store(Some(Arc::clone(&prepared)));
                Some(prepared)
            }
        }
    }

    fn slot(&self, uid: &EntityUid) -> Option<&ArcSwapOption<Prepared>> {
        let hash = usize::try_from(self.hasher.hash_one(uid) % SLOTS as u64).ok()?;
        self.slots.get(hash)
    }
}

fn prepare(
    store: &EntityStore,
    index: &ScopeIndex,
    uid: &EntityUid,
    entity: &StoredEntity,
    of: Origin,
) -> Prepared {
    let above = store.ancestors(uid);
    let built = BuiltEntity::new(
        uid,
        entity.attributes().iter().cloned(),
        entity.tags().iter().cloned(),
        entity.parents(),
        // The parents come first.
        above.into_iter().skip(entity.parents().len()),
    );
    Prepared {
        of,
        principal: index.principal_keys(uid, Some(&built)),
        resource: index.resource_keys(uid, Some(&built)),
        built,
    }
}

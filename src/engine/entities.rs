//! Stored entities: a map that shares its structure with the versions before it.
//!
//! Cedar's own `Entities` carries every entity's ancestors, so that one edit looks at all of them; at a million entities
//! that takes seconds. Here an entity knows its parents only. Changing one copies the few nodes that lead to it, a copy of
//! the whole costs nothing, and ancestors are found when a decision asks for them.

mod ancestry;
mod edit;
mod stored;
mod table;

#[cfg(test)]
mod law_tests;

use cedar_policy::EntityUid;

use super::version::Version;
pub use ancestry::Heights;
pub use edit::{Cycle, StillParent};
pub use stored::StoredEntity;
use table::Table;

/// The stored entities of one world.
#[derive(Debug, Clone)]
pub struct EntityStore {
    entities: Table<StoredEntity>,
    /// How many entities name this one as a parent, for those that any does, stored or not.
    children: Table<u32>,
    /// Changes whenever the ancestors of an entity change that was not itself put.
    edges: Version,
    /// Changes whenever anything does.
    version: Version,
}

impl Default for EntityStore {
    fn default() -> Self {
        Self {
            entities: Table::default(),
            children: Table::default(),
            edges: Version::next(),
            version: Version::next(),
        }
    }
}

impl EntityStore {
    /// How many entities are stored.
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entities.len() == 0
    }

    /// Whether an entity of that name is stored.
    pub fn contains(&self, uid: &EntityUid) -> bool {
        self.entities.get(uid).is_some()
    }

    /// The entity of that name.
    pub fn get(&self, uid: &EntityUid) -> Option<&StoredEntity> {
        self.entities.get(uid)
    }

    /// The entity of that name, with the name as it is stored.
    pub(super) fn entry(&self, uid: &EntityUid) -> Option<(&EntityUid, &StoredEntity)> {
        self.entities.entry(uid)
    }

    /// Every entity with its name, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&EntityUid, &StoredEntity)> {
        self.entities.iter()
    }

    /// Names this state of the store: two stores of one version are the same.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The state of everybody's ancestors, as far as they do not follow from an entity's own version.
    pub fn edges(&self) -> Version {
        self.edges
    }

    /// Whether any stored entity names this one as a parent.
    pub fn has_children(&self, uid: &EntityUid) -> bool {
        self.children.get(uid).is_some()
    }

    /// How many stored entities name this one as a parent.
    pub fn children_of(&self, uid: &EntityUid) -> u32 {
        self.children.get(uid).copied().unwrap_or(0)
    }

    /// Everything an entity is in, each once, in no order, nearest first: its parents, theirs, and so on, those included that
    /// are not stored. Empty for an entity that is not stored.
    pub fn ancestors(&self, uid: &EntityUid) -> Vec<&EntityUid> {
        self.get(uid).map_or_else(Vec::new, |entity| self.above(entity.parents()))
    }
}

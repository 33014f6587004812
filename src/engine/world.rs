//! A generation and the entities it decides over: what one request sees.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::{Entities, EntityUid};
use smol_str::SmolStr;

use super::cedar::CedarValue;
use super::generation::Generation;

/// One consistent state of everything a decision reads. Loaded once per request (W2).
#[derive(Debug, Clone)]
pub struct World {
    /// Policies and schema.
    pub generation: Arc<Generation>,
    /// Stored entities, the schema's actions included.
    pub entities: Entities,
    /// Stored references that policies follow and that lead nowhere, by the entity that holds them (C3).
    pub dangling: HashMap<EntityUid, Dangling>,
    /// How many entities are stored, actions not counted.
    pub stored: usize,
}

/// A stored reference to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dangling {
    /// The attribute that holds it.
    pub attribute: SmolStr,
    /// What it refers to.
    pub missing: EntityUid,
}

impl World {
    /// Whether an entity of that name is stored.
    pub fn stores(&self, uid: &EntityUid) -> bool {
        self.entities.get(uid).is_some()
    }

    /// An attribute of a stored entity.
    pub fn attribute(&self, uid: &EntityUid, name: &str) -> Option<CedarValue> {
        super::cedar::entities::attribute(&self.entities, uid, name)
    }
}

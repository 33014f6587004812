//! A generation and the entities it decides over: what one request sees.

use std::sync::Arc;

use cedar_policy::EntityUid;

use super::cedar::{BuiltEntity, EntityKind};
use super::entities::EntityStore;
use super::generation::{Generation, Strictness};
use super::ownership::Ownership;
use super::prepared::{Prepared, PreparedEntities};
use super::revocations::Revocations;
use super::suspensions::Suspensions;
use super::version::Version;

/// One consistent state of everything a decision reads. Loaded once per request (W2).
#[derive(Debug, Clone)]
pub struct World {
    /// Policies and schema.
    pub generation: Arc<Generation>,
    /// Stored entities. The schema's actions are the generation's.
    pub entities: EntityStore,
    /// Which of them callers wrote at run time.
    pub ownership: Ownership,
    /// Names what the entity files hold: two worlds of one have the same entities of files.
    pub files: Version,
    /// Delegations that were revoked.
    pub revocations: Revocations,
    /// Who takes part in nothing for now.
    pub suspensions: Suspensions,
    /// Those that were decided with of late.
    of_late: Arc<PreparedEntities>,
}

impl World {
    /// A generation over stored entities.
    pub fn new(generation: Arc<Generation>, entities: EntityStore) -> Self {
        Self {
            generation,
            of_late: Arc::new(PreparedEntities::of(entities.len())),
            entities,
            ownership: Ownership::default(),
            files: Version::next(),
            revocations: Revocations::default(),
            suspensions: Suspensions::default(),
        }
    }

    /// The same generation over other entities, usually an edit of these.
    #[must_use]
    pub fn with_entities(&self, entities: EntityStore) -> Self {
        Self { entities, ..self.clone() }
    }

    /// The same world, in which callers own these entities, and the files hold what that name says.
    #[must_use]
    pub fn owned(self, ownership: Ownership, files: Version) -> Self {
        Self { ownership, files, ..self }
    }

    /// The same world with other revocations.
    #[must_use]
    pub fn with_revocations(&self, revocations: Revocations) -> Self {
        Self { revocations, ..self.clone() }
    }

    /// The same world with other suspensions.
    #[must_use]
    pub fn with_suspensions(&self, suspensions: Suspensions) -> Self {
        Self { suspensions, ..self.clone() }
    }

    /// The same world by another generation, which was compiled for entities of these types.
    #[must_use]
    pub fn with_generation(&self, generation: Arc<Generation>) -> Self {
        Self { generation, ..self.clone() }
    }

    /// The same world, which uses what was prepared for the one before wherever that is the very same. One that stores many
    /// more entities makes a start of its own.
    #[must_use]
    pub fn after(self, before: &Self) -> Self {
        if !before.of_late.holds_as_many(&self.of_late) {
            return self;
        }
        Self { of_late: Arc::clone(&before.of_late), ..self }
    }

    /// Whether an entity of that name is stored.
    pub fn stores(&self, uid: &EntityUid) -> bool {
        self.entities.contains(uid)
    }

    /// A stored entity, ready to decide with.
    pub fn prepared(&self, uid: &EntityUid) -> Option<Arc<Prepared>> {
        self.of_late.get(&self.entities, &self.generation.index, uid)
    }

    /// An action: the schema's, or where there is no schema a stored one.
    pub fn action(&self, uid: &EntityUid) -> Option<BuiltEntity> {
        self.generation.actions.get(uid).cloned().or_else(|| self.stored(uid))
    }

    /// A stored entity or an action.
    pub fn built(&self, uid: &EntityUid) -> Option<BuiltEntity> {
        self.stored(uid).or_else(|| self.generation.actions.get(uid).cloned())
    }

    fn stored(&self, uid: &EntityUid) -> Option<BuiltEntity> {
        self.prepared(uid).map(|prepared| prepared.built.clone())
    }

    /// Whether it is one of a closed set, of which nothing is stored.
    pub fn is_closed(&self, uid: &EntityUid) -> bool {
        match self.generation.catalog.entity_kind(uid.type_name()) {
            Some(EntityKind::Enum(ids)) => ids.contains(uid.id().unescaped()),
            _ => false,
        }
    }

    /// Whether decisions may look at it though it is not there.
    pub fn may_lack(&self, uid: &EntityUid) -> bool {
        self.is_closed(uid) || self.generation.catalog.strictness != Strictness::Full
    }
}

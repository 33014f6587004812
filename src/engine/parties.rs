//! Who acts, what is done and to what, made ready to decide with.

use std::borrow::Cow;
use std::sync::Arc;

use cedar_policy::EntityUid;

use super::cedar::{BuiltEntity, RecordType, Scoped};
use super::delegation::{Hop, Seen};
use super::prepared::Prepared;
use super::question::Question;
use super::world::World;

/// The parties of one request.
#[derive(Debug)]
pub struct Parties {
    principal: Party,
    action: Option<BuiltEntity>,
    resource: Party,
}

/// A principal or a resource.
#[derive(Debug, Clone)]
enum Party {
    /// It is stored.
    Stored(Arc<Prepared>),
    /// The request supplies it, or it is one of the schema's actions.
    Other(BuiltEntity),
    /// It does not exist.
    Absent,
}

impl Party {
    fn of(world: &World, question: &Question, uid: &EntityUid) -> Self {
        match world.prepared(uid) {
            Some(prepared) => Self::Stored(prepared),
            None => {
                let other = question.supplied.get(uid).cloned().or_else(|| world.action(uid));
                other.map_or(Self::Absent, Self::Other)
            }
        }
    }

    fn built(&self) -> Option<&BuiltEntity> {
        match self {
            Self::Stored(prepared) => Some(&prepared.built),
            Self::Other(built) => Some(built),
            Self::Absent => None,
        }
    }

    fn ancestors(&self) -> impl Iterator<Item = &EntityUid> {
        self.built().into_iter().flat_map(BuiltEntity::ancestors)
    }
}

impl Parties {
    /// Finds the parties of a question.
    pub fn of(world: &World, question: &Question) -> Self {
        Self {
            principal: Party::of(world, question, &question.principal),
            action: world.action(&question.action.uid),
            resource: Party::of(world, question, &question.resource),
        }
    }

    /// The same, with somebody else acting.
    pub fn acting(&self, world: &World, question: &Question, principal: &EntityUid) -> Self {
        Self {
            principal: Party::of(world, question, principal),
            action: self.action.clone(),
            resource: self.resource.clone(),
        }
    }

    /// Whether the principal is stored, or a token stands in for it: a request never supplies one.
    pub fn principal_is_known(&self, question: &Question) -> bool {
        match self.principal {
            Party::Stored(_) => true,
            Party::Other(_) => question.supplied.stands_in(&question.principal),
            Party::Absent => false,
        }
    }

    /// Whether the resource is stored or supplied.
    pub fn resource_exists(&self) -> bool {
        !matches!(self.resource, Party::Absent)
    }

    /// The parties as scopes look at them.
    pub fn scoped<'a>(&'a self, question: &'a Question) -> Scoped<'a> {
        Scoped {
            principal: (&question.principal, self.principal.built()),
            action: (&question.action.uid, self.action.as_ref()),
            resource: (&question.resource, self.resource.built()),
        }
    }

    /// What policies see of the principal in its place.
    pub fn seen(&self, hop: &Hop, declared: &Arc<RecordType>) -> Seen {
        match &self.principal {
            Party::Stored(prepared) => prepared.seen(hop, declared),
            Party::Other(_) | Party::Absent => hop.seen(declared),
        }
    }

    /// The principal, if it is stored.
    pub fn principal(&self) -> Option<&BuiltEntity> {
        match &self.principal {
            Party::Stored(prepared) => Some(&prepared.built),
            Party::Other(_) | Party::Absent => None,
        }
    }

    /// The resource, if it exists.
    pub fn resource(&self) -> Option<&BuiltEntity> {
        self.resource.built()
    }

    /// The entity, if it is one of the parties.
    pub fn find(&self, uid: &EntityUid, question: &Question) -> Option<&BuiltEntity> {
        if *uid == question.principal {
            self.principal.built()
        } else if *uid == question.resource {
            self.resource.built()
        } else if *uid == question.action.uid {
            self.action.as_ref()
        } else {
            None
        }
    }

    /// Places of the policies whose scopes cover the parties, in order.
    pub fn candidates(&self, world: &World, question: &Question) -> Vec<u32> {
        let index = &world.generation.index;
        let principal = match &self.principal {
            Party::Stored(prepared) => Cow::Borrowed(prepared.principal(index)),
            other => {
                let within = index.principals_within(other.ancestors());
                Cow::Owned(index.principal_keys(&question.principal, [&within]))
            }
        };
        let resource = match &self.resource {
            Party::Stored(prepared) => Cow::Borrowed(prepared.resource(index)),
            other => {
                let within = index.resources_within(other.ancestors());
                Cow::Owned(index.resource_keys(&question.resource, [&within]))
            }
        };
        index.candidates(&principal, (&question.action.uid, self.action.as_ref()), &resource)
    }
}

//! What one grant says: who hands what on to whom, how far and how long.

use cedar_policy::EntityUid;
use smol_str::SmolStr;

use super::names::DelegationNames;
use crate::engine::authorize::Now;
use crate::engine::cedar::CedarValue;
use crate::engine::decision::{Denial, GrantName, ReasonCode};
use crate::engine::entities::StoredEntity;
use crate::engine::validity::Validity;
use crate::engine::world::World;

/// A grant, as it stands in one world.
#[derive(Debug, Clone)]
pub struct Grant<'w> {
    /// Its name.
    pub name: GrantName,
    /// Who delegates; none if the delegation does not name exactly one.
    pub from: Option<EntityUid>,
    /// To whom.
    pub to: EntityUid,
    /// The grant under which the delegator itself acts.
    pub parent: Option<EntityUid>,
    /// When it begins to hold.
    pub not_before: Now,
    /// When it holds no more.
    pub expires: Now,
    /// How many further grants may follow.
    pub max_depth: i64,
    /// What for, in words.
    pub purpose: SmolStr,
    /// What it covers.
    pub covers: Covers<'w>,
}

/// What a grant covers: members of sets, with everything in them. An empty set covers nothing (D5).
#[derive(Debug, Clone)]
pub enum Covers<'w> {
    /// A stored delegation's sets.
    Stored(&'w StoredEntity, &'w DelegationNames),
    /// A token's.
    Token {
        /// Actions.
        actions: Vec<EntityUid>,
        /// Resources of any type, data included.
        scopes: Vec<EntityUid>,
    },
}

impl<'w> Grant<'w> {
    /// The delegation of that name, if it is stored and is one.
    pub fn stored(world: &'w World, uid: &EntityUid) -> Option<Self> {
        let catalog = &world.generation.catalog;
        if catalog.delegation_type() != Some(uid.type_name()) {
            return None;
        }
        let names = &catalog.domain.delegation;
        let stored = world.entities.get(uid)?;
        let entity = |name: &String| stored.attribute(name).and_then(CedarValue::as_entity);
        let instant = |name: &String| stored.attribute(name).and_then(CedarValue::as_millis).map(Now);
        Some(Self {
            name: GrantName::Stored(uid.clone()),
            from: only(names.from.iter().filter_map(entity)),
            to: entity(&names.to)?,
            parent: entity(&names.parent),
            not_before: instant(&names.not_before)?,
            expires: instant(&names.expires)?,
            max_depth: stored.attribute(&names.max_depth).and_then(CedarValue::as_long)?,
            purpose: stored.attribute(&names.purpose).and_then(CedarValue::text_ref)?.clone(),
            covers: Covers::Stored(stored, names),
        })
    }
}

impl Grant<'_> {
    /// The instants around `now` at which it holds as it does, or does not as it does not.
    pub fn validity(&self, now: Now) -> Validity {
        if now < self.not_before {
            Validity::until(self.not_before)
        } else if now < self.expires {
            Validity::from(self.not_before).and(Validity::until(self.expires))
        } else {
            Validity::from(self.expires)
        }
    }

    /// Who delegates.
    ///
    /// # Errors
    /// The [`Denial`] `grant_delegator`, for a delegation that names nobody, or two.
    pub fn giver(&self) -> Result<&EntityUid, Denial> {
        self.from.as_ref().ok_or_else(|| {
            let message =
                format!("{} does not name exactly one who delegates: it must be made anew", self.name);
            Denial::of_grant(ReasonCode::GrantDelegator, self.name.clone(), message)
        })
    }
}

/// What comes, if it is one and no more.
fn only<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next();
    if all.next().is_some() { None } else { first }
}

impl Covers<'_> {
    /// Actions.
    pub fn actions(&self) -> Named<'_> {
        match self {
            Self::Stored(stored, names) => Named::of(stored, &names.actions),
            Self::Token { actions, .. } => Named::List(actions),
        }
    }

    /// Resources: one set after the other.
    pub fn resources(&self) -> impl Iterator<Item = Named<'_>> {
        let (stored, scopes) = match self {
            Self::Stored(stored, names) => (Some((stored, &names.scopes)), None),
            Self::Token { scopes, .. } => (None, Some(Named::List(scopes))),
        };
        let sets = stored.map(|(stored, scopes)| scopes.iter().map(|scope| Named::of(stored, scope)));
        sets.into_iter().flatten().chain(scopes)
    }

    /// Data.
    pub fn data(&self) -> Named<'_> {
        match self {
            Self::Stored(stored, names) => Named::of(stored, &names.data),
            Self::Token { scopes, .. } => Named::List(scopes),
        }
    }
}

/// Entities that a grant names.
#[derive(Debug, Clone, Copy)]
pub enum Named<'g> {
    /// An attribute of a delegation: a set, or it names nothing.
    Set(&'g CedarValue),
    /// What a token lists.
    List(&'g [EntityUid]),
}

impl<'g> Named<'g> {
    fn of(stored: &'g StoredEntity, set: &str) -> Self {
        stored.attribute(set).map_or(Self::List(&[]), Self::Set)
    }

    /// Whether an entity is named.
    pub fn has(self, uid: &EntityUid) -> bool {
        match self {
            Self::Set(set) => set.has_entity(uid),
            Self::List(list) => list.contains(uid),
        }
    }
}

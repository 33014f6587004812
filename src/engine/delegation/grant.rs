//! What one grant says: who hands what on to whom, how far and how long.

use cedar_policy::EntityUid;

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
    pub purpose: String,
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
            purpose: stored.attribute(&names.purpose).and_then(CedarValue::as_text)?.to_owned(),
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
    /// Whether an action is named.
    pub fn names_action(&self, uid: &EntityUid) -> bool {
        match self {
            Self::Stored(stored, names) => holds(stored, &names.actions, uid),
            Self::Token { actions, .. } => actions.contains(uid),
        }
    }

    /// Whether a resource is named in any of the scopes.
    pub fn names_resource(&self, uid: &EntityUid) -> bool {
        match self {
            Self::Stored(stored, names) => names.scopes.iter().any(|scope| holds(stored, scope, uid)),
            Self::Token { scopes, .. } => scopes.contains(uid),
        }
    }

    /// Whether data is named.
    pub fn names_data(&self, uid: &EntityUid) -> bool {
        match self {
            Self::Stored(stored, names) => holds(stored, &names.data, uid),
            Self::Token { scopes, .. } => scopes.contains(uid),
        }
    }
}

fn holds(stored: &StoredEntity, set: &str, uid: &EntityUid) -> bool {
    stored.attribute(set).is_some_and(|set| set.has_entity(uid))
}

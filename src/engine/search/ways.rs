//! Under which delegations a candidate is asked about: as the question shows them, or under each that was given to whoever acts.

use std::collections::BTreeMap;

use cedar_policy::EntityUid;

use super::{Search, Sought};
use crate::engine::authorize::Now;
use crate::engine::datum::Reference;
use crate::engine::delegation::grant::Grant;
use crate::engine::request::{AuthzRequest, InvalidRequest};
use crate::engine::world::World;

/// Most delegations of one principal that are asked about.
const MAX_WAYS: usize = 32;

/// The ways there are.
#[derive(Debug)]
pub(super) enum Ways {
    /// The one that the question shows.
    Shown,
    /// By itself, and under each delegation that holds now.
    Any {
        /// Who acts, where that is not what is searched for.
        actor: Option<EntityUid>,
        /// Delegations, by whom they were given to.
        given: BTreeMap<EntityUid, Vec<EntityUid>>,
    },
}

impl Ways {
    /// The ways of a search. For any way every stored entity is looked at, once.
    ///
    /// # Errors
    /// [`InvalidRequest`] if a way is shown and any is asked for.
    pub(super) fn of(world: &World, search: &Search, now: Now) -> Result<Self, InvalidRequest> {
        let AuthzRequest { delegations, subject, principal, .. } = &search.question;
        if !search.any_delegation {
            return Ok(Self::Shown);
        }
        if !delegations.is_empty() || subject.is_some() {
            let message = "asks for every delegation: show none, and no credentials";
            return Err(InvalidRequest::field("any_delegation", message));
        }
        let actor = match search.sought {
            Sought::Principals(_) => None,
            _ => Some(world.generation.catalog.uid(principal, "principal")?),
        };
        let mut given: BTreeMap<EntityUid, Vec<EntityUid>> = BTreeMap::new();
        let delegations = world.generation.catalog.delegation_type();
        for uid in
            world.entities.iter().map(|(uid, _)| uid).filter(|uid| delegations == Some(uid.type_name()))
        {
            let Some(grant) = Grant::stored(world, uid) else { continue };
            let holds = grant.not_before <= now && now < grant.expires && !world.revocations.revokes(uid);
            if holds && actor.as_ref().is_none_or(|actor| *actor == grant.to) {
                given.entry(grant.to).or_default().push(uid.clone());
            }
        }
        given.values_mut().for_each(|given| given.sort_unstable());
        Ok(Self::Any { actor, given })
    }

    /// Each way of a candidate's question: the delegation to show, none for the principal by itself. Of the one that the question
    /// shows, nothing else is to be shown.
    ///
    /// # Errors
    /// [`InvalidRequest`] if there are too many.
    pub(super) fn each(&self, candidate: &EntityUid) -> Result<Vec<Option<&EntityUid>>, InvalidRequest> {
        let Self::Any { actor, given } = self else { return Ok(vec![None]) };
        let principal = actor.as_ref().unwrap_or(candidate);
        let given = given.get(principal).map(Vec::as_slice).unwrap_or_default();
        if given.len() > MAX_WAYS {
            let count = given.len();
            let message =
                format!("{principal} has {count} delegations that hold; the limit is {MAX_WAYS}: show one");
            return Err(InvalidRequest::field("any_delegation", message));
        }
        Ok([None].into_iter().chain(given.iter().map(Some)).collect())
    }

    /// Whether any way is asked for.
    pub(super) fn is_any(&self) -> bool {
        matches!(self, Self::Any { .. })
    }
}

/// What a request shows of a delegation.
pub(super) fn shown(delegation: Option<&EntityUid>) -> Vec<Reference> {
    let name = |uid: &EntityUid| Reference::new(uid.type_name().to_string(), uid.id().unescaped());
    delegation.into_iter().map(name).collect()
}

//! Whether everything a decision would read is there (C3).
//!
//! Cedar answers false, not an error, to `in`, `has` and `hasTag` on an entity that is absent, so a forbid would
//! silently miss. What is absent therefore denies before any policy is evaluated.

use cedar_policy::EntityUid;

use super::decision::{Denial, ReasonCode};
use super::generation::Strictness;
use super::guard::MAX_SLICE;
use super::parties::Parties;
use super::question::Question;
use super::world::World;

/// Checks that the principal is stored, the resource stored or supplied, and the action theirs.
///
/// # Errors
/// The [`Denial`], by the first of these that fails.
pub fn check_parties(world: &World, question: &Question, parties: &Parties) -> Result<(), Denial> {
    let Question { principal, action, resource, .. } = question;
    if world.generation.catalog.strictness != Strictness::Full {
        return Ok(());
    }
    if !parties.principal_is_known(question) {
        return Err(Denial::new(ReasonCode::UnknownPrincipal, format!("principal {principal} is not known")));
    }
    if !parties.resource_exists() {
        return Err(Denial::new(ReasonCode::UnknownResource, format!("resource {resource} is not known")));
    }
    if !action.applies_to(principal, resource) {
        let (by, on) = (principal.type_name(), resource.type_name());
        let message = format!("action {} does not apply to a {by} and a {on}", action.uid);
        return Err(Denial::new(ReasonCode::ActionNotApplicable, message));
    }
    Ok(())
}

/// Checks that everything the caller and the chain refer to exists. What stored attributes refer to is looked for by
/// whoever follows them ([`super::slice`]).
///
/// # Errors
/// The [`Denial`], by the first of these that fails.
pub fn check_references(world: &World, question: &Question) -> Result<(), Denial> {
    let mut named = question.references.iter().chain(&question.role);
    match named.find(|uid| !exists(world, question, uid)) {
        Some(absent) => Err(unknown_entity(format!("{absent}, which the request refers to, is not known"))),
        None => Ok(()),
    }
}

fn exists(world: &World, question: &Question, uid: &EntityUid) -> bool {
    world.stores(uid) || question.supplied.contains(uid) || world.is_closed(uid)
}

/// The denial of a decision that would follow a stored reference to nothing. What is missing is no caller's business; the
/// load named it.
pub fn leads_nowhere() -> Denial {
    unknown_entity("a stored reference that policies follow leads nowhere".to_owned())
}

/// The denial of a decision that would have to look at too much.
pub fn slice_limit() -> Denial {
    let message = format!("more than {MAX_SLICE} stored entities would have to be looked at");
    Denial::new(ReasonCode::SliceLimit, message)
}

fn unknown_entity(message: String) -> Denial {
    Denial::new(ReasonCode::UnknownEntity, message)
}

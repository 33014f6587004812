//! Whether everything a decision would read is there (C3).
//!
//! Cedar answers false, not an error, to `in`, `has` and `hasTag` on an entity that is absent, so a forbid would
//! silently miss. What is absent therefore denies before any policy is evaluated.

use cedar_policy::EntityUid;

use super::cedar::EntityKind;
use super::decision::{Denial, ReasonCode};
use super::generation::Strictness;
use super::guard::MAX_SLICE;
use super::question::Question;
use super::reach;
use super::world::World;

/// Checks that the principal is stored, the resource stored or supplied, and the action theirs.
///
/// # Errors
/// The [`Denial`], by the first of these that fails.
pub fn check_parties(world: &World, question: &Question<'_>) -> Result<(), Denial> {
    let Question { principal, action, resource, .. } = question;
    if world.generation.catalog.strictness != Strictness::Full {
        return Ok(());
    }
    if !world.stores(principal) {
        return Err(Denial::new(ReasonCode::UnknownPrincipal, format!("principal {principal} is not known")));
    }
    if !exists(world, question, resource) {
        return Err(Denial::new(ReasonCode::UnknownResource, format!("resource {resource} is not known")));
    }
    if !action.applies_to(principal, resource) {
        let (by, on) = (principal.type_name(), resource.type_name());
        let message = format!("action {} does not apply to a {by} and a {on}", action.uid);
        return Err(Denial::new(ReasonCode::ActionNotApplicable, message));
    }
    Ok(())
}

/// Checks that everything the caller, the chain or a followed stored attribute refers to exists.
///
/// # Errors
/// The [`Denial`], by the first of these that fails.
pub fn check_references(world: &World, question: &Question<'_>) -> Result<(), Denial> {
    if let Some(absent) = question.references.iter().find(|uid| !exists(world, question, uid)) {
        return Err(unknown_entity(format!("{absent}, which the request refers to, is not known")));
    }
    if world.dangling.is_empty() { Ok(()) } else { check_reach(world, question) }
}

fn exists(world: &World, question: &Question<'_>, uid: &EntityUid) -> bool {
    let closed = || match world.generation.catalog.entity_kind(uid.type_name()) {
        Some(EntityKind::Enum(ids)) => ids.contains(uid.id().unescaped()),
        _ => false,
    };
    world.stores(uid) || question.supplied.contains(uid) || closed()
}

/// Looks for a stored reference that policies follow and that leads nowhere. Which one a policy will follow is known
/// by attribute name only, so this may deny more than evaluation would need.
fn check_reach(world: &World, question: &Question<'_>) -> Result<(), Denial> {
    let followed = world.generation.followed.literals.iter().cloned();
    let roots = [question.principal.clone(), question.resource.clone()].into_iter();
    let roots = roots.chain(question.references.iter().cloned()).chain(followed);
    let reached = reach::stored(&world.entities, roots).map_err(|_| slice_limit())?;
    let incomplete = reached.iter().any(|entity| world.dangling.contains_key(&entity.uid()));
    // What is missing is no caller's business; the load named it.
    if incomplete {
        Err(unknown_entity("a stored reference that policies follow leads nowhere".to_owned()))
    } else {
        Ok(())
    }
}

/// The denial of a decision that would have to look at too much.
pub fn slice_limit() -> Denial {
    let message = format!("more than {MAX_SLICE} stored entities would have to be looked at");
    Denial::new(ReasonCode::SliceLimit, message)
}

fn unknown_entity(message: String) -> Denial {
    Denial::new(ReasonCode::UnknownEntity, message)
}

//! Whether everything a decision would read is there (C3).
//!
//! Cedar answers false, not an error, to `in`, `has` and `hasTag` on an entity that is absent, so a forbid would
//! silently miss. What is absent therefore denies before any policy is evaluated.

use std::collections::HashSet;

use cedar_policy::EntityUid;

use super::cedar::{EntityKind, entities};
use super::decision::{Denial, ReasonCode};
use super::question::Question;
use super::world::World;

/// Most entities looked at when stored references lead nowhere somewhere in the store.
const MAX_REACH: usize = 1_000;

/// Checks that the principal is stored, the resource stored or supplied, the action theirs, and that everything the
/// caller or a followed stored attribute refers to exists.
///
/// # Errors
/// The [`Denial`], by the first of these that fails.
pub fn check(world: &World, question: &Question<'_>) -> Result<(), Denial> {
    let Question { principal, action, resource, .. } = question;
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

/// Walks stored references from the request's own, and denies if one that policies follow leads nowhere. Which
/// reference a policy will follow is known by attribute name only, so this may deny more than evaluation would need.
fn check_reach(world: &World, question: &Question<'_>) -> Result<(), Denial> {
    let mut seen: HashSet<EntityUid> = HashSet::new();
    let mut pending: Vec<EntityUid> = vec![question.principal.clone(), question.resource.clone()];
    pending.extend(question.references.iter().cloned());
    while let Some(uid) = pending.pop() {
        if !seen.insert(uid.clone()) {
            continue;
        }
        if let Some(dangling) = world.dangling.get(&uid) {
            let message =
                format!("{uid}.{} refers to {}, which is not known", dangling.attribute, dangling.missing);
            return Err(unknown_entity(message));
        }
        if seen.len() > MAX_REACH {
            return Err(unknown_entity(format!("more than {MAX_REACH} entities would have to be checked")));
        }
        if let Some(entity) = question.entities.get(&uid) {
            pending.extend(entities::references(entity).into_iter().map(|held| held.to));
        }
    }
    Ok(())
}

fn unknown_entity(message: String) -> Denial {
    Denial::new(ReasonCode::UnknownEntity, message)
}

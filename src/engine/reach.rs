//! The stored entities that a decision may look at.
//!
//! Policies look at an entity only through a root (principal, resource, what the context refers to, what policies name)
//! or an attribute or tag of one they already look at. `in` needs the ancestors of what it looks at, which each entity
//! carries; the ancestors themselves are looked at only if an attribute leads there.

use std::collections::HashSet;

use cedar_policy::{Entities, Entity, EntityUid};

use super::cedar::entities;
use super::guard::MAX_SLICE;

/// More than [`MAX_SLICE`] entities may be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFar;

/// The stored entities reachable from `roots` through attributes and tags, the stored roots included.
///
/// # Errors
/// [`TooFar`]; never a part of them.
pub fn stored(store: &Entities, roots: impl IntoIterator<Item = EntityUid>) -> Result<Vec<&Entity>, TooFar> {
    let mut seen: HashSet<EntityUid> = HashSet::new();
    let mut pending: Vec<EntityUid> = roots.into_iter().collect();
    let mut reached = Vec::new();
    while let Some(uid) = pending.pop() {
        let Some(entity) = store.get(&uid) else { continue };
        if !seen.insert(uid) {
            continue;
        }
        if reached.len() == MAX_SLICE {
            return Err(TooFar);
        }
        reached.push(entity);
        pending.extend(entities::references(entity).into_iter().map(|held| held.to));
    }
    Ok(reached)
}

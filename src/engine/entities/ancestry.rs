//! Who is in whom, found without recursion.

use std::collections::{HashMap, HashSet};

use cedar_policy::EntityUid;
use foldhash::fast::RandomState;

use super::{EntityStore, StoredEntity};

/// Up to this many ancestors are told apart one by one, which is faster than hashing them.
const FEW: usize = 16;

impl EntityStore {
    /// Everything that is at or above `parents`, each once. Ends in a cycle too.
    pub(super) fn above<'s>(&'s self, parents: &'s [EntityUid]) -> Vec<&'s EntityUid> {
        let mut found: Vec<&EntityUid> = parents.iter().collect();
        let mut many: HashSet<&EntityUid, RandomState> = HashSet::default();
        let mut next = 0;
        while let Some(uid) = found.get(next).copied() {
            next += 1;
            for parent in self.get(uid).map(StoredEntity::parents).unwrap_or_default() {
                if many.is_empty() && found.len() > FEW {
                    many.extend(&found);
                }
                let is_new = if many.is_empty() { !found.contains(&parent) } else { many.insert(parent) };
                if is_new {
                    found.push(parent);
                }
            }
        }
        found
    }
}

/// The length of the longest path from each entity to one without stored parents. An entity in a cycle, or below one, has
/// none.
pub fn heights(store: &EntityStore) -> HashMap<&EntityUid, usize, RandomState> {
    // Only parents need a list of children.
    let mut children: HashMap<&EntityUid, Vec<&EntityUid>, RandomState> = HashMap::default();
    let mut waiting: HashMap<&EntityUid, usize, RandomState> = HashMap::default();
    let mut ready: Vec<&EntityUid> = Vec::new();
    for (uid, entity) in store.iter() {
        let stored = entity.parents().iter().filter(|parent| store.contains(parent));
        let count = stored.map(|parent| children.entry(parent).or_default().push(uid)).count();
        match count {
            0 => ready.push(uid),
            _ => waiting.extend([(uid, count)]),
        }
    }
    // From the roots down: an entity is ready once all its parents are settled, so what is in a cycle never is.
    let mut heights: HashMap<&EntityUid, usize, RandomState> = HashMap::default();
    while let Some(uid) = ready.pop() {
        let parents = store.get(uid).map(StoredEntity::parents).unwrap_or_default();
        let above = parents.iter().filter_map(|parent| heights.get(parent)).max().copied();
        heights.insert(uid, above.map_or(0, |above| above + 1));
        for child in children.get(uid).into_iter().flatten() {
            let left = waiting.entry(child).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                ready.push(child);
            }
        }
    }
    heights
}

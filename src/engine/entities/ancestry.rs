//! Who is in whom, found without recursion.

use std::collections::{HashMap, HashSet};

use cedar_policy::EntityUid;
use foldhash::fast::RandomState;

use super::EntityStore;

/// Up to this many ancestors are told apart one by one, which is faster than hashing them.
const FEW: usize = 16;

impl EntityStore {
    /// Everything that is at or above `parents`, each once. Ends in a cycle too.
    pub fn above<'s>(&'s self, parents: &'s [EntityUid]) -> Vec<&'s EntityUid> {
        let mut found: Vec<&EntityUid> = parents.iter().collect();
        let mut many: HashSet<&EntityUid, RandomState> = HashSet::default();
        let mut next = 0;
        while let Some(uid) = found.get(next).copied() {
            next += 1;
            for parent in self.get(uid).map(|entity| entity.parents()).unwrap_or_default() {
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

/// The length of the longest path from entities to ones without stored parents.
#[derive(Debug)]
pub struct Heights<'s> {
    /// Of every stored entity that others are in; none of one in a cycle, or below one.
    of_parents: HashMap<&'s EntityUid, Option<usize>, RandomState>,
}

impl<'s> Heights<'s> {
    /// Measures a store. Only parents are remembered: of a million entities few are.
    pub fn of(store: &'s EntityStore) -> Self {
        let stored = store.children.iter().filter_map(|(uid, _)| store.entry(uid));
        let mut heights = Self { of_parents: stored.map(|(uid, _)| (uid, None)).collect() };
        let mut children: HashMap<&EntityUid, Vec<&EntityUid>, RandomState> = HashMap::default();
        let mut waiting: HashMap<&EntityUid, usize, RandomState> = HashMap::default();
        let mut ready: Vec<&EntityUid> = Vec::new();
        for uid in heights.of_parents.keys() {
            let parents = store.get(uid).map(|entity| entity.parents()).unwrap_or_default();
            let stored = parents.iter().filter(|parent| heights.is_stored(parent));
            match stored.map(|parent| children.entry(parent).or_default().push(uid)).count() {
                0 => ready.push(uid),
                count => waiting.extend([(*uid, count)]),
            }
        }
        // From the roots down: an entity is ready once all its parents are settled, so what is in a cycle never is.
        while let Some(uid) = ready.pop() {
            let parents = store.get(uid).map(|entity| entity.parents()).unwrap_or_default();
            let height = heights.below(parents);
            heights.of_parents.insert(uid, height);
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

    /// Whether a parent of some stored entity is stored itself.
    pub fn is_stored(&self, parent: &EntityUid) -> bool {
        self.of_parents.contains_key(parent)
    }

    /// The height of an entity with these parents. One in a cycle, or below one, has none.
    pub fn below(&self, parents: &[EntityUid]) -> Option<usize> {
        let stored = parents.iter().filter_map(|parent| self.of_parents.get(parent));
        stored
            .map(|height| height.map(|height| height + 1))
            .try_fold(0, |most, height| Some(most.max(height?)))
    }
}

//! A table by entity that shares its structure with the versions before it.
//!
//! Among a million entities, what it costs to find one is how often memory has to be waited for, one time after another. So branches
//! are wide, the few entries of a leaf lie in one piece, and both are led to directly. Changing an entry copies its leaf and the
//! branches that lead there.

use std::array;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use cedar_policy::EntityUid;
use foldhash::fast::RandomState;

/// How many ways a branch leads.
const WIDTH: usize = 32;
/// How many bits of a hash tell which.
const BITS: u32 = WIDTH.ilog2();
/// How many branches lead to a leaf, at most: then all that a hash tells is told.
const LEVELS: u32 = u64::BITS / BITS;
/// Up to so many entries are one leaf.
const FEW: usize = 16;

/// The table. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Table<V> {
    root: Node<V>,
    len: usize,
    hasher: RandomState,
}

#[derive(Debug, Clone)]
enum Node<V> {
    Branch(Arc<[Node<V>; WIDTH]>),
    Leaf(Arc<[Entry<V>]>),
}

#[derive(Debug, Clone)]
struct Entry<V> {
    hash: u64,
    uid: EntityUid,
    value: V,
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self { root: Node::Leaf(Arc::new([])), len: 0, hasher: RandomState::default() }
    }
}

impl<V: Clone> Table<V> {
    /// How many entries it has.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// An entity's entry.
    pub(super) fn get(&self, uid: &EntityUid) -> Option<&V> {
        self.entry(uid).map(|(_, value)| value)
    }

    /// An entity's entry, with the name as it is held.
    pub(super) fn entry(&self, uid: &EntityUid) -> Option<(&EntityUid, &V)> {
        let hash = self.hasher.hash_one(uid);
        let (mut node, mut level) = (&self.root, 0);
        loop {
            match node {
                Node::Branch(ways) => node = ways.get(way(hash, level))?,
                Node::Leaf(entries) => {
                    let entry = entries.iter().find(|entry| entry.is(hash, uid))?;
                    return Some((&entry.uid, &entry.value));
                }
            }
            level += 1;
        }
    }

    /// Every entry, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&EntityUid, &V)> {
        let mut ahead = vec![&self.root];
        let leaves = std::iter::from_fn(move || {
            loop {
                match ahead.pop()? {
                    Node::Branch(ways) => ahead.extend(ways.iter()),
                    Node::Leaf(entries) => return Some(entries.iter()),
                }
            }
        });
        leaves.flatten().map(|entry| (&entry.uid, &entry.value))
    }

    /// Puts in an entity's entry, in place of the one before.
    pub(super) fn insert(&mut self, uid: EntityUid, value: V) {
        let hash = self.hasher.hash_one(&uid);
        if self.root.insert(Entry { hash, uid, value }, 0) {
            self.len += 1;
        }
    }

    /// Takes out an entity's entry; whether there was one. Branches stay, for what comes next.
    pub(super) fn remove(&mut self, uid: &EntityUid) -> bool {
        let is_there = self.entry(uid).is_some();
        if is_there {
            self.root.remove(self.hasher.hash_one(uid), uid, 0);
            self.len -= 1;
        }
        is_there
    }
}

impl<V> Entry<V> {
    fn is(&self, hash: u64, uid: &EntityUid) -> bool {
        self.hash == hash && self.uid == *uid
    }
}

/// Which way a branch leads on from a level.
fn way(hash: u64, level: u32) -> usize {
    let told = hash.checked_shr(level * BITS).unwrap_or(0);
    usize::try_from(told % WIDTH as u64).unwrap_or(0)
}

/// Recursion is bounded by [`LEVELS`].
impl<V: Clone> Node<V> {
    /// These, as one leaf or as branches.
    fn of(entries: Vec<Entry<V>>, level: u32) -> Self {
        if entries.len() <= FEW || level == LEVELS {
            return Self::Leaf(entries.into());
        }
        let mut parts: [Vec<Entry<V>>; WIDTH] = array::from_fn(|_| Vec::new());
        for entry in entries {
            if let Some(part) = parts.get_mut(way(entry.hash, level)) {
                part.push(entry);
            }
        }
        Self::Branch(Arc::new(parts.map(|part| Self::of(part, level + 1))))
    }

    /// Whether there was none before.
    fn insert(&mut self, entry: Entry<V>, level: u32) -> bool {
        match self {
            Self::Branch(ways) => {
                let next = Arc::make_mut(ways).get_mut(way(entry.hash, level));
                next.is_some_and(|next| next.insert(entry, level + 1))
            }
            Self::Leaf(entries) => {
                let place = entries.iter().position(|other| other.is(entry.hash, &entry.uid));
                match place.and_then(|place| Arc::make_mut(entries).get_mut(place)) {
                    Some(before) => {
                        *before = entry;
                        false
                    }
                    None => {
                        *self = Self::of(entries.iter().cloned().chain([entry]).collect(), level);
                        true
                    }
                }
            }
        }
    }

    fn remove(&mut self, hash: u64, uid: &EntityUid, level: u32) {
        match self {
            Self::Branch(ways) => {
                if let Some(next) = Arc::make_mut(ways).get_mut(way(hash, level)) {
                    next.remove(hash, uid, level + 1);
                }
            }
            Self::Leaf(entries) => {
                *entries = entries.iter().filter(|entry| !entry.is(hash, uid)).cloned().collect();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn uid(id: usize) -> EntityUid {
        format!("E::\"{id}\"").parse().unwrap()
    }

    /// The table holds what the map does, and nothing else.
    fn agrees(table: &Table<usize>, map: &HashMap<usize, usize>) {
        assert_eq!(table.len(), map.len());
        assert_eq!(table.iter().count(), map.len());
        for id in 0..6_000 {
            assert_eq!(table.get(&uid(id)), map.get(&id), "{id}");
        }
    }

    #[test]
    fn it_holds_what_was_put_in_last_and_versions_before_stay() {
        let (mut table, mut map) = (Table::default(), HashMap::new());
        let mut before = Vec::new();
        // Steps that meet the same entities again, and take some out.
        for step in 0..12_000_usize {
            let id = step * 2_477 % 5_000;
            if step % 3 == 2 {
                assert_eq!(table.remove(&uid(id)), map.remove(&id).is_some());
            } else {
                table.insert(uid(id), step);
                map.insert(id, step);
            }
            if step % 3_000 == 0 {
                before.push((table.clone(), map.clone()));
            }
        }
        before.push((table, map));
        before.iter().for_each(|(table, map)| agrees(table, map));
    }

    #[test]
    fn names_whose_hashes_are_the_same_are_told_apart() {
        let mut root = Node::Leaf(Arc::new([]));
        for id in 0..100 {
            assert!(root.insert(Entry { hash: 7, uid: uid(id), value: id }, 0));
        }
        root.remove(7, &uid(40), 0);
        assert!(!root.insert(Entry { hash: 7, uid: uid(41), value: 0 }, 0));
        let table = Table { root, len: 99, hasher: RandomState::default() };
        let mut held: Vec<_> =
            table.iter().map(|(uid, value)| (uid.id().unescaped().to_owned(), *value)).collect();
        held.sort();
        assert_eq!(held.len(), 99);
        assert!(held.iter().all(|(id, value)| *value == if id == "41" { 0 } else { id.parse().unwrap() }));
    }
}

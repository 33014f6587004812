//! What entities are in, in a form that is quick to ask.

use std::hash::BuildHasher as _;
use std::sync::{Arc, LazyLock};

use cedar_policy::EntityUid;
use foldhash::fast::RandomState;

/// What names are hashed by. One for all, so that hashes can be compared.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// Entities that others are in. What they are not in is usually told by its hash.
#[derive(Debug, Clone, Default)]
pub struct Ancestors {
    /// In order.
    hashes: Box<[u64]>,
    /// In the order of their hashes.
    uids: Box<[EntityUid]>,
}

impl Ancestors {
    /// These, each once.
    pub fn of<'a>(uids: impl IntoIterator<Item = &'a EntityUid>) -> Self {
        Self::hashed(uids.into_iter().map(|uid| (HASHER.hash_one(uid), uid)).collect())
    }

    /// An entity and what is in these lists, each once.
    pub fn under<'a>(uid: &'a EntityUid, above: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut hashed = vec![(HASHER.hash_one(uid), uid)];
        hashed.extend(above.into_iter().flat_map(|list| list.hashes.iter().copied().zip(&list.uids)));
        Self::hashed(hashed)
    }

    fn hashed(mut hashed: Vec<(u64, &EntityUid)>) -> Self {
        hashed.sort_unstable();
        hashed.dedup();
        Self {
            hashes: hashed.iter().map(|(hash, _)| *hash).collect(),
            uids: hashed.into_iter().map(|(_, uid)| uid.clone()).collect(),
        }
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.uids.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty()
    }

    /// In no order that means anything.
    pub fn iter(&self) -> std::slice::Iter<'_, EntityUid> {
        self.uids.iter()
    }

    /// Whether one of several lists has it.
    pub(super) fn any_contains(lists: &[Arc<Self>], uid: &EntityUid) -> bool {
        if lists.iter().all(|list| list.is_empty()) {
            return false;
        }
        let hash = HASHER.hash_one(uid);
        lists.iter().any(|list| list.contains(hash, uid))
    }

    fn contains(&self, hash: u64, uid: &EntityUid) -> bool {
        let first = self.hashes.partition_point(|other| *other < hash);
        let alike = self.hashes.iter().zip(&self.uids).skip(first).take_while(|(other, _)| **other == hash);
        alike.into_iter().any(|(_, other)| other == uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_in_these_and_no_others() {
        let uid = |id: usize| -> EntityUid { format!("E::\"{id}\"").parse().unwrap() };
        let all: Vec<_> = (0..200).map(uid).collect();
        for count in [0, 1, 2, 7, 100] {
            let (above, others) = all.split_at(count);
            let ancestors = Ancestors::of(above.iter().chain(above));
            assert_eq!((ancestors.len(), ancestors.iter().count()), (count, count), "each once");
            let lists = [Arc::default(), Arc::new(ancestors), Arc::new(Ancestors::of(&above[..count / 2]))];
            assert!(above.iter().all(|uid| Ancestors::any_contains(&lists, uid)));
            assert!(!others.iter().any(|uid| Ancestors::any_contains(&lists, uid)));
        }
    }

    #[test]
    fn where_hashes_are_equal_names_decide() {
        let [one, other, third] =
            ["one", "other", "third"].map(|id| -> EntityUid { format!("E::\"{id}\"").parse().unwrap() });
        let hash = HASHER.hash_one(&other);
        let has_other = |uids: [&EntityUid; 2]| {
            let above = Ancestors { hashes: [hash; 2].into(), uids: uids.into_iter().cloned().collect() };
            Ancestors::any_contains(&[Arc::new(above)], &other)
        };
        assert!(has_other([&one, &other]) && has_other([&other, &one]));
        assert!(!has_other([&one, &third]));
    }
}

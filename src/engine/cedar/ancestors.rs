//! Everything that one entity is in, in a form that is quick to ask.

use std::hash::BuildHasher as _;
use std::sync::LazyLock;

use cedar_policy::EntityUid;
use foldhash::fast::RandomState;

/// What names are hashed by. One for all, so that hashes can be compared.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// Everything an entity is in, at any distance, itself not included. What it is not in is usually told by its hash.
#[derive(Debug, Clone, Default)]
pub(super) struct Ancestors {
    /// In order.
    hashes: Box<[u64]>,
    /// In the order of their hashes.
    uids: Box<[EntityUid]>,
}

impl Ancestors {
    pub(super) fn of<'a>(uids: impl IntoIterator<Item = &'a EntityUid>) -> Self {
        let mut hashed: Vec<_> = uids.into_iter().map(|uid| (HASHER.hash_one(uid), uid)).collect();
        hashed.sort_unstable();
        hashed.dedup();
        Self {
            hashes: hashed.iter().map(|(hash, _)| *hash).collect(),
            uids: hashed.into_iter().map(|(_, uid)| uid.clone()).collect(),
        }
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, EntityUid> {
        self.uids.iter()
    }

    pub(super) fn contains(&self, uid: &EntityUid) -> bool {
        if self.hashes.is_empty() {
            return false;
        }
        let hash = HASHER.hash_one(uid);
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
            assert_eq!(ancestors.iter().count(), count, "each once");
            assert!(above.iter().all(|uid| ancestors.contains(uid)));
            assert!(!others.iter().any(|uid| ancestors.contains(uid)));
        }
    }

    #[test]
    fn where_hashes_are_equal_names_decide() {
        let [one, other, third] =
            ["one", "other", "third"].map(|id| -> EntityUid { format!("E::\"{id}\"").parse().unwrap() });
        let hash = HASHER.hash_one(&other);
        let above = |uids: [&EntityUid; 2]| Ancestors {
            hashes: [hash; 2].into(),
            uids: uids.into_iter().cloned().collect(),
        };
        assert!(above([&one, &other]).contains(&other) && above([&other, &one]).contains(&other));
        assert!(!above([&one, &third]).contains(&other));
    }
}

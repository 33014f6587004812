//! The tree over all records so far, as far as it must be remembered to go on: the hashes of its perfect subtrees.
//!
//! A tree of `n` records is a row of perfect subtrees, one for each bit of `n`, largest first (RFC 6962 §2.1, RFC 9162
//! §2.1.2). Their hashes are enough to add records and to say the root; older records may be deleted. No crate has this:
//! those for such trees keep all nodes.

use super::hash::{self, Hash};
use crate::engine::digest;

/// A tree that grows by one record at a time. At most 64 hashes, whatever its size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    subtrees: Vec<Hash>,
}

/// Hashes that are of no tree of that size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoFrontier {
    /// There are too many or too few.
    #[error("a tree of {size} records has {} perfect subtrees, not {found}", size.count_ones())]
    Number {
        /// Records in the tree.
        size: u64,
        /// Hashes that were given.
        found: usize,
    },
    /// One of them is no hash.
    #[error("`{0}` is no SHA-256 in lower-case hexadecimal")]
    Hash(String),
}

impl Frontier {
    /// The tree without records.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree of `size` records whose perfect subtrees have these hashes, in hexadecimal, largest first: a segment's
    /// header says so of all records before it.
    ///
    /// # Errors
    /// [`NoFrontier`].
    pub fn resume(size: u64, subtrees: &[String]) -> Result<Self, NoFrontier> {
        let hash = |text: &String| hash::from_hex(text).ok_or_else(|| NoFrontier::Hash(text.clone()));
        Self::of(size, subtrees.iter().map(hash).collect::<Result<_, _>>()?)
    }

    /// As [`resume`](Self::resume), from hashes.
    pub(super) fn of(size: u64, subtrees: Vec<Hash>) -> Result<Self, NoFrontier> {
        let found = subtrees.len();
        if usize::try_from(size.count_ones()) != Ok(found) {
            return Err(NoFrontier::Number { size, found });
        }
        Ok(Self { size, subtrees })
    }

    /// Adds a record: its bytes as they stand in its frame.
    pub fn push(&mut self, record: &[u8]) {
        self.push_leaf(hash::leaf(record));
    }

    /// Adds a record by its leaf's hash.
    pub fn push_leaf(&mut self, leaf: Hash) {
        let mut node = leaf;
        // Each subtree that is as large as what was added becomes one with it.
        for _as_large in 0..self.size.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                node = hash::node(&left, &node);
            }
        }
        self.subtrees.push(node);
        self.size += 1;
    }

    /// How many records the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its root (RFC 6962 §2.1).
    pub fn root(&self) -> Hash {
        let join = |right: Hash, left: &Hash| hash::node(left, &right);
        match self.subtrees.split_last() {
            Some((last, larger)) => larger.iter().rev().fold(*last, join),
            None => hash::of_nothing(),
        }
    }

    /// Hashes of the perfect subtrees, largest first, in lower-case hexadecimal: what [`resume`](Self::resume) takes.
    pub fn hashes(&self) -> Vec<String> {
        self.subtrees.iter().map(|hash| digest::hex(hash)).collect()
    }

    /// Each perfect subtree: the sequence of its first record, how many it has, its hash.
    pub fn subtrees(&self) -> impl Iterator<Item = (u64, u64, Hash)> {
        let mut start = 0;
        let sizes = (0..u64::BITS).rev().map(|bit| 1 << bit).filter(|size| self.size & size != 0);
        sizes.zip(&self.subtrees).map(move |(size, hash)| {
            let first = start;
            start += size;
            (first, size, *hash)
        })
    }
}

#[cfg(test)]
mod tests {
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use sha2::Sha256;

    use super::*;

    fn record(sequence: u64) -> Vec<u8> {
        format!("{{\"sequence\":{sequence}}}").into_bytes()
    }

    #[test]
    fn the_root_is_that_of_another_implementation_at_every_size() {
        let (mut frontier, mut other) = (Frontier::new(), MemoryBackedTree::<Sha256, Vec<u8>>::new());
        for sequence in 0..300 {
            frontier.push(&record(sequence));
            other.push(record(sequence));
            assert_eq!(
                frontier.root().as_slice(),
                other.root().as_bytes().as_slice(),
                "size {}",
                sequence + 1
            );
        }
        assert_eq!(frontier.size(), 300);
    }

    #[test]
    fn a_tree_goes_on_from_its_hashes_wherever_it_was_left() {
        for left in 0..70 {
            let mut whole = Frontier::new();
            (0..left).for_each(|sequence| whole.push(&record(sequence)));
            let mut resumed = Frontier::resume(left, &whole.hashes()).unwrap();
            for sequence in left..70 {
                whole.push(&record(sequence));
                resumed.push(&record(sequence));
            }
            assert_eq!(resumed, whole, "left at {left}");
        }
    }

    #[test]
    fn the_empty_tree_has_the_root_of_nothing() {
        assert_eq!(Frontier::new().root(), hash::of_nothing());
        assert_eq!(Frontier::resume(0, &[]), Ok(Frontier::new()));
    }

    #[test]
    fn hashes_of_no_such_tree_are_refused() {
        let hash = digest::hex(&hash::of_nothing());
        for size in [0, 3, 7] {
            assert!(matches!(
                Frontier::resume(size, std::slice::from_ref(&hash)),
                Err(NoFrontier::Number { .. })
            ));
        }
        assert!(matches!(Frontier::resume(4, &["zz".to_owned()]), Err(NoFrontier::Hash(_))));
    }

    #[test]
    fn the_subtrees_stand_in_a_row() {
        let mut frontier = Frontier::new();
        (0..13).for_each(|sequence| frontier.push(&record(sequence)));
        let places: Vec<_> = frontier.subtrees().map(|(first, size, _)| (first, size)).collect();
        assert_eq!(places, [(0, 8), (8, 4), (12, 1)]);
    }
}

//! The hashes that lead from one record to the root: what shows that it is in the tree without the other records
//! (RFC 6962 §2.1.1).

use std::ops::Range;

use super::frontier::Frontier;
use super::hash::Hash;

/// Gathers the path of one record while the records are read in order. The crates for such trees make paths of stored
/// nodes only; here a node is hashed from the records below it, and from what a header knows of records that are gone.
#[derive(Debug)]
pub(super) struct PathBuilder {
    index: u64,
    /// The siblings from the record up: which records are below each, and their tree as far as it was read.
    siblings: Vec<(Range<u64>, Frontier)>,
}

impl PathBuilder {
    /// For the record `index` in the tree of the first `size` records, when `known` is the tree before the first that
    /// will be read. None if the record is not in the tree, or is before those that will be read.
    pub(super) fn new(index: u64, size: u64, known: &Frontier) -> Option<Self> {
        if index >= size || index < known.size() {
            return None;
        }
        let sibling = |range: Range<u64>| {
            let below = known.subtrees().filter(|(first, _, _)| range.contains(first));
            let (sizes, hashes): (Vec<_>, Vec<_>) = below.map(|(_, size, hash)| (size, hash)).unzip();
            let tree = Frontier::of(sizes.into_iter().sum(), hashes).ok()?;
            Some((range, tree))
        };
        let siblings = siblings(index, size).into_iter().map(sibling).collect::<Option<_>>()?;
        Some(Self { index, siblings })
    }

    /// The next record that was read, and its number.
    pub(super) fn record(&mut self, sequence: u64, leaf: Hash) {
        if sequence != self.index
            && let Some((_, tree)) = self.siblings.iter_mut().find(|(range, _)| range.contains(&sequence))
        {
            tree.push_leaf(leaf);
        }
    }

    /// The hashes from the record up; none if not all records were read.
    pub(super) fn finish(self) -> Option<Vec<Hash>> {
        let hash = |(range, tree): (Range<u64>, Frontier)| {
            (tree.size() == range.end - range.start).then(|| tree.root())
        };
        self.siblings.into_iter().map(hash).collect()
    }
}

/// Which records are below each sibling of a record's path, from the record up.
fn siblings(index: u64, size: u64) -> Vec<Range<u64>> {
    let (mut from, mut until) = (0, size);
    let mut siblings = Vec::new();
    while until - from > 1 {
        // The largest power of two below their number.
        let left = 1 << (until - from - 1).ilog2();
        let middle = from + left;
        if index < middle {
            siblings.push(middle..until);
            until = middle;
        } else {
            siblings.push(from..middle);
            from = middle;
        }
    }
    siblings.reverse();
    siblings
}

#[cfg(test)]
mod tests {
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use sha2::Sha256;

    use super::*;
    use crate::audit::tree::hash;

    #[test]
    fn the_path_is_that_of_another_implementation_wherever_the_log_begins() {
        let record = |sequence: u64| format!("record {sequence}").into_bytes();
        let mut other = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        for size in 1..=40 {
            other.push(record(size - 1));
            for first in 0..size {
                let mut known = Frontier::new();
                (0..first).for_each(|sequence| known.push(&record(sequence)));
                for index in first..size {
                    let mut path = PathBuilder::new(index, size, &known).unwrap();
                    (first..size).for_each(|sequence| path.record(sequence, hash::leaf(&record(sequence))));
                    let path = path.finish().unwrap().concat();
                    let expected = other.prove_inclusion(usize::try_from(index).unwrap());
                    assert_eq!(path, expected.as_bytes(), "{index} of {size}, from {first}");
                }
            }
        }
    }

    #[test]
    fn there_is_no_path_of_what_is_not_there() {
        let mut known = Frontier::new();
        known.push(b"gone");
        assert!(PathBuilder::new(5, 5, &known).is_none());
        assert!(PathBuilder::new(0, 5, &known).is_none());
        let mut path = PathBuilder::new(1, 5, &known).unwrap();
        path.record(2, hash::leaf(b"not all"));
        assert!(path.finish().is_none());
    }
}

//! Which combinations of principal, action and resource this process has not recorded before.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};
use std::mem;

/// Combinations a generation holds.
const GENERATION: usize = 250_000;

/// Remembers combinations by a keyed 64-bit hash, the latest 250,000 to 500,000 of them: about ten megabytes at most. Two that
/// share a hash, one chance in 10^13 for each look-up, count as one.
#[derive(Debug)]
pub(super) struct FirstSeen {
    keys: RandomState,
    current: HashSet<u64>,
    previous: HashSet<u64>,
    generation: usize,
}

impl FirstSeen {
    pub(super) fn new() -> Self {
        Self::remembering(GENERATION)
    }

    fn remembering(generation: usize) -> Self {
        Self { keys: RandomState::new(), current: HashSet::new(), previous: HashSet::new(), generation }
    }

    /// Remembers the combination; whether it was new among those remembered.
    pub(super) fn first(&mut self, combination: impl Hash) -> bool {
        let hash = self.keys.hash_one(combination);
        if self.current.contains(&hash) {
            return false;
        }
        let known = self.previous.contains(&hash);
        if self.current.len() >= self.generation {
            self.previous = mem::take(&mut self.current);
        }
        self.current.insert(hash);
        !known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_combination_is_new_once() {
        let mut seen = FirstSeen::new();
        assert!(seen.first(("ana", "read", "file")));
        assert!(!seen.first(("ana", "read", "file")));
        assert!(seen.first(("ana", "write", "file")));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_used_stays() {
        let mut seen = FirstSeen::remembering(10);
        for round in 0..100 {
            assert_eq!(seen.first("often"), round == 0, "{round}");
            assert!(seen.first(round), "{round}");
            assert!(seen.current.len() + seen.previous.len() <= 20);
        }
        assert!(seen.first(0), "forgotten long ago");
    }
}

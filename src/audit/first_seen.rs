//! Which combinations of principal, action and resource this process has not recorded before.

use std::hash::{BuildHasher, Hash, RandomState};
use std::mem;

use crate::engine::map::Set;

/// Combinations a generation holds.
const GENERATION: usize = 250_000;

/// What tells combinations apart: a hash under a key that nobody knows.
#[derive(Debug, Default)]
pub(super) struct Combinations(RandomState);

/// One of them: 64 bits of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Combination(u64);

impl Combinations {
    pub(super) fn of(&self, combination: impl Hash) -> Combination {
        Combination(self.0.hash_one(combination))
    }
}

/// Remembers the latest 250,000 to 500,000 combinations: about ten megabytes at most. Two that share a hash, one chance in
/// 10^13 for each look-up, count as one.
#[derive(Debug)]
pub(super) struct FirstSeen {
    current: Set<u64>,
    previous: Set<u64>,
    generation: usize,
}

impl FirstSeen {
    pub(super) fn new() -> Self {
        Self::remembering(GENERATION)
    }

    fn remembering(generation: usize) -> Self {
        Self { current: Set::default(), previous: Set::default(), generation }
    }

    /// Remembers the combination; whether it was new among those remembered.
    pub(super) fn first(&mut self, Combination(hash): Combination) -> bool {
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
        let (mut seen, combinations) = (FirstSeen::new(), Combinations::default());
        let mut first = |combination| seen.first(combinations.of(combination));
        assert!(first(("ana", "read", "file")));
        assert!(!first(("ana", "read", "file")));
        assert!(first(("ana", "write", "file")));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_used_stays() {
        let (mut seen, combinations) = (FirstSeen::remembering(10), Combinations::default());
        for round in 0..100 {
            assert_eq!(seen.first(combinations.of("often")), round == 0, "{round}");
            assert!(seen.first(combinations.of(round)), "{round}");
            assert!(seen.current.len() + seen.previous.len() <= 20);
        }
        assert!(seen.first(combinations.of(0)), "forgotten long ago");
    }
}

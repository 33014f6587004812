//! Checkpoints that are kept elsewhere than among a log's records, until the log is read as far as they cover.

use std::collections::BTreeMap;

use super::Kept;
use crate::audit::tree::finding::{Fault, Finding};
use crate::audit::tree::frontier::Frontier;
use crate::audit::tree::keys::Signed;

/// The checkpoints that are ahead, by size.
#[derive(Debug, Default)]
pub(super) struct Expected {
    ahead: BTreeMap<u64, Vec<Kept>>,
    /// The least size that is ahead.
    next: Option<u64>,
    /// Those that were compared, for what they say of headers.
    pub(super) compared: Vec<Kept>,
    /// How many cover less than is kept.
    pub(super) old: u64,
}

impl Expected {
    /// Those of `kept` that can be compared in a log which begins at `first`.
    pub(super) fn new(kept: impl Iterator<Item = Kept>, first: u64) -> Self {
        let mut expected = Self::default();
        for kept in kept {
            if kept.checkpoint.size < first {
                expected.old += 1;
            } else {
                expected.ahead.entry(kept.checkpoint.size).or_default().push(kept);
            }
        }
        expected.next = expected.ahead.keys().next().copied();
        expected
    }

    /// Whether some are to be compared with a tree of this size.
    pub(super) fn at(&self, size: u64) -> bool {
        self.next.is_some_and(|next| next <= size)
    }

    /// Those to be compared with a tree of this size. Smaller ones, which a fault hid, are left out.
    pub(super) fn take(&mut self, size: u64) -> Vec<Kept> {
        let ahead = self.ahead.split_off(&(size + 1));
        let taken = std::mem::replace(&mut self.ahead, ahead).remove(&size).unwrap_or_default();
        self.next = self.ahead.keys().next().copied();
        self.compared.extend(taken.iter().cloned());
        taken
    }

    /// The log ends before the largest of those that somebody believed signed.
    pub(super) fn beyond(&self, tree: &Frontier) -> Option<Finding> {
        let mut beyond = self.ahead.range(tree.size() + 1..).rev().flat_map(|(_, kept)| kept);
        let kept = beyond.find(|kept| kept.signed == Signed::Trusted)?;
        let checkpoint = &kept.checkpoint;
        let (covered, time) = (checkpoint.size, checkpoint.facts.time.clone());
        Some(Finding { place: kept.place.clone(), fault: Fault::Short { covered, time, there: tree.size() } })
    }

    /// All that were not compared.
    pub(super) fn left(&self) -> impl Iterator<Item = &Kept> {
        self.ahead.values().flatten()
    }
}

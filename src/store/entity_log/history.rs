//! The last batches: what those who watch have not been told yet.

use std::collections::VecDeque;
use std::sync::Arc;

use super::facts::Batch;

/// Most names that are remembered, however few batches hold them.
const MAX_NAMES: usize = 200_000;

/// The last batches, oldest first.
#[derive(Debug)]
pub(super) struct History {
    batches: VecDeque<Arc<Batch>>,
    names: usize,
    /// Most batches that are remembered.
    most: usize,
    /// Whoever knows everything up to here can be told the rest.
    floor: u64,
}

impl History {
    /// The batches that a log kept.
    pub(super) fn new(kept: Vec<Arc<Batch>>, most: usize) -> Self {
        let floor = kept.first().map_or(0, |first| first.sequence.saturating_sub(1));
        let mut history = Self { batches: VecDeque::new(), names: 0, most, floor };
        kept.into_iter().for_each(|batch| history.push(batch));
        history
    }

    /// Remembers one more, which is later than all.
    pub(super) fn push(&mut self, batch: Arc<Batch>) {
        self.names += batch.size();
        self.batches.push_back(batch);
        while self.batches.len() > self.most || self.names > MAX_NAMES {
            let Some(first) = self.batches.pop_front() else { break };
            self.names -= first.size();
            self.floor = first.sequence;
        }
    }

    /// Sequence of the oldest that is remembered, or where one would be.
    pub(super) fn oldest(&self) -> u64 {
        self.floor.saturating_add(1)
    }

    /// The last write up to a sequence, if one is remembered.
    pub(super) fn last_write(&self, upto: u64) -> Option<&Arc<Batch>> {
        let end = self.batches.partition_point(|batch| batch.sequence <= upto);
        self.batches.range(..end).rev().find(|batch| batch.size() > 0)
    }

    /// Whether this log has a write of that name, as far as is remembered.
    pub(super) fn may_have(&self, mark: &str) -> bool {
        let Some(sequence) = mark.split('.').next().and_then(|sequence| sequence.parse::<u64>().ok()) else {
            return false;
        };
        let mut batches = self.batches.iter().filter(|batch| batch.sequence == sequence);
        sequence <= self.floor || batches.any(|batch| batch.mark() == mark)
    }

    /// What came after a sequence, up to another; none if it is not all remembered.
    pub(super) fn between(&self, after: u64, upto: u64) -> Option<Vec<Arc<Batch>>> {
        if after < self.floor {
            return None;
        }
        let from = self.batches.partition_point(|batch| batch.sequence <= after);
        let later = self.batches.range(from..).take_while(|batch| batch.sequence <= upto);
        Some(later.cloned().collect())
    }
}

//! The decisions written of late, to hold their outcomes to.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use super::outcome::Decided;
use crate::engine::map::Map;

/// Most decisions that are remembered.
const MAX_DECISIONS: usize = 65_536;

/// Who reports an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportedBy {
    /// Whoever asked for this decision.
    Asker(Decided),
    /// Somebody else.
    Other,
    /// Nobody can tell: the decision is not known.
    Unknown,
}

/// The latest decisions. Only the thread that writes adds to them, so no request waits for another here.
#[derive(Debug)]
pub(super) struct Recent {
    /// How many are remembered.
    most: usize,
    decisions: Mutex<Decisions>,
}

#[derive(Debug, Default)]
struct Decisions {
    by_id: Map<Uuid, Decided>,
    /// The ids, oldest first.
    order: VecDeque<Uuid>,
}

impl Default for Recent {
    fn default() -> Self {
        Self { most: MAX_DECISIONS, decisions: Mutex::default() }
    }
}

impl Recent {
    /// Remembers a decision.
    pub(super) fn add(&self, id: Uuid, decided: Decided) {
        let mut decisions = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        if decisions.by_id.insert(id, decided).is_none() {
            decisions.order.push_back(id);
        }
        if decisions.order.len() > self.most
            && let Some(oldest) = decisions.order.pop_front()
        {
            decisions.by_id.remove(&oldest);
        }
    }

    /// The decision of that id, if this caller asked for it; from now on its outcome is known.
    pub(super) fn report(&self, id: Uuid, caller: &str) -> ReportedBy {
        let mut decisions = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        match decisions.by_id.get_mut(&id) {
            None => ReportedBy::Unknown,
            Some(decided) if *decided.caller != *caller => ReportedBy::Other,
            Some(decided) => {
                let found = decided.clone();
                decided.reported = true;
                ReportedBy::Asker(found)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::examples_for_tests::decision;

    #[test]
    fn the_latest_decisions_are_found_and_the_oldest_forgotten() {
        let recent = Recent { most: 3, ..Recent::default() };
        for id in 0..=3 {
            recent.add(Uuid::from_u128(id), decision().decided());
        }
        let report = |id, caller| recent.report(Uuid::from_u128(id), caller);
        assert_eq!(report(0, "anonymous-loopback"), ReportedBy::Unknown);
        assert_eq!(report(1, "somebody else"), ReportedBy::Other);
        for reported in [false, true] {
            let ReportedBy::Asker(decided) = report(1, "anonymous-loopback") else {
                panic!("it was asked for")
            };
            assert_eq!(decided.reported, reported);
        }
    }
}

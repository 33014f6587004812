//! Decisions that are made once more, to compare.

use super::Metrics;

impl Metrics {
    /// Counts a decision of the sample.
    pub fn checked(&self, outcome: CheckOutcome) {
        self.checks.get(outcome as usize).inspect(|count| count.inc());
    }
}

/// What came of deciding once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    /// Cedar's own authorizer decides the same.
    Same,
    /// It does not: a defect.
    Different,
    /// There was nothing to compare.
    Uncompared,
    /// Another was being checked.
    Skipped,
}

/// In the order of [`CheckOutcome`].
pub(super) const CHECKS: [&str; 4] = ["same", "different", "uncompared", "skipped"];

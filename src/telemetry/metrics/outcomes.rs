//! What enforcement points report of decisions.

use prometheus::IntCounterVec;

use crate::audit::outcome::{Finding, Outcome};
use crate::telemetry::registered::{Registry, counters};

/// The numbers.
#[derive(Debug)]
pub struct OutcomeMetrics {
    outcomes: IntCounterVec,
    findings: IntCounterVec,
}

impl OutcomeMetrics {
    /// All at nought: what has not happened yet can be watched for.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Outcomes of decisions, as enforcement points report them.";
        let outcomes = counters(registry, "pdp_outcomes_total", help, &["outcome"])?;
        for outcome in Outcome::ALL {
            outcomes.with_label_values(&[outcome.as_str()]);
        }
        let help = "What is wrong between decisions and their outcomes.";
        let findings = counters(registry, "pdp_outcome_findings_total", help, &["finding"])?;
        for finding in Finding::ALL {
            findings.with_label_values(&[finding.as_str()]);
        }
        Ok(Self { outcomes, findings })
    }

    /// Counts an outcome, and what is wrong with it.
    pub fn reported(&self, outcome: Outcome, findings: &[Finding]) {
        self.outcomes.with_label_values(&[outcome.as_str()]).inc();
        for finding in findings {
            self.findings.with_label_values(&[finding.as_str()]).inc();
        }
    }
}

//! What became of a decision, as whoever enforces it says.

use std::sync::Arc;
use std::time::SystemTime;

use uuid::Uuid;

use super::record::{Mode, Surface};
use crate::engine::decision::Effect;

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What was asked about was done.
    Executed,
    /// It was begun and failed.
    Failed,
    /// It was not done.
    Blocked,
    /// A person or system went against the decision.
    Overridden,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Executed, Self::Failed, Self::Blocked, Self::Overridden];

    /// Its name in records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Overridden => "overridden",
        }
    }

    /// Whether something was done, whole or in part.
    fn acted(self) -> bool {
        matches!(self, Self::Executed | Self::Failed)
    }
}

/// What is wrong between a decision and its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It was done though it was denied.
    ExecutedOnDeny,
    /// It was done with other arguments than were decided on.
    InputMismatch,
    /// Somebody went against the decision.
    Overridden,
    /// An outcome had been reported already.
    Repeated,
}

impl Finding {
    /// Every finding.
    pub const ALL: [Self; 4] = [Self::ExecutedOnDeny, Self::InputMismatch, Self::Overridden, Self::Repeated];

    /// Its name in records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExecutedOnDeny => "executed_on_deny",
            Self::InputMismatch => "input_mismatch",
            Self::Overridden => "overridden",
            Self::Repeated => "repeated",
        }
    }
}

/// What an enforcement point says of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The decision.
    pub of: Uuid,
    /// What became of it.
    pub outcome: Outcome,
    /// Digest of the arguments that were used; may be empty.
    pub input_digest: String,
    /// Digest of the result; may be empty.
    pub result_digest: String,
    /// Anything else; may be empty.
    pub detail: String,
}

/// A decision, as far as its outcome is held to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Who asked.
    pub caller: Arc<str>,
    /// What was decided.
    pub effect: Effect,
    /// Whether whoever asked said that it enforces.
    pub mode: Mode,
    /// Digest of the arguments that were decided on, as it was recorded.
    pub arguments_digest: Option<String>,
    /// Whether an outcome of it is known.
    pub reported: bool,
}

impl Decided {
    /// What is wrong with an outcome of this decision; `same_input` tells whether a digest is of the arguments decided on.
    pub fn findings(&self, report: &Report, same_input: impl FnOnce(&str) -> bool) -> Vec<Finding> {
        let mut found = Vec::new();
        let enforced = self.mode == Mode::Enforce;
        if report.outcome.acted() && self.effect == Effect::Deny && enforced {
            found.push(Finding::ExecutedOnDeny);
        }
        if let Some(decided_on) = &self.arguments_digest
            && !report.input_digest.is_empty()
            && !same_input(decided_on)
        {
            found.push(Finding::InputMismatch);
        }
        if report.outcome == Outcome::Overridden {
            found.push(Finding::Overridden);
        }
        if self.reported {
            found.push(Finding::Repeated);
        }
        found
    }
}

/// An outcome, as it is recorded.
#[derive(Debug)]
pub struct OutcomeRecord {
    /// The id the report was given.
    pub id: Uuid,
    /// When it came.
    pub at: SystemTime,
    /// How it came.
    pub surface: Surface,
    /// Who reported it.
    pub caller: Arc<str>,
    /// What was reported.
    pub report: Report,
    /// What was decided.
    pub effect: Effect,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    /// Of what is queued: what is left out.
    pub masked: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(effect: Effect, mode: Mode) -> Decided {
        let digest = Some("sha256:aa".to_owned());
        Decided { caller: "pep".into(), effect, mode, arguments_digest: digest, reported: false }
    }

    fn report(outcome: Outcome, input_digest: &str) -> Report {
        let (input_digest, result_digest, detail) = (input_digest.to_owned(), String::new(), String::new());
        Report { of: Uuid::nil(), outcome, input_digest, result_digest, detail }
    }

    fn found(decided: &Decided, outcome: Outcome, input_digest: &str) -> Vec<Finding> {
        decided.findings(&report(outcome, input_digest), |decided_on| decided_on == input_digest)
    }

    #[test]
    fn what_is_denied_and_done_is_found_unless_nobody_enforces() {
        use Outcome::{Blocked, Executed, Failed};
        let denied = decided(Effect::Deny, Mode::Enforce);
        assert_eq!(found(&denied, Executed, ""), [Finding::ExecutedOnDeny]);
        assert_eq!(found(&denied, Failed, ""), [Finding::ExecutedOnDeny]);
        assert_eq!(found(&denied, Blocked, ""), []);
        assert_eq!(found(&decided(Effect::Deny, Mode::Observe), Executed, ""), []);
        assert_eq!(found(&decided(Effect::Allow, Mode::Enforce), Executed, ""), []);
    }

    #[test]
    fn other_arguments_overrides_and_second_reports_are_found() {
        let mut allowed = decided(Effect::Allow, Mode::Enforce);
        assert_eq!(found(&allowed, Outcome::Executed, "sha256:aa"), []);
        assert_eq!(found(&allowed, Outcome::Executed, "sha256:bb"), [Finding::InputMismatch]);
        assert_eq!(found(&allowed, Outcome::Overridden, ""), [Finding::Overridden]);
        allowed.reported = true;
        assert_eq!(found(&allowed, Outcome::Executed, ""), [Finding::Repeated]);
    }
}

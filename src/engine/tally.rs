//! What the policies said of a request, and what that comes to (C14). An Allow comes from here alone.

use std::sync::Arc;

use cedar_policy::EntityUid;

use super::cedar::{Absent, CompiledPolicy, Outcome, PolicyEffect, PolicyFailureKind};
use super::decision::{Denial, Effect, PolicyError, ReasonCode};
use super::generation::OnPolicyError;

/// What the policies said, before C14 decides what it means.
#[derive(Debug, Default)]
pub(super) struct Tally<'w> {
    permits: Vec<&'w Arc<CompiledPolicy>>,
    forbids: Vec<&'w Arc<CompiledPolicy>>,
    /// Those that could not be evaluated.
    pub(super) errors: Vec<PolicyError>,
}

impl<'w> Tally<'w> {
    /// Adds what one policy said.
    pub(super) fn add(&mut self, policy: &'w Arc<CompiledPolicy>, outcome: Outcome) {
        match outcome {
            Outcome::NotSatisfied => {}
            Outcome::Failed(failure) => {
                self.errors.push(PolicyError { policy: Arc::clone(policy), failure });
            }
            Outcome::Satisfied => match policy.effect {
                PolicyEffect::Permit => self.permits.push(policy),
                PolicyEffect::Forbid => self.forbids.push(policy),
            },
        }
    }

    /// An entity that exists and that evaluation did not find is one that no plan foresaw: a defect, and what was missed
    /// might have forbidden (K9).
    pub(super) fn doubt(&mut self, exists: impl Fn(&EntityUid) -> bool) {
        for PolicyError { failure, .. } in &mut self.errors {
            let unforeseen = match &failure.absent {
                None => false,
                Some(Absent::Entity(uid)) => exists(uid),
                Some(Absent::Unnamed) => true,
            };
            if unforeseen {
                failure.kind = PolicyFailureKind::Internal;
                failure.summary = "an entity it reads was not foreseen";
            }
        }
    }

    /// C14, then Cedar's rule: a satisfied forbid denies, else a satisfied permit allows, else deny.
    pub(super) fn fold(&self, mode: OnPolicyError) -> (Effect, Vec<Arc<CompiledPolicy>>, Option<Denial>) {
        if let Some(error) = self.errors.iter().find(|error| denies(error, mode)) {
            return (Effect::Deny, Vec::new(), Some(failed(error)));
        }
        if let Some(denial) = forbidden(&self.forbids) {
            return (Effect::Deny, self.forbids.iter().copied().cloned().collect(), Some(denial));
        }
        if self.permits.is_empty() {
            let denial = Denial::new(ReasonCode::NoPermit, "no policy permits this");
            return (Effect::Deny, Vec::new(), Some(denial));
        }
        (Effect::Allow, self.permits.iter().copied().cloned().collect(), None)
    }
}

/// Whether a policy's failure must deny. A recursion limit or an internal error denies in every mode: on a larger
/// stack, or without the defect, the policy might have forbidden.
fn denies(error: &PolicyError, mode: OnPolicyError) -> bool {
    error.failure.kind != PolicyFailureKind::Data
        || match mode {
            OnPolicyError::Strict => true,
            OnPolicyError::Deny => error.policy.effect == PolicyEffect::Forbid,
            OnPolicyError::Cedar => false,
        }
}

fn failed(error: &PolicyError) -> Denial {
    let id = &error.policy.id;
    Denial {
        code: ReasonCode::PolicyError,
        message: format!("policy `{id}` could not be evaluated, and what it might forbid is denied"),
        policy: Some(id.to_string()),
        grant: None,
    }
}

fn forbidden(forbids: &[&Arc<CompiledPolicy>]) -> Option<Denial> {
    let first = forbids.first()?;
    let explained = forbids.iter().find(|policy| policy.reason().is_some()).unwrap_or(first);
    let message = match explained.reason() {
        Some(reason) => reason.to_owned(),
        None => format!("policy `{}` forbids this", first.id),
    };
    Some(Denial { code: ReasonCode::Forbidden, message, policy: Some(explained.id.to_string()), grant: None })
}

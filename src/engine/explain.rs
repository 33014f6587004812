//! Why: how each policy came out, from the evaluation that decided.

use std::sync::Arc;

use cedar_policy::EntityUid;

use super::cedar::{CompiledPolicy, Outcome, PolicyEffect, Trace};
use super::decision::Effect;

/// Most permits named as nearest.
const MAX_NEAREST: usize = 3;

/// How one principal's decision came about.
#[derive(Debug, Clone)]
pub struct HopExplanation {
    /// Whose decision.
    pub principal: EntityUid,
    /// How it came out.
    pub effect: Effect,
    /// Every policy whose scope covers the request.
    pub policies: Vec<PolicyOutcome>,
    /// Where nothing permitted: the permits that came closest, fewest false parts first.
    pub nearest: Vec<PolicyOutcome>,
}

/// How one policy came out.
#[derive(Debug, Clone)]
pub struct PolicyOutcome {
    /// The policy.
    pub policy: Arc<CompiledPolicy>,
    /// How it came out.
    pub outcome: Outcome,
    /// The part that decided, as its author wrote it: the first that is not true (with Cedar's message, if it could
    /// not be evaluated), or the whole condition.
    pub condition: String,
}

impl PolicyOutcome {
    fn of((policy, trace): &(Arc<CompiledPolicy>, Trace)) -> Self {
        Self { policy: Arc::clone(policy), outcome: trace.outcome.clone(), condition: trace.deciding() }
    }

    /// The outcome's name on the wire.
    pub fn as_str(&self) -> &'static str {
        match self.outcome {
            Outcome::Satisfied => "satisfied",
            Outcome::NotSatisfied => "not satisfied",
            Outcome::Failed(_) => "error",
        }
    }
}

impl HopExplanation {
    /// Explains a decision with the evaluation that made it.
    pub fn of(principal: &EntityUid, effect: Effect, traced: Vec<(Arc<CompiledPolicy>, Trace)>) -> Self {
        let permits = |policy: &CompiledPolicy| policy.effect == PolicyEffect::Permit;
        let permitted =
            traced.iter().any(|(policy, trace)| permits(policy) && trace.outcome == Outcome::Satisfied);
        let mut missed: Vec<_> = traced.iter().filter(|(policy, _)| !permitted && permits(policy)).collect();
        missed.sort_by_key(|(_, trace)| trace.failing());
        Self {
            principal: principal.clone(),
            effect,
            policies: traced.iter().filter(|(_, trace)| trace.in_scope()).map(PolicyOutcome::of).collect(),
            nearest: missed.into_iter().take(MAX_NEAREST).map(PolicyOutcome::of).collect(),
        }
    }
}

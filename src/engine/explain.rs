//! Why: how each policy came out, from the evaluation that decided.

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::EntityUid;

use super::cedar::{CompiledPolicy, Outcome, PolicyEffect, Scoped, Trace};
use super::decision::Effect;

/// Most permits named as nearest.
const MAX_NEAREST: usize = 3;

/// Most permits that are evaluated to find the nearest, though their scopes do not cover the request.
const MAX_NEAR: usize = 64;

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
    /// A denial that was reached before any policy was evaluated.
    pub fn without_policies(principal: &EntityUid) -> Self {
        Self { principal: principal.clone(), effect: Effect::Deny, policies: Vec::new(), nearest: Vec::new() }
    }

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

/// Permits whose scopes come closest to covering a request, besides those that do: what might have been.
pub fn near<'p>(
    policies: &'p [Arc<CompiledPolicy>],
    candidates: &[&'p Arc<CompiledPolicy>],
    scoped: &Scoped<'_>,
) -> Vec<&'p Arc<CompiledPolicy>> {
    let covering: HashSet<*const CompiledPolicy> =
        candidates.iter().map(|policy| Arc::as_ptr(policy)).collect();
    let others = policies
        .iter()
        .filter(|policy| policy.effect == PolicyEffect::Permit && !covering.contains(&Arc::as_ptr(policy)));
    let mut near: Vec<_> = others.map(|policy| (scoped.failing(policy), policy)).collect();
    near.sort_by_key(|(failing, _)| *failing);
    near.into_iter().take(MAX_NEAR).map(|(_, policy)| policy).collect()
}

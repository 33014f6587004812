//! An answer in the contract's words.

use super::{pb, terms};
use crate::audit::record::CacheUse;
use crate::engine::cedar::{CompiledPolicy, Outcome, PolicyEffect};
use crate::engine::decision::{Decision, Denial, Effect, GrantName, HopOutcome};
use crate::engine::explain::{HopExplanation, PolicyOutcome};
use crate::pdp::Answer;

/// An answer, as the contract carries it.
pub fn response(answer: Answer, request_id: String) -> pb::AuthorizeResponse {
    let Answer { decision, id, now, published, cache, left_out: _none } = answer;
    let principal = wire_reference(&decision.principal);
    pb::AuthorizeResponse {
        decision: wire_effect(decision.effect).into(),
        decision_id: id.to_string(),
        request_id,
        determining_policies: decision.determining.iter().map(|policy| determining(policy)).collect(),
        errors: decision
            .errors
            .iter()
            .map(|error| pb::PolicyError {
                policy_id: error.policy.id.to_string(),
                message: error.failure.summary.to_owned(),
            })
            .collect(),
        reason: decision.denial.as_ref().map(wire_reason),
        denied_by: denied_by(&decision),
        principal: Some(principal),
        explanation: wire_explanation(&decision),
        chain: decision.hops.iter().map(wire_hop).collect(),
        generation: published.world.generation.hash.to_string(),
        revision: published.revision.to_string(),
        cache: wire_cache(cache).into(),
        advice: terms::advice(&decision, now),
        obligations: terms::obligations(&decision),
        valid_until: terms::valid_until(&decision, now),
    }
}

fn denied_by(decision: &Decision) -> Option<pb::DeniedBy> {
    let denied = decision.denied_hop();
    let principal = denied.map_or(&decision.principal, |hop| &hop.decision.principal);
    decision.denial.as_ref().map(|denial| pb::DeniedBy {
        hop: denied.and_then(|hop| u32::try_from(hop.hop).ok()).unwrap_or_default(),
        principal: Some(wire_reference(principal)),
        rule: denial.code.rule().to_owned(),
        grant: wire_grant(denial.grant.as_deref()),
        policy_id: denial.policy.clone().unwrap_or_default(),
    })
}

fn wire_reason(denial: &Denial) -> pb::Reason {
    pb::Reason { code: denial.code.as_str().to_owned(), message: denial.message.clone() }
}

fn wire_grant(grant: Option<&GrantName>) -> Option<pb::EntityRef> {
    grant.and_then(GrantName::stored).map(wire_reference)
}

fn wire_hop(hop: &HopOutcome) -> pb::Hop {
    pb::Hop {
        principal: Some(wire_reference(&hop.decision.principal)),
        role: hop.role.as_str().to_owned(),
        grant: wire_grant(hop.grant.as_ref()),
        decision: wire_effect(hop.decision.effect).into(),
    }
}

fn determining(policy: &CompiledPolicy) -> pb::DeterminingPolicy {
    pb::DeterminingPolicy {
        policy_id: policy.id.to_string(),
        effect: wire_policy_effect(policy.effect).into(),
        annotations: policy
            .annotations
            .iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
    }
}

fn wire_reference(uid: &cedar_policy::EntityUid) -> pb::EntityRef {
    pb::EntityRef { r#type: uid.type_name().to_string(), id: uid.id().unescaped().to_owned() }
}

fn wire_cache(cache: CacheUse) -> pb::CacheStatus {
    match cache {
        CacheUse::Hit => pb::CacheStatus::Hit,
        CacheUse::Miss => pb::CacheStatus::Miss,
        CacheUse::Bypass => pb::CacheStatus::Bypass,
    }
}

fn wire_effect(effect: Effect) -> pb::Decision {
    match effect {
        Effect::Allow => pb::Decision::Allow,
        Effect::Deny => pb::Decision::Deny,
    }
}

fn wire_policy_effect(effect: PolicyEffect) -> pb::PolicyEffect {
    match effect {
        PolicyEffect::Permit => pb::PolicyEffect::Permit,
        PolicyEffect::Forbid => pb::PolicyEffect::Forbid,
    }
}

/// Every hop of a chain with its place in it, or the one principal that acted by itself.
fn wire_explanation(decision: &Decision) -> Option<pb::Explanation> {
    let alone = decision.explanation.iter().map(explained);
    let chain = decision.hops.iter().filter_map(|hop| {
        Some(pb::HopExplanation {
            role: hop.role.as_str().to_owned(),
            grant: wire_grant(hop.grant.as_ref()),
            reason: hop.decision.denial.as_ref().map(wire_reason),
            ..explained(hop.decision.explanation.as_ref()?)
        })
    });
    let hops: Vec<_> = alone.chain(chain).collect();
    (!hops.is_empty()).then_some(pb::Explanation { hops })
}

fn explained(hop: &HopExplanation) -> pb::HopExplanation {
    pb::HopExplanation {
        principal: Some(wire_reference(&hop.principal)),
        decision: wire_effect(hop.effect).into(),
        policies: hop.policies.iter().map(wire_outcome).collect(),
        nearest: hop.nearest.iter().map(wire_outcome).collect(),
        ..pb::HopExplanation::default()
    }
}

fn wire_outcome(explained: &PolicyOutcome) -> pb::PolicyOutcome {
    let outcome = explained.as_str().to_owned();
    let condition = match &explained.outcome {
        Outcome::Failed(failure) => failure.message.clone(),
        Outcome::Satisfied | Outcome::NotSatisfied => explained.condition.clone(),
    };
    pb::PolicyOutcome {
        policy_id: explained.policy.id.to_string(),
        effect: wire_policy_effect(explained.policy.effect).into(),
        outcome,
        condition,
        location: explained.policy.location.to_string(),
    }
}

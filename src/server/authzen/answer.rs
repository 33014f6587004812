//! Decisions, as AuthZEN says them ("Decision"): `decision`, and in `context` what a person and a log need.

use cedar_policy::EntityUid;
use serde_json::{Map, Value, json};

use super::problem;
use crate::engine::decision::{Decision, Denial, Effect, GrantName, HopOutcome, ReasonCode};
use crate::pdp::{Answer, Refused};
use crate::server::{status, terms};

/// What a person is told of a denial that no policy explains.
const DENIED: &str = "This is not allowed.";

/// A decision.
pub(super) fn decision(answer: &Answer) -> Value {
    let decision = &answer.decision;
    let mut context = Map::new();
    let mut say = |name: &str, value: Value| drop(context.insert(name.to_owned(), value));
    say("decision_id", json!(answer.id.to_string()));
    say("generation", json!(answer.published.world.generation.hash.as_ref()));
    say("revision", json!(answer.published.revision.as_ref()));
    say("policies", determining(decision).collect());
    say("reasons", reasons(decision));
    say("errors", decision.errors.iter().map(error).collect());
    if let Some(denial) = &decision.denial {
        say("reason", json!({"code": denial.code.as_str(), "message": denial.message}));
        say("reason_admin", json!({"403": for_administrators(denial)}));
        say("reason_user", json!({"403": for_people(denial)}));
    }
    if !decision.hops.is_empty() {
        say("chain", decision.hops.iter().map(hop).collect());
    }
    if !answer.left_out.is_empty() {
        say("ignored", json!(answer.left_out));
    }
    for (name, term) in terms::members(decision, answer.now) {
        say(name, term);
    }
    json!({ "decision": decision.effect == Effect::Allow, "context": context })
}

/// One of many decisions, or why there is none: then it is false.
pub(super) fn item(item: &Result<Answer, Refused>) -> Value {
    match item {
        Ok(answer) => decision(answer),
        Err(refused) => {
            let message = problem::message(refused);
            let status = status::http(refused).as_u16();
            json!({"decision": false, "context": {
                "errors": [message],
                "error": {"status": status, "message": message},
            }})
        }
    }
}

fn determining(decision: &Decision) -> impl Iterator<Item = Value> {
    decision.determining.iter().map(|policy| json!(policy.id.as_str()))
}

/// The policies that decided; the reason's code where none did.
fn reasons(decision: &Decision) -> Value {
    let denial = decision.denial.as_ref().filter(|_| decision.determining.is_empty());
    determining(decision).chain(denial.map(|denial| json!(denial.code.as_str()))).collect()
}

fn error(error: &crate::engine::decision::PolicyError) -> Value {
    json!(format!("{}: {}", error.policy.id, error.failure.summary))
}

/// Why, for those who run the service.
fn for_administrators(denial: &Denial) -> String {
    let Denial { code, message, policy, .. } = denial;
    match policy {
        Some(policy) => format!("{}, by policy `{policy}`: {message}", code.as_str()),
        None => format!("{}: {message}", code.as_str()),
    }
}

/// Why, for whoever was denied: a forbid's own `@reason`, which is written for people. Nothing else of what is stored.
fn for_people(denial: &Denial) -> &str {
    if denial.code == ReasonCode::Forbidden { &denial.message } else { DENIED }
}

/// One principal of a chain.
fn hop(hop: &HopOutcome) -> Value {
    let named = |uid: &EntityUid| json!({"type": uid.type_name().to_string(), "id": uid.id().unescaped()});
    json!({
        "principal": named(&hop.decision.principal),
        "role": hop.role.as_str(),
        "grant": hop.grant.as_ref().and_then(GrantName::stored).map(named),
        "decision": hop.decision.effect == Effect::Allow,
    })
}

//! `mandate check`

use clap::Args;
use serde_json::{Value, json};

use super::Exit;
use super::ask::Ask;
use super::output::{self, BAD, FAINT, Format, GOOD, NAME};
use crate::engine::convert::datetime;
use crate::engine::datum::Datum;
use crate::server::{pb, structs};

/// Decide one request, from files or by asking a server.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    ask: Ask,
}

impl Check {
    /// Decides and prints the answer.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        match self.ask.answer(false, format) {
            Ok(answer) => {
                match format {
                    Format::Text => print(&answer),
                    Format::Json => output::json(&answer_json(&answer)),
                }
                exit(&answer)
            }
            Err(exit) => exit,
        }
    }
}

/// What a decision makes a command exit with.
#[must_use]
pub fn exit(answer: &pb::AuthorizeResponse) -> Exit {
    if answer.decision() == pb::Decision::Allow { Exit::Ok } else { Exit::Deny }
}

/// Prints an answer for people.
pub fn print(answer: &pb::AuthorizeResponse) {
    let allowed = answer.decision() == pb::Decision::Allow;
    if allowed {
        anstream::println!("{GOOD}ALLOW{GOOD:#}");
    } else {
        let reason = answer.reason.clone().unwrap_or_default();
        anstream::println!("{BAD}DENY{BAD:#}  {}: {}", reason.code, reason.message);
    }
    print_chain(answer);
    for policy in &answer.determining_policies {
        let verb = if allowed { "permitted by" } else { "forbidden by" };
        anstream::println!("  {verb} {}{}", policy.policy_id, controls(policy));
    }
    for error in &answer.errors {
        anstream::println!("  {BAD}error{BAD:#} in {}: {}", error.policy_id, error.message);
    }
    for obligation in &answer.obligations {
        let pb::Obligation { id, r#type, .. } = obligation;
        anstream::println!("  obliged to {NAME}{type}{NAME:#} ({id}) {}", properties(&obligation.properties));
    }
    for advice in &answer.advice {
        anstream::println!("  {FAINT}{} {}{FAINT:#}", advice.r#type, properties(&advice.properties));
    }
    if let Some(until) = valid_until(answer) {
        anstream::println!("  {FAINT}holds until {until}, if nothing else changes{FAINT:#}");
    }
}

fn properties(properties: &Option<prost_types::Struct>) -> Value {
    Datum::Record(structs::members(properties.clone().unwrap_or_default())).to_json()
}

fn valid_until(answer: &pb::AuthorizeResponse) -> Option<String> {
    let until = answer.valid_until.as_ref()?;
    datetime(until.seconds * 1000 + i64::from(until.nanos) / 1_000_000)
}

/// On whose authority, root first; and where in the chain it was denied.
fn print_chain(answer: &pb::AuthorizeResponse) {
    let hops = answer.chain.iter().map(|hop| name(&hop.principal.clone().unwrap_or_default()));
    if !answer.chain.is_empty() {
        anstream::println!("  chain {}", hops.collect::<Vec<_>>().join(" → "));
    }
    if let Some(denied) = answer.denied_by.as_ref().filter(|_| !answer.chain.is_empty()) {
        let principal = name(&denied.principal.clone().unwrap_or_default());
        anstream::println!("  denied at hop {}, {NAME}{principal}{NAME:#}", denied.hop);
    }
}

/// A name as policies write it.
#[must_use]
pub fn name(uid: &pb::EntityRef) -> String {
    format!("{}::\"{}\"", uid.r#type, uid.id.escape_debug())
}

fn controls(policy: &pb::DeterminingPolicy) -> String {
    match policy.annotations.get("control") {
        Some(control) => format!("  {FAINT}{control}{FAINT:#}"),
        None => String::new(),
    }
}

/// An answer for machines.
#[must_use]
pub fn answer_json(answer: &pb::AuthorizeResponse) -> Value {
    let policies = answer.determining_policies.iter().map(|policy| policy.policy_id.as_str());
    let errors =
        answer.errors.iter().map(|error| json!({"policy": error.policy_id, "message": error.message}));
    let obligations = answer.obligations.iter().map(|obligation| {
        let properties = properties(&obligation.properties);
        json!({"id": obligation.id, "type": obligation.r#type, "properties": properties})
    });
    let advice = answer
        .advice
        .iter()
        .map(|advice| json!({"type": advice.r#type, "properties": properties(&advice.properties)}));
    let mut told = json!({
        "decision": decision_name(answer.decision()),
        "decision_id": answer.decision_id,
        "determining": policies.collect::<Vec<_>>(),
        "errors": errors.collect::<Vec<_>>(),
        "reason": answer.reason.as_ref().map(reason_json),
        "obligations": obligations.collect::<Vec<_>>(),
        "advice": advice.collect::<Vec<_>>(),
        "valid_until": valid_until(answer),
        "generation": answer.generation,
    });
    if let Some(members) = told.as_object_mut().filter(|_| !answer.chain.is_empty()) {
        members.insert("chain".to_owned(), answer.chain.iter().map(hop_json).collect());
        members.insert("denied_by".to_owned(), answer.denied_by.as_ref().map(denied_json).into());
    }
    told
}

/// The name of a decision.
#[must_use]
pub fn decision_name(decision: pb::Decision) -> &'static str {
    if decision == pb::Decision::Allow { "allow" } else { "deny" }
}

/// An entity's name.
#[must_use]
pub fn reference_json(uid: &pb::EntityRef) -> Value {
    json!({"type": uid.r#type, "id": uid.id})
}

/// Why it denies.
#[must_use]
pub fn reason_json(reason: &pb::Reason) -> Value {
    json!({"code": reason.code, "message": reason.message})
}

fn hop_json(hop: &pb::Hop) -> Value {
    json!({
        "principal": hop.principal.as_ref().map(reference_json),
        "role": hop.role,
        "grant": hop.grant.as_ref().map(reference_json),
        "decision": decision_name(hop.decision()),
    })
}

fn denied_json(denied: &pb::DeniedBy) -> Value {
    json!({
        "hop": denied.hop,
        "principal": denied.principal.as_ref().map(reference_json),
        "rule": denied.rule,
        "grant": denied.grant.as_ref().map(reference_json),
        "policy": denied.policy_id,
    })
}

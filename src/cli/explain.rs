//! `mandate explain`

use clap::Args;
use serde_json::{Value, json};

use super::Exit;
use super::ask::Ask;
use super::check;
use super::output::{self, BAD, FAINT, Format, GOOD, NAME};
use crate::server::pb;

/// Decide one request and show why, as a tree.
#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    ask: Ask,
}

impl Explain {
    /// Decides and prints how every policy came out.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        match self.ask.answer(true, format) {
            Ok(answer) => {
                match format {
                    Format::Text => print(&answer),
                    Format::Json => output::json(&explained_json(&answer)),
                }
                check::exit(&answer)
            }
            Err(exit) => exit,
        }
    }
}

fn print(answer: &pb::AuthorizeResponse) {
    check::print(answer);
    let hops = answer.explanation.as_ref().map(|explanation| explanation.hops.as_slice()).unwrap_or_default();
    if hops.is_empty() {
        anstream::println!("{FAINT}no policy was evaluated{FAINT:#}");
    }
    for (index, hop) in hops.iter().enumerate() {
        let below = if index + 1 < hops.len() { "│  " } else { "" };
        print_hop(hop, below);
    }
}

/// One principal and how it was decided, `below` it the line that leads to the next of its chain.
fn print_hop(hop: &pb::HopExplanation, below: &str) {
    if let Some(grant) = &hop.grant {
        anstream::println!("│  {FAINT}by {}{FAINT:#}\n▼", check::name(grant));
    }
    let principal = check::name(&hop.principal.clone().unwrap_or_default());
    anstream::println!("{NAME}{principal}{NAME:#}{}", standing(hop));
    if hop.policies.is_empty() && hop.reason.is_some() {
        return;
    }
    print_branch(below, "policies whose scope covers the request", &hop.policies, hop.nearest.is_empty());
    if !hop.nearest.is_empty() {
        print_branch(below, "nearest permits, and what is false in them", &hop.nearest, true);
    }
}

/// What a principal of a chain is in it, and whether it may; nothing for one that acts by itself.
fn standing(hop: &pb::HopExplanation) -> String {
    let role = &hop.role;
    match &hop.reason {
        Some(reason) => format!("  {role}  {BAD}DENY{BAD:#}  {}: {}", reason.code, reason.message),
        None if role.is_empty() => String::new(),
        None => format!("  {role}  {GOOD}ALLOW{GOOD:#}"),
    }
}

fn print_branch(below: &str, title: &str, policies: &[pb::PolicyOutcome], last: bool) {
    let (branch, trunk) = if last { ("└─", "   ") } else { ("├─", "│  ") };
    anstream::println!("{below}{branch} {title}{}", if policies.is_empty() { ": none" } else { "" });
    for (index, policy) in policies.iter().enumerate() {
        let (twig, stem) = if index + 1 == policies.len() { ("└─", "   ") } else { ("├─", "│  ") };
        anstream::println!("{below}{trunk}{twig} {}", headline(policy));
        if !policy.condition.is_empty() {
            anstream::println!("{below}{trunk}{stem}   {}", policy.condition);
        }
    }
}

fn headline(policy: &pb::PolicyOutcome) -> String {
    let effect = effect_name(policy);
    let (id, outcome, location) = (&policy.policy_id, &policy.outcome, &policy.location);
    let style = match (outcome.as_str(), policy.effect()) {
        ("satisfied", pb::PolicyEffect::Permit) => GOOD,
        ("satisfied" | "error", _) => BAD,
        _ => FAINT,
    };
    format!("{effect} {NAME}{id}{NAME:#} {style}{outcome}{style:#}  {FAINT}{location}{FAINT:#}")
}

fn effect_name(policy: &pb::PolicyOutcome) -> &'static str {
    if policy.effect() == pb::PolicyEffect::Permit { "permit" } else { "forbid" }
}

fn explained_json(answer: &pb::AuthorizeResponse) -> Value {
    let outcome = |policy: &pb::PolicyOutcome| {
        json!({
            "policy": policy.policy_id,
            "effect": effect_name(policy),
            "outcome": policy.outcome,
            "condition": policy.condition,
            "location": policy.location,
        })
    };
    let hops = answer.explanation.iter().flat_map(|explanation| &explanation.hops).map(|hop| {
        let mut explained = json!({
            "principal": check::reference_json(&hop.principal.clone().unwrap_or_default()),
            "policies": hop.policies.iter().map(outcome).collect::<Vec<_>>(),
            "nearest": hop.nearest.iter().map(outcome).collect::<Vec<_>>(),
        });
        if let Some(members) = explained.as_object_mut().filter(|_| !hop.role.is_empty()) {
            members.insert("decision".to_owned(), check::decision_name(hop.decision()).into());
            members.insert("role".to_owned(), hop.role.clone().into());
            members.insert("grant".to_owned(), hop.grant.as_ref().map(check::reference_json).into());
            members.insert("reason".to_owned(), hop.reason.as_ref().map(check::reason_json).into());
        }
        explained
    });
    let hops: Vec<_> = hops.collect();
    let mut explained = check::answer_json(answer);
    if let Some(members) = explained.as_object_mut() {
        members.insert("hops".to_owned(), Value::from(hops));
    }
    explained
}

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
    for hop in hops {
        let principal = hop.principal.clone().unwrap_or_default();
        anstream::println!("{NAME}{}::\"{}\"{NAME:#}", principal.r#type, principal.id);
        print_branch("policies whose scope covers the request", &hop.policies, hop.nearest.is_empty());
        if !hop.nearest.is_empty() {
            print_branch("nearest permits, and what is false in them", &hop.nearest, true);
        }
    }
}

fn print_branch(title: &str, policies: &[pb::PolicyOutcome], last: bool) {
    let (branch, trunk) = if last { ("└─", "   ") } else { ("├─", "│  ") };
    anstream::println!("{branch} {title}{}", if policies.is_empty() { ": none" } else { "" });
    for (index, policy) in policies.iter().enumerate() {
        let (twig, stem) = if index + 1 == policies.len() { ("└─", "   ") } else { ("├─", "│  ") };
        anstream::println!("{trunk}{twig} {}", headline(policy));
        if !policy.condition.is_empty() {
            anstream::println!("{trunk}{stem}   {}", policy.condition);
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
        let principal = hop.principal.clone().unwrap_or_default();
        json!({
            "principal": {"type": principal.r#type, "id": principal.id},
            "policies": hop.policies.iter().map(outcome).collect::<Vec<_>>(),
            "nearest": hop.nearest.iter().map(outcome).collect::<Vec<_>>(),
        })
    });
    let hops: Vec<_> = hops.collect();
    let mut explained = check::answer_json(answer);
    if let Some(members) = explained.as_object_mut() {
        members.insert("hops".to_owned(), Value::from(hops));
    }
    explained
}

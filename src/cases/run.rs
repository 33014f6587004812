//! Running cases against a world.

use std::collections::BTreeSet;
use std::fmt;

use super::{Case, Digest, Verdict};
use crate::engine::authorize::{authorize, authorize_as};
use crate::engine::cedar::CedarValue;
use crate::engine::convert::Form;
use crate::engine::datum::Datum;
use crate::engine::decision::{Decision, Effect};
use crate::engine::request::{AuthzRequest, InvalidRequest};
use crate::engine::world::World;

/// How a case came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseOutcome {
    /// As expected.
    Passed,
    /// Otherwise; every difference.
    Failed(Vec<Difference>),
    /// The question could not be understood.
    Invalid(InvalidRequest),
}

/// One thing that came out otherwise than expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `decision`, `determining`, `errors`, `reason`, `hop` or `obligations`.
    pub field: &'static str,
    /// What the case says.
    pub expected: String,
    /// What came out.
    pub actual: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.field, self.expected, self.actual)
    }
}

/// Runs one case.
#[must_use]
pub fn run(world: &World, case: &Case) -> CaseOutcome {
    match decide(world, case) {
        Ok(decision) => {
            let differences = compare(case, &decision);
            if differences.is_empty() { CaseOutcome::Passed } else { CaseOutcome::Failed(differences) }
        }
        Err(error) => CaseOutcome::Invalid(error),
    }
}

/// The decision a case's question gets.
///
/// # Errors
/// [`InvalidRequest`] if the question cannot be understood.
pub fn decide(world: &World, case: &Case) -> Result<Decision, InvalidRequest> {
    let mut request = AuthzRequest::new(case.principal.clone(), case.action.clone(), case.resource.clone());
    request.context_form = Form::Plain;
    request.context.clone_from(&case.context);
    request.arguments.clone_from(&case.arguments);
    request.delegations.clone_from(&case.delegations);
    if let Some(Digest::Approved) = case.digest {
        request.context.push(("digest".to_owned(), approved(world, case)?));
    }
    match &case.hop {
        Some(hop) => authorize_as(world, &request, hop, case.now),
        None => authorize(world, &request, case.now),
    }
}

fn approved(world: &World, case: &Case) -> Result<Datum, InvalidRequest> {
    let resource = world.generation.catalog.uid(&case.resource, "resource")?;
    let stored = world.entities.get(&resource).and_then(|tool| tool.attribute("digest"));
    let text = stored.and_then(CedarValue::as_text);
    let missing = || InvalidRequest::field("digest", format!("{resource} has no stored digest"));
    Ok(Datum::String(text.ok_or_else(missing)?.to_owned()))
}

fn compare(case: &Case, decision: &Decision) -> Vec<Difference> {
    let expect = &case.expect;
    let mut differences = Vec::new();
    let mut check = |field, expected: String, actual: String| {
        if expected != actual {
            differences.push(Difference { field, expected, actual });
        }
    };
    let verdict = if expect.decision == Verdict::Allow { "allow" } else { "deny" };
    let effect = if decision.effect == Effect::Allow { "allow" } else { "deny" };
    check("decision", verdict.to_owned(), effect.to_owned());
    if let Some(expected) = &expect.determining {
        let actual = decision.determining.iter().map(|policy| policy.id.as_str());
        check("determining", set(expected.iter().map(String::as_str)), set(actual));
    }
    let errors = decision.errors.iter().map(|error| error.policy.id.as_str());
    check("errors", set(expect.errors.iter().map(String::as_str)), set(errors));
    if let Some(expected) = &expect.reason {
        let actual = decision.denial.as_ref().map_or("none", |denial| denial.code.as_str());
        check("reason", expected.clone(), actual.to_owned());
    }
    if let Some(expected) = expect.hop {
        let actual = decision.denied_hop().map(|hop| hop.hop.to_string());
        check("hop", expected.to_string(), actual.unwrap_or_else(|| "none".to_owned()));
    }
    if let Some(expected) = &expect.obligations {
        let actual = decision.obligations().map(|(_, obligation)| obligation.id.as_str());
        check("obligations", set(expected.iter().map(String::as_str)), set(actual));
    }
    differences
}

fn set<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let ids: BTreeSet<&str> = ids.collect();
    format!("[{}]", ids.into_iter().collect::<Vec<_>>().join(", "))
}

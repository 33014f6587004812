//! What a line says of what was decided: the policies that decided or failed, what an Allow asks, why a deny denies.

use serde::Serialize;
use serde_json::Result;
use smol_str::SmolStr;

use super::json::{Capped, Each, MAX_TEXT_BYTES, Object};
use crate::engine::cedar::{Annotations, CompiledPolicy, PolicyEffect};
use crate::engine::decision::{Decision, Denial, PolicyError};
use crate::engine::terms::Obligation;

/// Writes what was decided, by which policies, and why not.
pub(super) fn write(line: &mut Object<'_>, decision: &Decision) -> Result<()> {
    line.plain("decision", decision.effect.as_str());
    if !decision.determining.is_empty() {
        line.member("determining", &Each(decision.determining.iter().map(|policy| Determining::of(policy))))?;
    }
    let mut obligations = decision.obligations().peekable();
    if obligations.peek().is_some() {
        let obligations: Vec<_> = obligations.map(Obliged::of).collect();
        line.member("obligations", &obligations)?;
    }
    if !decision.errors.is_empty() {
        line.member("errors", &Each(decision.errors.iter().map(Failed::of)))?;
    }
    match &decision.denial {
        Some(denial) => line.member("reason", &Reason::of(denial)),
        None => Ok(()),
    }
}

#[derive(Serialize)]
struct Determining<'a> {
    id: &'a SmolStr,
    effect: &'static str,
    annotations: &'a Annotations,
}

impl<'a> Determining<'a> {
    fn of(policy: &'a CompiledPolicy) -> Self {
        let effect = match policy.effect {
            PolicyEffect::Permit => "permit",
            PolicyEffect::Forbid => "forbid",
        };
        Self { id: &policy.id, effect, annotations: &policy.annotations }
    }
}

/// An obligation; its properties are among its policy's annotations.
#[derive(Serialize)]
struct Obliged<'a> {
    id: &'a SmolStr,
    #[serde(rename = "type")]
    kind: &'a SmolStr,
    policy: &'a SmolStr,
}

impl<'a> Obliged<'a> {
    fn of((policy, Obligation { id, kind, .. }): (&'a CompiledPolicy, &'a Obligation)) -> Self {
        Self { id, kind, policy: &policy.id }
    }
}

/// A policy that could not be evaluated, without Cedar's message, which may quote data.
#[derive(Serialize)]
struct Failed<'a> {
    id: &'a SmolStr,
    kind: &'static str,
}

impl<'a> Failed<'a> {
    fn of(error: &'a PolicyError) -> Self {
        Self { id: &error.policy.id, kind: error.failure.summary }
    }
}

/// The message is a policy's `@reason`, or the engine's, which names entities and policies and no other value.
#[derive(Serialize)]
pub(super) struct Reason<'a> {
    code: &'static str,
    message: Capped<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
}

impl<'a> Reason<'a> {
    pub(super) fn of(denial: &'a Denial) -> Self {
        let message = Capped(&denial.message, MAX_TEXT_BYTES);
        Self { code: denial.code.as_str(), message, policy: denial.policy.as_deref() }
    }
}

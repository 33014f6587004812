//! What a line says of what was decided: the policies that decided or failed, what an Allow asks, why a deny denies.

use serde_json::Result;

use super::json::{self, MAX_TEXT_BYTES, Object};
use crate::engine::cedar::{CompiledPolicy, PolicyEffect};
use crate::engine::decision::{Decision, Denial, PolicyError};
use crate::engine::terms::Obligation;

/// Writes what was decided, by which policies, and why not.
pub(super) fn write(line: &mut Object<'_>, decision: &Decision) -> Result<()> {
    line.plain("decision", decision.effect.as_str());
    if !decision.determining.is_empty() {
        line.list("determining", &decision.determining, |out, policy| determining(out, policy))?;
    }
    let mut obligations = decision.obligations().peekable();
    if obligations.peek().is_some() {
        line.list("obligations", obligations, obliged)?;
    }
    if !decision.errors.is_empty() {
        line.list("errors", &decision.errors, failed)?;
    }
    match &decision.denial {
        Some(denial) => reason(line.object("reason"), denial),
        None => Ok(()),
    }
}

/// Appends what is said of a policy that decided: annotations and all, which is most of many a line.
fn determining(out: &mut Vec<u8>, policy: &CompiledPolicy) -> Result<()> {
    out.extend_from_slice(policy.told(told)?);
    Ok(())
}

fn told(policy: &CompiledPolicy) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut object = Object::begin(&mut out);
    object.whole("id", &policy.id)?;
    let effect = match policy.effect {
        PolicyEffect::Permit => "permit",
        PolicyEffect::Forbid => "forbid",
    };
    object.plain("effect", effect);
    let mut annotations = object.object("annotations");
    for (name, value) in policy.annotations.iter() {
        json::text(annotations.any_name(name)?, value)?;
    }
    annotations.end();
    object.end();
    Ok(out)
}

/// An obligation; its properties are among its policy's annotations.
fn obliged(out: &mut Vec<u8>, (policy, obligation): (&CompiledPolicy, &Obligation)) -> Result<()> {
    let mut object = Object::begin(out);
    object.whole("id", &obligation.id)?;
    object.whole("type", &obligation.kind)?;
    object.whole("policy", &policy.id)?;
    object.end();
    Ok(())
}

/// A policy that could not be evaluated, without Cedar's message, which may quote data.
fn failed(out: &mut Vec<u8>, error: &PolicyError) -> Result<()> {
    let mut object = Object::begin(out);
    object.whole("id", &error.policy.id)?;
    object.whole("kind", error.failure.summary)?;
    object.end();
    Ok(())
}

/// The message is a policy's `@reason`, or the engine's, which names entities and policies and no other value.
pub(super) fn reason(mut object: Object<'_>, denial: &Denial) -> Result<()> {
    object.plain("code", denial.code.as_str());
    object.capped("message", &denial.message, MAX_TEXT_BYTES)?;
    if let Some(policy) = &denial.policy {
        object.whole("policy", policy)?;
    }
    object.end();
    Ok(())
}

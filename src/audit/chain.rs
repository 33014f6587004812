//! What a line says of a chain: who stands in it, how each of them was decided, and who denied first.

use serde::Serialize;
use serde_json::Result;
use smol_str::SmolStr;

use super::json::{Each, Object, Uid};
use super::verdict::Reason;
use crate::engine::decision::{Decision, GrantName, HopOutcome};

/// Writes `chain`, and for a request that shows delegations or a token `hops` and `denied_by`.
pub(super) fn write(line: &mut Object<'_>, decision: &Decision) -> Result<()> {
    let Decision { principal, hops, .. } = decision;
    let known = hops.iter().map(|hop| &hop.decision.principal);
    // A chain that leads to no root is known in part.
    let actor = [principal].into_iter().filter(|actor| known.clone().next_back() != Some(*actor));
    line.member("chain", &Each(known.clone().chain(actor).map(Uid::Known)))?;
    if hops.is_empty() {
        return Ok(());
    }
    line.member("hops", &Each(hops.iter().map(Hop::of)))?;
    match decision.denied_hop() {
        Some(denied) => line.member("denied_by", &DeniedBy::of(denied)),
        None => Ok(()),
    }
}

#[derive(Serialize)]
struct Hop<'a> {
    hop: usize,
    principal: Uid<'a>,
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<Uid<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    decision: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    determining: Vec<&'a SmolStr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason<'a>>,
}

impl<'a> Hop<'a> {
    fn of(outcome: &'a HopOutcome) -> Self {
        let HopOutcome { hop, role, grant, decision } = outcome;
        Self {
            hop: *hop,
            principal: Uid::Known(&decision.principal),
            role: role.as_str(),
            grant: stored(grant.as_ref()),
            token: token(grant.as_ref()),
            decision: decision.effect.as_str(),
            determining: decision.determining.iter().map(|policy| &policy.id).collect(),
            reason: decision.denial.as_ref().map(Reason::of),
        }
    }
}

#[derive(Serialize)]
struct DeniedBy<'a> {
    hop: usize,
    principal: Uid<'a>,
    rule: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<Uid<'a>>,
}

impl<'a> DeniedBy<'a> {
    fn of(denied: &'a HopOutcome) -> Self {
        let denial = denied.decision.denial.as_ref();
        Self {
            hop: denied.hop,
            principal: Uid::Known(&denied.decision.principal),
            rule: denial.map_or("", |denial| denial.code.rule()),
            grant: stored(denial.and_then(|denial| denial.grant.as_deref())),
        }
    }
}

fn stored(grant: Option<&GrantName>) -> Option<Uid<'_>> {
    grant.and_then(GrantName::stored).map(Uid::Known)
}

fn token(grant: Option<&GrantName>) -> Option<&str> {
    match grant {
        Some(GrantName::Token(digest)) => Some(digest),
        Some(GrantName::Stored(_)) | None => None,
    }
}

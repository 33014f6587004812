//! What a line says of a chain: who stands in it, how each of them was decided, and who denied first.

use cedar_policy::EntityUid;
use serde_json::Result;

use super::json::{self, Object, Uid};
use super::verdict;
use crate::engine::decision::{Decision, GrantName, HopOutcome};

/// Writes `chain`, and for a request that shows delegations or a token `hops` and `denied_by`.
pub(super) fn write(line: &mut Object<'_>, decision: &Decision) -> Result<()> {
    let hops = &decision.hops;
    line.list("chain", members(decision), |out, principal| Uid::Known(principal).write(out))?;
    if hops.is_empty() {
        return Ok(());
    }
    line.list("hops", hops, hop)?;
    match decision.denied_hop() {
        Some(denied) => denied_by(line.object("denied_by"), denied),
        None => Ok(()),
    }
}

/// Everybody on whose authority is acted, root first; who acts is last.
pub(super) fn members(decision: &Decision) -> impl Iterator<Item = &EntityUid> + Clone {
    let known = decision.hops.iter().map(|hop| &hop.decision.principal);
    // A chain that leads to no root is known in part.
    let last = known.clone().next_back();
    known.chain([&decision.principal].into_iter().filter(move |actor| last != Some(*actor)))
}

/// Appends how one principal was decided.
fn hop(out: &mut Vec<u8>, outcome: &HopOutcome) -> Result<()> {
    let HopOutcome { hop, role, grant, decision } = outcome;
    let mut object = Object::begin(out);
    object.member("hop", hop)?;
    object.uid("principal", Uid::Known(&decision.principal))?;
    object.plain("role", role.as_str());
    if let Some(grant) = stored(grant.as_ref()) {
        object.uid("grant", grant)?;
    }
    if let Some(token) = token(grant.as_ref()) {
        object.whole("token", token)?;
    }
    object.plain("decision", decision.effect.as_str());
    if !decision.determining.is_empty() {
        object.list("determining", &decision.determining, |out, policy| json::text(out, &policy.id))?;
    }
    if let Some(denial) = &decision.denial {
        verdict::reason(object.object("reason"), denial)?;
    }
    object.end();
    Ok(())
}

/// Says who denied first.
fn denied_by(mut object: Object<'_>, denied: &HopOutcome) -> Result<()> {
    let denial = denied.decision.denial.as_ref();
    object.member("hop", &denied.hop)?;
    object.uid("principal", Uid::Known(&denied.decision.principal))?;
    object.plain("rule", denial.map_or("", |denial| denial.code.rule()));
    if let Some(grant) = stored(denial.and_then(|denial| denial.grant.as_deref())) {
        object.uid("grant", grant)?;
    }
    object.end();
    Ok(())
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

//! A caller's evidence, from the wire to the record.

use super::pb;
use super::wire::check_length;
use crate::audit::record::{Evidence, EvidenceRef};
use crate::engine::request::InvalidRequest;

/// Most references one request may come with.
const MAX_REFS: usize = 100;

/// What the caller wants remembered. The call's own `traceparent` stands in where the evidence names none.
///
/// # Errors
/// [`InvalidRequest`] naming the first text, or list, over its limit.
pub fn read(
    wire: Option<pb::Evidence>,
    traceparent: Option<String>,
) -> Result<Option<Box<Evidence>>, InvalidRequest> {
    let Some(wire) = wire else {
        let evidence = |traceparent| Box::new(Evidence { traceparent, ..Evidence::default() });
        return Ok(traceparent.map(evidence));
    };
    let count = wire.refs.len();
    if count > MAX_REFS {
        let message = format!("has {count} elements; the limit is {MAX_REFS}");
        return Err(InvalidRequest::field("evidence.refs", message));
    }
    for (name, text) in [
        ("session_id", &wire.session_id),
        ("conversation_id", &wire.conversation_id),
        ("tool_call_id", &wire.tool_call_id),
        ("agent_version", &wire.agent_version),
        ("model", &wire.model),
        ("prompt_digest", &wire.prompt_digest),
        ("system_prompt_digest", &wire.system_prompt_digest),
        ("catalog_digest", &wire.catalog_digest),
        ("traceparent", &wire.traceparent),
    ] {
        check_length(name, text).map_err(|error| error.inside("evidence"))?;
    }
    let refs = wire.refs.into_iter().enumerate().map(|(index, wire)| reference(index, wire));
    Ok(Some(Box::new(Evidence {
        refs: refs.collect::<Result<_, _>>()?,
        session_id: wire.session_id,
        conversation_id: wire.conversation_id,
        tool_call_id: wire.tool_call_id,
        agent_version: wire.agent_version,
        model: wire.model,
        prompt_digest: wire.prompt_digest,
        system_prompt_digest: wire.system_prompt_digest,
        catalog_digest: wire.catalog_digest,
        traceparent: if wire.traceparent.is_empty() {
            traceparent.unwrap_or_default()
        } else {
            wire.traceparent
        },
    })))
}

fn reference(index: usize, wire: pb::EvidenceRef) -> Result<EvidenceRef, InvalidRequest> {
    let pb::EvidenceRef { kind, uri, digest, source, trust } = wire;
    for (name, text) in
        [("kind", &kind), ("uri", &uri), ("digest", &digest), ("source", &source), ("trust", &trust)]
    {
        check_length(name, text).map_err(|error| error.inside(&format!("evidence.refs[{index}]")))?;
    }
    Ok(EvidenceRef { kind, uri, digest, source, trust })
}

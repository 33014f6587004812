//! What the line of a decision says that may be looked for, told by the record that the line is made of.

use uuid::Uuid;

use super::chain;
use super::json::MAX_TEXT_BYTES;
use super::line::timestamp;
use super::reading::contents::Said;
use super::reading::query::{Field, key};
use super::record::DecisionRecord;
use crate::engine::datum::Reference;
use crate::engine::decision::Decision;

/// What the line says; none if it says too much, or something is cut: then it must be read.
pub(super) fn of(record: &DecisionRecord) -> Option<Said> {
    let DecisionRecord { id, at, request, facts, decision, evidence, .. } = record;
    let mut said = Said::at(timestamp(*at).as_microsecond());
    let mut is_all = true;
    let mut says = |field, value: &str| {
        is_all &= value.len() <= MAX_TEXT_BYTES && said.add(key(field, value)).is_some();
    };
    parties(decision, |field, id| says(field, id));
    let Reference { type_name, id: resource } = &request.resource;
    if !(type_name.is_empty() && resource.is_empty()) {
        says(Field::Resource, resource);
    }
    says(Field::DecisionId, id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    says(Field::Decision, decision.effect.as_str());
    let evidence = evidence.as_deref();
    let conversation = evidence.map_or("", |evidence| &evidence.conversation_id);
    let session = match evidence.map_or("", |evidence| &evidence.session_id) {
        "" => facts.session(),
        named => named.into(),
    };
    let policies = decision.determining.iter().map(|policy| (Field::Policy, &*policy.id));
    let texts = [
        (Field::Action, decision.action.id().unescaped()),
        (Field::Conversation, conversation),
        (Field::Session, &session),
    ];
    policies
        .chain(texts)
        .filter(|(_, value)| !value.is_empty())
        .for_each(|(field, value)| says(field, value));
    is_all.then_some(said)
}

/// Who acts, and everybody who handed authority on.
fn parties(decision: &Decision, mut found: impl FnMut(Field, &str)) {
    found(Field::Principal, decision.principal.id().unescaped());
    let members = chain::members(decision);
    let givers = members.clone().count().saturating_sub(1);
    members.take(givers).for_each(|giver| found(Field::Delegator, giver.id().unescaped()));
}

#[cfg(test)]
#[path = "said_tests.rs"]
mod tests;

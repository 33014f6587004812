//! What a `QueryRequest` looks for.

use uuid::Uuid;

use super::pb;
use super::wire::{Read, check_length};
use crate::audit::reading::query::{Field, Query, Term};
use crate::engine::request::InvalidRequest;

/// The query that a message asks for. Its limit is not part of it.
///
/// # Errors
/// [`InvalidRequest`] at the first field that means nothing.
pub fn of(message: pb::QueryRequest) -> Read<Query> {
    let pb::QueryRequest { from, to, principal, delegator, resource, .. } = &message;
    let mut query =
        Query { terms: Vec::new(), from: instant("from", from.as_ref())?, to: instant("to", to.as_ref())? };
    let entities = [
        ("principal", Field::Principal, principal),
        ("delegator", Field::Delegator, delegator),
        ("resource", Field::Resource, resource),
    ];
    for (name, field, uid) in entities {
        query.terms.extend(uid.as_ref().map(|uid| entity(name, field, uid)).transpose()?.flatten());
    }
    if !matches!(message.decision.as_str(), "" | "allow" | "deny") {
        return Err(InvalidRequest::field("decision", "must be `allow` or `deny`"));
    }
    let texts = [
        ("action", Field::Action, message.action),
        ("decision", Field::Decision, message.decision),
        ("policy_id", Field::Policy, message.policy_id),
        ("session_id", Field::Session, message.session_id),
        ("conversation_id", Field::Conversation, message.conversation_id),
        ("kind", Field::Kind, message.kind),
    ];
    for (name, field, text) in texts {
        check_length(name, &text)?;
        query.terms.extend(Some(text).filter(|text| !text.is_empty()).map(|text| Term::new(field, text)));
    }
    if !message.decision_id.is_empty() {
        query.terms.push(Term::new(Field::DecisionId, id("decision_id", &message.decision_id)?));
    }
    Ok(query)
}

/// The id of a record, as records have it.
pub(super) fn id(field: &'static str, text: &str) -> Read<String> {
    let id = Uuid::try_parse(text);
    id.map(|id| id.to_string())
        .map_err(|_error| InvalidRequest::field(field, "must be the id of a record, a UUID"))
}

fn entity(name: &'static str, field: Field, uid: &pb::EntityRef) -> Read<Option<Term>> {
    check_length(name, &uid.r#type)?;
    check_length(name, &uid.id)?;
    Ok(match (uid.r#type.as_str(), uid.id.as_str()) {
        ("", "") => None,
        ("", id) => Some(Term::new(field, id)),
        (type_name, id) => Some(Term::entity(field, type_name, id)),
    })
}

/// Microseconds since 1970.
fn instant(field: &'static str, at: Option<&prost_types::Timestamp>) -> Read<Option<i64>> {
    let Some(prost_types::Timestamp { seconds, nanos }) = at else { return Ok(None) };
    let micros =
        seconds.checked_mul(1_000_000).and_then(|micros| micros.checked_add(i64::from(nanos / 1_000)));
    let is_one = (0..1_000_000_000).contains(nanos);
    micros.filter(|_| is_one).map(Some).ok_or_else(|| InvalidRequest::field(field, "is no instant"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_asked_for_and_what_is_empty_is_not() {
        assert_eq!(of(pb::QueryRequest::default()).unwrap(), Query::default());
        let uid =
            |type_name: &str, id: &str| pb::EntityRef { r#type: type_name.to_owned(), id: id.to_owned() };
        let text = str::to_owned;
        let record = "0193AAAA-0000-7000-8000-000000000000";
        let message = pb::QueryRequest {
            from: Some(prost_types::Timestamp { seconds: 1, nanos: 2_000 }),
            to: Some(prost_types::Timestamp { seconds: 2, nanos: 0 }),
            principal: Some(uid("T", "p")),
            delegator: Some(uid("", "d")),
            resource: Some(uid("", "")),
            decision: text("deny"),
            policy_id: text("x"),
            session_id: text("s"),
            decision_id: text(record),
            limit: 9,
            action: text("a"),
            kind: text("k"),
            conversation_id: text("c"),
        };
        let terms = vec![
            Term::entity(Field::Principal, "T", "p"),
            Term::new(Field::Delegator, "d"),
            Term::new(Field::Action, "a"),
            Term::new(Field::Decision, "deny"),
            Term::new(Field::Policy, "x"),
            Term::new(Field::Session, "s"),
            Term::new(Field::Conversation, "c"),
            Term::new(Field::Kind, "k"),
            Term::new(Field::DecisionId, record.to_lowercase()),
        ];
        assert_eq!(of(message).unwrap(), Query { terms, from: Some(1_000_002), to: Some(2_000_000) });
    }

    #[test]
    fn what_means_nothing_is_refused_with_its_field() {
        let none = pb::QueryRequest::default;
        let time = prost_types::Timestamp { seconds: 1, nanos: -1 };
        let wrong = [
            ("decision", pb::QueryRequest { decision: "maybe".to_owned(), ..none() }),
            ("decision_id", pb::QueryRequest { decision_id: "1".to_owned(), ..none() }),
            ("to", pb::QueryRequest { to: Some(time), ..none() }),
            ("session_id", pb::QueryRequest { session_id: "s".repeat(2_000), ..none() }),
        ];
        for (field, message) in wrong {
            assert_eq!(of(message).unwrap_err().field, field);
        }
    }
}

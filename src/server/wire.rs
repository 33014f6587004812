//! What a message of the contract asks, in the engine's types.

use std::fmt;

use tonic_types::Status as RpcStatus;

use super::{evidence, pb, status, structs};
use crate::audit::record::Mode;
use crate::engine::convert::Form;
use crate::engine::datum::{Datum, Reference};
use crate::engine::request::{AuthzRequest, InvalidRequest, RequestEntity};
use crate::identity::credentials::Credentials;
use crate::pdp::{Asked, Refused};

pub(super) type Read<T> = Result<T, InvalidRequest>;

/// Longest text that is not the question's: an id, a digest, a revision. In bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// Longest `traceparent` header: the format's own length, and room for versions to come.
const MAX_TRACEPARENT_BYTES: usize = 128;

/// The question a message asks, and the terms it is asked on. The message's `request_id` has been taken out.
///
/// # Errors
/// [`InvalidRequest`] at the first field that is not honoured, or cannot be understood without the schema.
pub fn asked(message: pb::AuthorizeRequest, request_id: &str, traceparent: Option<String>) -> Read<Asked> {
    check_length("request_id", request_id)?;
    let required = |part: Option<pb::EntityRef>, field: &str| {
        part.map(reference).ok_or_else(|| InvalidRequest::field(field, "is required"))
    };
    let (context_form, context) = context(message.context_form)?;
    let entities = message.entities.into_iter().enumerate();
    let question = AuthzRequest {
        principal: match message.principal {
            // Who acts, the token says (C11).
            None if !message.credentials.is_empty() => Reference::new("", ""),
            principal => required(principal, "principal")?,
        },
        action: required(message.action, "action")?,
        resource: required(message.resource, "resource")?,
        context_form,
        context,
        arguments: arguments(message.arguments_form)?,
        entities: entities.map(|(index, wire)| entity(index, wire)).collect::<Read<_>>()?,
        delegations: message.delegations.into_iter().map(reference).collect(),
        subject: None,
        explain: message.explain,
    };
    let pb::Consistency { minimum_revision, bypass_cache } = message.consistency.unwrap_or_default();
    check_length("consistency.minimum_revision", &minimum_revision)?;
    Ok(Asked {
        question,
        properties: None,
        credentials: Credentials::shown(message.credentials),
        mode: mode(message.mode)?,
        evidence: evidence::read(message.evidence, traceparent)?,
        minimum_revision,
        bypass_cache,
    })
}

/// Whether the answer will be enforced.
fn mode(wire: i32) -> Read<Mode> {
    match pb::Mode::try_from(wire) {
        Ok(pb::Mode::Unspecified | pb::Mode::Enforce) => Ok(Mode::Enforce),
        Ok(pb::Mode::Observe) => Ok(Mode::Observe),
        Err(_) => Err(InvalidRequest::field("mode", format!("{wire} is no mode"))),
    }
}

/// Refuses a text that is longer than any of its kind has reason to be.
pub(super) fn check_length(field: &str, text: &str) -> Read<()> {
    let length = text.len();
    if length > MAX_TEXT_BYTES {
        let message = format!("is {length} bytes long; the limit is {MAX_TEXT_BYTES}");
        return Err(InvalidRequest::field(field, message));
    }
    Ok(())
}

/// The trace a call belongs to, if it says so in a form that can be one (W3C Trace Context §3.2).
pub fn traceparent(header: Option<&str>) -> Option<String> {
    header.filter(|text| text.len() <= MAX_TRACEPARENT_BYTES).map(str::to_owned)
}

pub(super) fn reference(wire: pb::EntityRef) -> Reference {
    Reference::new(wire.r#type, wire.id)
}

fn context(wire: Option<pb::authorize_request::ContextForm>) -> Read<(Form, Vec<(String, Datum)>)> {
    use pb::authorize_request::ContextForm;
    match wire {
        None => Ok((Form::Plain, Vec::new())),
        Some(ContextForm::Context(fields)) => Ok((Form::Plain, structs::members(fields))),
        Some(ContextForm::TypedContext(record)) => {
            Ok((Form::Typed, typed_members(record, Trail::Root("typed_context"))?))
        }
        Some(ContextForm::ContextJson(text)) => match json(&text, "context_json")? {
            Datum::Record(members) => Ok((Form::CedarJson, members)),
            other => {
                let message = format!("must be a JSON object; it is {}", other.kind());
                Err(InvalidRequest::field("context_json", message))
            }
        },
    }
}

fn arguments(wire: Option<pb::authorize_request::ArgumentsForm>) -> Read<Option<Datum>> {
    use pb::authorize_request::ArgumentsForm;
    match wire {
        None => Ok(None),
        Some(ArgumentsForm::Arguments(fields)) => Ok(Some(Datum::Record(structs::members(fields)))),
        Some(ArgumentsForm::ArgumentsJson(text)) => json(&text, "arguments_json").map(Some),
    }
}

/// JSON text as a value: no duplicate members, no text after it.
fn json(text: &str, field: &str) -> Read<Datum> {
    serde_json::from_str(text).map_err(|error| InvalidRequest::field(field, format!("is not JSON: {error}")))
}

/// Where a value stands in its message. Rendered only for a refusal: a name may be as long as the message.
#[derive(Clone, Copy)]
enum Trail<'a> {
    Root(&'a str),
    Member(&'a Trail<'a>, &'a str),
    Element(&'a Trail<'a>, usize),
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(name) => f.write_str(name),
            Self::Member(outer, name) => write!(f, "{outer}.{name}"),
            Self::Element(outer, index) => write!(f, "{outer}[{index}]"),
        }
    }
}

fn typed_members(record: pb::Record, trail: Trail<'_>) -> Read<Vec<(String, Datum)>> {
    let member = |(name, value): (String, pb::Value)| {
        let value = typed(value, Trail::Member(&trail, &name))?;
        Ok((name, value))
    };
    record.attributes.into_iter().map(member).collect()
}

/// The attributes of an entity that stands at `path` of its message.
pub(super) fn entity_attributes(record: pb::Record, path: &str) -> Read<Vec<(String, Datum)>> {
    typed_members(record, Trail::Root(path))
}

fn typed(value: pb::Value, trail: Trail<'_>) -> Read<Datum> {
    use pb::value::Kind;
    let Some(kind) = value.kind else {
        return Err(InvalidRequest::field(trail.to_string(), "has no kind set"));
    };
    Ok(match kind {
        Kind::Boolean(value) => Datum::Bool(value),
        Kind::Long(value) => Datum::Long(value),
        Kind::String(text) => Datum::String(text),
        Kind::Entity(entity) => Datum::Entity(reference(entity)),
        Kind::Set(set) => {
            let elements = set.elements.into_iter().enumerate();
            let element = |(index, value)| typed(value, Trail::Element(&trail, index));
            Datum::List(elements.map(element).collect::<Read<_>>()?)
        }
        Kind::Record(record) => Datum::Record(typed_members(record, trail)?),
        Kind::Decimal(text) => Datum::Decimal(text),
        Kind::Ipaddr(text) => Datum::Ip(text),
        Kind::Datetime(instant) => Datum::Datetime(millis(&instant, trail)?),
        Kind::Duration(text) => Datum::Duration(text),
    })
}

/// A timestamp in milliseconds, if milliseconds hold it exactly.
fn millis(instant: &prost_types::Timestamp, trail: Trail<'_>) -> Read<i64> {
    let nanos = i64::from(instant.nanos);
    let exact = (0..1_000_000_000).contains(&nanos) && nanos % 1_000_000 == 0;
    let millis = instant.seconds.checked_mul(1000).and_then(|millis| millis.checked_add(nanos / 1_000_000));
    millis.filter(|_| exact).ok_or_else(|| {
        InvalidRequest::field(trail.to_string(), "must be a timestamp that milliseconds hold exactly")
    })
}

fn entity(index: usize, wire: pb::Entity) -> Read<RequestEntity> {
    let path = |part: &str| format!("entities[{index}].{part}");
    let uid = wire.uid.ok_or_else(|| InvalidRequest::field(path("uid"), "is required"))?;
    Ok(RequestEntity {
        uid: reference(uid),
        form: Form::Typed,
        attributes: typed_members(wire.attributes.unwrap_or_default(), Trail::Root(&path("attributes")))?,
        tags: typed_members(wire.tags.unwrap_or_default(), Trail::Root(&path("tags")))?,
        parents: wire.parents.into_iter().map(reference).collect(),
    })
}

/// An item's own text, or the batch's.
pub fn or_default<'t>(own: &'t str, default: &'t str) -> &'t str {
    if own.is_empty() { default } else { own }
}

/// An item of a batch, with what it leaves unset taken from the defaults: a field replaces the default whole (C9).
pub fn with_defaults(
    item: pb::AuthorizeRequest,
    defaults: &pb::AuthorizeRequest,
) -> Read<pb::AuthorizeRequest> {
    if !item.credentials.is_empty() || item.consistency.is_some() {
        let field = if item.consistency.is_some() { "consistency" } else { "credentials" };
        return Err(InvalidRequest::field(
            field,
            "is the batch's, in `defaults`; an item cannot have its own",
        ));
    }
    let or_default = |own: Vec<_>, default: &Vec<_>| if own.is_empty() { default.clone() } else { own };
    Ok(pb::AuthorizeRequest {
        request_id: String::new(),
        principal: item.principal.or_else(|| defaults.principal.clone()),
        action: item.action.or_else(|| defaults.action.clone()),
        resource: item.resource.or_else(|| defaults.resource.clone()),
        context_form: item.context_form.or_else(|| defaults.context_form.clone()),
        arguments_form: item.arguments_form.or_else(|| defaults.arguments_form.clone()),
        entities: if item.entities.is_empty() { defaults.entities.clone() } else { item.entities },
        delegations: or_default(item.delegations, &defaults.delegations),
        credentials: defaults.credentials.clone(),
        consistency: defaults.consistency.clone(),
        evidence: item.evidence.or_else(|| defaults.evidence.clone()),
        explain: item.explain || defaults.explain,
        mode: if item.mode == 0 { defaults.mode } else { item.mode },
    })
}

/// A batch item's failure, as the contract carries it.
pub fn item_status(refused: &Refused) -> RpcStatus {
    let status = status::refused(refused);
    let details = prost::Message::decode(status.details()).ok();
    details.unwrap_or_else(|| RpcStatus {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}

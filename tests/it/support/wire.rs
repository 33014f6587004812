//! Requests as messages of the contract, and what is read from answers.

use mandate::server::pb;
use pb::authorize_request::{ArgumentsForm, ContextForm};
use prost_types::value::Kind;
use serde_json::Value;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

pub(crate) fn reference(type_name: &str, id: &str) -> pb::EntityRef {
    pb::EntityRef { r#type: type_name.to_owned(), id: id.to_owned() }
}

/// An action of the default namespace.
fn action(id: &str) -> pb::EntityRef {
    reference("", id)
}

/// A question; the types are those of namespace `Mandate`.
pub(crate) fn question(principal: (&str, &str), asked: &str, resource: (&str, &str)) -> pb::AuthorizeRequest {
    let named = |(type_name, id): (&str, &str)| Some(reference(&format!("Mandate::{type_name}"), id));
    pb::AuthorizeRequest {
        principal: named(principal),
        action: Some(action(asked)),
        resource: named(resource),
        ..pb::AuthorizeRequest::default()
    }
}

/// Says more in a question.
pub(crate) trait Question: Sized {
    fn struct_context(self, context: &Value) -> Self;
    fn typed_context(self, context: pb::Record) -> Self;
    fn json_context(self, context: impl Into<String>) -> Self;
    fn struct_arguments(self, arguments: &Value) -> Self;
    fn json_arguments(self, arguments: impl Into<String>) -> Self;
    fn explained(self) -> Self;
    fn named(self, request_id: &str) -> Self;
}

impl Question for pb::AuthorizeRequest {
    fn struct_context(self, context: &Value) -> Self {
        Self { context_form: Some(ContextForm::Context(fields(context))), ..self }
    }

    fn typed_context(self, context: pb::Record) -> Self {
        Self { context_form: Some(ContextForm::TypedContext(context)), ..self }
    }

    fn json_context(self, context: impl Into<String>) -> Self {
        Self { context_form: Some(ContextForm::ContextJson(context.into())), ..self }
    }

    fn struct_arguments(self, arguments: &Value) -> Self {
        Self { arguments_form: Some(ArgumentsForm::Arguments(fields(arguments))), ..self }
    }

    fn json_arguments(self, arguments: impl Into<String>) -> Self {
        Self { arguments_form: Some(ArgumentsForm::ArgumentsJson(arguments.into())), ..self }
    }

    fn explained(self) -> Self {
        Self { explain: true, ..self }
    }

    fn named(self, request_id: &str) -> Self {
        Self { request_id: request_id.to_owned(), ..self }
    }
}

/// A JSON object as a `Struct`.
fn fields(object: &Value) -> prost_types::Struct {
    let members = object.as_object().expect("an object");
    prost_types::Struct { fields: members.iter().map(|(name, value)| (name.clone(), plain(value))).collect() }
}

fn plain(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().expect("a double")),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(elements) => {
            Kind::ListValue(prost_types::ListValue { values: elements.iter().map(plain).collect() })
        }
        Value::Object(_) => Kind::StructValue(fields(value)),
    };
    prost_types::Value { kind: Some(kind) }
}

fn typed(kind: pb::value::Kind) -> pb::Value {
    pb::Value { kind: Some(kind) }
}

pub(crate) fn long_value(value: i64) -> pb::Value {
    typed(pb::value::Kind::Long(value))
}

pub(crate) fn text_value(text: &str) -> pb::Value {
    typed(pb::value::Kind::String(text.to_owned()))
}

pub(crate) fn decimal_value(text: &str) -> pb::Value {
    typed(pb::value::Kind::Decimal(text.to_owned()))
}

pub(crate) fn entity_value(type_name: &str, id: &str) -> pb::Value {
    typed(pb::value::Kind::Entity(reference(type_name, id)))
}

pub(crate) fn set_value(elements: Vec<pb::Value>) -> pb::Value {
    typed(pb::value::Kind::Set(pb::Set { elements }))
}

pub(crate) fn record_value(members: Vec<(&str, pb::Value)>) -> pb::Value {
    typed(pb::value::Kind::Record(record(members)))
}

pub(crate) fn record(members: Vec<(&str, pb::Value)>) -> pb::Record {
    pb::Record { attributes: members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() }
}

pub(crate) fn is_allow(answer: &pb::AuthorizeResponse) -> bool {
    answer.decision() == pb::Decision::Allow
}

/// Ids of the determining policies, sorted.
pub(crate) fn determining(answer: &pb::AuthorizeResponse) -> Vec<&str> {
    let mut ids: Vec<_> =
        answer.determining_policies.iter().map(|policy| policy.policy_id.as_str()).collect();
    ids.sort_unstable();
    ids
}

/// The code of a denial; empty for an Allow.
pub(crate) fn reason(answer: &pb::AuthorizeResponse) -> &str {
    answer.reason.as_ref().map_or("", |reason| reason.code.as_str())
}

/// The one field a status complains of, and what it says of it.
#[track_caller]
pub(crate) fn violation(status: &Status) -> (String, String) {
    let details = status.get_details_bad_request().unwrap_or_else(|| panic!("no BadRequest: {status:?}"));
    let [violation] = details.field_violations.as_slice() else { panic!("not one field: {details:?}") };
    (violation.field.clone(), violation.description.clone())
}

/// Fails unless a call was refused with this code, naming this field and saying this.
#[track_caller]
pub(crate) fn check_field<T: std::fmt::Debug>(
    answer: Result<T, Status>,
    code: Code,
    field: &str,
    saying: &str,
) {
    let status = answer.expect_err("it must be refused");
    assert_eq!(status.code(), code, "{status:?}");
    let (named, said) = violation(&status);
    assert_eq!(named, field, "{said}");
    assert!(said.contains(saying), "`{said}` does not say `{saying}`");
}

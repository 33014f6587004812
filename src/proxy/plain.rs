//! Typed values as a search takes them: members of a candidate's context are plain, and so must the question's own be.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use crate::server::pb;
use pb::authorize_request::ContextForm;

/// The same question, its context in plain form: the schema says again what each value is.
pub(super) fn context(question: pb::AuthorizeRequest) -> pb::AuthorizeRequest {
    let context_form = match question.context_form {
        Some(ContextForm::TypedContext(context)) => Some(ContextForm::Context(record(context.attributes))),
        other => other,
    };
    pb::AuthorizeRequest { context_form, ..question }
}

/// A record's attributes as members.
pub(super) fn record(attributes: impl IntoIterator<Item = (String, pb::Value)>) -> Struct {
    Struct { fields: attributes.into_iter().map(|(name, typed)| (name, value(typed))).collect() }
}

fn value(typed: pb::Value) -> Value {
    let kind = match typed.kind {
        Some(pb::value::Kind::Boolean(truth)) => Kind::BoolValue(truth),
        Some(pb::value::Kind::Long(number)) => number_value(number),
        Some(pb::value::Kind::String(text)) => Kind::StringValue(text),
        Some(pb::value::Kind::Entity(entity)) => Kind::StructValue(reference(entity)),
        Some(pb::value::Kind::Set(set)) => {
            Kind::ListValue(ListValue { values: set.elements.into_iter().map(value).collect() })
        }
        Some(pb::value::Kind::Record(members)) => Kind::StructValue(record(members.attributes)),
        // The proxy says nothing of these kinds; null is refused wherever the schema wants a value.
        _ => Kind::NullValue(0),
    };
    Value { kind: Some(kind) }
}

/// A number beyond what a double holds exactly is refused by whoever reads it.
#[expect(clippy::cast_precision_loss, reason = "`Struct` has doubles only")]
fn number_value(number: i64) -> Kind {
    Kind::NumberValue(number as f64)
}

fn reference(entity: pb::EntityRef) -> Struct {
    let member = |text: String| Value { kind: Some(Kind::StringValue(text)) };
    Struct {
        fields: [("type".to_owned(), member(entity.r#type)), ("id".to_owned(), member(entity.id))].into(),
    }
}

//! Values as `google.protobuf.Struct`.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use crate::engine::datum::Datum;

/// Members as a `Struct`.
#[must_use]
pub fn of_members(members: &[(String, Datum)]) -> Struct {
    Struct { fields: members.iter().map(|(name, value)| (name.clone(), of_value(value))).collect() }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "`Struct` has doubles only; whoever reads it checks the range"
)]
fn of_value(value: &Datum) -> Value {
    let kind = match value {
        Datum::Bool(value) => Kind::BoolValue(*value),
        Datum::Long(value) => Kind::NumberValue(*value as f64),
        Datum::Number(value) => Kind::NumberValue(*value),
        Datum::String(text) => Kind::StringValue(text.clone()),
        Datum::List(elements) => {
            Kind::ListValue(ListValue { values: elements.iter().map(of_value).collect() })
        }
        Datum::Record(members) => Kind::StructValue(of_members(members)),
        // JSON has no other kinds.
        _ => Kind::NullValue(0),
    };
    Value { kind: Some(kind) }
}

/// The members of a `Struct`, in no order.
#[must_use]
pub fn members(fields: Struct) -> Vec<(String, Datum)> {
    fields.fields.into_iter().map(|(name, value)| (name, plain(value))).collect()
}

/// Recursion is bounded: prost decodes at most 100 nested messages.
fn plain(value: Value) -> Datum {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Datum::Null,
        Some(Kind::BoolValue(value)) => Datum::Bool(value),
        Some(Kind::NumberValue(value)) => Datum::Number(value),
        Some(Kind::StringValue(text)) => Datum::String(text),
        Some(Kind::ListValue(list)) => Datum::List(list.values.into_iter().map(plain).collect()),
        Some(Kind::StructValue(fields)) => Datum::Record(members(fields)),
    }
}

//! Values back to what a caller would write for them.

use cedar_policy_core::ast::{Literal, RestrictedExpr, Value, ValueKind};

use super::value::{CedarValue, Extension};
use crate::engine::datum::{Datum, Reference};

/// A value as a caller writes it; none for one that no caller can write, which nothing stored is. Recursion is bounded by
/// the depth of values that loading accepts.
pub fn of_value(value: &CedarValue) -> Option<Datum> {
    of(&value.0)
}

fn of(value: &Value) -> Option<Datum> {
    Some(match value.value_kind() {
        ValueKind::Lit(Literal::Bool(value)) => Datum::Bool(*value),
        ValueKind::Lit(Literal::Long(value)) => Datum::Long(*value),
        ValueKind::Lit(Literal::String(text)) => Datum::String(text.to_string()),
        ValueKind::Lit(Literal::EntityUID(uid)) => {
            let id: &str = uid.eid().as_ref();
            Datum::Entity(Reference::new(uid.entity_type().to_string(), id))
        }
        ValueKind::Set(set) => Datum::List(set.iter().map(of).collect::<Option<_>>()?),
        ValueKind::Record(members) => {
            let members = members.iter().map(|(name, value)| Some((name.to_string(), of(value)?)));
            Datum::Record(members.collect::<Option<_>>()?)
        }
        ValueKind::ExtensionValue(extension) => {
            let (constructor, arguments) = extension.value().canonical_repr();
            extended(&constructor.to_string(), &arguments)?
        }
    })
}

/// A datetime is written by Cedar as an offset from 1970, in milliseconds; the others by their own text.
fn extended(constructor: &str, arguments: &[RestrictedExpr]) -> Option<Datum> {
    match (constructor, arguments) {
        ("offset", [_first, by]) => {
            let (_duration, mut texts) = by.as_extn_fn_call()?;
            let text = texts.next()?.as_string()?.strip_suffix("ms")?.parse().ok()?;
            Some(Datum::Datetime(text))
        }
        (_, [argument]) => {
            let text = argument.as_string()?.to_string();
            Some(match Extension::named(constructor)? {
                Extension::Decimal => Datum::Decimal(text),
                Extension::Ip => Datum::Ip(text),
                Extension::Duration => Datum::Duration(text),
                Extension::Datetime => return None,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_comes_back_as_what_it_was() {
        let of = |extension, text| CedarValue::extension(extension, text).unwrap();
        let all = [
            (CedarValue::boolean(true), Datum::Bool(true)),
            (CedarValue::long(-3), Datum::Long(-3)),
            (CedarValue::string("é\"\n"), Datum::String("é\"\n".to_owned())),
            (CedarValue::set([CedarValue::long(1)]), Datum::List(vec![Datum::Long(1)])),
            (CedarValue::datetime(-1).unwrap(), Datum::Datetime(-1)),
            (of(Extension::Datetime, "2026-11-26T20:00:00Z"), Datum::Datetime(1_795_723_200_000)),
            (of(Extension::Decimal, "10.25"), Datum::Decimal("10.2500".to_owned())),
            (of(Extension::Ip, "10.0.0.0/8"), Datum::Ip("10.0.0.0/8".to_owned())),
            (of(Extension::Duration, "1h30m"), Datum::Duration("5400000ms".to_owned())),
        ];
        for (value, expected) in all {
            assert_eq!(of_value(&value), Some(expected), "{value:?}");
        }
    }
}

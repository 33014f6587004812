//! A value as a caller wrote it, before the schema says what it means.
//!
//! Every door (protobuf `Struct`, typed `Value`, JSON text, YAML cases) produces this one tree; `convert` turns it
//! into a Cedar value as the schema directs. No value goes through JSON text or Cedar source on
//! the way.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// An untyped value, or one that says its own Cedar type.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// JSON null. A null member is an absent member; a null element is an error.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number that was written as one.
    Long(i64),
    /// Any other number, with the precision of an IEEE 754 double.
    Number(f64),
    /// Text. The schema may read it as a datetime, duration or address.
    String(String),
    /// A list; a set to Cedar.
    List(Vec<Datum>),
    /// Named members, in the order they came.
    Record(Vec<(String, Datum)>),
    /// A reference to an entity.
    Entity(Reference),
    /// A decimal, as Cedar writes it: `10.25`.
    Decimal(String),
    /// An address or range: `10.0.0.0/8`.
    Ip(String),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Datetime(i64),
    /// A duration, as Cedar writes it: `1h30m`.
    Duration(String),
}

/// An entity's type and id as a caller wrote them; not yet known to be well formed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Qualified type name.
    pub type_name: String,
    /// Any text.
    pub id: String,
}

impl Reference {
    /// A reference.
    pub fn new(type_name: impl Into<String>, id: impl Into<String>) -> Self {
        Self { type_name: type_name.into(), id: id.into() }
    }
}

impl Datum {
    /// What kind of value this is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Long(_) | Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Record(_) => "an object",
            Self::Entity(_) => "an entity reference",
            Self::Decimal(_) => "a decimal",
            Self::Ip(_) => "an ip address",
            Self::Datetime(_) => "a datetime",
            Self::Duration(_) => "a duration",
        }
    }

    /// How large the value is: the bytes of its keys and strings, and eight for everything else.
    pub fn size(&self) -> usize {
        match self {
            Self::String(text) | Self::Decimal(text) | Self::Ip(text) | Self::Duration(text) => {
                8 + text.len()
            }
            Self::Entity(reference) => 8 + reference.type_name.len() + reference.id.len(),
            Self::List(elements) => 8 + elements.iter().map(Self::size).sum::<usize>(),
            Self::Record(members) => {
                8 + members.iter().map(|(key, value)| key.len() + value.size()).sum::<usize>()
            }
            Self::Null | Self::Bool(_) | Self::Long(_) | Self::Number(_) | Self::Datetime(_) => 8,
        }
    }

    /// How many values stand within each other: 1 for a number or a text.
    pub fn depth(&self) -> usize {
        match self {
            Self::List(elements) => 1 + elements.iter().map(Self::depth).max().unwrap_or(0),
            Self::Record(members) => 1 + members.iter().map(|(_, value)| value.depth()).max().unwrap_or(0),
            _ => 1,
        }
    }

    /// The members, if this is an object.
    pub fn members(&self) -> Option<&[(String, Datum)]> {
        match self {
            Self::Record(members) => Some(members),
            _ => None,
        }
    }

    /// The member of that name, if this is an object that has one.
    pub fn member(&self, name: &str) -> Option<&Datum> {
        match self {
            Self::Record(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// JSON as a value.
    pub fn of_json(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => Self::Long(whole),
                None => Self::Number(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::String(text.clone()),
            Value::Array(elements) => Self::List(elements.iter().map(Self::of_json).collect()),
            Value::Object(members) => Self::Record(
                members.iter().map(|(name, value)| (name.clone(), Self::of_json(value))).collect(),
            ),
        }
    }

    /// The value as JSON, where JSON can say it: for checking against a JSON Schema and for digests.
    ///
    /// Whole numbers within ±(2^53−1) become JSON integers however they were written, so that `Struct`'s `3.0` and
    /// JSON's `3` are one value.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Long(value) | Self::Datetime(value) => Value::from(*value),
            Self::Number(value) => match whole(*value) {
                Some(whole) => Value::from(whole),
                None => Value::from(*value),
            },
            Self::String(text) | Self::Decimal(text) | Self::Ip(text) | Self::Duration(text) => {
                Value::from(text.as_str())
            }
            Self::List(elements) => elements.iter().map(Self::to_json).collect(),
            Self::Record(members) => {
                members.iter().map(|(key, value)| (key.clone(), value.to_json())).collect()
            }
            Self::Entity(reference) => {
                serde_json::json!({"type": reference.type_name, "id": reference.id})
            }
        }
    }
}

/// Largest whole number a double holds together with its neighbours: 2^53 − 1 (RFC 7493 §2.2).
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// The whole number a double is, if it is one within ±[`MAX_SAFE_INTEGER`].
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the range check makes both directions exact"
)]
pub fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER as f64).then_some(number as i64)
}

impl<'de> Deserialize<'de> for Datum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DatumVisitor)
    }
}

struct DatumVisitor;

impl<'de> Visitor<'de> for DatumVisitor {
    type Value = Datum;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Datum, E> {
        Ok(Datum::Null)
    }

    fn visit_none<E>(self) -> Result<Datum, E> {
        Ok(Datum::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Datum, D::Error> {
        Datum::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Datum, E> {
        Ok(Datum::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Datum, E> {
        Ok(Datum::Long(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "beyond i64 a double is what JSON promises")]
    fn visit_u64<E>(self, value: u64) -> Result<Datum, E> {
        Ok(i64::try_from(value).map_or(Datum::Number(value as f64), Datum::Long))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Datum, E> {
        Ok(Datum::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Datum, E> {
        Ok(Datum::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Datum, E> {
        Ok(Datum::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Datum, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(Datum::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Datum, A::Error> {
        let mut members: Vec<(String, Datum)> = Vec::new();
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(de::Error::custom(format_args!("duplicate member `{key}`")));
            }
            members.push((key, map.next_value()?));
        }
        Ok(Datum::Record(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_members_are_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":2}"#, r#"[{"x":{"a":1,"b":2,"a":1}}]"#, r#"{"\u0061":1,"a":2}"#] {
            let error = serde_json::from_str::<Datum>(text).unwrap_err().to_string();
            assert!(error.contains("duplicate member `a`"), "{text}: {error}");
        }
    }

    #[test]
    fn numbers_keep_what_json_says_of_them() {
        let numbers = r#"[1, -1, 1.0, 1e2, 9007199254740993, 18446744073709551615]"#;
        let Datum::List(numbers) = serde_json::from_str(numbers).unwrap() else { panic!("a list") };
        assert_eq!(numbers[0], Datum::Long(1));
        assert_eq!(numbers[2], Datum::Number(1.0));
        assert_eq!(numbers[4], Datum::Long(9_007_199_254_740_993));
        assert!(matches!(numbers[5], Datum::Number(_)));
    }

    #[test]
    fn whole_numbers_stop_where_doubles_skip() {
        assert_eq!(whole(9_007_199_254_740_991.0), Some(MAX_SAFE_INTEGER));
        assert_eq!(whole(9_007_199_254_740_992.0), None);
        assert_eq!(whole(1.5), None);
        assert_eq!(whole(f64::NAN), None);
        assert_eq!(whole(f64::INFINITY), None);
        assert_eq!(whole(-0.0), Some(0));
    }
}

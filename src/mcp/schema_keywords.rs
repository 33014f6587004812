//! The JSON Schema keywords that decide an argument's type. All others only narrow or describe it.

use serde_json::{Map, Value};

/// A JSON type as `type` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

/// Keywords whose meaning no closed type has.
const OPAQUE: [&str; 6] = ["not", "if", "dependentSchemas", "dependencies", "$dynamicRef", "$recursiveRef"];

/// Keywords that combine other schemas.
const COMBINING: [&str; 4] = ["$ref", "allOf", "anyOf", "oneOf"];

/// Keywords that say what a value is made of.
const SHAPING: [&str; 7] =
    ["enum", "const", "properties", "patternProperties", "additionalProperties", "items", "prefixItems"];

/// The largest integer that every JSON reader holds exactly.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

impl Kind {
    pub(super) fn named(name: &str) -> Option<Kind> {
        Some(match name {
            "null" => Kind::Null,
            "boolean" => Kind::Boolean,
            "integer" => Kind::Integer,
            "number" => Kind::Number,
            "string" => Kind::String,
            "array" => Kind::Array,
            "object" => Kind::Object,
            _ => return None,
        })
    }

    /// The kind of a value. `1.0` is an integer, as JSON Schema has it.
    pub(super) fn of(value: &Value) -> Kind {
        match value {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Boolean,
            Value::String(_) => Kind::String,
            Value::Array(_) => Kind::Array,
            Value::Object(_) => Kind::Object,
            Value::Number(number) if number.is_i64() => Kind::Integer,
            Value::Number(number) => match number.as_f64() {
                Some(float) if float.fract() == 0.0 && float.abs() <= MAX_SAFE_INTEGER => Kind::Integer,
                _ => Kind::Number,
            },
        }
    }
}

pub(super) fn is_opaque(keywords: &Map<String, Value>) -> bool {
    has_any(keywords, &OPAQUE)
}

pub(super) fn is_combined(keywords: &Map<String, Value>) -> bool {
    has_any(keywords, &COMBINING)
}

pub(super) fn is_shaped(keywords: &Map<String, Value>) -> bool {
    has_any(keywords, &SHAPING)
}

/// Whether a schema says anything about the type, or only narrows what others say (`{"required": ["a"]}`).
pub(super) fn decides_type(schema: &Value) -> bool {
    match schema {
        Value::Object(keywords) => {
            keywords.contains_key("type")
                || is_shaped(keywords)
                || is_combined(keywords)
                || is_opaque(keywords)
        }
        other => *other != Value::Bool(true),
    }
}

/// The kinds that a schema without `type` implies by what it shapes.
pub(super) fn implied_kind(keywords: &Map<String, Value>) -> Option<Kind> {
    let object = has_any(keywords, &["properties", "patternProperties", "additionalProperties"]);
    let array = has_any(keywords, &["items", "prefixItems"]);
    match (object, array) {
        (true, false) => Some(Kind::Object),
        (false, true) => Some(Kind::Array),
        _ => None,
    }
}

fn has_any(keywords: &Map<String, Value>, names: &[&str]) -> bool {
    names.iter().any(|name| keywords.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whole_numbers_are_integers() {
        use Kind::{Integer, Number};
        let kinds = [json!(1), json!(-1.0), json!(1.5), json!(1e300), json!(u64::MAX)].map(|v| Kind::of(&v));
        assert_eq!(kinds, [Integer, Integer, Number, Number, Number]);
    }

    #[test]
    fn narrowing_decides_nothing() {
        for narrowing in [json!({"required": ["a"], "description": "x"}), json!({}), json!(true)] {
            assert!(!decides_type(&narrowing), "{narrowing}");
        }
        for deciding in [json!({"type": "string"}), json!({"not": {}}), json!(false), json!({"$ref": "#"})] {
            assert!(decides_type(&deciding), "{deciding}");
        }
    }
}

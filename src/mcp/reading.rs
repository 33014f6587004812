//! What one JSON Schema says about the type of a value, and how several say it together.

use serde_json::{Map, Value};

use super::input_type::InputType;

/// What a schema says about a value.
pub(super) struct Reading {
    /// None where no value other than null is allowed.
    pub(super) input_type: Option<InputType>,
    pub(super) nullable: bool,
    /// Whether the type says all that the schema says about the shape, so that other schemas may add to it.
    pub(super) complete: bool,
}

impl Reading {
    pub(super) fn of(input_type: InputType) -> Self {
        Reading { input_type: Some(input_type), nullable: false, complete: true }
    }

    /// What nothing is said about.
    pub(super) fn any() -> Self {
        Reading { nullable: true, ..Reading::of(InputType::Any) }
    }

    /// What cannot be read as a closed type.
    pub(super) fn opaque(keywords: &Map<String, Value>) -> Self {
        let is_structure = matches!(keywords.get("type").and_then(Value::as_str), Some("object" | "array"));
        let reading = if is_structure { Reading::of(InputType::Structured) } else { Reading::any() };
        reading.incomplete()
    }

    pub(super) fn incomplete(self) -> Self {
        Reading { complete: false, ..self }
    }

    pub(super) fn one_of(readings: Vec<Reading>) -> Self {
        let nullable = readings.iter().any(|reading| reading.nullable);
        let complete = readings.iter().all(|reading| reading.complete);
        let branches = readings.into_iter().filter_map(|reading| reading.input_type);
        Reading { input_type: InputType::one_of(branches.collect()), nullable, complete }
    }

    /// Null and nothing else.
    pub(super) fn null() -> Self {
        Reading { input_type: None, nullable: true, complete: true }
    }

    fn says_nothing(&self) -> bool {
        self.complete && self.input_type == Some(InputType::Any)
    }

    /// What satisfies both; none where that has no closed type.
    pub(super) fn meet(self, other: Reading) -> Option<Self> {
        if self.says_nothing() {
            return Some(other);
        }
        if other.says_nothing() {
            return Some(self);
        }
        if !(self.complete && other.complete) {
            return None;
        }
        let input_type = match (self.input_type, other.input_type) {
            (Some(one), Some(other)) => Some(one.meet(other)?),
            _ => None,
        };
        Some(Reading { input_type, nullable: self.nullable && other.nullable, complete: true })
    }
}

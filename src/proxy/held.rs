//! What of a call a policy can be held to: values that Cedar compares, where the tool's schema says plainly of which type they are.

use serde_json::{Map, Value};

/// Longest text that a policy is held to, in bytes: a longer one is content, which no second call will repeat.
const MAX_TEXT: usize = 200;
/// Most elements of a list that a policy is held to.
const MAX_ELEMENTS: usize = 20;

/// A conjunction of conditions on the context, in Cedar.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Held(Vec<String>);

impl Held {
    /// That a text of the context is this one.
    pub(super) fn text(name: &str, text: &str) -> Self {
        Self(vec![format!("context.{name} == {}", quoted(text))])
    }

    /// That the arguments of a typed tool are these, as far as that can be said; and the names of those of which it cannot.
    pub(super) fn arguments(schema: Option<&Value>, arguments: &Map<String, Value>) -> (Self, Vec<String>) {
        let none = Map::new();
        let properties = schema.and_then(|schema| schema.get("properties")?.as_object()).unwrap_or(&none);
        let required = schema.and_then(|schema| schema.get("required")?.as_array());
        let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|known| known == name));
        let (mut held, mut free) = (Vec::new(), Vec::new());
        for (name, property) in properties {
            let given = arguments.get(name).filter(|value| !value.is_null());
            let attribute = quoted(name);
            match given.map(|value| literal(property, value)) {
                None => held.push(format!("!(context.input has {attribute})")),
                Some(None) => free.push(name.clone()),
                Some(Some(value)) => {
                    if !is_required(name) {
                        held.push(format!("context.input has {attribute}"));
                    }
                    held.push(format!("context.input[{attribute}] == {value}"));
                }
            }
        }
        free.extend(arguments.keys().filter(|name| !properties.contains_key(*name)).cloned());
        (Self(held), free)
    }

    pub(super) fn conditions(&self) -> &[String] {
        &self.0
    }
}

/// A value in Cedar, of the type that an import gives the property.
fn literal(property: &Value, value: &Value) -> Option<String> {
    match (property.get("type")?.as_str()?, value) {
        ("string", Value::String(text)) if text.len() <= MAX_TEXT => Some(quoted(text)),
        ("boolean", Value::Bool(truth)) => Some(truth.to_string()),
        ("integer", Value::Number(number)) => number.as_i64().map(|number| number.to_string()),
        ("array", Value::Array(elements)) if (1..=MAX_ELEMENTS).contains(&elements.len()) => {
            let items = property.get("items")?;
            // A list in a list, or of records, is more than two people read alike.
            let is_plain = matches!(items.get("type")?.as_str()?, "string" | "boolean" | "integer");
            let literals = elements.iter().map(|element| literal(items, element).filter(|_| is_plain));
            Some(format!("[{}]", literals.collect::<Option<Vec<_>>>()?.join(", ")))
        }
        _ => None,
    }
}

/// A Cedar string. What cannot be seen is escaped, so that a policy reads as it means, and no text ends its line.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_held_to_what_their_types_can_say() {
        let schema = json!({
            "properties": {
                "path": {"type": "string"}, "head": {"type": "integer"}, "deep": {"type": "object"}, "share": {"type": "number"},
                "tags": {"type": "array", "items": {"type": "string"}}, "dry-run": {"type": "boolean"}, "either": {"type": ["string", "null"]},
            },
            "required": ["path"],
        });
        let arguments = json!({"path": "a\"b\n", "tags": ["x"], "dry-run": true, "share": 0.5, "deep": {}, "either": "x", "extra": 1});
        let (held, mut free) = Held::arguments(Some(&schema), arguments.as_object().unwrap());
        free.sort();
        assert_eq!(free, ["deep", "either", "extra", "share"]);
        let mut conditions = held.conditions().to_vec();
        conditions.sort();
        assert_eq!(
            conditions,
            [
                "!(context.input has \"head\")",
                "context.input has \"dry-run\"",
                "context.input has \"tags\"",
                "context.input[\"dry-run\"] == true",
                "context.input[\"path\"] == \"a\\\"b\\n\"",
                "context.input[\"tags\"] == [\"x\"]",
            ]
        );
    }

    #[test]
    fn content_is_no_condition() {
        let schema = json!({"properties": {"content": {"type": "string"}}});
        let arguments = json!({"content": "x".repeat(MAX_TEXT + 1)});
        let (held, free) = Held::arguments(Some(&schema), arguments.as_object().unwrap());
        assert_eq!((held.conditions().len(), free), (0, vec!["content".to_owned()]));
    }
}

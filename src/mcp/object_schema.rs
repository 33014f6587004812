//! JSON objects as closed Cedar records.

use serde_json::{Map, Value};

use super::error::{ImportError, shown};
use super::input_schema::Reader;
use super::input_type::{self, Attribute, InputType, Record};
use super::json_path::JsonPath;
use super::reading::Reading;

/// Member names that mean something else in Cedar's JSON. Requests with them are refused, so an argument of that name
/// could never be given.
const ESCAPES: [&str; 3] = ["__entity", "__extn", "__expr"];

/// One unit of the budget buys this many bytes of a name, beside the type.
const NAME_BYTES: usize = 64;

impl Reader<'_> {
    pub(super) fn read_object(
        &mut self,
        keywords: &Map<String, Value>,
        path: JsonPath<'_>,
    ) -> Result<Reading, ImportError> {
        let properties = self.properties(keywords, path)?;
        let is_closed =
            is_false(keywords, "additionalProperties") || is_false(keywords, "unevaluatedProperties");
        if takes_patterns(keywords) {
            return Ok(Reading::of(InputType::Structured).incomplete());
        }
        match properties {
            Some(properties) => self.read_record(properties, keywords, path),
            None if is_closed => Ok(Reading::of(InputType::Record(Record::new()))),
            None if takes_others(keywords) => Ok(Reading::of(InputType::Structured).incomplete()),
            None => Ok(Reading::of(InputType::Structured)),
        }
    }

    /// The declared properties, if there are any.
    fn properties<'s>(
        &self,
        keywords: &'s Map<String, Value>,
        path: JsonPath<'_>,
    ) -> Result<Option<&'s Map<String, Value>>, ImportError> {
        match keywords.get("properties") {
            None => Ok(None),
            Some(Value::Object(properties)) => Ok((!properties.is_empty()).then_some(properties)),
            Some(other) => {
                let path = path.member("properties");
                Err(self.unexpected("an object of schemas", other, path))
            }
        }
    }

    fn read_record(
        &mut self,
        properties: &Map<String, Value>,
        keywords: &Map<String, Value>,
        path: JsonPath<'_>,
    ) -> Result<Reading, ImportError> {
        let required = self.required(keywords, path)?;
        let at = path.member("properties");
        let mut record = Record::new();
        for (name, schema) in properties {
            let attribute = self.read_attribute(name, schema, at.member(name))?;
            record.extend(attribute.map(|attribute| (name.clone(), attribute)));
        }
        input_type::require(&mut record, required);
        if takes_others(keywords) {
            self.open.add(|| path.to_string());
        }
        Ok(Reading::of(InputType::Record(record)))
    }

    /// None where no value is allowed, so that the attribute can only be absent.
    fn read_attribute(
        &mut self,
        name: &str,
        schema: &Value,
        path: JsonPath<'_>,
    ) -> Result<Option<Attribute>, ImportError> {
        if ESCAPES.contains(&name) {
            let reason =
                format!("arguments named {} are refused in requests; leave the tool untyped", shown(name));
            return Err(self.tool.fault(path, reason));
        }
        self.spend(name.len() / NAME_BYTES, path)?;
        let reading = self.read(schema, path)?;
        let input_type = match reading.input_type {
            Some(input_type) => input_type,
            None if reading.nullable => InputType::Any,
            None => return Ok(None),
        };
        Ok(Some(Attribute { input_type, required: false, nullable: reading.nullable }))
    }
}

fn is_false(keywords: &Map<String, Value>, name: &str) -> bool {
    keywords.get(name) == Some(&Value::Bool(false))
}

/// Whether the schema says itself that undeclared members are taken; JSON Schema's silence also permits them, but is
/// hardly ever meant.
pub(super) fn takes_others(keywords: &Map<String, Value>) -> bool {
    let others = keywords.get("additionalProperties");
    others.is_some_and(|others| *others != Value::Bool(false))
}

fn takes_patterns(keywords: &Map<String, Value>) -> bool {
    match keywords.get("patternProperties") {
        Some(Value::Object(patterns)) => !patterns.is_empty(),
        other => other.is_some(),
    }
}

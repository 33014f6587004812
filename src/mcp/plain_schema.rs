//! Schemas that say their type themselves: by `type`, by the values they list, or by what they shape.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::error::{ImportError, shown};
use super::input_schema::Reader;
use super::input_type::InputType;
use super::json_path::JsonPath;
use super::reading::Reading;
use super::schema_keywords::{Kind, implied_kind};

impl Reader<'_> {
    /// Reads a schema whose `type` is the one given, its own or one that stands beside the union it is a branch of.
    /// Listed values only narrow a type; without one, they are the type.
    pub(super) fn read_plain(
        &mut self,
        keywords: &Map<String, Value>,
        kinds: Option<&Value>,
        path: JsonPath<'_>,
    ) -> Result<Reading, ImportError> {
        if let Some(kinds) = kinds {
            let kinds = self.read_type(kinds, path.member("type"))?;
            return self.read_kinds(&kinds, keywords, path);
        }
        if let Some(values) = self.listed_values(keywords, path)? {
            return Ok(Reading::one_of(values.into_iter().map(of_value).collect()));
        }
        match implied_kind(keywords) {
            Some(kind) => self.read_kind(kind, keywords, path),
            None => Ok(Reading::any()),
        }
    }

    fn read_type(&mut self, kinds: &Value, path: JsonPath<'_>) -> Result<Vec<Kind>, ImportError> {
        let Value::Array(kinds) = kinds else {
            return Ok(vec![self.read_kind_name(kinds, path)?]);
        };
        self.spend(kinds.len(), path)?;
        let mut read = Vec::new();
        for (index, kind) in kinds.iter().enumerate() {
            let kind = self.read_kind_name(kind, path.element(index))?;
            if !read.contains(&kind) {
                read.push(kind);
            }
        }
        Ok(read)
    }

    fn read_kind_name(&self, kind: &Value, path: JsonPath<'_>) -> Result<Kind, ImportError> {
        let Value::String(name) = kind else {
            return Err(self.unexpected("the name of a JSON type", kind, path));
        };
        Kind::named(name).ok_or_else(|| {
            let name = shown(name);
            let reason = format!("{name} is no JSON type; correct the definition or leave the tool untyped");
            self.tool.fault(path, reason)
        })
    }

    fn read_kinds(
        &mut self,
        kinds: &[Kind],
        keywords: &Map<String, Value>,
        path: JsonPath<'_>,
    ) -> Result<Reading, ImportError> {
        let mut readings = Vec::new();
        for kind in kinds {
            readings.push(self.read_kind(*kind, keywords, path)?);
        }
        Ok(Reading::one_of(readings))
    }

    fn read_kind(
        &mut self,
        kind: Kind,
        keywords: &Map<String, Value>,
        path: JsonPath<'_>,
    ) -> Result<Reading, ImportError> {
        match kind {
            Kind::Null => Ok(Reading::null()),
            Kind::Boolean => Ok(Reading::of(InputType::Bool)),
            Kind::Integer => Ok(Reading::of(InputType::Long)),
            Kind::Number => Ok(Reading::of(InputType::Decimal)),
            Kind::String => Ok(Reading::of(InputType::String)),
            Kind::Array => self.read_array(keywords, path),
            Kind::Object => self.read_object(keywords, path),
        }
    }

    /// An array is a set of its elements, or text where their position gives them their type (tuples) or nothing may
    /// be in it.
    fn read_array(
        &mut self,
        keywords: &Map<String, Value>,
        path: JsonPath<'_>,
    ) -> Result<Reading, ImportError> {
        let is_tuple = keywords.contains_key("prefixItems");
        let element = match keywords.get("items") {
            _ if is_tuple => None,
            Some(Value::Array(_)) => None,
            None => Some(InputType::Any),
            Some(items) => self.read(items, path.member("items"))?.input_type,
        };
        Ok(match element {
            Some(element) => Reading::of(InputType::set_of(element)),
            None => Reading::of(InputType::Structured).incomplete(),
        })
    }

    /// The values of `const` or `enum`, as one of each kind.
    fn listed_values<'s>(
        &mut self,
        keywords: &'s Map<String, Value>,
        path: JsonPath<'_>,
    ) -> Result<Option<Vec<&'s Value>>, ImportError> {
        if let Some(value) = keywords.get("const") {
            return Ok(Some(vec![value]));
        }
        let path = path.member("enum");
        match keywords.get("enum") {
            None => Ok(None),
            Some(Value::Array(values)) => {
                self.spend(values.len(), path)?;
                Ok(Some(one_of_each_kind(values)))
            }
            Some(other) => Err(self.unexpected("an array of values", other, path)),
        }
    }
}

fn one_of_each_kind(values: &[Value]) -> Vec<&Value> {
    let mut kinds = HashSet::new();
    let new = values.iter().filter(|value| kinds.insert(Kind::of(value)));
    new.collect()
}

/// What a listed value is. A listed object or array is compared whole, so it stays text.
fn of_value(value: &Value) -> Reading {
    match Kind::of(value) {
        Kind::Null => Reading::null(),
        Kind::Boolean => Reading::of(InputType::Bool),
        Kind::Integer => Reading::of(InputType::Long),
        Kind::Number => Reading::of(InputType::Decimal),
        Kind::String => Reading::of(InputType::String),
        Kind::Array | Kind::Object => Reading::of(InputType::Structured).incomplete(),
    }
}

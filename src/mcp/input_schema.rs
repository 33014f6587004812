//! From a JSON Schema to the closed type of what it describes.
//!
//! The type carries a value into Cedar; whether a value satisfies the whole schema is checked against the definition
//! itself. So a type may be wider than its schema, and keywords that only narrow are left out here.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::error::ImportError;
use super::input_type::{self, InputType};
use super::json_path::JsonPath;
use super::places::Places;
use super::reading::Reading;
use super::schema_keywords;
use super::tools_list::{Tool, kind};

/// How much one import may unfold to, all typed tools together, in types, values and names: references let a short
/// text describe an endless one.
pub(super) const MAX_TYPES: usize = 250_000;

/// How many steps from the top of a definition are followed, references included.
const MAX_STEPS: usize = 64;

/// Reads the schemas of one tool.
pub(super) struct Reader<'a> {
    pub(super) tool: &'a Tool<'a>,
    /// What `#` in a reference stands for.
    pub(super) root: &'a Map<String, Value>,
    pub(super) budget: &'a mut usize,
    /// Objects that declare members and say they take others too.
    pub(super) open: Places,
}

impl<'a> Reader<'a> {
    pub(super) fn read(&mut self, schema: &Value, path: JsonPath<'_>) -> Result<Reading, ImportError> {
        self.spend(1, path)?;
        match schema {
            _ if path.steps() > MAX_STEPS => Ok(Reading::any().incomplete()),
            Value::Bool(true) => Ok(Reading::any()),
            Value::Bool(false) => Ok(Reading::one_of(Vec::new())),
            Value::Object(keywords) => self.read_keywords(keywords, path),
            other => Err(self.unexpected("a JSON Schema", other, path)),
        }
    }

    pub(super) fn read_keywords(
        &mut self,
        keywords: &Map<String, Value>,
        path: JsonPath<'_>,
    ) -> Result<Reading, ImportError> {
        if schema_keywords::is_opaque(keywords) {
            return Ok(Reading::opaque(keywords));
        }
        if keywords.contains_key("$ref") || keywords.contains_key("allOf") {
            return self.read_all_of(keywords, path);
        }
        self.read_alternatives(keywords, path)
    }

    /// `$ref` and `allOf` hold beside what the schema itself says.
    fn read_all_of(
        &mut self,
        keywords: &Map<String, Value>,
        path: JsonPath<'_>,
    ) -> Result<Reading, ImportError> {
        let mut readings = vec![self.read_alternatives(keywords, path)?];
        if let Some(reference) = keywords.get("$ref") {
            readings.push(self.read_reference(reference, path)?);
        }
        let at = path.member("allOf");
        let parts = self.schemas(keywords, "allOf", path)?;
        for (index, part) in parts.iter().enumerate() {
            readings.push(self.read(part, at.element(index))?);
        }
        let start = Some(Reading::any());
        let met = readings.into_iter().fold(start, |met, reading| met?.meet(reading));
        let mut whole = met.unwrap_or_else(|| Reading::opaque(keywords));
        for schema in parts.iter().filter_map(Value::as_object).chain([keywords]) {
            self.require(&mut whole, schema, path)?;
        }
        Ok(whole)
    }

    /// Names that a part requires are required of the whole, wherever they are declared.
    fn require(
        &mut self,
        whole: &mut Reading,
        keywords: &Map<String, Value>,
        path: JsonPath<'_>,
    ) -> Result<(), ImportError> {
        let Some(InputType::Record(record)) = &mut whole.input_type else {
            return Ok(());
        };
        input_type::require(record, self.required(keywords, path)?);
        Ok(())
    }

    /// Follows a reference within the tool's own schema. One that leads elsewhere, or back to itself, could be anything.
    fn read_reference(&mut self, reference: &Value, path: JsonPath<'_>) -> Result<Reading, ImportError> {
        let Value::String(target) = reference else {
            return Err(self.unexpected("a string", reference, path.member("$ref")));
        };
        match self.resolve(target) {
            Some(schema) if !path.follows(target) => self.read(schema, path.reference(target)),
            _ => Ok(Reading::any().incomplete()),
        }
    }

    fn resolve(&self, target: &str) -> Option<&'a Value> {
        let pointer = target.strip_prefix('#')?;
        let (section, rest) = pointer.strip_prefix('/')?.split_once('/')?;
        let definitions = match section {
            "$defs" | "definitions" => self.root.get(section)?,
            _ => return None,
        };
        definitions.pointer(&format!("/{rest}"))
    }

    fn read_alternatives(
        &mut self,
        keywords: &Map<String, Value>,
        path: JsonPath<'_>,
    ) -> Result<Reading, ImportError> {
        let any_of = self.deciding(keywords, "anyOf", path)?;
        let one_of = self.deciding(keywords, "oneOf", path)?;
        match (any_of, one_of) {
            (None, None) => self.read_plain(keywords, keywords.get("type"), path),
            (Some(_), Some(_)) => Ok(Reading::opaque(keywords)),
            _ if schema_keywords::is_shaped(keywords) => Ok(Reading::opaque(keywords)),
            (Some(branches), None) => self.read_union(keywords, branches, path.member("anyOf")),
            (None, Some(branches)) => self.read_union(keywords, branches, path.member("oneOf")),
        }
    }

    /// The branches of a union, unless all of them only narrow (`anyOf: [{"required": ["a"]}, …]`).
    fn deciding<'s>(
        &self,
        keywords: &'s Map<String, Value>,
        name: &str,
        path: JsonPath<'_>,
    ) -> Result<Option<&'s [Value]>, ImportError> {
        let branches = self.schemas(keywords, name, path)?;
        let decides = branches.iter().any(schema_keywords::decides_type);
        Ok(decides.then_some(branches))
    }

    fn read_union(
        &mut self,
        keywords: &Map<String, Value>,
        branches: &[Value],
        path: JsonPath<'_>,
    ) -> Result<Reading, ImportError> {
        let outer = keywords.get("type");
        let mut readings = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            readings.push(self.read_branch(branch, outer, path.element(index))?);
        }
        Ok(Reading::one_of(readings))
    }

    /// A branch that names no type of its own has the type that stands beside the union.
    fn read_branch(
        &mut self,
        branch: &Value,
        outer: Option<&Value>,
        path: JsonPath<'_>,
    ) -> Result<Reading, ImportError> {
        match branch {
            Value::Object(inner)
                if !inner.contains_key("type")
                    && !schema_keywords::is_combined(inner)
                    && !schema_keywords::is_opaque(inner) =>
            {
                self.spend(1, path)?;
                self.read_plain(inner, outer, path)
            }
            _ => self.read(branch, path),
        }
    }

    /// The schemas that a keyword lists; none if it is absent.
    fn schemas<'s>(
        &self,
        keywords: &'s Map<String, Value>,
        name: &str,
        path: JsonPath<'_>,
    ) -> Result<&'s [Value], ImportError> {
        match keywords.get(name) {
            None => Ok(&[]),
            Some(Value::Array(schemas)) => Ok(schemas),
            Some(other) => Err(self.unexpected("an array of schemas", other, path.member(name))),
        }
    }

    /// The names that an object must have.
    pub(super) fn required<'s>(
        &mut self,
        keywords: &'s Map<String, Value>,
        path: JsonPath<'_>,
    ) -> Result<HashSet<&'s str>, ImportError> {
        let path = path.member("required");
        let names = match keywords.get("required") {
            None => return Ok(HashSet::new()),
            Some(Value::Array(names)) => names,
            Some(other) => return Err(self.unexpected("an array of names", other, path)),
        };
        self.spend(names.len(), path)?;
        let names = names.iter().enumerate().map(|(index, name)| match name {
            Value::String(name) => Ok(name.as_str()),
            other => Err(self.unexpected("a name", other, path.element(index))),
        });
        names.collect()
    }

    /// Counts what reading unfolds to, and stops where it would outgrow its bound.
    pub(super) fn spend(&mut self, amount: usize, path: JsonPath<'_>) -> Result<(), ImportError> {
        match self.budget.checked_sub(amount) {
            Some(left) => {
                *self.budget = left;
                Ok(())
            }
            None => Err(self.tool.fault(
                path,
                format!("typed tools unfold to over {MAX_TYPES} types; leave this tool untyped"),
            )),
        }
    }

    pub(super) fn unexpected(&self, expected: &str, found: &Value, path: JsonPath<'_>) -> ImportError {
        let found = kind(found);
        let reason =
            format!("expected {expected}, found {found}; correct the definition or leave the tool untyped");
        self.tool.fault(path, reason)
    }
}

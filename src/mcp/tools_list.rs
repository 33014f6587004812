//! The tools of a `tools/list` answer, in the three shapes it is passed around in.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use super::error::{ImportError, shown};
use super::hints::Hints;
use super::json_path::JsonPath;
use super::near_names;
use super::options::Typed;

/// How deep objects and arrays may nest in a tool's definition, itself being the first.
pub(super) const MAX_LEVELS: usize = 32;

/// What the text says.
pub(super) struct ToolsList<'a> {
    pub(super) tools: Vec<Tool<'a>>,
    /// The answer names a next page: the server has more tools than these.
    pub(super) has_more: bool,
}

/// One tool, as far as every tool is read.
pub(super) struct Tool<'a> {
    pub(super) name: &'a str,
    /// The whole definition, as it came.
    pub(super) definition: &'a Value,
    /// Its `inputSchema`; a tool without one cannot be typed.
    pub(super) input_schema: Option<&'a Map<String, Value>>,
    pub(super) hints: Hints,
}

impl<'a> ToolsList<'a> {
    pub(super) fn read(document: &'a Value) -> Result<Self, ImportError> {
        let result = JsonPath::TOP.member("result");
        match document {
            Value::Array(tools) => Self::from_array(tools, JsonPath::TOP, false),
            Value::Object(answer) if answer.contains_key("tools") => Self::from_answer(answer, JsonPath::TOP),
            Value::Object(answer) => match answer.get("result") {
                Some(Value::Object(inner)) => Self::from_answer(inner, result),
                _ => Err(shape(JsonPath::TOP, "a member `tools` or `result`", Some(document))),
            },
            _ => Err(shape(JsonPath::TOP, "an object or an array", Some(document))),
        }
    }

    fn from_answer(answer: &'a Map<String, Value>, path: JsonPath<'_>) -> Result<Self, ImportError> {
        let has_more = answer.get("nextCursor").is_some_and(|next| !next.is_null());
        let path = path.member("tools");
        match answer.get("tools") {
            Some(Value::Array(tools)) => Self::from_array(tools, path, has_more),
            other => Err(shape(path, "an array of tools", other)),
        }
    }

    fn from_array(definitions: &'a [Value], path: JsonPath<'_>, has_more: bool) -> Result<Self, ImportError> {
        let mut tools = Vec::with_capacity(definitions.len());
        for (index, definition) in definitions.iter().enumerate() {
            tools.push(Tool::read(definition, path.element(index))?);
        }
        refuse_duplicates(&tools)?;
        Ok(ToolsList { tools, has_more })
    }

    /// The tools that are to get a typed action, in the list's order.
    pub(super) fn choose(&self, typed: &Typed) -> Result<Vec<&Tool<'a>>, ImportError> {
        match typed {
            Typed::None => Ok(Vec::new()),
            Typed::All => Ok(self.tools.iter().collect()),
            Typed::Named(names) => self.choose_named(names),
        }
    }

    fn choose_named(&self, names: &[String]) -> Result<Vec<&Tool<'a>>, ImportError> {
        let known: HashSet<&str> = self.tools.iter().map(|tool| tool.name).collect();
        let wanted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let missing: Vec<String> = wanted
            .iter()
            .filter(|name| !known.contains(*name))
            .map(|name| near_names::with_nearest(name, &known))
            .collect();
        if !missing.is_empty() {
            return Err(ImportError::UnknownTyped { missing });
        }
        let chosen = self.tools.iter().filter(|tool| wanted.contains(tool.name));
        Ok(chosen.collect())
    }
}

impl<'a> Tool<'a> {
    pub(super) fn read(definition: &'a Value, path: JsonPath<'_>) -> Result<Self, ImportError> {
        let Value::Object(members) = definition else {
            return Err(shape(path, "a tool, which is an object", Some(definition)));
        };
        let name = read_name(members, path)?;
        if let Some(place) = too_deep(definition, JsonPath::TOP) {
            let at = format!("tool {}: {place}", shown(name));
            return Err(ImportError::TooDeep { at });
        }
        Ok(Tool {
            name,
            definition,
            input_schema: read_input_schema(name, members)?,
            hints: Hints::read(name, members)?,
        })
    }

    /// An error about this tool.
    pub(super) fn fault(&self, path: JsonPath<'_>, reason: impl Into<String>) -> ImportError {
        fault(self.name, path, reason)
    }
}

/// An error about a tool's definition: where in it, what is wrong, what to do.
pub(super) fn fault(tool: &str, path: JsonPath<'_>, reason: impl Into<String>) -> ImportError {
    ImportError::Definition { tool: shown(tool), path: path.near_top(MAX_LEVELS), reason: reason.into() }
}

fn read_name<'a>(members: &'a Map<String, Value>, path: JsonPath<'_>) -> Result<&'a str, ImportError> {
    let at = path.member("name");
    match members.get("name") {
        Some(Value::String(name)) if !name.is_empty() => Ok(name),
        Some(Value::String(_)) => Err(ImportError::EmptyName { path: at.to_string() }),
        other => Err(shape(at, "the tool's name, which is a string", other)),
    }
}

fn read_input_schema<'a>(
    tool: &str,
    members: &'a Map<String, Value>,
) -> Result<Option<&'a Map<String, Value>>, ImportError> {
    match members.get("inputSchema") {
        None => Ok(None),
        Some(Value::Object(schema)) => Ok(Some(schema)),
        Some(other) => {
            let reason =
                format!("expected a JSON Schema object, found {}; correct the definition", kind(other));
            Err(fault(tool, JsonPath::TOP.member("inputSchema"), reason))
        }
    }
}

fn refuse_duplicates(tools: &[Tool<'_>]) -> Result<(), ImportError> {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for tool in tools {
        *times.entry(tool.name).or_default() += 1;
    }
    let shared: BTreeSet<&str> =
        times.into_iter().filter_map(|(name, times)| (times > 1).then_some(name)).collect();
    if shared.is_empty() {
        return Ok(());
    }
    let names = shared.into_iter().map(shown).collect();
    Err(ImportError::DuplicateTools { names })
}

/// The first place beyond the limit. Recursion is safe here: the parser has bounded the whole text.
fn too_deep(value: &Value, path: JsonPath<'_>) -> Option<String> {
    let is_container = value.is_object() || value.is_array();
    if is_container && path.steps() >= MAX_LEVELS {
        return Some(path.to_string());
    }
    match value {
        Value::Array(elements) => {
            elements.iter().enumerate().find_map(|(index, element)| too_deep(element, path.element(index)))
        }
        Value::Object(members) => {
            members.iter().find_map(|(name, member)| too_deep(member, path.member(name)))
        }
        _ => None,
    }
}

fn shape(path: JsonPath<'_>, expected: &'static str, found: Option<&Value>) -> ImportError {
    ImportError::Shape { path: path.to_string(), expected, found: found.map_or("nothing", kind) }
}

/// The kind of a JSON value, for messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

//! A tool's `inputSchema` as a whole: always one closed record, the tool's arguments.

use serde_json::{Map, Value};

use super::error::ImportError;
use super::input_schema::Reader;
use super::input_type::{InputType, Record};
use super::json_path::JsonPath;
use super::object_schema::takes_others;
use super::places::Places;
use super::reading::Reading;
use super::schema_keywords::decides_type;
use super::tools_list::Tool;

/// Keywords that make the arguments more than one record. The definition they are part of still validates them; here
/// they are left out, and arguments that only they declare are refused.
const BEYOND_ONE_RECORD: [&str; 11] = [
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependencies",
    "patternProperties",
    "$dynamicRef",
    "$recursiveRef",
];

/// A tool's arguments in Cedar.
pub(super) struct Input {
    pub(super) record: Record,
    /// Places whose schema allows members that are not declared there, and that a typed call cannot carry.
    pub(super) refusing: Places,
}

pub(super) fn read(tool: &Tool<'_>, budget: &mut usize) -> Result<Input, ImportError> {
    let path = JsonPath::TOP.member("inputSchema");
    let schema = tool
        .input_schema
        .ok_or_else(|| tool.fault(path, "a typed tool needs an inputSchema; leave the tool untyped"))?;
    refuse_other_types(tool, schema, path)?;
    let refusing = not_carried(schema, path);
    let single = one_record(schema);
    let mut reader = Reader { tool, root: schema, budget, open: refusing };
    let reading = reader.read_keywords(&single, path)?;
    let refusing = reader.open;
    match arguments(reading, schema) {
        Some(record) => Ok(Input { record, refusing }),
        None => Err(tool.fault(
            path,
            "its parts do not make one record; correct the definition or leave the tool untyped",
        )),
    }
}

/// None where there are parts, by reference or `allOf`, that could not be put together.
fn arguments(reading: Reading, schema: &Map<String, Value>) -> Option<Record> {
    let has_parts = ["$ref", "allOf", "properties"].iter().any(|keyword| schema.contains_key(*keyword));
    match reading.input_type {
        Some(InputType::Record(record)) => Some(record),
        Some(InputType::Structured) if reading.complete || !has_parts => Some(Record::new()),
        _ => None,
    }
}

fn refuse_other_types(
    tool: &Tool<'_>,
    schema: &Map<String, Value>,
    path: JsonPath<'_>,
) -> Result<(), ImportError> {
    let allows_objects = match schema.get("type") {
        None => true,
        Some(Value::String(name)) => name == "object",
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        Some(_) => false,
    };
    if allows_objects {
        return Ok(());
    }
    Err(tool.fault(
        path.member("type"),
        "arguments are an object, so this must be \"object\"; correct the definition or leave the tool untyped",
    ))
}

fn one_record(schema: &Map<String, Value>) -> Map<String, Value> {
    let mut single = schema.clone();
    single.retain(|keyword, _| !BEYOND_ONE_RECORD.contains(&keyword.as_str()));
    single.insert("type".to_owned(), Value::from("object"));
    single
}

fn not_carried(schema: &Map<String, Value>, path: JsonPath<'_>) -> Places {
    let mut places = Places::default();
    for keyword in BEYOND_ONE_RECORD {
        if declares_arguments(schema, keyword) {
            places.add(|| path.member(keyword).to_string());
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    if properties.is_none_or(Map::is_empty) && takes_others(schema) {
        places.add(|| path.to_string());
    }
    places
}

fn declares_arguments(schema: &Map<String, Value>, keyword: &str) -> bool {
    match (keyword, schema.get(keyword)) {
        (_, None) | ("not" | "if", _) => false,
        ("anyOf" | "oneOf", Some(Value::Array(branches))) => branches.iter().any(decides_type),
        _ => true,
    }
}

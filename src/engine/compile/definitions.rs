//! Tool definitions on file: the JSON Schemas that typed actions' arguments must fit.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::place;
use crate::engine::catalog::InputSchema;
use crate::engine::problem::{Place, Problem, Report, SourceFile};

/// JSON Schemas of tools, by tool id (`<server>/<tool>`), until an action claims them.
#[derive(Default)]
pub(super) struct Definitions(BTreeMap<String, (InputSchema, Place)>);

/// A `*.tools.json` file, as `mandate import-mcp` writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    server: String,
    tools: Vec<Definition>,
}

#[derive(Deserialize)]
struct Definition {
    name: String,
    #[serde(rename = "inputSchema")]
    input_schema: Value,
}

impl Definitions {
    /// Reads and compiles every definition.
    pub(super) fn load(files: &[SourceFile], report: &mut Report) -> Self {
        let mut definitions = Self::default();
        for source in files {
            let Some(place) = place(source, report) else { continue };
            match serde_json::from_str::<File>(place.text()) {
                Ok(file) => definitions.add(&file, &place, report),
                Err(error) => report.push(Problem::error(&place, error.to_string()).help(
                    "`mandate import-mcp` writes such files: {\"server\": …, \"tools\": [definitions]}",
                )),
            }
        }
        definitions
    }

    fn add(&mut self, file: &File, place: &Place, report: &mut Report) {
        for tool in &file.tools {
            let id = format!("{}/{}", file.server, tool.name);
            match compile(&tool.input_schema) {
                Ok(_) if self.0.contains_key(&id) => {
                    report.push(Problem::error(place, format!("tool `{id}` is defined twice")));
                }
                Ok(schema) => {
                    self.0.insert(id, (schema, place.clone()));
                }
                Err(message) => {
                    let message = format!("the inputSchema of tool `{id}` is no JSON Schema: {message}");
                    report.push(Problem::error(place, message));
                }
            }
        }
    }

    /// The schema of a tool, for the action that types it.
    pub(super) fn take(&mut self, id: &str) -> Option<InputSchema> {
        self.0.remove(id).map(|(schema, _)| schema)
    }

    /// A definition without an action would check nothing, silently.
    pub(super) fn report_unclaimed(self, report: &mut Report) {
        for (id, (_, place)) in self.0 {
            let message =
                format!("tool `{id}` is defined here, but no action is annotated `@tool(\"{id}\")`");
            report.push(Problem::error(&place, message));
        }
    }
}

/// Patterns run on an engine that cannot backtrack, and nothing is fetched: references stay in the document.
fn compile(schema: &Value) -> Result<InputSchema, String> {
    jsonschema::options()
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .map(|validator| InputSchema { refers: refers(schema), source: schema.clone(), validator })
        .map_err(|error| error.to_string())
}

fn refers(schema: &Value) -> bool {
    let mut pending = vec![schema];
    while let Some(value) = pending.pop() {
        match value {
            Value::Object(members) if members.keys().any(|key| key.ends_with("Ref") || key == "$ref") => {
                return true;
            }
            Value::Object(members) => pending.extend(members.values()),
            Value::Array(elements) => pending.extend(elements),
            _ => {}
        }
    }
    false
}

//! What an earlier import wrote, as it stands now: people may have changed it since.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::ImportError;
use super::options::Options;
use super::strict_json;

/// The texts of the files that an import wrote.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// `entities/<server>.json`.
    pub entities: &'a str,
    /// `schemas/<server>.tools.json`, if a tool is typed.
    pub definitions: Option<&'a str>,
}

/// The files, read.
pub(super) struct Approved {
    /// Every entity of the file, in its order.
    pub(super) entities: Vec<Value>,
    /// Definitions of the tools that are typed.
    pub(super) definitions: Vec<Value>,
}

impl Approved {
    pub(super) fn read(stored: Stored<'_>) -> Result<Self, ImportError> {
        let Value::Array(entities) = strict_json::parse(stored.entities)? else {
            return Err(ImportError::Stored {
                reason: "the entities that are stored are no list of entities",
            });
        };
        let definitions = match stored.definitions.map(strict_json::parse).transpose()? {
            None => Vec::new(),
            Some(mut document) => match document.get_mut("tools").map(Value::take) {
                Some(Value::Array(tools)) => tools,
                _ => {
                    return Err(ImportError::Stored {
                        reason: "the definitions that are stored have no `tools`",
                    });
                }
            },
        };
        Ok(Self { entities, definitions })
    }

    /// The names of tools with typed actions.
    pub(super) fn typed(&self) -> impl Iterator<Item = &str> {
        self.definitions.iter().filter_map(|definition| definition.get("name")?.as_str())
    }

    /// The definition of a tool, where it is on file.
    pub(super) fn definition(&self, tool: &str) -> Option<&Value> {
        self.definitions
            .iter()
            .find(|definition| definition.get("name").and_then(Value::as_str) == Some(tool))
    }

    /// The server's tools by their names at the server, and where each stands in the file.
    pub(super) fn tools(&self, options: &Options) -> BTreeMap<String, usize> {
        let type_name = format!("{}::Tool", options.namespace);
        let prefix = options.tool_id("");
        let tools = self.entities.iter().enumerate().filter_map(|(index, entity)| {
            let (found, id) = uid(entity)?;
            let name = id.strip_prefix(&prefix).filter(|_| found == type_name)?;
            Some((name.to_owned(), index))
        });
        tools.collect()
    }

    /// The server's own attributes.
    pub(super) fn server(&self, options: &Options) -> Option<&Map<String, Value>> {
        let type_name = format!("{}::ToolServer", options.namespace);
        let named = (type_name.as_str(), options.server.as_str());
        self.entities.iter().find(|entity| uid(entity) == Some(named))?.get("attrs")?.as_object()
    }
}

/// Type and id of an entity, in either of the forms that Cedar reads.
fn uid(entity: &Value) -> Option<(&str, &str)> {
    reference(entity.get("uid")?)
}

/// Type and id that a reference names.
pub(super) fn reference(value: &Value) -> Option<(&str, &str)> {
    let named = value.get("__entity").unwrap_or(value);
    Some((named.get("type")?.as_str()?, named.get("id")?.as_str()?))
}

/// An attribute of an entity.
pub(super) fn attribute<'a>(entity: &'a Value, name: &str) -> Option<&'a Value> {
    entity.get("attrs")?.get(name)
}

//! One tool's definition, as far as a call of the tool depends on it.

use serde_json::Value;

use super::error::{ImportError, shown};
use super::json_path::JsonPath;
use super::tools_list::Tool;
use crate::engine::digest;

/// What identifies a tool's definition, and what it says about where its answers come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The tool's name at its server.
    pub name: String,
    /// `sha256:` and 64 hex digits, over the canonical form (RFC 8785) of the whole definition.
    pub digest: String,
    /// Whether, by MCP's hints or for want of them, what it answers may come from anywhere.
    pub reaches_outside: bool,
    /// Its `inputSchema`, if it has one.
    pub input_schema: Option<Value>,
}

impl Definition {
    /// Reads an element of a `tools/list` answer, held to the same limits as an import.
    ///
    /// # Errors
    /// [`ImportError`]: it could not be imported either.
    pub fn read(definition: &Value) -> Result<Self, ImportError> {
        let tool = Tool::read(definition, JsonPath::TOP)?;
        Ok(Self {
            name: tool.name.to_owned(),
            digest: digest(&tool)?,
            reaches_outside: tool.hints.reaches_outside(),
            input_schema: tool.input_schema.cloned().map(Value::Object),
        })
    }
}

/// The digest of a tool's definition.
pub(super) fn digest(tool: &Tool<'_>) -> Result<String, ImportError> {
    digest::of_json(tool.definition)
        .map_err(|error| ImportError::Digest { tool: shown(tool.name), reason: error.to_string() })
}

//! The server, its toolset and its tools, in Cedar's entity JSON.

use serde_json::{Value, json};

use super::definition;
use super::error::ImportError;
use super::options::Options;
use super::tools_list::{Tool, ToolsList};

/// Stands where no owner was given: no such user exists, so what reads the owner denies until a person fills it in.
pub(super) const OWNER_PLACEHOLDER: &str = "REPLACE-ME";

/// Statuses of tools that an import sets.
pub(super) const ACTIVE: &str = "active";
pub(super) const RETIRED: &str = "retired";

/// One tool.
pub(super) fn tool(tool: &Tool<'_>, options: &Options) -> Result<Value, ImportError> {
    Writer { options }.tool(tool)
}

/// The value of a tool's `status`.
pub(super) fn status(options: &Options, id: &str) -> Value {
    Writer { options }.reference("Status", id)
}

pub(super) fn render(list: &ToolsList<'_>, options: &Options) -> Result<String, ImportError> {
    let writer = Writer { options };
    let mut entities = vec![writer.server(), writer.toolset()];
    for tool in &list.tools {
        entities.push(writer.tool(tool)?);
    }
    Ok(format!("{:#}\n", Value::Array(entities)))
}

struct Writer<'a> {
    options: &'a Options,
}

impl Writer<'_> {
    /// That a server's hints may be believed is for a person to say.
    fn server(&self) -> Value {
        let trusted = self.options.trusted;
        let attrs = json!({ "owned": self.owned(), "env": self.env(), "trusted": trusted });
        self.entity("ToolServer", &self.options.server, &attrs, &[])
    }

    fn toolset(&self) -> Value {
        let within: Vec<&str> = self.options.within.iter().map(String::as_str).collect();
        self.entity("Toolset", &self.options.server, &json!({}), &within)
    }

    fn tool(&self, tool: &Tool<'_>) -> Result<Value, ImportError> {
        let attrs = json!({
            "server": self.reference("ToolServer", &self.options.server),
            "owned": self.owned(),
            "status": self.reference("Status", ACTIVE),
            "env": self.env(),
            "level": self.options.level,
            "digest": definition::digest(tool)?,
        });
        let mut toolsets = vec![self.options.server.as_str()];
        toolsets.extend(tool.hints.toolsets());
        let id = self.options.tool_id(tool.name);
        Ok(self.entity("Tool", &id, &attrs, &toolsets))
    }

    fn entity(&self, entity_type: &str, id: &str, attrs: &Value, toolsets: &[&str]) -> Value {
        let parents: Vec<Value> = toolsets.iter().map(|id| self.uid("Toolset", id)).collect();
        json!({ "uid": self.uid(entity_type, id), "attrs": attrs, "parents": parents })
    }

    fn owned(&self) -> Value {
        let owner = self.options.owner.as_deref().unwrap_or(OWNER_PLACEHOLDER);
        let reviewed = &self.options.reviewed;
        json!({
            "business": self.reference("User", owner),
            "technical": self.reference("User", owner),
            "reviewed": { "__extn": { "fn": "datetime", "arg": reviewed } },
        })
    }

    fn env(&self) -> Value {
        self.reference("Env", &self.options.env)
    }

    fn reference(&self, entity_type: &str, id: &str) -> Value {
        json!({ "__entity": self.uid(entity_type, id) })
    }

    fn uid(&self, entity_type: &str, id: &str) -> Value {
        json!({ "type": format!("{}::{entity_type}", self.options.namespace), "id": id })
    }
}

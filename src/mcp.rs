//! MCP in the agent domain's words: what a server says about its tools, written in Cedar, and what a request does
//! ([`message`], [`methods`]).
//!
//! [`import`] reads the answer to `tools/list` and gives back texts: entities for every tool and, for the tools whose
//! arguments someone wants to govern, typed actions. It reads and writes no files.
//!
//! A tool list is another party's text. Names are kept verbatim and only ever become quoted Cedar strings or JSON
//! strings; depth, size and the growth of references are bounded; what has no meaning in Cedar is refused or kept as
//! JSON text, never dropped in silence.

mod approval;
mod cedar_text;
mod definition;
mod difference;
mod entities;
mod error;
mod hints;
mod input_schema;
mod input_type;
mod json_path;
pub mod message;
pub mod methods;
mod near_names;
mod object_schema;
mod options;
mod places;
mod plain_schema;
mod reading;
mod review_notes;
mod root_schema;
mod schema_keywords;
mod stored;
pub(crate) mod strict_json;
mod tools_list;

#[cfg(test)]
mod approval_tests;
#[cfg(test)]
mod domain_for_tests;
#[cfg(test)]
mod entity_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod input_tests;
#[cfg(test)]
mod real_tests;
#[cfg(test)]
mod shaped_tests;

use serde_json::{Value, json};

pub use approval::approve;
pub use definition::Definition;
pub use difference::{Changed, Difference, compare};
pub use error::ImportError;
pub use options::{Options, Typed};
pub use stored::Stored;

use cedar_text::TypedAction;
use input_type::Record;
use review_notes::Findings;
use tools_list::{Tool, ToolsList};

/// What a tool list became. The texts are complete files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Typed actions as `.cedarschema` text, one fragment beside the domain schema; `None` if no tool is typed.
    pub schema: Option<String>,
    /// The typed tools' definitions, `{"server": …, "tools": […]}`: what arguments are validated against.
    pub definitions: Option<String>,
    /// The server, its toolset and its tools in Cedar's entity JSON.
    pub entities: String,
    /// How many tools the list has.
    pub tools: usize,
    /// How many of them became typed actions.
    pub typed: usize,
    /// What a person should look at before the files go into service, one sentence each.
    pub notes: Vec<String>,
}

/// Turns the text of a `tools/list` answer into Cedar.
///
/// The text is `{"tools": […]}`, the JSON-RPC answer around it, or the bare array.
///
/// # Errors
/// [`ImportError`] says which tool, where in it, and what to do. Nothing is imported in part.
pub fn import(text: &str, options: &Options) -> Result<Import, ImportError> {
    options.validate()?;
    let document = strict_json::parse(text)?;
    let list = ToolsList::read(&document)?;
    assemble(&list, options, entities::render(&list, options)?)
}

/// What a list becomes, with these entities.
fn assemble(list: &ToolsList<'_>, options: &Options, entities: String) -> Result<Import, ImportError> {
    let chosen = list.choose(&options.typed)?;
    let mut findings = Findings::new(list, options);
    let actions = typed_actions(&chosen, options, &mut findings)?;
    Ok(Import {
        schema: (!actions.is_empty()).then(|| cedar_text::schema(&options.namespace, &actions)),
        definitions: (!chosen.is_empty()).then(|| definitions(&options.server, &chosen)),
        entities,
        tools: list.tools.len(),
        typed: chosen.len(),
        notes: findings.into_notes(),
    })
}

fn typed_actions(
    chosen: &[&Tool<'_>],
    options: &Options,
    findings: &mut Findings,
) -> Result<Vec<TypedAction>, ImportError> {
    let mut budget = input_schema::MAX_TYPES;
    let mut actions = Vec::with_capacity(chosen.len());
    for tool in chosen {
        let input = read_input(tool, &mut budget, findings)?;
        let id = options.tool_id(tool.name);
        actions.push(TypedAction { id, input });
    }
    Ok(actions)
}

fn read_input(tool: &Tool<'_>, budget: &mut usize, findings: &mut Findings) -> Result<Record, ImportError> {
    let input = root_schema::read(tool, budget)?;
    findings.typed(tool.name, &input);
    Ok(input.record)
}

fn definitions(server: &str, chosen: &[&Tool<'_>]) -> String {
    let tools: Vec<&Value> = chosen.iter().map(|tool| tool.definition).collect();
    format!("{:#}\n", json!({ "server": server, "tools": tools }))
}

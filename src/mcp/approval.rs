//! Approving what a server says of its tools now: what people have decided since the import stays, and nothing is forgotten.

use serde_json::{Value, json};

use super::difference::{self, Difference};
use super::entities;
use super::error::ImportError;
use super::hints;
use super::options::{Options, Typed};
use super::stored::{Approved, Stored, reference};
use super::tools_list::{Tool, ToolsList};
use super::{Import, assemble, strict_json};

/// What becomes of the files, and what was approved with them.
///
/// A changed tool takes the digest of what it is now, and the risk toolsets that its hints now put it in; a removed one is
/// withdrawn (`retired`) and stays on file, with its typed action, since policies may name it; a new one takes owner and
/// environment of its server. Whatever else the entities say is left as it stands. `options.typed` adds to the tools that
/// are typed.
///
/// # Errors
/// [`ImportError`]: either cannot be read. Nothing is approved in part.
pub fn approve(
    text: &str,
    options: &Options,
    stored: Stored<'_>,
) -> Result<(Import, Difference), ImportError> {
    options.validate()?;
    let document = strict_json::parse(text)?;
    let list = ToolsList::read(&document)?;
    let approved = Approved::read(stored)?;
    let difference = difference::of(&list, options, &approved)?;
    let entities = merged(&list, options, &approved, &difference)?;
    // Tools that are listed no more keep the definition by which they were typed.
    let withdrawn: Vec<Value> = approved
        .definitions
        .iter()
        .filter(|definition| !list.tools.iter().any(|tool| definition.get("name") == Some(&tool.name.into())))
        .cloned()
        .collect();
    let mut typed = list;
    for definition in &withdrawn {
        typed.tools.push(Tool::read(definition, super::json_path::JsonPath::TOP)?);
    }
    let options = Options { typed: also(&options.typed, &approved), ..options.clone() };
    let import = assemble(&typed, &options, entities)?;
    Ok((Import { tools: import.tools - withdrawn.len(), ..import }, difference))
}

/// The tools that are to be typed, and those that are.
fn also(asked: &Typed, approved: &Approved) -> Typed {
    let mut names: Vec<String> = approved.typed().map(str::to_owned).collect();
    match asked {
        Typed::All => return Typed::All,
        Typed::Named(more) => names.extend(more.iter().cloned()),
        Typed::None => {}
    }
    if names.is_empty() { Typed::None } else { Typed::Named(names) }
}

fn merged(
    list: &ToolsList<'_>,
    options: &Options,
    approved: &Approved,
    difference: &Difference,
) -> Result<String, ImportError> {
    let mut entities = approved.entities.clone();
    let places = approved.tools(options);
    let stored = |name: &str| places.get(name).copied();
    for changed in &difference.changed {
        let tool = list.tools.iter().find(|tool| tool.name == changed.tool);
        if let (Some(tool), Some(entity)) =
            (tool, stored(&changed.tool).and_then(|index| entities.get_mut(index)))
        {
            set(entity, "digest", changed.is.as_str().into());
            set(entity, "status", entities::status(options, entities::ACTIVE));
            classify(entity, tool, options);
        }
    }
    for (names, status) in
        [(&difference.returned, entities::ACTIVE), (&difference.removed, entities::RETIRED)]
    {
        for name in names {
            if let Some(entity) = stored(name).and_then(|index| entities.get_mut(index)) {
                set(entity, "status", entities::status(options, status));
            }
        }
    }
    for tool in list.tools.iter().filter(|tool| difference.added.iter().any(|name| name == tool.name)) {
        let mut entity = entities::tool(tool, options)?;
        for (name, value) in approved.server(options).into_iter().flatten() {
            let inherited = name == "env" || (name == "owned" && options.owner.is_none());
            if inherited {
                set(&mut entity, name, value.clone());
            }
        }
        entities.push(entity);
    }
    Ok(format!("{:#}\n", Value::Array(entities)))
}

fn set(entity: &mut Value, attribute: &str, value: Value) {
    if let Some(attributes) = entity.get_mut("attrs").and_then(Value::as_object_mut) {
        attributes.insert(attribute.to_owned(), value);
    }
}

/// Puts a tool into the risk toolsets of its hints, and takes it out of the others; those that people chose stay.
fn classify(entity: &mut Value, tool: &Tool<'_>, options: &Options) {
    let type_name = format!("{}::Toolset", options.namespace);
    let Some(parents) = entity.get_mut("parents").and_then(Value::as_array_mut) else { return };
    let toolset = |parent: &Value| {
        reference(parent).filter(|(found, _)| *found == type_name).map(|(_, id)| id.to_owned())
    };
    let by_hints = tool.hints.toolsets();
    parents.retain(|parent| {
        let is_stale =
            |id: String| hints::BY_HINTS.contains(&id.as_str()) && !by_hints.contains(&id.as_str());
        !toolset(parent).is_some_and(is_stale)
    });
    for id in by_hints {
        if !parents.iter().any(|parent| toolset(parent).as_deref() == Some(id)) {
            parents.push(json!({ "type": type_name, "id": id }));
        }
    }
}

//! How what a server says of its tools now differs from what was approved.

use serde_json::Value;

use super::entities;
use super::error::ImportError;
use super::options::Options;
use super::stored::{Approved, Stored, attribute, reference};
use super::tools_list::ToolsList;
use super::{definition, strict_json};

/// Most places that are named within one definition.
const MAX_PLACES: usize = 20;

/// What is not as it was approved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Tools that nobody has approved, by their names at the server.
    pub added: Vec<String>,
    /// Tools that are defined otherwise than they were approved.
    pub changed: Vec<Changed>,
    /// Tools that were withdrawn and are listed again.
    pub returned: Vec<String>,
    /// Tools that are listed no more and not yet withdrawn.
    pub removed: Vec<String>,
    /// How many tools are as they were approved.
    pub unchanged: usize,
}

/// A tool that is defined otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its name at the server.
    pub tool: String,
    /// The digest that was approved; empty if there is none.
    pub was: String,
    /// The digest of what it is now.
    pub is: String,
    /// Where in the definition, as JSON paths, if the approved one is on file; the first of them.
    pub at: Vec<String>,
}

impl Difference {
    /// Whether everything is as it was approved.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.added.is_empty()
            && self.changed.is_empty()
            && self.returned.is_empty()
            && self.removed.is_empty()
    }
}

/// Compares the text of a `tools/list` answer with what an earlier import stored.
///
/// # Errors
/// [`ImportError`]: either cannot be read.
pub fn compare(text: &str, options: &Options, stored: Stored<'_>) -> Result<Difference, ImportError> {
    options.validate()?;
    let document = strict_json::parse(text)?;
    of(&ToolsList::read(&document)?, options, &Approved::read(stored)?)
}

pub(super) fn of(
    list: &ToolsList<'_>,
    options: &Options,
    approved: &Approved,
) -> Result<Difference, ImportError> {
    if list.has_more {
        return Err(ImportError::Incomplete);
    }
    let mut difference = Difference::default();
    let mut gone = approved.tools(options);
    for tool in &list.tools {
        let stored = gone.remove(tool.name).and_then(|index| approved.entities.get(index));
        let name = tool.name.to_owned();
        let Some(stored) = stored else {
            difference.added.push(name);
            continue;
        };
        let was = attribute(stored, "digest").and_then(Value::as_str).unwrap_or_default();
        let is = definition::digest(tool)?;
        if was != is {
            let at = approved.definition(tool.name).map(|before| places(before, tool.definition));
            difference.changed.push(Changed {
                tool: name,
                was: was.to_owned(),
                is,
                at: at.unwrap_or_default(),
            });
        } else if is_retired(stored) {
            difference.returned.push(name);
        } else {
            difference.unchanged += 1;
        }
    }
    let still = |index: &usize| approved.entities.get(*index).is_some_and(|entity| !is_retired(entity));
    difference.removed = gone.into_iter().filter(|(_, index)| still(index)).map(|(name, _)| name).collect();
    Ok(difference)
}

fn is_retired(entity: &Value) -> bool {
    attribute(entity, "status").and_then(reference).is_some_and(|(_, id)| id == entities::RETIRED)
}

/// Where two definitions differ.
fn places(before: &Value, now: &Value) -> Vec<String> {
    let mut found = Vec::new();
    differ(before, now, "$".to_owned(), &mut found);
    found.truncate(MAX_PLACES);
    found
}

fn differ(before: &Value, now: &Value, at: String, found: &mut Vec<String>) {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            let names = before.keys().chain(now.keys().filter(|name| !before.contains_key(*name)));
            for name in names {
                let [before, now] = [before, now].map(|members| members.get(name).unwrap_or(&Value::Null));
                differ(before, now, format!("{at}.{}", name.escape_debug()), found);
            }
        }
        _ if before == now => {}
        _ => found.push(at),
    }
}

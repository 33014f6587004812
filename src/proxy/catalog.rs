//! The tools of the server, as it defines them now, and the list of them that the agent was shown.

use std::collections::HashMap;

use serde_json::Value;

use crate::engine::digest;
use crate::mcp::Definition;

/// Most tools of one server.
const MAX_TOOLS: usize = 10_000;

/// What is known of the server's tools.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    tools: HashMap<String, Definition>,
    /// Whether `tools` are all that the server has said, and it has not said since that they changed.
    is_current: bool,
    shown: Vec<Value>,
    shown_digest: String,
}

/// Which page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) is_first: bool,
    pub(super) is_last: bool,
}

impl Catalog {
    /// The tool's definition, if it is known for sure.
    pub(super) fn current(&self, tool: &str) -> Option<&Definition> {
        self.tools.get(tool).filter(|_| self.is_current)
    }

    /// Whether the server's tools are known for sure, so that one that is not among them does not exist.
    pub(super) fn is_current(&self) -> bool {
        self.is_current
    }

    /// The server says that its tools have changed.
    pub(super) fn changed(&mut self) {
        self.is_current = false;
    }

    /// Takes in one page of what the server defines. What could not be imported either is left out: nobody can approve it.
    ///
    /// # Errors
    /// The server has more tools than any has reason to.
    pub(super) fn defined(&mut self, definitions: &[Value], page: Page) -> Result<(), String> {
        if page.is_first {
            self.tools.clear();
            self.is_current = false;
        }
        for definition in definitions {
            match Definition::read(definition) {
                Ok(definition) => drop(self.tools.insert(definition.name.clone(), definition)),
                Err(error) => tracing::warn!(%error, "a tool is left out"),
            }
        }
        if self.tools.len() > MAX_TOOLS {
            return Err(format!("the server has more than {MAX_TOOLS} tools"));
        }
        self.is_current |= page.is_last;
        Ok(())
    }

    /// The agent is shown one page.
    pub(super) fn shown(&mut self, definitions: &[Value], page: Page) {
        if page.is_first {
            self.shown.clear();
        }
        self.shown.extend_from_slice(definitions);
        let shown = Value::Array(std::mem::take(&mut self.shown));
        self.shown_digest = digest::of_json(&shown).unwrap_or_default();
        if let Value::Array(shown) = shown {
            self.shown = shown;
        }
    }

    /// Digest of the list that the agent was shown (SHA-256 over its canonical form, RFC 8785); empty if it was shown none.
    pub(super) fn shown_digest(&self) -> &str {
        &self.shown_digest
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ONLY: Page = Page { is_first: true, is_last: true };

    #[test]
    fn a_definition_is_known_only_while_the_list_is_whole_and_unchanged() {
        let mut catalog = Catalog::default();
        let tools = [json!({"name": "a"}), json!({"name": "b"})];
        catalog.defined(&tools[..1], Page { is_first: true, is_last: false }).unwrap();
        assert!(catalog.current("a").is_none(), "more is to come");
        catalog.defined(&tools[1..], Page { is_first: false, is_last: true }).unwrap();
        let before = catalog.current("a").unwrap().digest.clone();
        assert_eq!(before, digest::of_json(&tools[0]).unwrap());
        assert!(catalog.current("b").is_some() && catalog.is_current());
        catalog.changed();
        assert!(catalog.current("a").is_none());
        catalog.defined(&[json!({"name": "a", "description": "other"})], ONLY).unwrap();
        assert_ne!(catalog.current("a").unwrap().digest, before);
        assert!(catalog.current("b").is_none(), "it is gone");
    }

    #[test]
    fn the_list_that_was_shown_has_one_digest_however_it_was_paged() {
        let tools = [json!({"name": "a"}), json!({"name": "b"})];
        let mut catalog = Catalog::default();
        assert_eq!(catalog.shown_digest(), "");
        catalog.shown(&tools[..1], Page { is_first: true, is_last: false });
        catalog.shown(&tools[1..], Page { is_first: false, is_last: true });
        let whole = digest::of_json(&json!(tools)).unwrap();
        assert_eq!(catalog.shown_digest(), whole);
        catalog.shown(&tools, ONLY);
        assert_eq!(catalog.shown_digest(), whole);
    }

    #[test]
    fn what_could_not_be_imported_is_not_known() {
        let mut catalog = Catalog::default();
        let list =
            [json!({"name": ""}), json!(7), json!({"name": "x", "annotations": {"readOnlyHint": "yes"}})];
        catalog.defined(&list, ONLY).unwrap();
        assert!(catalog.is_current() && catalog.current("x").is_none());
    }
}

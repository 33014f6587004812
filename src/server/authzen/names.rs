//! What names in AuthZEN's requests mean in the schema's words.

use std::collections::BTreeMap;

use crate::engine::catalog::Catalog;
use crate::engine::datum::Reference;
use crate::engine::problem::{Place, Problem, Report};

/// What names in requests mean: as it is configured, or in the default namespace.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Namespace of types and actions that are named without one, and not below.
    pub namespace: String,
    /// Entity types by the names that subjects' types have in requests.
    pub subjects: BTreeMap<String, String>,
    /// The same for resources.
    pub resources: BTreeMap<String, String>,
    /// Actions by their names in requests.
    pub actions: BTreeMap<String, Reference>,
}

impl Names {
    /// The entity type of a subject's.
    pub(super) fn subject_type(&self, name: &str) -> String {
        self.subjects.get(name).cloned().unwrap_or_else(|| self.in_namespace(name))
    }

    /// The entity type of a resource's.
    pub(super) fn resource_type(&self, name: &str) -> String {
        self.resources.get(name).cloned().unwrap_or_else(|| self.in_namespace(name))
    }

    /// The action of that name.
    pub(super) fn action(&self, name: &str) -> Reference {
        let unnamed = || Reference::new(self.in_namespace("Action"), name);
        self.actions.get(name).cloned().unwrap_or_else(unnamed)
    }

    /// The names by which an action is asked about; none if it cannot be.
    pub(super) fn of_action<'n>(&'n self, action: &'n Reference) -> impl Iterator<Item = &'n str> {
        let configured = self.actions.iter().filter(move |(_, meant)| *meant == action);
        let plain = action.type_name == self.in_namespace("Action") && !self.actions.contains_key(&action.id);
        configured.map(|(name, _)| name.as_str()).chain(plain.then_some(action.id.as_str()))
    }

    /// A type's whole name. One that has a namespace is whole; an empty one is none.
    fn in_namespace(&self, name: &str) -> String {
        if name.is_empty() || name.contains("::") || self.namespace.is_empty() {
            return name.to_owned();
        }
        format!("{}::{name}", self.namespace)
    }

    /// What is configured and means nothing: questions that say so would be denied or refused, each of them.
    #[must_use]
    pub fn check(&self, catalog: &Catalog) -> Report {
        let mut report = Report::default();
        let mut warn = |key: String, meant: String| {
            let place = Place::new("(configuration)", "");
            let message = format!("`{key}` means {meant}, which the schema does not declare");
            let help = "correct it, or declare it: whoever uses that name is not allowed anything";
            report.push(Problem::warning(&place, message).help(help));
        };
        for (key, types) in [("subjects", &self.subjects), ("resources", &self.resources)] {
            for (name, meant) in types.iter().filter(|(_, meant)| catalog.entity_type(meant).is_none()) {
                warn(format!("authzen.{key}.{name}"), format!("`{meant}`"));
            }
        }
        for (name, meant) in self.actions.iter().filter(|(_, meant)| catalog.action_named(meant).is_err()) {
            warn(format!("authzen.actions.{name}"), format!("{}::{:?}", meant.type_name, meant.id));
        }
        report
    }
}

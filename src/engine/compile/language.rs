//! Loading what the Cedar language allows: what is asked beyond it is still looked at, and forgiven.

use std::sync::Arc;

use cedar_policy::Schema;

use super::schema::LoadedSchema;
use crate::engine::catalog::{ActionType, Catalog};
use crate::engine::cedar::RecordType;
use crate::engine::generation::Strictness;
use crate::engine::problem::{Place, Problem, Report, Severity};

/// A schema that declares nothing.
pub(super) fn no_schema(report: &mut Report) -> Option<LoadedSchema> {
    match Schema::from_schema_fragments([]) {
        Ok(schema) => Some(LoadedSchema { schema, fragments: Vec::new() }),
        Err(error) => {
            report.push(Problem::from_cedar(&Place::new("schemas", ""), Severity::Error, &error));
            None
        }
    }
}

/// Makes warnings of the problems from `first` on.
pub(super) fn forgive(report: &mut Report, first: usize) {
    report.problems.iter_mut().skip(first).for_each(|problem| problem.severity = Severity::Warning);
}

/// Leaves of a catalog what the language knows: nothing is filled in, no tool has an action of its own, and nobody needs a
/// delegation.
pub(super) fn keep_to(catalog: &mut Catalog, strictness: Strictness) {
    catalog.strictness = strictness;
    catalog.chain_required.clear();
    catalog.typed.clear();
    catalog.request_scoped.clear();
    for action in catalog.actions.values_mut() {
        let mut supplied = action.supplied.clone();
        supplied.attributes.extend(action.filled.attributes.clone());
        *action = Arc::new(ActionType {
            uid: action.uid.clone(),
            principals: action.principals.clone(),
            resources: action.resources.clone(),
            ancestors: action.ancestors.clone(),
            has_children: action.has_children,
            supplied,
            filled: RecordType::default(),
            delegation: None,
            tool: None,
            disclosures: action.disclosures.clone(),
        });
    }
}

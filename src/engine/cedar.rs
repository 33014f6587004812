//! The only door to `cedar-policy-core`.
//!
//! Core's internals carry no stability promise, so its version is pinned and nothing outside this module names it:
//! evaluation of prepared conditions, values built without JSON, schema types, and walks over policy syntax trees.

mod access;
mod bare;
pub mod entities;
pub mod evaluate;
pub mod plain;
pub mod policy;
pub mod scope;
pub mod types;
pub mod value;
pub mod walk;

#[cfg(test)]
pub(super) mod policy_tests;

pub use entities::{BuiltEntity, Slice};
pub use evaluate::{Absent, ConditionOutcome, Evaluation, Outcome, PolicyFailure, PolicyFailureKind, Trace};
pub use policy::{Annotations, CompiledPolicy, PolicyEffect};
pub use scope::{ActionScope, PartyScope, Scoped};
pub use types::{Attribute, EntityKind, RecordType, Type};
pub use value::{CedarRecord, CedarValue};

/// A record as Cedar's public context, for comparing with Cedar's own conversion.
#[cfg(test)]
pub(super) fn context_of(record: CedarRecord) -> cedar_policy::Context {
    cedar_policy_core::ast::Context::Value(std::sync::Arc::new(record.0)).into()
}

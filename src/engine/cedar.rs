//! The only door to `cedar-policy-core`.
//!
//! Core's internals carry no stability promise, so its version is pinned and nothing outside this module names it:
//! evaluation of prepared conditions, values built without JSON, schema types, and walks over policy syntax trees.

mod access;
mod ancestors;
mod bare;
pub mod canonical;
pub mod datums;
pub mod entities;
pub mod evaluate;
mod interned;
pub mod members;
pub mod plain;
pub mod policy;
mod possible;
mod program;
mod reading;
pub mod scope;
pub mod sight;
pub mod swift;
mod thresholds;
mod time_uses;
pub mod types;
pub mod value;
pub mod walk;

#[cfg(test)]
pub(super) mod policy_tests;
#[cfg(test)]
mod swift_tests;

pub use ancestors::Ancestors;
pub use entities::{BuiltEntity, Slice};
pub use evaluate::{Absent, ConditionOutcome, Evaluation, Outcome, PolicyFailure, PolicyFailureKind, Trace};
pub use interned::shared_name;
pub use members::Members;
pub use policy::{Annotations, CompiledPolicy, PolicyEffect};
pub use possible::{Partly, Possible};
pub(super) use program::Program;
pub use scope::{ActionScope, PartyScope, Reach, Scoped};
pub use sight::{Look, Sight};
pub use swift::Scene;
pub use time_uses::TimeUses;
pub use types::{Attribute, EntityKind, RecordType, Type};
pub use value::{CedarRecord, CedarValue};

/// A record as Cedar's public context, for comparing with Cedar's own conversion.
#[cfg(test)]
pub(super) fn context_of(record: CedarRecord) -> cedar_policy::Context {
    cedar_policy_core::ast::Context::Value(record.0).into()
}

//! Policies that have passed what is asked of each by itself, ready to evaluate, in the order of the files.

use std::sync::Arc;

use super::known::CleanFile;
use super::origin::Origin;
use crate::engine::cedar::CompiledPolicy;
use crate::engine::index::{ScopeKeys, Scopes};

/// Policies ready to evaluate.
pub(super) enum Placed {
    File(Arc<CleanFile>),
    Policy(PlacedPolicy),
}

/// A policy ready to evaluate, and where it stands.
pub(super) struct PlacedPolicy {
    pub(super) compiled: Arc<CompiledPolicy>,
    pub(super) origin: Origin,
    /// Whether it is of the joint set.
    pub(super) joint: bool,
}

impl Placed {
    /// The policies, in their order.
    pub(super) fn policies(&self) -> &[Arc<CompiledPolicy>] {
        match self {
            Self::File(file) => file.policies(),
            Self::Policy(policy) => std::slice::from_ref(&policy.compiled),
        }
    }

    /// What their scopes ask, told in `keys`.
    pub(super) fn scopes(&self, keys: &mut Arc<ScopeKeys>) -> Arc<Scopes> {
        match self {
            Self::File(file) => file.scopes(keys),
            Self::Policy(policy) => Arc::new(ScopeKeys::scopes(keys, [&*policy.compiled])),
        }
    }
}

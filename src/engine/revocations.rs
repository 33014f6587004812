//! What has been taken back, whatever is stored (W4, D3).

use std::collections::HashSet;

use cedar_policy::EntityUid;

/// Delegations that were revoked. A revocation is a fact of its own: it outlives the delegation, and nothing that is stored
/// under the same name brings it back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    grants: HashSet<EntityUid>,
}

impl Revocations {
    /// These delegations, and with each of them everything delegated further under it.
    pub fn of(grants: impl IntoIterator<Item = EntityUid>) -> Self {
        Self { grants: grants.into_iter().collect() }
    }

    /// Whether a delegation was itself revoked. Those above it are looked at by whoever walks the chain.
    pub fn revokes(&self, grant: &EntityUid) -> bool {
        self.grants.contains(grant)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.grants.len()
    }

    /// Whether nothing was revoked.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }
}

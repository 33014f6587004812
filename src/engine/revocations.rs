//! What has been taken back, whatever is stored (W4, D3).

use cedar_policy::EntityUid;
use foldhash::fast::RandomState;
use rpds::HashTrieSetSync;

/// Delegations that were revoked. A revocation is a fact of its own: it outlives the delegation, and nothing that is stored
/// under the same name brings it back. A copy costs nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocations {
    grants: HashTrieSetSync<EntityUid, RandomState>,
}

impl Default for Revocations {
    fn default() -> Self {
        Self { grants: HashTrieSetSync::new_with_hasher_with_ptr_kind(RandomState::default()) }
    }
}

impl Revocations {
    /// These delegations, and with each of them everything delegated further under it.
    pub fn of(grants: impl IntoIterator<Item = EntityUid>) -> Self {
        let mut revocations = Self::default();
        grants.into_iter().for_each(|grant| revocations.revoke(grant));
        revocations
    }

    /// Revokes one more. Nothing takes it back.
    pub fn revoke(&mut self, grant: EntityUid) {
        self.grants.insert_mut(grant);
    }

    /// Whether a delegation was itself revoked. Those above it are looked at by whoever walks the chain.
    pub fn revokes(&self, grant: &EntityUid) -> bool {
        self.grants.contains(grant)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &EntityUid> {
        self.grants.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.grants.size()
    }

    /// Whether nothing was revoked.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }
}

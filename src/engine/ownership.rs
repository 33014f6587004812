//! Whose an entity is: the files', or that of callers who write at run time (W4).

use cedar_policy::EntityUid;
use foldhash::fast::RandomState;
use rpds::HashTrieSetSync;

/// Who may change an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The entity files.
    File,
    /// Callers of the entity service.
    Api,
}

impl Owner {
    /// The name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Api => "api",
        }
    }
}

/// The entities that callers own. Whatever else is stored is the files'. A copy costs nothing.
#[derive(Debug, Clone)]
pub struct Ownership(HashTrieSetSync<EntityUid, RandomState>);

impl Default for Ownership {
    fn default() -> Self {
        Self(HashTrieSetSync::new_with_hasher_with_ptr_kind(RandomState::default()))
    }
}

impl Ownership {
    /// Whether callers own an entity.
    pub fn is_api(&self, uid: &EntityUid) -> bool {
        self.0.contains(uid)
    }

    /// How many callers own.
    pub fn len(&self) -> usize {
        self.0.size()
    }

    /// Whether they own none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What callers own, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &EntityUid> {
        self.0.iter()
    }

    /// Notes that callers own an entity.
    pub fn insert(&mut self, uid: EntityUid) {
        self.0.insert_mut(uid);
    }

    /// Notes that they do not, any more.
    pub fn remove(&mut self, uid: &EntityUid) {
        self.0.remove_mut(uid);
    }
}

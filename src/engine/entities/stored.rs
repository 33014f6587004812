//! One stored entity.

use std::ops::Deref;
use std::sync::Arc;

use cedar_policy::EntityUid;
use smol_str::SmolStr;

use crate::engine::cedar::{CedarValue, Members};
use crate::engine::version::Version;

/// A stored entity, without its name and its ancestors. Cloning shares what it holds.
#[derive(Debug, Clone)]
pub struct StoredEntity {
    version: Version,
    members: Arc<Members>,
}

impl StoredEntity {
    /// An entity with these direct parents, attributes and tags. Of two members of a name the first is kept.
    pub fn new(
        parents: impl IntoIterator<Item = EntityUid>,
        attributes: impl IntoIterator<Item = (SmolStr, CedarValue)>,
        tags: impl IntoIterator<Item = (SmolStr, CedarValue)>,
    ) -> Self {
        Self { version: Version::next(), members: Arc::new(Members::new(parents, attributes, tags)) }
    }

    /// Whether another holds the same: everything but the version.
    pub fn holds_same(&self, other: &Self) -> bool {
        self.members == other.members
    }

    /// Names this entity as it is: another put under the same name has another.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What it holds.
    pub fn members(&self) -> &Arc<Members> {
        &self.members
    }
}

impl Deref for StoredEntity {
    type Target = Members;

    fn deref(&self) -> &Members {
        &self.members
    }
}

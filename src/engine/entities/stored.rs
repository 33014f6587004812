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
    /// Names its attributes and tags as they are.
    attributes: Version,
    /// Names its parents as they are.
    edges: Version,
    members: Arc<Members>,
}

impl StoredEntity {
    /// An entity with these direct parents, attributes and tags. Of two members of a name the first is kept.
    pub fn new(
        parents: impl IntoIterator<Item = EntityUid>,
        attributes: impl IntoIterator<Item = (SmolStr, CedarValue)>,
        tags: impl IntoIterator<Item = (SmolStr, CedarValue)>,
    ) -> Self {
        let version = Version::next();
        let members = Arc::new(Members::new(parents, attributes, tags));
        Self { attributes: version, edges: version, members }
    }

    /// The same, under the versions of the entity that it takes the place of, wherever it holds what that held.
    pub(super) fn after(self, before: &Self) -> Self {
        let (members, held) = (&self.members, &before.members);
        let values_stay = members.attributes() == held.attributes() && members.tags() == held.tags();
        let parents_stay = members.parents() == held.parents();
        Self {
            attributes: if values_stay { before.attributes } else { self.attributes },
            edges: if parents_stay { before.edges } else { self.edges },
            ..self
        }
    }

    /// Whether another holds the same: everything but the version.
    pub fn holds_same(&self, other: &Self) -> bool {
        self.members == other.members
    }

    /// Names this entity as it is: one that holds anything else has another. The later of its two, for each is given out
    /// once, and later ones are greater.
    pub fn version(&self) -> Version {
        self.attributes.max(self.edges)
    }

    /// Names its attributes and tags as they are, whatever becomes of its parents.
    pub fn attributes_version(&self) -> Version {
        self.attributes
    }

    /// Names its parents as they are, whatever becomes of its attributes.
    pub fn edges_version(&self) -> Version {
        self.edges
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

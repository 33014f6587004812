//! What one entity holds.

use cedar_policy::EntityUid;
use smol_str::SmolStr;

use super::value::CedarValue;

/// An entity's parents, attributes and tags. Made small: a million of these are kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Members {
    parents: Box<[EntityUid]>,
    attributes: Box<[(SmolStr, CedarValue)]>,
    tags: Box<[(SmolStr, CedarValue)]>,
}

impl Members {
    /// These direct parents, attributes and tags. Of two members of a name the first is kept.
    pub fn new(
        parents: impl IntoIterator<Item = EntityUid>,
        attributes: impl IntoIterator<Item = (SmolStr, CedarValue)>,
        tags: impl IntoIterator<Item = (SmolStr, CedarValue)>,
    ) -> Self {
        let mut parents: Vec<_> = parents.into_iter().collect();
        parents.sort_unstable();
        parents.dedup();
        Self { parents: parents.into_boxed_slice(), attributes: by_name(attributes), tags: by_name(tags) }
    }

    /// What it is directly in, each once, in order.
    pub fn parents(&self) -> &[EntityUid] {
        &self.parents
    }

    /// An attribute.
    pub fn attribute(&self, name: &str) -> Option<&CedarValue> {
        find(&self.attributes, name)
    }

    /// The attributes, by name.
    pub fn attributes(&self) -> &[(SmolStr, CedarValue)] {
        &self.attributes
    }

    /// A tag.
    pub fn tag(&self, name: &str) -> Option<&CedarValue> {
        find(&self.tags, name)
    }

    /// The tags, by name.
    pub fn tags(&self) -> &[(SmolStr, CedarValue)] {
        &self.tags
    }
}

fn by_name(members: impl IntoIterator<Item = (SmolStr, CedarValue)>) -> Box<[(SmolStr, CedarValue)]> {
    let mut members: Vec<_> = members.into_iter().collect();
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    members.dedup_by(|(one, _), (other, _)| one == other);
    members.into_boxed_slice()
}

fn find<'m>(members: &'m [(SmolStr, CedarValue)], name: &str) -> Option<&'m CedarValue> {
    let at = members.binary_search_by(|(member, _)| member.as_str().cmp(name)).ok()?;
    members.get(at).map(|(_, value)| value)
}

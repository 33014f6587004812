//! What a policy may look at: the paths by which its condition reaches entities (K1).
//!
//! A condition reaches an entity through a root (principal, action, resource, context, an entity it names) and from there
//! through attributes and tags. It looks at one by reading an attribute or a tag of it, by `has`, or by putting it left
//! of `in`; comparing a reference looks at nothing. A plan names every look a condition could make, whichever of its
//! branches are taken.

use cedar_policy::EntityUid;
use smol_str::SmolStr;

/// What one policy may look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AccessPlan {
    /// At and behind the principal.
    pub principal: Step,
    /// At and behind the action.
    pub action: Step,
    /// At and behind the resource.
    pub resource: Step,
    /// Behind the context, which is no entity itself.
    pub context: Step,
    /// At and behind the entities that the condition names, in the order of their names.
    pub literals: Vec<(EntityUid, Step)>,
    /// The condition holds something that this build does not understand: it may look at anything it can reach.
    pub everything: bool,
}

/// What a policy may look at, at one value and behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Step {
    /// The value itself is looked at, if it is a reference.
    pub looks: bool,
    /// It is asked what the entity is in.
    pub above: bool,
    /// Members of the value: attributes of the entity it refers to, or members of the record it is. By name.
    pub members: Vec<(SmolStr, Step)>,
    /// Values of the entity's tags, whichever.
    pub tags: Option<Box<Step>>,
}

impl Step {
    /// Whether nothing is looked at, here or behind.
    pub fn is_idle(&self) -> bool {
        !self.looks && self.members.is_empty() && self.tags.is_none()
    }
}

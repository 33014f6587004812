//! What a policy may look at: the paths by which its condition reaches entities, and what of the context it reads (K1).
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

/// What of a value of the context a policy reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ContextPlan {
    /// All of it.
    Whole,
    /// Of a record these members, by name, and whether each is there; of anything else all of it.
    Members(Box<[(SmolStr, ContextPlan)]>),
}

impl Default for ContextPlan {
    /// Nothing but whether it is there.
    fn default() -> Self {
        Self::Members(Box::default())
    }
}

impl ContextPlan {
    /// Whether nothing within is read.
    pub fn is_idle(&self) -> bool {
        matches!(self, Self::Members(members) if members.is_empty())
    }

    /// The same but for one member, where members are told apart.
    #[must_use]
    pub fn without(self, member: &str) -> Self {
        match self {
            Self::Whole => Self::Whole,
            Self::Members(members) => {
                Self::Members(members.into_iter().filter(|(name, _)| name != member).collect())
            }
        }
    }

    /// What is read if both this and another are.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        let (Self::Members(own), Self::Members(others)) = (self, other) else { return Self::Whole };
        let mut merged: Vec<(SmolStr, Self)> = own.into_vec();
        for (name, plan) in others {
            match merged.binary_search_by(|(known, _)| known.cmp(name)) {
                Ok(at) => {
                    if let Some((_, known)) = merged.get_mut(at) {
                        *known = std::mem::take(known).and(plan);
                    }
                }
                Err(at) => merged.insert(at, (name.clone(), plan.clone())),
            }
        }
        Self::Members(merged.into_boxed_slice())
    }
}

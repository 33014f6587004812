//! What nobody knows of a question yet, and what is taken for it.
//!
//! A list of tools is made before any of them is called: their arguments come later. Of such a question it can be said what the
//! best arguments would get, and what the worst. Each policy is taken to come out as is best, or worst, for whoever asks; policies
//! are taken one by one, so that what is best for all of them at once may not exist: the best is never too little.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::catalog::{ActionType, RESERVED};
use super::cedar::{Outcome, PolicyEffect, PolicyFailure, Possible, RecordType};
use super::plan::ContextPlan;
use super::request::{AuthzRequest, InvalidRequest};

/// The member of the context that a tool's arguments become.
const INPUT: &str = "input";
/// Most members that may be unknown.
const MAX_MEMBERS: usize = 64;

/// Members of the context that nobody knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unknown {
    members: Vec<SmolStr>,
    arguments: bool,
    /// What is taken for them.
    pub(super) assume: Assume,
}

/// What is taken for what nobody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Assume {
    /// Whatever gets most.
    #[default]
    Best,
    /// Whatever gets least.
    Worst,
}

impl Unknown {
    /// The arguments of tool calls, where a request has none; and these members of the context.
    ///
    /// # Errors
    /// [`InvalidRequest`] at `unknown` for a member that Mandate fills, and for too many.
    pub fn arguments_and(members: &[String]) -> Result<Self, InvalidRequest> {
        let refuse = |message: String| Err(InvalidRequest::field("unknown", message));
        if members.len() > MAX_MEMBERS {
            return refuse(format!("names {} members; the limit is {MAX_MEMBERS}", members.len()));
        }
        if let Some(filled) = members.iter().find(|name| RESERVED.contains(&name.as_str())) {
            return refuse(format!("names `{filled}`, which is Mandate's to fill"));
        }
        Ok(Self {
            members: members.iter().map(SmolStr::new).collect(),
            arguments: true,
            assume: Assume::Best,
        })
    }

    /// What of it an action has. A member that the request supplies is known.
    pub(super) fn of_action(&self, action: &ActionType, request: &AuthzRequest) -> Self {
        if *self == Self::default() {
            return Self::default();
        }
        let supplied = |name: &SmolStr| request.context.iter().any(|(supplied, _)| supplied == name);
        let declared = self.members.iter().filter(|name| action.supplied.attributes.contains_key(*name));
        let mut members: Vec<_> = declared.filter(|name| !supplied(name)).cloned().collect();
        if self.arguments && action.tool.is_some() && request.arguments.is_none() {
            members.push(SmolStr::new_static(INPUT));
        }
        Self { members, ..self.clone() }
    }

    /// The same, of which the worst is taken.
    pub(super) fn at_worst(&self) -> Self {
        Self { assume: Assume::Worst, ..self.clone() }
    }

    /// Whether everything is known.
    pub fn is_nothing(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether all that is unknown is a tool's arguments.
    pub(super) fn is_input_alone(&self) -> bool {
        self.members.iter().all(|name| name == INPUT)
    }

    /// Whether a tool's arguments are unknown.
    pub(super) fn covers_input(&self) -> bool {
        self.members.iter().any(|name| name == INPUT)
    }

    /// The names of those members.
    pub(super) fn members(&self) -> &[SmolStr] {
        &self.members
    }

    /// Whether a policy that reads this of the context reads any of it.
    pub(super) fn is_read(&self, plan: &ContextPlan) -> bool {
        match plan {
            ContextPlan::Whole => !self.is_nothing(),
            ContextPlan::Members(read) => read.iter().any(|(name, _)| self.members.contains(name)),
        }
    }

    /// What a request must say of the context: all that is declared but this.
    pub(super) fn left_out_of<'t>(&self, declared: &'t RecordType) -> Cow<'t, RecordType> {
        if self.members.iter().all(|name| !declared.attributes.contains_key(name)) {
            return Cow::Borrowed(declared);
        }
        let mut declared = declared.clone();
        declared.attributes.retain(|name, _| !self.members.contains(name));
        Cow::Owned(declared)
    }
}

impl Assume {
    /// What a policy is taken to say that may say any of these. They are tried in the order of what they get: in every mode of
    /// C14 each gets at least as much as the next.
    pub(super) fn outcome(self, effect: PolicyEffect, possible: Possible) -> Outcome {
        let satisfied = possible.holds.then_some(Outcome::Satisfied);
        let not = possible.fails.then_some(Outcome::NotSatisfied);
        let failed = possible.failure.map(Outcome::Failed);
        let defect = possible.defect.map(Outcome::Failed);
        let mut by_gain = match effect {
            PolicyEffect::Permit => [satisfied, not, failed, defect],
            PolicyEffect::Forbid => [not, failed, satisfied, defect],
        };
        if self == Self::Worst {
            by_gain.reverse();
        }
        // There is always one. If there were none, nobody may gain by it.
        let none = || Outcome::Failed(PolicyFailure::internal());
        by_gain.into_iter().flatten().next().unwrap_or_else(none)
    }
}

//! An answer: what was decided, by which policies, and why.

use std::sync::{Arc, OnceLock};

use cedar_policy::EntityUid;

use super::authorize::Now;
use super::cedar::{CompiledPolicy, PolicyFailure, PolicyFailureKind};
use super::explain::HopExplanation;
use super::terms::Obligation;
use super::validity::Validity;

/// Allow or deny. There is no third.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Every hop is permitted and none forbidden.
    Allow,
    /// Anything else.
    Deny,
}

/// The answer to one question.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Allow or deny.
    pub effect: Effect,
    /// On Allow the satisfied permits, on a forbid's Deny the satisfied forbids; in the order of the files.
    pub determining: Vec<Arc<CompiledPolicy>>,
    /// Policies that could not be evaluated.
    pub errors: Vec<PolicyError>,
    /// Set on every deny.
    pub denial: Option<Denial>,
    /// The principal, as resolved.
    pub principal: EntityUid,
    /// The action that was decided: a tool's typed action where it has one.
    pub action: EntityUid,
    /// How every policy came out, if asked for.
    pub explanation: Option<HopExplanation>,
    /// Whether a policy that covers the request reads the time: another instant may decide otherwise.
    pub timed: bool,
    /// The instants at which it comes out the same.
    pub validity: Validity,
}

/// What somebody wrote of a question and its decision, once, to copy it when the same decision is given again.
pub type Note = OnceLock<Box<[u8]>>;

/// A policy that could not be evaluated.
#[derive(Debug, Clone)]
pub struct PolicyError {
    /// The policy.
    pub policy: Arc<CompiledPolicy>,
    /// Why.
    pub failure: PolicyFailure,
}

/// Why the answer is no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// For machines.
    pub code: ReasonCode,
    /// For a person; the policy's `@reason` where it has one.
    pub message: String,
    /// The policy that denied, where one did.
    pub policy: Option<String>,
}

/// Why the answer is no, for machines. Stable names, part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReasonCode {
    /// No permit applies.
    NoPermit,
    /// A forbid applies.
    Forbidden,
    /// A policy that might have forbidden could not be evaluated.
    PolicyError,
    /// The principal is not stored.
    UnknownPrincipal,
    /// The resource is neither stored nor supplied.
    UnknownResource,
    /// Something the request or a stored attribute refers to does not exist.
    UnknownEntity,
    /// The action does not apply to this principal and resource.
    ActionNotApplicable,
    /// This principal acts only on somebody's behalf, and no delegation was shown.
    ChainRequired,
    /// Too many stored entities would have to be looked at.
    SliceLimit,
}

impl ReasonCode {
    /// Every code.
    pub const ALL: [Self; 9] = [
        Self::NoPermit,
        Self::Forbidden,
        Self::PolicyError,
        Self::UnknownPrincipal,
        Self::UnknownResource,
        Self::UnknownEntity,
        Self::ActionNotApplicable,
        Self::ChainRequired,
        Self::SliceLimit,
    ];

    /// The code's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoPermit => "no_permit",
            Self::Forbidden => "forbidden",
            Self::PolicyError => "policy_error",
            Self::UnknownPrincipal => "unknown_principal",
            Self::UnknownResource => "unknown_resource",
            Self::UnknownEntity => "unknown_entity",
            Self::ActionNotApplicable => "action_not_applicable",
            Self::ChainRequired => "chain_required",
            Self::SliceLimit => "slice_limit",
        }
    }

    /// The rule that denied, as `DeniedBy.rule` names it.
    pub fn rule(self) -> &'static str {
        match self {
            Self::Forbidden | Self::NoPermit => "policy",
            other => other.as_str(),
        }
    }
}

impl Denial {
    /// A denial that no policy stands behind.
    pub fn new(code: ReasonCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), policy: None }
    }
}

impl Decision {
    /// A denial reached without evaluating a policy.
    pub fn denied(principal: EntityUid, action: EntityUid, denial: Denial) -> Self {
        Self {
            effect: Effect::Deny,
            determining: Vec::new(),
            errors: Vec::new(),
            denial: Some(denial),
            principal,
            action,
            explanation: None,
            timed: false,
            validity: Validity::ALWAYS,
        }
    }

    /// What whoever acts on it must do: the obligations of every permit that it rests on, each with its policy. A denial
    /// has none.
    pub fn obligations(&self) -> impl Iterator<Item = (&CompiledPolicy, &Obligation)> {
        let allows = self.effect == Effect::Allow;
        let permits = self.determining.iter().map(|policy| &**policy);
        let asking = permits.filter(move |policy| allows && !policy.terms.obligations.is_empty());
        let mut told: Vec<&CompiledPolicy> = Vec::new();
        let each = asking.filter(move |policy| {
            // The same permit may speak for several hops; what it asks is asked once.
            let is_new = told.iter().all(|other| other.id != policy.id);
            told.push(policy);
            is_new
        });
        each.flat_map(|policy| policy.terms.obligations.iter().map(move |obligation| (policy, obligation)))
    }

    /// For how many seconds from `now` it may be reused: the least that the permits it rests on grant, never longer than it
    /// holds. None if one of them grants nothing (C13).
    pub fn reuse_seconds(&self, now: Now) -> Option<u64> {
        if self.effect != Effect::Allow {
            return None;
        }
        let granted = self.determining.iter().map(|policy| policy.terms.reuse_seconds.map_or(0, u64::from));
        let seconds = granted.min()?.min(self.validity.left(now) / 1000);
        (seconds > 0).then_some(seconds)
    }

    /// Whether the same question in the same world has this answer at any time. A limit of the stack or a defect is not
    /// the question's own (K8).
    pub fn repeats(&self) -> bool {
        !self.timed && self.errors.iter().all(|error| error.failure.kind == PolicyFailureKind::Data)
    }
}

//! An answer: what was decided, by which policies, and why.

use std::fmt;
use std::sync::Arc;

use cedar_policy::EntityUid;

use super::authorize::Now;
use super::cedar::{CompiledPolicy, PolicyFailure};
use super::delegation::Role;
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

impl Effect {
    /// Its name, everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// The answer to one question.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Allow or deny.
    pub effect: Effect,
    /// On Allow the satisfied permits, on a forbid's Deny the satisfied forbids; in the order of the files. Along a chain the
    /// permits of every hop, root first, each once; or the forbids of the hop that denied.
    pub determining: Vec<Arc<CompiledPolicy>>,
    /// Policies that could not be evaluated, at any hop.
    pub errors: Vec<PolicyError>,
    /// Set on every deny.
    pub denial: Option<Denial>,
    /// The principal, as resolved.
    pub principal: EntityUid,
    /// The action that was decided: a tool's typed action where it has one.
    pub action: EntityUid,
    /// How every policy came out, if asked for. Along a chain each hop has its own.
    pub explanation: Option<HopExplanation>,
    /// Along a chain, how each principal of it was decided, root first; empty if the principal acted by itself.
    pub hops: Vec<HopOutcome>,
    /// The instants at which it comes out the same.
    pub validity: Validity,
}

/// How one principal of a chain was decided.
#[derive(Debug, Clone)]
pub struct HopOutcome {
    /// Its place; 0 is the root.
    pub hop: usize,
    /// The part it plays.
    pub role: Role,
    /// The grant it acts on; the root has none.
    pub grant: Option<GrantName>,
    /// The decision, of this principal alone.
    pub decision: Decision,
}

/// What names a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantName {
    /// A stored delegation.
    Stored(EntityUid),
    /// A token, by its digest.
    Token(Arc<str>),
}

impl GrantName {
    /// The stored delegation of that name, if it is one.
    pub fn stored(&self) -> Option<&EntityUid> {
        match self {
            Self::Stored(uid) => Some(uid),
            Self::Token(_) => None,
        }
    }
}

impl fmt::Display for GrantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored(uid) => uid.fmt(f),
            Self::Token(_) => f.write_str("the token"),
        }
    }
}

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
    /// The grant that does not hold, where one does not.
    pub grant: Option<Box<GrantName>>,
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
    /// A delegation is not stored.
    GrantUnknown,
    /// A delegation was revoked.
    GrantRevoked,
    /// A delegation does not hold yet.
    GrantNotYet,
    /// A delegation, or a token that is a grant, holds no more.
    GrantExpired,
    /// A delegation does not say who delegates.
    GrantDelegator,
    /// A delegation was given to somebody else.
    GrantDelegate,
    /// A delegation is given by somebody its parent was not given to.
    GrantBrokenChain,
    /// A delegation was passed on more often than it may be.
    GrantTooDeep,
    /// A delegation does not cover the request.
    GrantNotCovering,
    /// A chain begins with somebody who may not act alone.
    ChainRoot,
    /// A chain has more grants than any may have.
    ChainTooLong,
    /// A chain leads back to where it was.
    ChainCycle,
    /// The delegations shown are not those above the last.
    ChainMismatch,
    /// The token and the chain are not of the same principals.
    TokenChain,
    /// Somebody who takes part is suspended.
    Suspended,
    /// Everybody is suspended.
    Frozen,
    /// The decision cannot be recorded, and none is given that is not.
    LogUnavailable,
}

impl PolicyError {
    /// Whether it tells the same of the same policy, as far as answers and records tell it.
    fn is_same(&self, other: &Self) -> bool {
        let (one, other_failure) = (&self.failure, &other.failure);
        self.policy.id == other.policy.id
            && (one.kind, one.summary) == (other_failure.kind, other_failure.summary)
    }
}

impl ReasonCode {
    /// Every code.
    pub const ALL: [Self; 26] = [
        Self::NoPermit,
        Self::Forbidden,
        Self::PolicyError,
        Self::UnknownPrincipal,
        Self::UnknownResource,
        Self::UnknownEntity,
        Self::ActionNotApplicable,
        Self::ChainRequired,
        Self::SliceLimit,
        Self::GrantUnknown,
        Self::GrantRevoked,
        Self::GrantNotYet,
        Self::GrantExpired,
        Self::GrantDelegator,
        Self::GrantDelegate,
        Self::GrantBrokenChain,
        Self::GrantTooDeep,
        Self::GrantNotCovering,
        Self::ChainRoot,
        Self::ChainTooLong,
        Self::ChainCycle,
        Self::ChainMismatch,
        Self::TokenChain,
        Self::Suspended,
        Self::Frozen,
        Self::LogUnavailable,
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
            Self::GrantUnknown => "grant_unknown",
            Self::GrantRevoked => "grant_revoked",
            Self::GrantNotYet => "grant_not_yet",
            Self::GrantExpired => "grant_expired",
            Self::GrantDelegator => "grant_delegator",
            Self::GrantDelegate => "grant_delegate",
            Self::GrantBrokenChain => "grant_broken_chain",
            Self::GrantTooDeep => "grant_too_deep",
            Self::GrantNotCovering => "grant_not_covering",
            Self::ChainRoot => "chain_root",
            Self::ChainTooLong => "chain_too_long",
            Self::ChainCycle => "chain_cycle",
            Self::ChainMismatch => "chain_mismatch",
            Self::TokenChain => "token_chain",
            Self::Suspended => "suspended",
            Self::Frozen => "frozen",
            Self::LogUnavailable => "log_unavailable",
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
        Self { code, message: message.into(), policy: None, grant: None }
    }

    /// A denial because of a grant.
    pub fn of_grant(code: ReasonCode, grant: GrantName, message: impl Into<String>) -> Self {
        Self { grant: Some(Box::new(grant)), ..Self::new(code, message) }
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
            hops: Vec::new(),
            validity: Validity::ALWAYS,
        }
    }

    /// The denial that is given instead where this cannot be recorded.
    #[must_use]
    pub fn unrecorded(&self) -> Self {
        let message = "the decision cannot be recorded, and nothing is allowed that is not";
        let denial = Denial::new(ReasonCode::LogUnavailable, message);
        Self::denied(self.principal.clone(), self.action.clone(), denial)
    }

    /// What the decisions of a chain's hops come to: all of them must allow, and the first that denies says why (D11).
    pub fn of_hops(principal: EntityUid, action: EntityUid, hops: Vec<HopOutcome>) -> Self {
        let each = || hops.iter().map(|hop| &hop.decision);
        let denied = each().find(|decision| decision.effect == Effect::Deny);
        let determining = match denied {
            Some(denied) => denied.determining.clone(),
            None => {
                distinct(each().flat_map(|decision| &decision.determining), |one, other| one.id == other.id)
            }
        };
        Self {
            // Nobody's decision allows nothing.
            effect: if denied.is_none() && !hops.is_empty() { Effect::Allow } else { Effect::Deny },
            determining,
            errors: distinct(each().flat_map(|decision| &decision.errors), PolicyError::is_same),
            denial: denied.and_then(|denied| denied.denial.clone()),
            explanation: None,
            validity: each().fold(Validity::ALWAYS, |validity, decision| validity.and(decision.validity)),
            principal,
            action,
            hops,
        }
    }

    /// The hop that denied first, if the decision was made along a chain.
    pub fn denied_hop(&self) -> Option<&HopOutcome> {
        self.hops.iter().find(|hop| hop.decision.effect == Effect::Deny)
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

    /// Whether it must not be given unless its record is safe: it allows, and a permit that it rests on says so, of any
    /// hop. A denial waits for nothing.
    pub fn needs_record(&self) -> bool {
        self.effect == Effect::Allow && self.determining.iter().any(|policy| policy.terms.audited)
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
}

/// Each once, the first of those alike.
fn distinct<'t, T: Clone + 't>(all: impl Iterator<Item = &'t T>, alike: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let mut distinct: Vec<T> = Vec::new();
    for one in all {
        if !distinct.iter().any(|other| alike(one, other)) {
            distinct.push(one.clone());
        }
    }
    distinct
}

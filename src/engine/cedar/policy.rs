//! A policy prepared for evaluation: its scope and its condition as separate parts.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::Policy;
use cedar_policy_core::ast::{self, ActionConstraint, Expr, ExprKind, PrincipalOrResourceConstraint};
use smol_str::SmolStr;

use super::{access, walk};
use crate::engine::plan::AccessPlan;

/// What a policy does when it is satisfied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyEffect {
    /// Grants, unless something forbids.
    Permit,
    /// Denies, whatever permits.
    Forbid,
}

/// A policy or a template's link, ready to evaluate.
///
/// Its `when` and `unless` clauses are split into the conjuncts of one `&&` chain. Evaluating them in order and
/// stopping at the first that is not true gives exactly what Cedar's own `&&` gives, errors included, and leaves
/// behind which part decided: an explanation needs no second evaluation.
#[derive(Debug)]
pub struct CompiledPolicy {
    /// From `@id`, or the link's id.
    pub id: SmolStr,
    /// Permit or forbid.
    pub effect: PolicyEffect,
    /// All annotations, `@id` included.
    pub annotations: BTreeMap<String, String>,
    /// `file:line`.
    pub location: SmolStr,
    /// What it may look at.
    pub plan: Arc<AccessPlan>,
    /// Whether it reads the time.
    pub reads_now: bool,
    pub(super) scope: Scope,
    pub(super) conditions: Vec<Condition>,
    pub(super) policy: ast::Policy,
}

/// One conjunct of a policy's condition.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) expression: Arc<Expr>,
}

impl Condition {
    /// The conjunct as its author wrote it.
    pub(super) fn text(&self) -> String {
        let written = self.expression.source_loc().and_then(|location| location.snippet());
        let text = written.map_or_else(|| self.expression.to_string(), str::to_owned);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl CompiledPolicy {
    /// Prepares a static policy or a link.
    pub fn new(policy: &Policy, location: impl Into<SmolStr>) -> Self {
        let inner: &ast::Policy = policy.as_ref();
        let conditions = inner.non_scope_constraints_arc().map(conjuncts).unwrap_or_default();
        let expressions = || conditions.iter().map(|condition| &*condition.expression);
        Self {
            id: SmolStr::new(policy.id()),
            effect: match policy.effect() {
                cedar_policy::Effect::Permit => PolicyEffect::Permit,
                cedar_policy::Effect::Forbid => PolicyEffect::Forbid,
            },
            annotations: policy
                .annotations()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            location: location.into(),
            scope: Scope {
                principal: inner.principal_constraint().into_inner(),
                action: inner.action_constraint().clone(),
                resource: inner.resource_constraint().into_inner(),
            },
            plan: Arc::new(access::plan(expressions(), inner.env())),
            reads_now: walk::reads_now(expressions()),
            conditions,
            policy: inner.clone(),
        }
    }

    /// The sentence of `@reason`, if the author wrote one.
    pub fn reason(&self) -> Option<&str> {
        self.annotations.get("reason").map(String::as_str)
    }

    /// The action this policy's scope names with `==`, if it does.
    pub fn exact_action(&self) -> Option<cedar_policy::EntityUid> {
        match &self.scope.action {
            ActionConstraint::Eq(uid) => Some(uid.as_ref().clone().into()),
            ActionConstraint::Any | ActionConstraint::In(_) => None,
        }
    }

    pub(super) fn scope_text(&self, part: ScopePart) -> String {
        match part {
            ScopePart::Principal => self.scope.principal.display(ast::PrincipalOrResource::Principal),
            ScopePart::Action => self.scope.action.to_string(),
            ScopePart::Resource => self.scope.resource.display(ast::PrincipalOrResource::Resource),
        }
    }
}

/// One of the three parts of a policy's scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScopePart {
    Principal,
    Action,
    Resource,
}

/// A policy's scope, its slots filled: read for every request, so taken out of the policy once.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) principal: PrincipalOrResourceConstraint,
    pub(super) action: ActionConstraint,
    pub(super) resource: PrincipalOrResourceConstraint,
}

/// Flattens nested `&&` into its operands, left to right, without recursion.
fn conjuncts(condition: &Arc<Expr>) -> Vec<Condition> {
    let mut pending = vec![Arc::clone(condition)];
    let mut conjuncts = Vec::new();
    while let Some(expression) = pending.pop() {
        match expression.expr_kind() {
            ExprKind::And { left, right } => {
                pending.push(Arc::clone(right));
                pending.push(Arc::clone(left));
            }
            _ => conjuncts.push(Condition { expression }),
        }
    }
    conjuncts
}

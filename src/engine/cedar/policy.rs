//! A policy prepared for evaluation: its scope and its condition as separate parts.

use std::ops::Range;
use std::sync::{Arc, LazyLock, OnceLock};

use cedar_policy::Policy;
use cedar_policy_core::ast::{
    self, ActionConstraint, Expr, ExprKind, PrincipalOrResourceConstraint, SlotEnv,
};
use cedar_policy_core::parser::Loc;
use smol_str::SmolStr;

use super::interned::Interned;
use super::program::Program;
use super::time_uses::TimeUses;
use super::{access, bare, walk};
use crate::engine::plan::{AccessPlan, ContextPlan};
use crate::engine::terms::Terms;

/// What a policy does when it is satisfied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyEffect {
    /// Grants, unless something forbids.
    Permit,
    /// Denies, whatever permits.
    Forbid,
}

impl From<cedar_policy::Effect> for PolicyEffect {
    fn from(effect: cedar_policy::Effect) -> Self {
        match effect {
            cedar_policy::Effect::Permit => Self::Permit,
            cedar_policy::Effect::Forbid => Self::Forbid,
        }
    }
}

/// A policy or a template's link, ready to evaluate.
///
/// Its `when` and `unless` clauses are split into the conjuncts of one `&&` chain. Evaluating them in order and
/// stopping at the first that is not true gives exactly what Cedar's own `&&` gives, errors included, and leaves
/// behind which part decided: an explanation needs no second evaluation. They hold no places in source text; for
/// explanations there is the text itself, once. Cloning shares everything.
#[derive(Debug, Clone)]
pub struct CompiledPolicy {
    /// From `@id`, or the link's id.
    pub id: SmolStr,
    /// Permit or forbid.
    pub effect: PolicyEffect,
    /// All annotations, `@id` included.
    pub annotations: Annotations,
    /// `file:line`.
    pub location: SmolStr,
    /// What it may look at.
    pub plan: Arc<AccessPlan>,
    /// What of the context it reads.
    pub context: Arc<ContextPlan>,
    /// Whether it reads the time.
    pub reads_now: bool,
    /// Whether it reads in which place of a chain the principal stands.
    pub reads_delegation: bool,
    /// On which terms it allows. A policy whose annotations do not say them is not loaded.
    pub terms: Arc<Terms>,
    /// How it reads the time.
    pub time_uses: Arc<TimeUses>,
    pub(super) scope: Scope,
    pub(super) conditions: Arc<[Condition]>,
    /// The conditions in the form that is swift to run; none if one of them has none.
    pub(in crate::engine) programs: Option<Arc<[Arc<Program>]>>,
    /// What a link fills its template's slots with.
    pub(super) slots: Arc<SlotEnv>,
    /// The policy as its author wrote it; a link has its template's.
    text: Arc<str>,
    /// What decision logs say of it where it decides, once one has.
    told: OnceLock<Arc<[u8]>>,
}

/// A policy's annotations, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotations(Arc<[(SmolStr, SmolStr)]>);

impl Annotations {
    /// The value of an annotation, if the policy has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// One conjunct of a policy's condition.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) expression: Arc<Expr>,
    /// Where it stands in the policy's text, in bytes.
    written: Option<Range<usize>>,
}

/// No slots: shared by all static policies.
static NO_SLOTS: LazyLock<Arc<SlotEnv>> = LazyLock::new(Arc::default);

/// Every plan, every conjunct and every use of the time of the policies there are, once.
static PLANS: LazyLock<Interned<AccessPlan>> = LazyLock::new(Interned::default);
static CONTEXT_PLANS: LazyLock<Interned<ContextPlan>> = LazyLock::new(Interned::default);
static PROGRAMS: LazyLock<Interned<Program>> = LazyLock::new(Interned::default);
static TIME_USES: LazyLock<Interned<TimeUses>> = LazyLock::new(Interned::default);

/// No uses of the time: shared by all policies that do not read it.
static NO_TIME_USES: LazyLock<Arc<TimeUses>> = LazyLock::new(Arc::default);

/// No terms: shared by almost all policies.
static NO_TERMS: LazyLock<Arc<Terms>> = LazyLock::new(Arc::default);

impl CompiledPolicy {
    /// Prepares a static policy or a link.
    pub fn new(policy: &Policy, location: impl Into<SmolStr>) -> Self {
        let inner: &ast::Policy = policy.as_ref();
        let text = Text::of(inner.loc());
        let conditions = conjuncts(inner.non_scope_constraints(), &text);
        let expressions = || conditions.iter().map(|condition| &*condition.expression);
        let (effect, annotations) = (PolicyEffect::from(policy.effect()), annotations(inner));
        let reads_now = walk::reads_now(expressions());
        let (plan, context) = access::plans(expressions(), inner.env());
        Self {
            id: SmolStr::new(policy.id()),
            effect,
            terms: terms(effect, &annotations),
            annotations,
            location: location.into(),
            scope: Scope {
                principal: bare::party(inner.principal_constraint().as_inner()),
                action: bare::action(inner.action_constraint()),
                resource: bare::party(inner.resource_constraint().as_inner()),
            },
            plan: PLANS.copy_of(plan),
            context: CONTEXT_PLANS.copy_of(context),
            programs: programs(expressions(), inner.env()),
            time_uses: if reads_now {
                TIME_USES.copy_of(TimeUses::of(expressions(), inner.env()))
            } else {
                Arc::clone(&NO_TIME_USES)
            },
            reads_now,
            reads_delegation: walk::reads_context(expressions(), "delegation"),
            conditions,
            slots: if inner.env().is_empty() { Arc::clone(&NO_SLOTS) } else { Arc::new(inner.env().clone()) },
            text: text.written,
            told: OnceLock::new(),
        }
    }

    /// The same policy, standing elsewhere.
    #[must_use]
    pub fn at(&self, location: impl Into<SmolStr>) -> Self {
        Self { location: location.into(), ..self.clone() }
    }

    /// The policy as its author wrote it; a link has its template's text. Empty if it was not read from text.
    pub(in crate::engine) fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// What decision logs say of it: written by the first, and the same ever after, for what it is made of never changes.
    ///
    /// # Errors
    /// Those of `write`, which is asked again the next time.
    pub(crate) fn told<E>(&self, write: impl FnOnce(&Self) -> Result<Vec<u8>, E>) -> Result<&[u8], E> {
        if let Some(told) = self.told.get() {
            return Ok(told);
        }
        let told = write(self)?.into();
        Ok(self.told.get_or_init(|| told))
    }

    /// A policy of Cedar's own that evaluates to what this one does, put together from its parts. It lacks annotations, and
    /// its scope is part of its condition.
    pub(super) fn to_cedar(&self) -> ast::Policy {
        let effect = match self.effect {
            PolicyEffect::Permit => ast::Effect::Permit,
            PolicyEffect::Forbid => ast::Effect::Forbid,
        };
        let Scope { principal, action, resource } = &self.scope;
        let mut parts = vec![
            principal.as_expr(ast::PrincipalOrResource::Principal),
            action.as_expr(),
            resource.as_expr(ast::PrincipalOrResource::Resource),
        ];
        parts.extend(self.conditions.iter().map(|condition| condition.expression.as_ref().clone()));
        ast::Policy::from_when_clause(
            effect,
            chain(&parts),
            ast::PolicyID::from_smolstr(self.id.clone()),
            None,
        )
    }

    /// The sentence of `@reason`, if the author wrote one.
    pub fn reason(&self) -> Option<&str> {
        self.annotations.get("reason")
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

    /// The conjunct as its author wrote it.
    pub(super) fn condition_text(&self, condition: &Condition) -> String {
        let written = condition.written.clone().and_then(|span| self.text.get(span));
        let text = written.map_or_else(|| condition.expression.to_string(), str::to_owned);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn programs<'e>(conditions: impl Iterator<Item = &'e Expr>, slots: &SlotEnv) -> Option<Arc<[Arc<Program>]>> {
    conditions.map(|condition| Some(PROGRAMS.copy_of(Program::of(condition, slots)?))).collect()
}

fn annotations(policy: &ast::Policy) -> Annotations {
    let pairs = policy.annotations().map(|(key, value)| (SmolStr::new(key.as_ref()), value.val.clone()));
    Annotations(pairs.collect())
}

/// Whoever admits a policy has asked for its terms before, and refused one that does not say them.
fn terms(effect: PolicyEffect, annotations: &Annotations) -> Arc<Terms> {
    let terms = Terms::of(effect, annotations.iter()).unwrap_or_default();
    if terms == Terms::default() { Arc::clone(&NO_TERMS) } else { Arc::new(terms) }
}

/// One of the three parts of a policy's scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScopePart {
    Principal,
    Action,
    Resource,
}

/// A policy's scope, its slots filled: read for every request, so taken out of the policy once.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) principal: PrincipalOrResourceConstraint,
    pub(super) action: ActionConstraint,
    pub(super) resource: PrincipalOrResourceConstraint,
}

/// A policy's own text, and where it stood in what was parsed.
struct Text {
    written: Arc<str>,
    start: usize,
}

impl Text {
    /// Shares the parsed text if it is this policy alone.
    fn of(place: Option<&Loc>) -> Self {
        let Some(place) = place else { return Self { written: Arc::from(""), start: 0 } };
        let written = match place.snippet() {
            Some(all) if all.len() == place.src.len() => Arc::clone(&place.src),
            snippet => Arc::from(snippet.unwrap_or_default()),
        };
        Self { written, start: place.start() }
    }

    /// Where a part of the policy stands in its own text.
    fn span(&self, part: Option<&Loc>) -> Option<Range<usize>> {
        let part = part?;
        let span = part.start().checked_sub(self.start)?..part.end().checked_sub(self.start)?;
        (self.written.get(span.clone()) == part.snippet()).then_some(span)
    }
}

/// Joins expressions with `&&`. As flat as can be: a thousand in a row would be too deep to evaluate.
fn chain(parts: &[Expr]) -> Expr {
    match parts {
        [] => Expr::val(true),
        [part] => part.clone(),
        parts => {
            let (left, right) = parts.split_at(parts.len() / 2);
            Expr::and(chain(left), chain(right))
        }
    }
}

/// Flattens nested `&&` into its operands, left to right, without recursion.
fn conjuncts(condition: Option<&Expr>, text: &Text) -> Arc<[Condition]> {
    let mut pending: Vec<&Expr> = condition.into_iter().collect();
    let mut conjuncts = Vec::new();
    while let Some(expression) = pending.pop() {
        match expression.expr_kind() {
            ExprKind::And { left, right } => pending.extend([&**right, &**left]),
            _ => conjuncts.push(Condition {
                expression: Arc::new(bare::expression(expression)),
                written: text.span(expression.source_loc()),
            }),
        }
    }
    conjuncts.into()
}

//! Evaluating prepared policies: scope, then conjuncts, keeping what decided.

use cedar_policy::EntityUid;
use cedar_policy_core::ast::{self, EntityUIDEntry, Expr, Literal, SlotEnv, ValueKind};
use cedar_policy_core::evaluator::{EvaluationError, Evaluator};
use cedar_policy_core::extensions::Extensions;

use super::entities::Slice;
use super::policy::{CompiledPolicy, Condition, ScopePart};
use super::scope::Scoped;
use super::value::CedarRecord;

/// How one policy came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its scope or a condition is false.
    NotSatisfied,
    /// Everything in it is true.
    Satisfied,
    /// It could not be evaluated.
    Failed(PolicyFailure),
}

/// Why a policy could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFailure {
    /// What class of failure, for C14.
    pub kind: PolicyFailureKind,
    /// What went wrong, in words that hold no data: for every caller.
    pub summary: &'static str,
    /// Cedar's message, which may quote values: for explanations. Cedar's *help* is left out, for it lists attributes
    /// that the policy does not read.
    pub message: String,
    /// The entity that was not there, if that is what failed.
    pub absent: Option<Absent>,
}

/// An entity that evaluation looked for and did not find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// This one.
    Entity(Box<EntityUid>),
    /// Nobody knows which.
    Unnamed,
}

/// Classes of evaluation failure that are treated differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyFailureKind {
    /// The policy met data it cannot handle: a missing attribute, an overflow, a wrong type.
    Data,
    /// The stack was too small. Never skipped: a deeper stack might have denied.
    RecursionLimit,
    /// A state Mandate never builds, such as an unknown in a concrete request.
    Internal,
}

/// How one part of a policy came out, for explanations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionOutcome {
    /// The part, as its author wrote it.
    pub text: String,
    /// Whether it held.
    pub holds: bool,
}

/// One policy's evaluation, part by part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// How the policy came out.
    pub outcome: Outcome,
    /// Its scope (principal, action, resource), then its conditions up to one that cannot be evaluated.
    pub parts: Vec<ConditionOutcome>,
}

impl Trace {
    /// How many parts a scope has.
    pub const SCOPE_PARTS: usize = 3;

    /// Whether the policy's scope covers the request.
    pub fn in_scope(&self) -> bool {
        self.parts.iter().take(Self::SCOPE_PARTS).all(|part| part.holds)
    }

    /// How many parts do not hold.
    pub fn failing(&self) -> usize {
        self.parts.iter().filter(|part| !part.holds).count()
    }

    /// The part that decided: the first that does not hold, or all the conditions.
    pub fn deciding(&self) -> String {
        if let Some(part) = self.parts.iter().find(|part| !part.holds) {
            return part.text.clone();
        }
        let conditions: Vec<_> =
            self.parts.iter().skip(Self::SCOPE_PARTS).map(|part| part.text.as_str()).collect();
        conditions.join(" && ")
    }

    fn settle(&mut self) {
        if self.outcome == Outcome::Satisfied && self.parts.iter().any(|part| !part.holds) {
            self.outcome = Outcome::NotSatisfied;
        }
    }
}

/// One request over one slice.
#[derive(Debug)]
pub struct Evaluation<'a> {
    pub(super) evaluator: Evaluator<'a>,
}

impl<'a> Evaluation<'a> {
    /// Prepares a request. The context has been converted as the schema directs; nothing is validated here.
    pub fn new(
        principal: &EntityUid,
        action: &EntityUid,
        resource: &EntityUid,
        context: CedarRecord,
        slice: &'a Slice,
    ) -> Self {
        let known =
            |uid: &EntityUid| EntityUIDEntry::known(AsRef::<ast::EntityUID>::as_ref(uid).clone(), None);
        let context = ast::Context::Value(context.0);
        let request =
            ast::Request::new_unchecked(known(principal), known(action), known(resource), Some(context));
        Self { evaluator: Evaluator::new(request, &slice.0, Extensions::all_available()) }
    }

    /// Evaluates a policy whose scope covers the request.
    pub fn outcome(&self, policy: &CompiledPolicy) -> Outcome {
        for condition in policy.conditions.iter() {
            match self.condition(policy, condition) {
                Ok(true) => {}
                Ok(false) => return Outcome::NotSatisfied,
                Err(failure) => return Outcome::Failed(failure),
            }
        }
        Outcome::Satisfied
    }

    /// Evaluates one policy as [`Evaluation::outcome`] does, keeping how every part of it came out.
    ///
    /// The outcome is settled by the first part that is not true; the parts after it are looked at only to say how
    /// far the policy was from being satisfied. The slice holds what the policy may look at.
    pub fn trace(&self, scoped: &Scoped<'_>, policy: &CompiledPolicy) -> Trace {
        let scope = [ScopePart::Principal, ScopePart::Action, ScopePart::Resource];
        let parts = scope.into_iter().map(|part| ConditionOutcome {
            text: policy.scope_text(part),
            holds: scoped.holds(policy, part),
        });
        let mut trace = Trace { parts: parts.collect(), outcome: Outcome::Satisfied };
        trace.settle();
        for condition in policy.conditions.iter() {
            match self.condition(policy, condition) {
                Ok(holds) => {
                    trace.parts.push(ConditionOutcome { text: policy.condition_text(condition), holds });
                    trace.settle();
                }
                Err(failure) => {
                    let text = format!("{}: {}", policy.condition_text(condition), failure.message);
                    trace.parts.push(ConditionOutcome { text, holds: false });
                    if trace.outcome == Outcome::Satisfied {
                        trace.outcome = Outcome::Failed(failure);
                    }
                    break;
                }
            }
        }
        trace
    }

    fn condition(&self, policy: &CompiledPolicy, condition: &Condition) -> Result<bool, PolicyFailure> {
        self.holds(&condition.expression, &policy.slots)
    }

    /// Whether an expression holds, as an operand of `&&` does.
    pub(super) fn holds(&self, expression: &Expr, slots: &SlotEnv) -> Result<bool, PolicyFailure> {
        let value = self.evaluator.interpret(expression, slots)?;
        match value.value_kind() {
            ValueKind::Lit(Literal::Bool(holds)) => Ok(*holds),
            // Not a boolean: Cedar words that error, for an operand of `&&`.
            _ => {
                let conjunction = Expr::and(expression.clone(), Expr::val(true));
                let value = self.evaluator.interpret(&conjunction, slots)?;
                Ok(matches!(value.value_kind(), ValueKind::Lit(Literal::Bool(true))))
            }
        }
    }
}

impl PolicyFailure {
    /// A failure that is remembered by its summary alone: the policy met data it cannot handle.
    pub fn of_data(summary: &'static str) -> Self {
        Self { kind: PolicyFailureKind::Data, summary, message: summary.to_owned(), absent: None }
    }

    /// A defect of Mandate's own.
    pub fn internal() -> Self {
        let summary = "internal error";
        Self { kind: PolicyFailureKind::Internal, summary, message: summary.to_owned(), absent: None }
    }
}

impl From<EvaluationError> for PolicyFailure {
    fn from(error: EvaluationError) -> Self {
        use PolicyFailureKind::{Data, Internal, RecursionLimit};
        let (kind, summary) = match &error {
            EvaluationError::RecursionLimit(_) => {
                (RecursionLimit, "the stack is too small for the condition")
            }
            EvaluationError::NonValue(_) | EvaluationError::UnlinkedSlot(_) => (Internal, "internal error"),
            EvaluationError::EntityDoesNotExist(_) => (Data, "an entity it reads does not exist"),
            EvaluationError::EntityAttrDoesNotExist(_) | EvaluationError::RecordAttrDoesNotExist(_) => {
                (Data, "an attribute it reads does not exist")
            }
            EvaluationError::TypeError(_) => (Data, "a value has the wrong type"),
            EvaluationError::IntegerOverflow(_) => (Data, "a number overflows"),
            _ => (Data, "an extension function fails"),
        };
        let message = error.to_string();
        let absent =
            matches!(error, EvaluationError::EntityDoesNotExist(_)).then(|| Absent::named_in(&message));
        Self { kind, summary, message, absent }
    }
}

impl Absent {
    /// Cedar's error keeps the name to itself, and tells it in its message only: entity `X` does not exist.
    fn named_in(message: &str) -> Self {
        let name = message.strip_prefix("entity `").and_then(|rest| rest.strip_suffix("` does not exist"));
        name.and_then(|name| name.parse().ok()).map_or(Self::Unnamed, |uid| Self::Entity(Box::new(uid)))
    }
}

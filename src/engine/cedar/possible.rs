//! What a policy may come to where part of the context is unknown.
//!
//! What does not read the unknown part is evaluated, and comes to what it comes to. What reads it may hold, not hold, or fail, and
//! `&&`, `||`, `!` and `if` make of these what Cedar's evaluator would: nothing that could be is left out.

use std::fmt;

use cedar_policy_core::ast::{Expr, ExprKind, SlotEnv, UnaryOp};
use smol_str::SmolStr;

use super::evaluate::{Evaluation, PolicyFailure, PolicyFailureKind};
use super::policy::CompiledPolicy;
use super::walk::reads_context;

/// Everything a condition may come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Possible {
    /// It may hold.
    pub holds: bool,
    /// It may not hold.
    pub fails: bool,
    /// It may meet data that it cannot handle.
    pub failure: Option<PolicyFailure>,
    /// It may be impossible to evaluate for another reason.
    pub defect: Option<PolicyFailure>,
}

impl Possible {
    const NOTHING: Self = Self { holds: false, fails: false, failure: None, defect: None };

    /// What it came to.
    fn known(outcome: Result<bool, PolicyFailure>) -> Self {
        match outcome {
            Ok(holds) => Self { holds, fails: !holds, ..Self::NOTHING },
            Err(failure) if failure.kind == PolicyFailureKind::Data => {
                Self { failure: Some(failure), ..Self::NOTHING }
            }
            Err(defect) => Self { defect: Some(defect), ..Self::NOTHING },
        }
    }

    /// Something that reads the unknown part.
    fn anything() -> Self {
        let failure = PolicyFailure::of_data("what it reads is not known");
        Self { holds: true, fails: true, failure: Some(failure), defect: None }
    }

    fn not(self) -> Self {
        Self { holds: self.fails, fails: self.holds, ..self }
    }

    /// What a choice comes to of which this is the test.
    fn choose(self, taken: impl FnOnce() -> Self, other: impl FnOnce() -> Self) -> Self {
        let Self { holds, fails, failure, defect } = self;
        let mut all = Self { failure, defect, ..Self::NOTHING };
        if holds {
            all = all.or(taken());
        }
        if fails {
            all = all.or(other());
        }
        all
    }

    /// Whatever either may come to.
    fn or(self, other: Self) -> Self {
        Self {
            holds: self.holds || other.holds,
            fails: self.fails || other.fails,
            failure: self.failure.or(other.failure),
            defect: self.defect.or(other.defect),
        }
    }
}

/// A request of which a part is unknown.
pub struct Partly<'p> {
    /// Names of the members of the context that nobody knows.
    pub unknown: &'p [SmolStr],
    /// Whether the conjunct at a place holds, if that is certain.
    pub swiftly: &'p dyn Fn(usize) -> Option<bool>,
    /// Cedar's evaluator, over the known part; none if it cannot be had, which is a defect.
    pub cedars: &'p dyn Fn() -> Option<Evaluation<'p>>,
}

impl fmt::Debug for Partly<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partly").field("unknown", &self.unknown).finish_non_exhaustive()
    }
}

impl CompiledPolicy {
    /// Everything the policy may come to, whose scope covers the request.
    pub fn possible(&self, partly: &Partly<'_>) -> Possible {
        let conjuncts = self.conditions.iter().enumerate();
        conjuncts.fold(Possible::known(Ok(true)), |before, (place, condition)| {
            let conjunct = || partly.conjunct(place, &condition.expression, &self.slots);
            before.choose(conjunct, || Possible::known(Ok(false)))
        })
    }
}

impl Partly<'_> {
    fn conjunct(&self, place: usize, expression: &Expr, slots: &SlotEnv) -> Possible {
        if self.reads(expression) {
            return self.part(expression, slots);
        }
        (self.swiftly)(place)
            .map_or_else(|| self.known(expression, slots), |holds| Possible::known(Ok(holds)))
    }

    fn reads(&self, expression: &Expr) -> bool {
        self.unknown.iter().any(|member| reads_context([expression], member))
    }

    fn known(&self, expression: &Expr, slots: &SlotEnv) -> Possible {
        let evaluation = (self.cedars)().ok_or_else(PolicyFailure::internal);
        Possible::known(evaluation.and_then(|evaluation| evaluation.holds(expression, slots)))
    }

    /// Recursion is bounded by the depth of conditions that loading accepts.
    fn part(&self, expression: &Expr, slots: &SlotEnv) -> Possible {
        if !self.reads(expression) {
            return self.known(expression, slots);
        }
        let part = |part: &Expr| self.part(part, slots);
        match expression.expr_kind() {
            ExprKind::And { left, right } => part(left).choose(|| part(right), || Possible::known(Ok(false))),
            ExprKind::Or { left, right } => part(left).choose(|| Possible::known(Ok(true)), || part(right)),
            ExprKind::UnaryApp { op: UnaryOp::Not, arg } => part(arg).not(),
            ExprKind::If { test_expr, then_expr, else_expr } => {
                part(test_expr).choose(|| part(then_expr), || part(else_expr))
            }
            _ => Possible::anything(),
        }
    }
}

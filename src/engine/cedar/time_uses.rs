//! How a policy's condition uses the time, found when it is loaded (K7).
//!
//! A condition that is evaluated again, with nothing changed but `context.now`, comes out the same as long as each part of
//! it does that holds `now`. Such a part is understood if it compares a *term* that moves with the time (`now`, moved,
//! measured from elsewhere, cut to its date or its time of day) with something that does not. Each other use of `now`
//! makes the outcome one that nobody foresees.

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, SlotEnv, Value, Var};
use ref_cast::RefCast as _;

use super::program::{Program, value_of};
use super::value::CedarValue;
use super::walk::{children, is_context, reads_now};

/// Most comparisons with the time that are looked at for one policy.
const MAX_USES: usize = 64;

/// How a policy's outcome depends on the time.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct TimeUses(pub(super) Uses);

#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Uses {
    /// It does not.
    #[default]
    None,
    /// It changes where one of these comparisons does.
    Compared(Box<[TimeUse]>),
    /// Otherwise.
    Unforeseen,
}

/// A comparison of a term that moves with the time and something that does not.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct TimeUse {
    pub(super) term: Term,
    pub(super) compared: Compared,
    pub(super) with: Operand,
}

/// Where a comparison changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Compared {
    /// Where the term reaches the other side: `term < other`, `other <= term`.
    Reaches,
    /// Just past it: `term <= other`, `other < term`.
    Passes,
    /// At both: `term == other`.
    Equals,
}

/// What an operand must be, to be counted in milliseconds, or as itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Datetime,
    Duration,
    Long,
}

/// `now` and what is done to it, from the inside out.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Term {
    pub(super) steps: Vec<Step>,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// `input.offset(d)`
    Offset(Operand),
    /// `input.durationSince(e)`
    Since(Operand),
    /// `e.durationSince(input)`
    Before(Operand),
    /// `input.toDate()`
    Date,
    /// `input.toTime()`
    Time,
    /// `input.toHours()` and the like: so many milliseconds are one.
    Count(i64),
}

/// Something that does not hang on the time.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Operand {
    /// Nor on the request.
    Constant(i64),
    /// What the request makes of it.
    Evaluated(Evaluated),
}

/// An expression to evaluate.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Evaluated {
    /// In the form that is swift to run, if it has one.
    pub(super) program: Option<Program>,
    pub(super) expression: Expr,
    pub(super) kind: Kind,
}

impl TimeUses {
    /// How the conjuncts of a condition, its places taken away, depend on the time.
    pub(super) fn of<'e>(conditions: impl IntoIterator<Item = &'e Expr>, slots: &SlotEnv) -> Self {
        Self(Uses::of(conditions, slots))
    }
}

impl Uses {
    fn of<'e>(conditions: impl IntoIterator<Item = &'e Expr>, slots: &SlotEnv) -> Self {
        let mut found = Vec::new();
        let mut pending: Vec<&Expr> = conditions.into_iter().collect();
        while let Some(expression) = pending.pop() {
            match expression.expr_kind() {
                // Of a context that is used whole, every member may be read.
                ExprKind::Var(Var::Context) => return Self::Unforeseen,
                ExprKind::GetAttr { expr, attr } if is_context(expr) => {
                    if attr == "now" {
                        return Self::Unforeseen;
                    }
                }
                // Whether there is a time does not hang on which.
                ExprKind::HasAttr { expr, .. } if is_context(expr) => {}
                ExprKind::ExtHasAttr { expr, attrs } if is_context(expr) => {
                    if attrs.first() == "now" {
                        return Self::Unforeseen;
                    }
                }
                _ => match TimeUse::of(expression, slots) {
                    Some(found_here) => found.push(found_here),
                    None => pending.extend(children(expression)),
                },
            }
            if found.len() > MAX_USES {
                return Self::Unforeseen;
            }
        }
        if found.is_empty() { Self::None } else { Self::Compared(found.into()) }
    }
}

impl TimeUse {
    /// The comparison that an expression is, if it is one of the time with something else.
    fn of(expression: &Expr, slots: &SlotEnv) -> Option<Self> {
        let ExprKind::BinaryApp { op, arg1, arg2 } = expression.expr_kind() else { return None };
        let (left, right) = match op {
            BinaryOp::Less => (Compared::Reaches, Compared::Passes),
            BinaryOp::LessEq => (Compared::Passes, Compared::Reaches),
            BinaryOp::Eq => (Compared::Equals, Compared::Equals),
            _ => return None,
        };
        let (term, compared, with) = match Term::of(arg1, slots) {
            Some(term) => (term, left, arg2),
            None => (Term::of(arg2, slots)?, right, arg1),
        };
        let with = Operand::of(with, term.kind, slots)?;
        Some(Self { term, compared, with })
    }
}

impl Term {
    /// The term that an expression is. Recursion is bounded by the depth of conditions that loading accepts.
    fn of(expression: &Expr, slots: &SlotEnv) -> Option<Self> {
        match expression.expr_kind() {
            ExprKind::GetAttr { expr, attr } if is_context(expr) && attr == "now" => {
                Some(Self { steps: Vec::new(), kind: Kind::Datetime })
            }
            ExprKind::ExtensionFunctionApp { fn_name, args } => {
                match (fn_name.to_string().as_str(), &***args) {
                    ("offset", [moved, by]) => {
                        let by = Operand::of(by, Kind::Duration, slots)?;
                        Self::of(moved, slots)?.then(Kind::Datetime, Step::Offset(by), Kind::Datetime)
                    }
                    ("durationSince", [later, earlier]) => Self::between(later, earlier, slots),
                    ("toDate", [of]) => Self::of(of, slots)?.then(Kind::Datetime, Step::Date, Kind::Datetime),
                    ("toTime", [of]) => Self::of(of, slots)?.then(Kind::Datetime, Step::Time, Kind::Duration),
                    (name, [of]) => {
                        Self::of(of, slots)?.then(Kind::Duration, Step::Count(unit(name)?), Kind::Long)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn between(later: &Expr, earlier: &Expr, slots: &SlotEnv) -> Option<Self> {
        let (term, step) = match Self::of(later, slots) {
            Some(term) => (term, Step::Since(Operand::of(earlier, Kind::Datetime, slots)?)),
            None => (Self::of(earlier, slots)?, Step::Before(Operand::of(later, Kind::Datetime, slots)?)),
        };
        term.then(Kind::Datetime, step, Kind::Duration)
    }

    fn then(mut self, from: Kind, step: Step, to: Kind) -> Option<Self> {
        if self.kind != from {
            return None;
        }
        self.steps.push(step);
        Some(Self { kind: to, ..self })
    }
}

/// Milliseconds of what a function counts.
fn unit(function: &str) -> Option<i64> {
    Some(match function {
        "toMilliseconds" => 1,
        "toSeconds" => 1000,
        "toMinutes" => 60 * 1000,
        "toHours" => 60 * 60 * 1000,
        "toDays" => 24 * 60 * 60 * 1000,
        _ => return None,
    })
}

impl Operand {
    /// None if it moves with the time too.
    fn of(expression: &Expr, kind: Kind, slots: &SlotEnv) -> Option<Self> {
        if reads_now([expression]) {
            return None;
        }
        let constant = value_of(expression, 0).and_then(|value| kind.number(&value));
        Some(constant.map_or_else(
            || {
                let (program, expression) = (Program::of(expression, slots), expression.clone());
                Self::Evaluated(Evaluated { program, expression, kind })
            },
            Self::Constant,
        ))
    }
}

impl Kind {
    /// The number of a value of this kind; none of another.
    pub(super) fn number(self, value: &Value) -> Option<i64> {
        let value = CedarValue::ref_cast(value);
        match self {
            Self::Long => value.as_long(),
            Self::Duration => value.as_duration_millis(),
            Self::Datetime => value.as_millis(),
        }
    }
}

//! Finding what a condition may look at and what of the context it reads: an evaluation that follows references instead of
//! values.

use std::collections::BTreeMap;

use cedar_policy::EntityUid;
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, SlotEnv, Var};
use smol_str::SmolStr;

#[cfg(test)]
use crate::engine::mutants::{Mutant, planted};
use crate::engine::plan::{AccessPlan, ContextPlan, Step};

/// What the conjuncts of one condition may look at, and what of the context they read, their slots filled.
pub(super) fn plans<'e>(
    conditions: impl IntoIterator<Item = &'e Expr>,
    slots: &SlotEnv,
) -> (AccessPlan, ContextPlan) {
    let mut walk =
        Walk { slots, places: vec![Place::default(); ROOTS], literals: BTreeMap::new(), everything: false };
    walk.plain(conditions);
    let literals = walk.literals.iter().map(|(uid, at)| (uid.clone(), walk.step(*at)));
    let literals = literals.filter(|(_, step)| !step.is_idle()).collect();
    let context = if walk.everything { ContextPlan::Whole } else { walk.read(CONTEXT) };
    let plan = AccessPlan {
        principal: walk.step(PRINCIPAL),
        action: walk.step(ACTION),
        resource: walk.step(RESOURCE),
        context: Step { looks: false, above: false, ..walk.step(CONTEXT) },
        literals,
        everything: walk.everything,
    };
    (plan, context)
}

const PRINCIPAL: usize = 0;
const ACTION: usize = 1;
const RESOURCE: usize = 2;
const CONTEXT: usize = 3;
const ROOTS: usize = 4;

/// A place that values come from: a root, or a member or the tags of another.
#[derive(Debug, Clone, Default)]
struct Place {
    looks: bool,
    above: bool,
    /// The value itself is used, and not only members of it.
    used: bool,
    members: BTreeMap<SmolStr, usize>,
    tags: Option<usize>,
}

/// What an expression may come to, as far as anything can be looked at behind it. Elements of sets cannot: Cedar compares
/// them, and takes none out.
#[derive(Debug, Clone, Default)]
struct Value {
    /// Places it may come from.
    from: Vec<usize>,
    /// Members of a record that the condition itself makes.
    made: BTreeMap<SmolStr, Value>,
}

impl Value {
    fn or(mut self, other: Self) -> Self {
        self.from.extend(other.from);
        self.from.sort_unstable();
        self.from.dedup();
        for (name, value) in other.made {
            let known = self.made.remove(&name).unwrap_or_default();
            self.made.insert(name, known.or(value));
        }
        self
    }
}

struct Walk<'s> {
    slots: &'s SlotEnv,
    places: Vec<Place>,
    literals: BTreeMap<EntityUid, usize>,
    everything: bool,
}

impl Walk<'_> {
    /// Recursion is bounded by the depth of conditions that loading accepts.
    fn value(&mut self, expression: &Expr) -> Value {
        match expression.expr_kind() {
            ExprKind::Var(var) => self.root(*var),
            ExprKind::Lit(Literal::EntityUID(uid)) => self.literal(uid.as_ref().clone().into()),
            ExprKind::Lit(_) => Value::default(),
            ExprKind::Slot(slot) => match self.slots.get(slot) {
                Some(uid) => self.literal(uid.clone().into()),
                None => self.anything(),
            },
            ExprKind::Unknown(_) => self.anything(),
            ExprKind::If { test_expr, then_expr, else_expr } => {
                let test = self.value(test_expr);
                #[cfg(test)]
                let test = if planted(Mutant::TestNotRead) { Value::default() } else { test };
                self.used(&test);
                self.value(then_expr).or(self.value(else_expr))
            }
            ExprKind::And { left, right } | ExprKind::Or { left, right } => self.plain([&**left, &**right]),
            ExprKind::UnaryApp { arg, .. } => self.plain([&**arg]),
            ExprKind::BinaryApp { op, arg1, arg2 } => self.binary(*op, arg1, arg2),
            ExprKind::ExtensionFunctionApp { args, .. } => self.plain(args.iter()),
            ExprKind::GetAttr { expr, attr } => {
                let value = self.look(expr);
                self.member(&value, attr)
            }
            ExprKind::HasAttr { expr, attr } => {
                let value = self.look(expr);
                #[cfg(test)]
                if planted(Mutant::PresenceNotRead) {
                    return Value::default();
                }
                self.member(&value, attr);
                Value::default()
            }
            ExprKind::ExtHasAttr { expr, attrs } => {
                let mut value = self.value(expr);
                for attr in attrs {
                    self.note(&value, |place| place.looks = true);
                    value = self.member(&value, attr);
                }
                Value::default()
            }
            ExprKind::Like { expr, .. } | ExprKind::Is { expr, .. } => self.plain([&**expr]),
            ExprKind::Set(elements) => self.plain(elements.iter()),
            ExprKind::Record(members) => {
                let made = members.iter().map(|(name, value)| (name.clone(), self.value(value))).collect();
                Value { from: Vec::new(), made }
            }
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr) -> Value {
        match op {
            BinaryOp::In | BinaryOp::HasTag => {
                let value = self.look(left);
                self.used(&value);
                if op == BinaryOp::In {
                    self.note(&value, |place| place.above = true);
                }
                self.plain([right])
            }
            BinaryOp::GetTag => {
                let value = self.look(left);
                self.used(&value);
                self.plain([right]);
                Value { from: value.from.iter().map(|at| self.tags_of(*at)).collect(), made: BTreeMap::new() }
            }
            _ => self.plain([left, right]),
        }
    }

    /// Operands of something that comes to a value nothing can be looked at behind.
    fn plain<'e>(&mut self, operands: impl IntoIterator<Item = &'e Expr>) -> Value {
        for operand in operands {
            let value = self.value(operand);
            self.used(&value);
        }
        Value::default()
    }

    /// All of a value counts, whatever is in it.
    fn used(&mut self, value: &Value) {
        self.note(value, |place| place.used = true);
        value.made.values().for_each(|member| self.used(member));
    }

    fn look(&mut self, expression: &Expr) -> Value {
        let value = self.value(expression);
        self.note(&value, |place| place.looks = true);
        value
    }

    fn note(&mut self, value: &Value, mark: fn(&mut Place)) {
        for at in &value.from {
            if let Some(place) = self.places.get_mut(*at) {
                mark(place);
            }
        }
    }

    fn root(&mut self, var: Var) -> Value {
        let at = match var {
            Var::Principal => PRINCIPAL,
            Var::Action => ACTION,
            Var::Resource => RESOURCE,
            Var::Context => CONTEXT,
        };
        Value { from: vec![at], made: BTreeMap::new() }
    }

    fn literal(&mut self, uid: EntityUid) -> Value {
        let next = self.places.len();
        let at = *self.literals.entry(uid).or_insert(next);
        if at == next {
            self.places.push(Place::default());
        }
        Value { from: vec![at], made: BTreeMap::new() }
    }

    fn anything(&mut self) -> Value {
        self.everything = true;
        Value::default()
    }

    fn member(&mut self, value: &Value, name: &SmolStr) -> Value {
        let made = value.made.get(name).cloned().unwrap_or_default();
        let from = value.from.iter().filter_map(|at| self.member_of(*at, name)).collect();
        made.or(Value { from, made: BTreeMap::new() })
    }

    fn member_of(&mut self, at: usize, name: &SmolStr) -> Option<usize> {
        let next = self.places.len();
        let found = *self.places.get_mut(at)?.members.entry(name.clone()).or_insert(next);
        if found == next {
            self.places.push(Place::default());
        }
        Some(found)
    }

    fn tags_of(&mut self, at: usize) -> usize {
        let next = self.places.len();
        let found = self.places.get_mut(at).map_or(next, |place| *place.tags.get_or_insert(next));
        if found == next {
            self.places.push(Place::default());
        }
        found
    }

    /// A place and what is behind it, less what nothing looks at.
    fn step(&self, at: usize) -> Step {
        let Some(place) = self.places.get(at) else { return Step::default() };
        let members = place.members.iter().map(|(name, at)| (name.clone(), self.step(*at)));
        let tags = place.tags.map(|at| Box::new(self.step(at))).filter(|step| !step.is_idle());
        let members = members.filter(|(_, step)| !step.is_idle()).collect();
        Step { looks: place.looks, above: place.above, members, tags }
    }

    /// What of a value is read: all of it, or some members. A member of which nothing more is asked is asked for, whether
    /// it is there.
    fn read(&self, at: usize) -> ContextPlan {
        match self.places.get(at) {
            Some(Place { used: false, members, .. }) => ContextPlan::Members(
                members.iter().map(|(name, at)| (name.clone(), self.read(*at))).collect(),
            ),
            _ => ContextPlan::Whole,
        }
    }
}

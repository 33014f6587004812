//! Running a condition's `Program`: swift, and silent where it is not certain.
//!
//! The answer is that of Cedar's evaluator, or there is none. Everything that is an error there (a wrong type, an attribute that is
//! missing, an overflow, a function that fails) and everything unforeseen (an entity that nobody looked for) is no answer here, and
//! then Cedar's evaluator is asked: what is said of an error is always its own.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::EntityUid;
use cedar_policy_core::ast::{
    BinaryOp, EntityUID, Literal, PartialValue, RepresentableExtensionValue, Set, UnaryOp, Value, ValueKind,
};
use ref_cast::RefCast as _;
use smol_str::SmolStr;

use super::program::{Function, Op, Program};
use super::sight::{Look, Sight};
use super::value::CedarRecord;

/// Up to this many elements of a set are compared one by one, which is faster than hashing what is looked for.
pub(super) const FEW: usize = 8;

/// One request: what programs run over.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'s> {
    /// Who acts.
    pub principal: &'s EntityUid,
    /// What it does.
    pub action: &'s EntityUid,
    /// To what.
    pub resource: &'s EntityUid,
    /// In which circumstances.
    pub context: &'s CedarRecord,
    /// Everything that was looked at on behalf of the policies.
    pub sight: &'s Sight<'s>,
}

impl Scene<'_> {
    /// Whether a conjunct holds, if that is certain.
    pub(in crate::engine) fn holds(&self, program: &Program) -> Option<bool> {
        let mut run = Run { scene: self, ops: &program.0, at: 0 };
        run.boolean()
    }

    /// What an expression comes to, if that is certain.
    pub(super) fn value(&self, program: &Program) -> Option<Value> {
        let mut run = Run { scene: self, ops: &program.0, at: 0 };
        run.term().map(Term::into_value)
    }
}

/// What an expression came to. Nothing is copied but what the expression made itself.
#[derive(Debug, Clone)]
enum Term<'a> {
    Boolean(bool),
    Long(i64),
    Text(&'a SmolStr),
    Entity(&'a EntityUID),
    Set(&'a Set),
    Record(&'a BTreeMap<SmolStr, Value>),
    Extension(&'a Arc<RepresentableExtensionValue>),
    /// A set or a record that the condition puts together, or what a function of an extension returns.
    Made(Value),
}

impl<'a> Term<'a> {
    fn of(value: &'a Value) -> Self {
        match value.value_kind() {
            ValueKind::Lit(Literal::Bool(value)) => Self::Boolean(*value),
            ValueKind::Lit(Literal::Long(value)) => Self::Long(*value),
            ValueKind::Lit(Literal::String(text)) => Self::Text(text),
            ValueKind::Lit(Literal::EntityUID(uid)) => Self::Entity(uid),
            ValueKind::Set(set) => Self::Set(set),
            ValueKind::Record(members) => Self::Record(members),
            ValueKind::ExtensionValue(value) => Self::Extension(value),
        }
    }

    /// A value that nothing else holds.
    fn made(value: Value) -> Term<'static> {
        match value.value_kind() {
            ValueKind::Lit(Literal::Bool(value)) => Term::Boolean(*value),
            ValueKind::Lit(Literal::Long(value)) => Term::Long(*value),
            _ => Term::Made(value),
        }
    }

    /// The same, as something that is looked at.
    fn seen(&self) -> Term<'_> {
        match self {
            Self::Boolean(value) => Term::Boolean(*value),
            Self::Long(value) => Term::Long(*value),
            Self::Text(text) => Term::Text(text),
            Self::Entity(uid) => Term::Entity(uid),
            Self::Set(set) => Term::Set(set),
            Self::Record(members) => Term::Record(members),
            Self::Extension(value) => Term::Extension(value),
            Self::Made(value) => Term::of(value),
        }
    }

    /// The same, as a value of its own.
    fn into_value(self) -> Value {
        match self {
            Self::Boolean(value) => Value::from(value),
            Self::Long(value) => Value::from(value),
            Self::Text(text) => Value::from(text.clone()),
            Self::Entity(uid) => Value::from(uid.clone()),
            Self::Set(set) => Value::new(ValueKind::Set(set.clone()), None),
            Self::Record(members) => Value::record_arc(Arc::new(members.clone()), None),
            Self::Extension(value) => Value::new(ValueKind::ExtensionValue(Arc::clone(value)), None),
            Self::Made(value) => value,
        }
    }

    fn entity(&self) -> Option<&EntityUID> {
        match self.seen() {
            Term::Entity(uid) => Some(uid),
            _ => None,
        }
    }

    /// Cedar's `==`: values of different types are different, not an error.
    fn equals(&self, other: &Term<'_>) -> bool {
        match (self.seen(), other.seen()) {
            (Term::Boolean(one), Term::Boolean(other)) => one == other,
            (Term::Long(one), Term::Long(other)) => one == other,
            (Term::Text(one), Term::Text(other)) => one == other,
            (Term::Entity(one), Term::Entity(other)) => same(one, other),
            (Term::Set(one), Term::Set(other)) => one == other,
            (Term::Record(one), Term::Record(other)) => one == other,
            (Term::Extension(one), Term::Extension(other)) => one == other,
            _ => false,
        }
    }

    fn set(&self) -> Option<&Set> {
        match self.seen() {
            Term::Set(set) => Some(set),
            _ => None,
        }
    }
}

/// Whether two names are one. The ids differ more often than the types.
fn same(one: &EntityUID, other: &EntityUID) -> bool {
    std::ptr::eq(one, other) || (one.eid() == other.eid() && one.entity_type() == other.entity_type())
}

struct Run<'a> {
    scene: &'a Scene<'a>,
    ops: &'a [Op],
    at: usize,
}

impl<'a> Run<'a> {
    /// Runs the operation at hand with its operands, and goes behind them. Recursion is bounded by the depth of programs.
    fn term(&mut self) -> Option<Term<'a>> {
        let op = self.ops.get(self.at)?;
        self.at += 1;
        Some(match op {
            Op::Boolean(value) => Term::Boolean(*value),
            Op::Long(value) => Term::Long(*value),
            Op::Constant(constant) => Term::of(&constant.value),
            Op::Principal => Term::Entity(self.scene.principal.as_ref()),
            Op::Action => Term::Entity(self.scene.action.as_ref()),
            Op::Resource => Term::Entity(self.scene.resource.as_ref()),
            Op::Context => Term::Record(&self.scene.context.0),
            Op::And { end } => Term::Boolean(self.either(false, *end)?),
            Op::Or { end } => Term::Boolean(self.either(true, *end)?),
            Op::If { otherwise, end } => self.branch(*otherwise, *end)?,
            Op::Unary(op) => self.unary(*op)?,
            Op::Binary(op) => self.binary(*op)?,
            Op::Attribute(name) => {
                let of = self.term()?;
                self.member(&of, name)??
            }
            Op::Has(name) => {
                let of = self.term()?;
                Term::Boolean(self.member(&of, name)?.is_some())
            }
            Op::HasPath(names) => Term::Boolean(self.has_path(names)?),
            Op::Like(pattern) => match self.term()?.seen() {
                Term::Text(text) => Term::Boolean(pattern.wildcard_match(text)),
                _ => return None,
            },
            Op::Is(name) => Term::Boolean(self.term()?.entity()?.entity_type() == &**name),
            Op::Set(count) => Term::Made(Value::set(self.values(*count)?, None)),
            Op::Record(names) => {
                let values = self.values(u32::try_from(names.len()).ok()?)?;
                let members = names.iter().cloned().zip(values).collect();
                Term::Made(Value::record_arc(Arc::new(members), None))
            }
            Op::Call(function, count) => call(*function, &self.values(*count)?)?,
        })
    }

    fn boolean(&mut self) -> Option<bool> {
        match self.term()?.seen() {
            Term::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// `&&` and `||`: the second operand counts unless the first decides.
    fn either(&mut self, deciding: bool, end: u32) -> Option<bool> {
        if self.boolean()? == deciding {
            self.at = usize::try_from(end).ok()?;
            return Some(deciding);
        }
        self.boolean()
    }

    fn branch(&mut self, otherwise: u32, end: u32) -> Option<Term<'a>> {
        if self.boolean()? {
            let taken = self.term()?;
            self.at = usize::try_from(end).ok()?;
            return Some(taken);
        }
        self.at = usize::try_from(otherwise).ok()?;
        self.term()
    }

    fn values(&mut self, count: u32) -> Option<Vec<Value>> {
        (0..count).map(|_| self.term().map(Term::into_value)).collect()
    }

    fn unary(&mut self, op: UnaryOp) -> Option<Term<'a>> {
        let operand = self.term()?;
        Some(match (op, operand.seen()) {
            (UnaryOp::Not, Term::Boolean(value)) => Term::Boolean(!value),
            (UnaryOp::Neg, Term::Long(value)) => Term::Long(value.checked_neg()?),
            (UnaryOp::IsEmpty, Term::Set(set)) => Term::Boolean(set.is_empty()),
            _ => return None,
        })
    }

    fn binary(&mut self, op: BinaryOp) -> Option<Term<'a>> {
        let (left, right) = (self.term()?, self.term()?);
        Some(match op {
            BinaryOp::Eq => Term::Boolean(left.equals(&right)),
            BinaryOp::Less => Term::Boolean(order(&left, &right)?.is_lt()),
            BinaryOp::LessEq => Term::Boolean(order(&left, &right)?.is_le()),
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul => Term::Long(arithmetic(op, &left, &right)?),
            BinaryOp::In => Term::Boolean(self.is_in(left.entity()?, &right)?),
            BinaryOp::Contains => Term::Boolean(contains(left.set()?, &right)),
            BinaryOp::ContainsAll => Term::Boolean(right.set()?.is_subset(left.set()?)),
            BinaryOp::ContainsAny => Term::Boolean(!left.set()?.is_disjoint(right.set()?)),
            BinaryOp::GetTag => Term::of(self.tag(&left, &right)??),
            BinaryOp::HasTag => Term::Boolean(self.tag(&left, &right)?.is_some()),
        })
    }

    /// What was found under a name: none within if it is known that there is nothing, none if nobody looked.
    fn look(&self, uid: &EntityUID) -> Option<Option<&'a Look<'a>>> {
        self.scene.sight.find(EntityUid::ref_cast(uid))
    }

    /// An attribute of an entity or a member of a record: none within if it is certain that there is none.
    fn member(&self, of: &Term<'a>, name: &SmolStr) -> Option<Option<Term<'a>>> {
        match (of, of.seen()) {
            (Term::Record(members), _) => Some(members.get(name).map(Term::of)),
            (_, Term::Record(members)) => Some(members.get(name).cloned().map(Term::made)),
            (_, Term::Entity(uid)) => {
                let entity = self.look(uid)?;
                Some(entity.and_then(|entity| entity.members.attribute(name)).map(|value| Term::of(&value.0)))
            }
            _ => None,
        }
    }

    /// `has a.b.c`: the first that is not there ends it.
    fn has_path(&mut self, names: &[SmolStr]) -> Option<bool> {
        let mut at = self.term()?;
        for name in names {
            match self.member(&at, name)? {
                Some(next) => at = next,
                None => return Some(false),
            }
        }
        Some(true)
    }

    fn tag(&self, of: &Term<'_>, name: &Term<'_>) -> Option<Option<&'a Value>> {
        let (Term::Entity(uid), Term::Text(name)) = (of.seen(), name.seen()) else { return None };
        Some(self.look(uid)?.and_then(|entity| entity.members.tag(name)).map(|value| &value.0))
    }

    /// Everything is in itself, whether it exists or not.
    fn is_in(&self, uid: &EntityUID, of: &Term<'_>) -> Option<bool> {
        let entity = self.look(uid)?;
        let within = |other: &EntityUID| match entity {
            _ if same(uid, other) => Some(true),
            None => Some(false),
            Some(entity) => Some(entity.built.as_ref()?.is_in(EntityUid::ref_cast(other))),
        };
        match of.seen() {
            Term::Entity(other) => within(other),
            Term::Set(set) => {
                // One that is no entity makes it an error, wherever it stands.
                let others: Option<Vec<_>> = set.iter().map(entity_of).collect();
                others?.into_iter().try_fold(false, |found, other| Some(found || within(other)?))
            }
            _ => None,
        }
    }
}

/// The entity a value refers to, if it is a reference.
pub(super) fn entity_of(value: &Value) -> Option<&EntityUID> {
    match value.value_kind() {
        ValueKind::Lit(Literal::EntityUID(uid)) => Some(uid),
        _ => None,
    }
}

/// Longs are ordered, and so are datetimes and durations among themselves.
fn order(left: &Term<'_>, right: &Term<'_>) -> Option<Ordering> {
    match (left.seen(), right.seen()) {
        (Term::Long(left), Term::Long(right)) => Some(left.cmp(&right)),
        (Term::Extension(left), Term::Extension(right)) => {
            let (one, other) = (left.value(), right.value());
            let alike = one.as_any().type_id() == other.as_any().type_id();
            (alike && one.supports_operator_overloading()).then(|| left.cmp(right))
        }
        _ => None,
    }
}

fn arithmetic(op: BinaryOp, left: &Term<'_>, right: &Term<'_>) -> Option<i64> {
    let (Term::Long(left), Term::Long(right)) = (left.seen(), right.seen()) else { return None };
    match op {
        BinaryOp::Add => left.checked_add(right),
        BinaryOp::Sub => left.checked_sub(right),
        BinaryOp::Mul => left.checked_mul(right),
        _ => None,
    }
}

fn contains(set: &Set, wanted: &Term<'_>) -> bool {
    if set.len() <= FEW {
        return set.iter().any(|element| Term::of(element).equals(wanted));
    }
    set.contains(&wanted.clone().into_value())
}

fn call(Function(function): Function, operands: &[Value]) -> Option<Term<'static>> {
    match function.call(operands) {
        Ok(PartialValue::Value(value)) => Some(Term::made(value)),
        Ok(PartialValue::Residual(_)) | Err(_) => None,
    }
}

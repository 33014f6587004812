//! A condition in the form in which it is run swiftly: a few words in a row, its constants made.
//!
//! Cedar's evaluator walks a tree of separately allocated nodes, parses the text of every `datetime("…")` and `ip("…")` anew and
//! clones what it looks at. Here an expression is its operations in prefix order, in one piece of memory: each is followed
//! by its operands, and what may be skipped says where it ends. Slots are filled, and what holds nothing but constants is
//! evaluated once, by Cedar, when the policy is loaded.
//!
//! Whatever has no such form is left to Cedar's evaluator.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use cedar_policy_core::ast::{
    BinaryOp, EntityType, Expr, ExprKind, ExtensionFunction, Literal, Name, PartialValue, Pattern, SlotEnv,
    UnaryOp, Value, Var,
};
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;

/// Deepest expression that has this form. Running one looks at no stack: what is nested deeper than people write is left to
/// Cedar's evaluator, which does, and whose error for a stack that is too small denies.
const MAX_DEPTH: usize = 32;

/// One conjunct of a condition, ready to run.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::engine) struct Program(pub(super) Box<[Op]>);

impl Program {
    /// Whether it is a conjunction: looks at its first operation, and at nothing else.
    pub(in crate::engine) fn begins_with_and(&self) -> Option<bool> {
        self.0.first().map(|op| matches!(op, Op::And { .. }))
    }
}

/// An operation. Operands follow it, in the order in which Cedar evaluates them.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Op {
    Boolean(bool),
    Long(i64),
    Constant(Box<Constant>),
    Principal,
    Action,
    Resource,
    Context,
    /// Two operands; `end` is behind the second.
    And {
        end: u32,
    },
    Or {
        end: u32,
    },
    /// A test, and what is taken if it holds; `otherwise` is where the rest is, and `end` is behind that.
    If {
        otherwise: u32,
        end: u32,
    },
    Unary(UnaryOp),
    Binary(BinaryOp),
    Attribute(SmolStr),
    Has(SmolStr),
    HasPath(Box<[SmolStr]>),
    Like(Box<Pattern>),
    Is(Box<EntityType>),
    /// So many operands.
    Set(u32),
    /// An operand for each name.
    Record(Box<[SmolStr]>),
    /// So many operands.
    Call(Function, u32),
}

/// A value that a condition holds. What is written differently is different here, though it may be equal as a value: such programs
/// are not shared.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Constant {
    pub(super) value: Value,
    written: Expr,
}

impl Hash for Constant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.written.hash(state);
    }
}

/// A function or method of one of Cedar's extensions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function(pub(super) &'static ExtensionFunction);

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::hash(self.0, state);
    }
}

impl Program {
    /// The form of an expression, its slots filled; none if it has none.
    pub(super) fn of(expression: &Expr, slots: &SlotEnv) -> Option<Self> {
        let mut writing = Writing { slots, ops: Vec::new() };
        writing.expression(expression, 0)?;
        Some(Self(writing.ops.into_boxed_slice()))
    }
}

struct Writing<'s> {
    slots: &'s SlotEnv,
    ops: Vec<Op>,
}

impl Writing<'_> {
    fn expression(&mut self, expression: &Expr, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        if let Some(constant) = self.constant(expression) {
            self.ops.push(constant);
            return Some(());
        }
        let below = depth + 1;
        match expression.expr_kind() {
            ExprKind::Var(var) => self.ops.push(match var {
                Var::Principal => Op::Principal,
                Var::Action => Op::Action,
                Var::Resource => Op::Resource,
                Var::Context => Op::Context,
            }),
            ExprKind::If { test_expr, then_expr, else_expr } => {
                self.branch([&**test_expr, &**then_expr, &**else_expr], below)?;
            }
            ExprKind::And { left, right } => {
                self.skippable([&**left, &**right], below, |end| Op::And { end })?;
            }
            ExprKind::Or { left, right } => {
                self.skippable([&**left, &**right], below, |end| Op::Or { end })?
            }
            ExprKind::UnaryApp { op, arg } => self.operation(Op::Unary(*op), [&**arg], below)?,
            ExprKind::BinaryApp { op, arg1, arg2 } => {
                self.operation(Op::Binary(*op), [&**arg1, &**arg2], below)?;
            }
            ExprKind::ExtensionFunctionApp { fn_name, args } => {
                let call = Op::Call(function(fn_name)?, u32::try_from(args.len()).ok()?);
                self.operation(call, args.iter(), below)?;
            }
            ExprKind::GetAttr { expr, attr } => {
                self.operation(Op::Attribute(attr.clone()), [&**expr], below)?;
            }
            ExprKind::HasAttr { expr, attr } => self.operation(Op::Has(attr.clone()), [&**expr], below)?,
            ExprKind::ExtHasAttr { expr, attrs } => {
                self.operation(Op::HasPath(attrs.iter().cloned().collect()), [&**expr], below)?;
            }
            ExprKind::Like { expr, pattern } => {
                self.operation(Op::Like(Box::new(pattern.clone())), [&**expr], below)?;
            }
            ExprKind::Is { expr, entity_type } => {
                self.operation(Op::Is(Box::new(entity_type.clone())), [&**expr], below)?;
            }
            ExprKind::Set(elements) => {
                self.operation(Op::Set(u32::try_from(elements.len()).ok()?), elements.iter(), below)?;
            }
            ExprKind::Record(members) => {
                let names = members.keys().cloned().collect();
                self.operation(Op::Record(names), members.values(), below)?;
            }
            // Not filled, or known to nobody: an error that Cedar words.
            ExprKind::Lit(_) | ExprKind::Slot(_) | ExprKind::Unknown(_) => return None,
        }
        Some(())
    }

    fn operation<'e>(
        &mut self,
        op: Op,
        operands: impl IntoIterator<Item = &'e Expr>,
        depth: usize,
    ) -> Option<()> {
        self.ops.push(op);
        operands.into_iter().try_for_each(|operand| self.expression(operand, depth))
    }

    /// Two operands of which the second may be skipped.
    fn skippable(&mut self, [left, right]: [&Expr; 2], depth: usize, op: fn(u32) -> Op) -> Option<()> {
        let at = self.ops.len();
        self.operation(op(0), [left, right], depth)?;
        let end = self.next()?;
        *self.ops.get_mut(at)? = op(end);
        Some(())
    }

    fn branch(&mut self, [test, then, rest]: [&Expr; 3], depth: usize) -> Option<()> {
        let at = self.ops.len();
        self.operation(Op::If { otherwise: 0, end: 0 }, [test, then], depth)?;
        let otherwise = self.next()?;
        self.expression(rest, depth)?;
        let end = self.next()?;
        *self.ops.get_mut(at)? = Op::If { otherwise, end };
        Some(())
    }

    /// Where the next operation will stand.
    fn next(&self) -> Option<u32> {
        u32::try_from(self.ops.len()).ok()
    }

    fn constant(&self, expression: &Expr) -> Option<Op> {
        match expression.expr_kind() {
            ExprKind::Lit(Literal::Bool(value)) => return Some(Op::Boolean(*value)),
            ExprKind::Lit(Literal::Long(value)) => return Some(Op::Long(*value)),
            // A template's links share its expressions, and differ in what fills them.
            ExprKind::Slot(slot) => {
                let filled = Literal::EntityUID(Arc::new(self.slots.get(slot)?.clone()));
                let (value, written) = (Value::from(filled.clone()), Expr::val(filled));
                return Some(Op::Constant(Box::new(Constant { value, written })));
            }
            _ => {}
        }
        let value = value_of(expression, 0)?;
        Some(Op::Constant(Box::new(Constant { value, written: expression.clone() })))
    }
}

/// What an expression comes to that holds nothing but constants. None for one that fails: Cedar says how, whenever it is
/// evaluated.
pub(super) fn value_of(expression: &Expr, depth: usize) -> Option<Value> {
    let all =
        |parts: &[Expr]| -> Option<Vec<_>> { parts.iter().map(|part| value_of(part, depth + 1)).collect() };
    match expression.expr_kind() {
        _ if depth > MAX_DEPTH => None,
        ExprKind::Lit(literal) => Some(Value::from(literal.clone())),
        ExprKind::Set(elements) => Some(Value::set(all(elements)?, None)),
        ExprKind::Record(members) => {
            let members = members.iter().map(|(name, part)| Some((name.clone(), value_of(part, depth + 1)?)));
            let members: BTreeMap<_, _> = members.collect::<Option<_>>()?;
            Some(Value::record_arc(Arc::new(members), None))
        }
        ExprKind::ExtensionFunctionApp { fn_name, args } => match function(fn_name)?.0.call(&all(args)?) {
            Ok(PartialValue::Value(value)) => Some(value),
            Ok(PartialValue::Residual(_)) | Err(_) => None,
        },
        _ => None,
    }
}

fn function(name: &Name) -> Option<Function> {
    Extensions::all_available().func(name).ok().map(Function)
}

//! Expressions without their places in source text.
//!
//! Cedar's evaluator clones the place of every node it evaluates: a count shared by all threads that evaluate the same
//! policy, which they then fight over. What is evaluated therefore has none. Equality of expressions ignores places, so
//! that nothing else can tell the difference.

use std::sync::Arc;

use cedar_policy_core::ast::{
    ActionConstraint, EntityReference, EntityType, EntityUID, Expr, ExprBuilder, ExprKind, Literal, Name,
    PrincipalOrResourceConstraint,
};
use cedar_policy_core::expr_builder::ExprBuilder as _;

use super::interned;

/// The same expression without places. Recurses: callers have measured its depth, or have the stack for it.
pub(super) fn expression(expression: &Expr) -> Expr {
    use ExprKind as K;
    let kind = match expression.expr_kind() {
        K::Lit(Literal::EntityUID(named)) => K::Lit(Literal::EntityUID(Arc::new(uid(named)))),
        leaf @ (K::Lit(_) | K::Var(_) | K::Slot(_) | K::Unknown(_)) => leaf.clone(),
        K::If { test_expr, then_expr, else_expr } => {
            K::If { test_expr: shared(test_expr), then_expr: shared(then_expr), else_expr: shared(else_expr) }
        }
        K::And { left, right } => K::And { left: shared(left), right: shared(right) },
        K::Or { left, right } => K::Or { left: shared(left), right: shared(right) },
        K::UnaryApp { op, arg } => K::UnaryApp { op: *op, arg: shared(arg) },
        K::BinaryApp { op, arg1, arg2 } => K::BinaryApp { op: *op, arg1: shared(arg1), arg2: shared(arg2) },
        K::ExtensionFunctionApp { fn_name, args } => {
            K::ExtensionFunctionApp { fn_name: name(fn_name), args: all(args) }
        }
        K::GetAttr { expr, attr } => K::GetAttr { expr: shared(expr), attr: attr.clone() },
        K::HasAttr { expr, attr } => K::HasAttr { expr: shared(expr), attr: attr.clone() },
        K::ExtHasAttr { expr, attrs } => K::ExtHasAttr { expr: shared(expr), attrs: attrs.clone() },
        K::Like { expr, pattern } => K::Like { expr: shared(expr), pattern: pattern.clone() },
        K::Is { expr, entity_type: named } => K::Is { expr: shared(expr), entity_type: entity_type(named) },
        K::Set(elements) => K::Set(all(elements)),
        K::Record(members) => {
            let members = members.iter().map(|(key, value)| (key.clone(), self::expression(value)));
            K::Record(Arc::new(members.collect()))
        }
    };
    ExprBuilder::<()>::new().with_expr_kind(kind)
}

fn shared(placed: &Arc<Expr>) -> Arc<Expr> {
    Arc::new(expression(placed))
}

fn all(placed: &Arc<Vec<Expr>>) -> Arc<Vec<Expr>> {
    Arc::new(placed.iter().map(expression).collect())
}

/// An action's part of a scope without places.
pub(super) fn action(constraint: &ActionConstraint) -> ActionConstraint {
    let bare = |named: &Arc<EntityUID>| Arc::new(uid(named));
    match constraint {
        ActionConstraint::Any => ActionConstraint::Any,
        ActionConstraint::Eq(named) => ActionConstraint::Eq(bare(named)),
        ActionConstraint::In(named) => ActionConstraint::In(named.iter().map(bare).collect()),
    }
}

/// A principal's or a resource's part of a scope without places.
pub(super) fn party(constraint: &PrincipalOrResourceConstraint) -> PrincipalOrResourceConstraint {
    use PrincipalOrResourceConstraint as C;
    match constraint {
        C::Any => C::Any,
        C::Eq(named) => C::Eq(reference(named)),
        C::In(named) => C::In(reference(named)),
        C::Is(named) => C::Is(Arc::new(entity_type(named))),
        C::IsIn(named, within) => C::IsIn(Arc::new(entity_type(named)), reference(within)),
    }
}

fn reference(named: &EntityReference) -> EntityReference {
    match named {
        EntityReference::EUID(named) => EntityReference::EUID(Arc::new(uid(named))),
        // An unfilled slot: only in a template, which is never evaluated.
        EntityReference::Slot(_) => named.clone(),
    }
}

fn uid(named: &EntityUID) -> EntityUID {
    EntityUID::from_components(entity_type(named.entity_type()), named.eid().clone(), None)
}

fn entity_type(named: &EntityType) -> EntityType {
    interned::type_name(named)
}

fn name(named: &Name) -> Name {
    EntityType::from(named.clone()).with_loc(None).into_name()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr as _;

    /// One of every kind of expression that text can hold.
    const EVERYTHING: &str = r#"if principal in [G::"a", resource] && !(context.n + -1 * 2 - 3 <= 4) then
        {a: "x", "b": E::N::"id"}.a like "x*" || context has a.b.c || principal has d || principal.hasTag("t")
        else principal is E::N in G::"b" && ip(context.ip).isInRange(ip("10.0.0.0/8")) && resource.getTag("t") == E::N::"z""#;

    #[test]
    fn nothing_is_lost_but_places() {
        let placed = Expr::from_str(EVERYTHING).unwrap();
        let bare = expression(&placed);
        assert_eq!(bare, placed);
        assert_eq!(bare.to_string(), placed.to_string());
        assert!(format!("{placed:?}").contains("Loc("), "the test sees places");
        assert!(!format!("{bare:?}").contains("Loc("), "{bare:?}");
        assert!(bare.subexpressions().all(|part| part.source_loc().is_none()));
    }

    #[test]
    fn names_have_no_places_either() {
        let placed = Expr::from_str(EVERYTHING).unwrap();
        let named = |root: &Expr| {
            let uids = root.subexpressions().filter_map(|part| match part.expr_kind() {
                ExprKind::Lit(Literal::EntityUID(uid)) => {
                    Some(uid.loc().or(uid.entity_type().loc()).is_some())
                }
                ExprKind::Is { entity_type, .. } => Some(entity_type.loc().is_some()),
                ExprKind::ExtensionFunctionApp { fn_name, .. } => Some(fn_name.as_ref().loc().is_some()),
                _ => None,
            });
            uids.filter(|placed| *placed).count()
        };
        assert!(named(&placed) > 3, "{}", named(&placed));
        assert_eq!(named(&expression(&placed)), 0);
    }
}

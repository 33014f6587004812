//! Questions about a policy's syntax tree, answered without recursion.

use std::collections::BTreeSet;

use cedar_policy::EntityUid;
use cedar_policy_core::ast::{Annotation, AnyId, BinaryOp, Expr, ExprKind, Literal, Var};

use super::policy::{CompiledPolicy, PolicyEffect, Scope};

/// Depth of the deepest expression in a policy's condition.
pub fn depth(policy: &cedar_policy::Policy) -> usize {
    let policy: &cedar_policy_core::ast::Policy = policy.as_ref();
    depth_of(policy.non_scope_constraints())
}

/// Depth of the deepest expression in a template's condition.
pub fn template_depth(template: &cedar_policy::Template) -> usize {
    let template: &cedar_policy_core::ast::Template = template.as_ref();
    depth_of(template.non_scope_constraints())
}

fn depth_of(condition: Option<&Expr>) -> usize {
    let mut pending: Vec<(&Expr, usize)> = condition.map(|root| (root, 1)).into_iter().collect();
    let mut deepest = 0;
    while let Some((expression, depth)) = pending.pop() {
        // `has a.b.c` is one expression that Cedar takes apart into as many as it has names.
        let depth = match expression.expr_kind() {
            ExprKind::ExtHasAttr { attrs, .. } => depth + attrs.len(),
            _ => depth,
        };
        deepest = deepest.max(depth);
        pending.extend(children(expression).into_iter().map(|child| (child, depth + 1)));
    }
    deepest
}

/// Byte offset of a policy in its file.
pub fn offset(policy: &cedar_policy::Policy) -> usize {
    let policy: &cedar_policy_core::ast::Policy = policy.as_ref();
    policy.loc().map_or(0, cedar_policy_core::parser::Loc::start)
}

/// Byte offset of a template in its file.
pub fn template_offset(template: &cedar_policy::Template) -> usize {
    let template: &cedar_policy_core::ast::Template = template.as_ref();
    template.loc().map_or(0, cedar_policy_core::parser::Loc::start)
}

/// A policy's or a template's effect and annotations, as they were written.
#[derive(Debug, Clone)]
pub struct Heading {
    /// Permit or forbid.
    pub effect: PolicyEffect,
    /// In the order of their names.
    pub annotations: Vec<WrittenAnnotation>,
}

/// An annotation, and where it stands.
#[derive(Debug, Clone)]
pub struct WrittenAnnotation {
    /// Its name.
    pub name: String,
    /// Its text; empty if it has none.
    pub text: String,
    /// Bytes from the beginning of its policy.
    pub offset: usize,
}

/// What stands above a policy's scope.
pub fn heading(policy: &cedar_policy::Policy) -> Heading {
    let core: &cedar_policy_core::ast::Policy = policy.as_ref();
    Heading { effect: policy.effect().into(), annotations: written(core.annotations(), offset(policy)) }
}

/// What stands above a template's scope.
pub fn template_heading(template: &cedar_policy::Template) -> Heading {
    let core: &cedar_policy_core::ast::Template = template.as_ref();
    let annotations = written(core.annotations(), template_offset(template));
    Heading { effect: template.effect().into(), annotations }
}

fn written<'a>(
    annotations: impl Iterator<Item = (&'a AnyId, &'a Annotation)>,
    start: usize,
) -> Vec<WrittenAnnotation> {
    let written = annotations.map(|(name, Annotation { val, loc })| WrittenAnnotation {
        name: name.to_string(),
        text: val.to_string(),
        offset: loc.as_ref().map_or(0, |loc| loc.start().saturating_sub(start)),
    });
    written.collect()
}

/// Whether a policy is all of the text it was parsed from.
pub fn is_whole(policy: &cedar_policy::Policy) -> bool {
    let policy: &cedar_policy_core::ast::Policy = policy.as_ref();
    covers(policy.loc())
}

/// Whether a template is all of the text it was parsed from.
pub fn is_whole_template(template: &cedar_policy::Template) -> bool {
    let template: &cedar_policy_core::ast::Template = template.as_ref();
    covers(template.loc())
}

fn covers(place: Option<&cedar_policy_core::parser::Loc>) -> bool {
    place.is_some_and(|place| place.start() == 0 && place.end() == place.src.len())
}

/// Every entity a policy's condition or scope names, or a link fills a slot with.
pub fn literals(policy: &CompiledPolicy) -> BTreeSet<EntityUid> {
    let Scope { principal, action, resource } = &policy.scope;
    let parties = [principal, resource].into_iter().filter_map(|party| party.get_euid());
    let scope = parties.map(AsRef::as_ref).chain(action.iter_euids()).chain(policy.slots.values());
    let mut found: BTreeSet<EntityUid> = scope.map(|uid| uid.clone().into()).collect();
    for expression in expressions(policy) {
        if let ExprKind::Lit(Literal::EntityUID(uid)) = expression.expr_kind() {
            found.insert(uid.as_ref().clone().into());
        }
    }
    found
}

/// Actions that a condition compares the request's action to other than with `in`: with `==`, or in sets, however the
/// action got there.
pub fn compared_actions(policy: &CompiledPolicy) -> BTreeSet<EntityUid> {
    use BinaryOp::{Contains, ContainsAll, ContainsAny, Eq};
    let comparisons = expressions(policy).into_iter().filter(|expression| {
        matches!(
            expression.expr_kind(),
            ExprKind::BinaryApp { op: Eq | Contains | ContainsAll | ContainsAny, .. }
        )
    });
    let mut compared = BTreeSet::new();
    for parts in comparisons.map(descendants) {
        if parts.iter().any(|part| matches!(part.expr_kind(), ExprKind::Var(Var::Action))) {
            compared.extend(parts.into_iter().filter_map(|named| match named.expr_kind() {
                ExprKind::Lit(Literal::EntityUID(uid)) => Some(EntityUid::from(uid.as_ref().clone())),
                _ => None,
            }));
        }
    }
    compared
}

/// Whether a policy's condition names the resource in any way.
pub fn mentions_resource(policy: &CompiledPolicy) -> bool {
    expressions(policy).into_iter().any(|part| matches!(part.expr_kind(), ExprKind::Var(Var::Resource)))
}

/// Whether a condition's outcome may depend on `context.now`, or on its being there.
pub(super) fn reads_now<'e>(conditions: impl IntoIterator<Item = &'e Expr>) -> bool {
    reads_context(conditions, "now")
}

/// Whether a condition's outcome may depend on a member of the context, or on its being there. A context that is used whole,
/// and not for one of its members, may be read in any way.
pub(super) fn reads_context<'e>(conditions: impl IntoIterator<Item = &'e Expr>, member: &str) -> bool {
    let mut pending: Vec<&Expr> = conditions.into_iter().collect();
    while let Some(expression) = pending.pop() {
        match expression.expr_kind() {
            ExprKind::Var(Var::Context) => return true,
            ExprKind::GetAttr { expr, attr } if is_context(expr) => {
                if attr == member {
                    return true;
                }
            }
            ExprKind::HasAttr { expr, attr } if is_context(expr) && attr != member => {}
            ExprKind::ExtHasAttr { expr, attrs } if is_context(expr) && attrs.first() != member => {}
            _ => pending.extend(children(expression)),
        }
    }
    false
}

pub(super) fn is_context(expression: &Expr) -> bool {
    matches!(expression.expr_kind(), ExprKind::Var(Var::Context))
}

fn expressions(policy: &CompiledPolicy) -> Vec<&Expr> {
    policy.conditions.iter().flat_map(|condition| descendants(&condition.expression)).collect()
}

fn descendants(root: &Expr) -> Vec<&Expr> {
    let mut pending = vec![root];
    let mut found = Vec::new();
    while let Some(expression) = pending.pop() {
        found.push(expression);
        pending.extend(children(expression));
    }
    found
}

pub(super) fn children(expression: &Expr) -> Vec<&Expr> {
    match expression.expr_kind() {
        ExprKind::Lit(_) | ExprKind::Var(_) | ExprKind::Slot(_) | ExprKind::Unknown(_) => Vec::new(),
        ExprKind::If { test_expr, then_expr, else_expr } => vec![test_expr, then_expr, else_expr],
        ExprKind::And { left, right } | ExprKind::Or { left, right } => vec![left, right],
        ExprKind::UnaryApp { arg, .. } => vec![arg],
        ExprKind::BinaryApp { arg1, arg2, .. } => vec![arg1, arg2],
        ExprKind::ExtensionFunctionApp { args, .. } => args.iter().collect(),
        ExprKind::GetAttr { expr, .. }
        | ExprKind::HasAttr { expr, .. }
        | ExprKind::ExtHasAttr { expr, .. }
        | ExprKind::Like { expr, .. }
        | ExprKind::Is { expr, .. } => vec![expr],
        ExprKind::Set(elements) => elements.iter().collect(),
        ExprKind::Record(members) => members.values().collect(),
    }
}

//! What a policy set must pass before it may decide.

use cedar_policy::{PolicyId, ValidationMode, ValidationWarning, Validator};
use miette::Diagnostic;

use super::policies::{LoadedPolicies, Origin, PlacedPolicy};
use crate::engine::catalog::Catalog;
use crate::engine::cedar::walk;
use crate::engine::cedar::{EntityKind, PolicyEffect};
use crate::engine::entities::EntityStore;
use crate::engine::problem::{Place, Problem, Report, Severity};

/// Refuses typed actions of tools that are not stored: the tool that was meant would be decided without them.
pub(super) fn typed_tools(catalog: &Catalog, stored: &EntityStore, report: &mut Report) {
    for (tool, action) in catalog.typed_tools().filter(|(tool, _)| !stored.contains(tool)) {
        let message = format!("{action} is annotated `@tool` of {tool}, which is not stored");
        report.push(
            Problem::error(&Place::new("schemas", ""), message).help("import the tool, or correct the id"),
        );
    }
}

/// Validates the policies against the schema, and refuses those that would deny less than their author meant. Also says
/// whether Cedar's validator accepts them.
pub(super) fn run(
    catalog: &Catalog,
    policies: LoadedPolicies,
    report: &mut Report,
) -> (Vec<PlacedPolicy>, bool) {
    let compiled = policies.compile();
    let valid = validate(catalog, &policies, report);
    policies.check_unlinked(report);
    for policy in &compiled {
        check_actions(catalog, policy, report);
    }
    (compiled, valid)
}

fn validate(catalog: &Catalog, policies: &LoadedPolicies, report: &mut Report) -> bool {
    let result = Validator::new(catalog.schema.clone()).validate(&policies.set, ValidationMode::Strict);
    for error in result.validation_errors() {
        report.push(problem(policies, error.policy_id(), Severity::Error, error));
    }
    for warning in result.validation_warnings() {
        let severity = severity(policies, warning);
        let mut problem = problem(policies, warning.policy_id(), severity, warning);
        if severity == Severity::Error && problem.help.is_none() {
            problem = problem.help("a policy that can never apply protects nothing: correct or delete it");
        }
        report.push(problem);
    }
    result.validation_passed()
}

/// Cedar only warns of a policy that can never apply. For a forbid that hides a hole; an impossible policy of
/// either effect is a mistake.
fn severity(policies: &LoadedPolicies, warning: &ValidationWarning) -> Severity {
    match warning {
        ValidationWarning::ImpossiblePolicy(_) => Severity::Error,
        ValidationWarning::InvalidActionApplication(_) if is_forbid(policies, warning.policy_id()) => {
            Severity::Error
        }
        _ => Severity::Warning,
    }
}

fn is_forbid(policies: &LoadedPolicies, id: &PolicyId) -> bool {
    let effect = policies
        .set
        .policy(id)
        .map(cedar_policy::Policy::effect)
        .or_else(|| policies.set.template(id).map(cedar_policy::Template::effect));
    effect != Some(cedar_policy::Effect::Permit)
}

fn problem(policies: &LoadedPolicies, id: &PolicyId, severity: Severity, found: &dyn Diagnostic) -> Problem {
    match policies.origins.get(id) {
        Some(origin) => Problem::from_cedar(&origin.place, severity, found),
        None => Problem::from_cedar(&Place::new("policies", ""), severity, found),
    }
}

/// A forbid that names an action which has children, and not them, lets every child through (C7). In a permit the same
/// words grant less, or with `unless` more, than they seem to.
fn check_actions(catalog: &Catalog, policy: &PlacedPolicy, report: &mut Report) {
    let is_forbid = policy.compiled.effect == PolicyEffect::Forbid;
    let has_children =
        |uid: &cedar_policy::EntityUid| catalog.action(uid).is_some_and(|action| action.has_children);
    if let Some(uid) = policy.compiled.exact_action().filter(|uid| is_forbid && has_children(uid)) {
        let message =
            format!("`action == {uid}` does not forbid the actions in it, such as typed tool calls");
        report.push(at(&policy.origin, Severity::Error, message).help(format!("write `action in {uid}`")));
    }
    let severity = if is_forbid { Severity::Error } else { Severity::Warning };
    for uid in walk::compared_actions(&policy.compiled).into_iter().filter(has_children) {
        let message =
            format!("the condition compares the action to {uid}, which leaves out the actions in it");
        report.push(at(&policy.origin, severity, message).help(format!("write `action in {uid}`")));
    }
}

/// Warns of entities that policies name and that are not stored: `x in Group::"typo"` is simply false (C3).
pub(super) fn literals(
    catalog: &Catalog,
    policies: &[PlacedPolicy],
    stored: &EntityStore,
    report: &mut Report,
) {
    for policy in policies {
        let forbids = policy.compiled.effect == PolicyEffect::Forbid;
        for uid in walk::literals(&policy.compiled) {
            let closed = matches!(
                catalog.entity_kind(uid.type_name()),
                Some(EntityKind::Enum(_) | EntityKind::Action)
            );
            if closed || stored.contains(&uid) {
                continue;
            }
            let message = format!("policy `{}` names {uid}, which is not stored", policy.compiled.id);
            let problem = if catalog.is_request_scoped(uid.type_name()) {
                at(&policy.origin, Severity::Error, message)
                    .help("store it: otherwise a request could supply it")
            } else if forbids && policy.compiled.plan.literals.iter().any(|(looked, _)| *looked == uid) {
                at(&policy.origin, Severity::Error, message)
                    .help("store it: the forbid looks at it, and would miss")
            } else {
                at(&policy.origin, Severity::Warning, message)
            };
            report.push(problem);
        }
    }
}

fn at(origin: &Origin, severity: Severity, message: String) -> Problem {
    Problem::new(&origin.place, severity, message).at(origin.line_span(), None)
}

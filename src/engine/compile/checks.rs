//! What a policy set must pass before it may decide.

use std::sync::Arc;

use cedar_policy::{EntityUid, Policy, PolicyId, PolicySet, ValidationMode, ValidationWarning, Validator};
use miette::Diagnostic;

use super::origin::Origin;
use super::placed::{Placed, PlacedPolicy};
use super::policies::LoadedPolicies;
use crate::engine::catalog::Catalog;
use crate::engine::cedar::walk;
use crate::engine::cedar::{CompiledPolicy, EntityKind, PolicyEffect};
use crate::engine::entities::EntityStore;
use crate::engine::problem::{Place, Problem, Report, Severity};
use crate::engine::version::Version;

/// Refuses typed actions of tools that are not stored: the tool that was meant would be decided without them.
pub(super) fn typed_tools(catalog: &Catalog, stored: &EntityStore, report: &mut Report) {
    for (tool, action) in catalog.typed_tools().filter(|(tool, _)| !stored.contains(tool)) {
        let message = format!("{action} is annotated `@tool` of {tool}, which is not stored");
        report.push(
            Problem::error(&Place::new("schemas", ""), message).help("import the tool, or correct the id"),
        );
    }
}

/// What policies are held to.
pub(super) struct Rules {
    pub(super) catalog: Arc<Catalog>,
    pub(super) validator: Validator,
}

/// What was found in policies.
#[derive(Default)]
pub(super) struct Findings {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
    /// About the actions they name.
    actions: Vec<Problem>,
}

impl Findings {
    pub(super) fn add(&mut self, more: Self) {
        self.errors.extend(more.errors);
        self.warnings.extend(more.warnings);
        self.actions.extend(more.actions);
    }

    pub(super) fn is_clean(&self) -> bool {
        self.errors.is_empty() && self.warnings.is_empty() && self.actions.is_empty()
    }
}

/// Validates the policies against the schema, and refuses those that would deny less than their author meant. Also says
/// whether Cedar's validator accepts them.
pub(super) fn run(rules: &Rules, mut policies: LoadedPolicies, report: &mut Report) -> (Vec<Placed>, bool) {
    let mut found = policies.take_findings();
    let placed = policies.compile();
    found.add(validate(rules, &policies.joint, |id| policies.places_of(id)));
    let valid = found.errors.is_empty();
    report.problems.extend(found.errors);
    report.problems.extend(found.warnings);
    policies.check_unlinked(report);
    report.problems.extend(found.actions);
    for placed in &placed {
        if let Placed::Policy(PlacedPolicy { compiled, origin, joint: true }) = placed {
            report.problems.extend(check_actions(&rules.catalog, compiled, origin));
        }
    }
    (placed, valid)
}

/// Checks one policy by itself, which was parsed by itself.
pub(super) fn single(rules: &Rules, policy: Policy, compiled: &CompiledPolicy, origin: &Origin) -> Findings {
    let mut set = PolicySet::new();
    if let Err(error) = set.add(policy) {
        return Findings { errors: vec![origin.error(error.to_string())], ..Findings::default() };
    }
    let mut found = validate(rules, &set, |_| (origin.place.clone(), origin.offset));
    found.actions = check_actions(&rules.catalog, compiled, origin);
    found
}

/// Validates a set. `places` says what file a policy is in, and where in it the text began that it was parsed from.
fn validate(rules: &Rules, set: &PolicySet, places: impl Fn(&PolicyId) -> (Place, usize)) -> Findings {
    let result = rules.validator.validate(set, ValidationMode::Strict);
    let problem = |id: &PolicyId, severity: Severity, found: &dyn Diagnostic| {
        let (place, start) = places(id);
        Problem::from_cedar(&place, severity, found).shifted(start)
    };
    let errors = result.validation_errors().map(|error| {
        let id = error.policy_id();
        (id, problem(id, Severity::Error, error))
    });
    let warnings = result.validation_warnings().map(|warning| {
        let id = warning.policy_id();
        let severity = severity(set, warning);
        let mut problem = problem(id, severity, warning);
        if severity == Severity::Error && problem.help.is_none() {
            problem = problem.help("a policy that can never apply protects nothing: correct or delete it");
        }
        (id, problem)
    });
    Findings { errors: ranked(errors.collect()), warnings: ranked(warnings.collect()), actions: Vec::new() }
}

/// Cedar tells what it finds in one policy in no order, and not the same twice.
fn ranked(mut found: Vec<(&PolicyId, Problem)>) -> Vec<Problem> {
    for one_policy in found.chunk_by_mut(|(one, _), (other, _)| one == other) {
        one_policy.sort_by(|(_, one), (_, other)| one.rank().cmp(&other.rank()));
    }
    found.into_iter().map(|(_, problem)| problem).collect()
}

/// Cedar only warns of a policy that can never apply. For a forbid that hides a hole; an impossible policy of
/// either effect is a mistake.
fn severity(set: &PolicySet, warning: &ValidationWarning) -> Severity {
    match warning {
        ValidationWarning::ImpossiblePolicy(_) => Severity::Error,
        ValidationWarning::InvalidActionApplication(_) if is_forbid(set, warning.policy_id()) => {
            Severity::Error
        }
        _ => Severity::Warning,
    }
}

fn is_forbid(set: &PolicySet, id: &PolicyId) -> bool {
    let effect =
        set.policy(id).map(Policy::effect).or_else(|| set.template(id).map(cedar_policy::Template::effect));
    effect != Some(cedar_policy::Effect::Permit)
}

/// A forbid that names an action which has children, and not them, lets every child through (C7). In a permit the same
/// words grant less, or with `unless` more, than they seem to.
fn check_actions(catalog: &Catalog, policy: &CompiledPolicy, origin: &Origin) -> Vec<Problem> {
    let is_forbid = policy.effect == PolicyEffect::Forbid;
    let has_children = |uid: &EntityUid| catalog.action(uid).is_some_and(|action| action.has_children);
    let mut found = Vec::new();
    if let Some(uid) = policy.exact_action().filter(|uid| is_forbid && has_children(uid)) {
        let message =
            format!("`action == {uid}` does not forbid the actions in it, such as typed tool calls");
        found.push(at(origin, Severity::Error, message).help(format!("write `action in {uid}`")));
    }
    let severity = if is_forbid { Severity::Error } else { Severity::Warning };
    for uid in walk::compared_actions(policy).into_iter().filter(has_children) {
        let message =
            format!("the condition compares the action to {uid}, which leaves out the actions in it");
        found.push(at(origin, severity, message).help(format!("write `action in {uid}`")));
    }
    found
}

/// Warns of entities that policies name and that are not stored: `x in Group::"typo"` is simply false (C3). Files all of
/// whose entities were stored in the same state of the store are not looked at again.
pub(super) fn literals(
    catalog: &Catalog,
    policies: &[Placed],
    (stored, state): (&EntityStore, Version),
    report: &mut Report,
) {
    for placed in policies {
        match placed {
            Placed::Policy(PlacedPolicy { compiled, origin, .. }) => {
                let missing = missing(catalog, compiled, stored);
                report.problems.extend(missing.iter().map(|uid| not_stored(catalog, compiled, origin, uid)));
            }
            Placed::File(file) if file.is_stored_in(state) => {}
            Placed::File(file) => {
                if file.policies().iter().all(|policy| missing(catalog, policy, stored).is_empty()) {
                    file.note_stored_in(state);
                    continue;
                }
                for (policy, origin) in file.origins() {
                    let missing = missing(catalog, policy, stored);
                    report
                        .problems
                        .extend(missing.iter().map(|uid| not_stored(catalog, policy, &origin, uid)));
                }
            }
        }
    }
}

/// Entities that a policy names, and that are neither stored nor one of a closed set.
fn missing(catalog: &Catalog, policy: &CompiledPolicy, stored: &EntityStore) -> Vec<EntityUid> {
    let is_closed = |uid: &EntityUid| {
        matches!(catalog.entity_kind(uid.type_name()), Some(EntityKind::Enum(_) | EntityKind::Action))
    };
    let named = walk::literals(policy).into_iter();
    named.filter(|uid| !is_closed(uid) && !stored.contains(uid)).collect()
}

fn not_stored(catalog: &Catalog, compiled: &CompiledPolicy, origin: &Origin, uid: &EntityUid) -> Problem {
    let message = format!("policy `{}` names {uid}, which is not stored", compiled.id);
    if catalog.is_request_scoped(uid.type_name()) {
        at(origin, Severity::Error, message).help("store it: otherwise a request could supply it")
    } else if compiled.effect == PolicyEffect::Forbid
        && compiled.plan.literals.iter().any(|(looked, _)| looked == uid)
    {
        at(origin, Severity::Error, message).help("store it: the forbid looks at it, and would miss")
    } else {
        at(origin, Severity::Warning, message)
    }
}

fn at(origin: &Origin, severity: Severity, message: String) -> Problem {
    Problem::new(&origin.place, severity, message).at(origin.line_span(), None)
}

//! Policy files and links to one named policy set.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{EntityUid, Policy, PolicyId, PolicySet, SlotId, Template};
use serde::Deserialize;

use super::emergency::EMERGENCY;
use super::{Sources, check_nesting, place};
use crate::engine::cedar::{CompiledPolicy, walk};
use crate::engine::datum::Datum;
use crate::engine::generation::{PolicyIds, Strictness};
use crate::engine::guard::{MAX_POLICY_DEPTH, Syntax};
use crate::engine::problem::{Place, Problem, Report, Severity, SourceFile};

/// Annotations whose meaning this build does not honour yet: ignoring one would weaken the policy (C15).
const NOT_HONOURED: [&str; 3] = ["obligation", "reuse", "audit"];

/// Policies, each with the file it came from.
#[derive(Default)]
pub(super) struct LoadedPolicies {
    /// All of them, for Cedar's validator.
    pub(super) set: PolicySet,
    /// Where each policy, template and link stands.
    pub(super) origins: HashMap<PolicyId, Origin>,
    /// Ids in the order of the files.
    pub(super) order: Vec<PolicyId>,
    /// How much is asked of them.
    pub(super) strictness: Strictness,
}

/// Where a policy stands.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) place: Place,
    pub(super) offset: usize,
}

/// A policy ready to evaluate, and where it stands.
pub(super) struct PlacedPolicy {
    pub(super) compiled: Arc<CompiledPolicy>,
    pub(super) origin: Origin,
}

/// Parses every file. Emergency forbids join the policies, and are no policies by themselves (W5).
pub(super) fn load(sources: &Sources, strictness: Strictness, report: &mut Report) -> LoadedPolicies {
    let mut loaded = LoadedPolicies { strictness, ..LoadedPolicies::default() };
    for file in &sources.policies {
        loaded.add_file(file, report);
    }
    for file in &sources.links {
        loaded.add_links(file, report);
    }
    if strictness == Strictness::Full
        && (sources.policies.is_empty() || (loaded.order.is_empty() && !report.rejects()))
    {
        let place = Place::new("policies", "");
        let help = "add a `*.cedar` file; without policies every request is denied";
        report.push(Problem::error(&place, "there is no policy").help(help));
    }
    for file in &sources.emergency {
        loaded.add_emergency(file, report);
    }
    loaded
}

impl LoadedPolicies {
    fn add_file(&mut self, file: &SourceFile, report: &mut Report) {
        if let Some((place, set)) = parse(file, self.strictness, report) {
            self.add_parsed(&set, &place, report);
        }
    }

    fn add_parsed(&mut self, set: &PolicySet, place: &Place, report: &mut Report) {
        for (offset, policy) in in_order(set) {
            let origin = Origin { place: place.clone(), offset };
            let depth = walk::depth(policy);
            let annotations: Vec<_> = policy.annotations().map(|(key, _)| key).collect();
            if let Some(id) = self.admit(
                self.named(policy.annotation("id"), policy.id()),
                &annotations,
                depth,
                &origin,
                report,
            ) {
                self.add(policy.new_id(id), origin, report);
            }
        }
        let mut templates: Vec<_> =
            set.templates().map(|template| (walk::template_offset(template), template)).collect();
        templates.sort_by_key(|(offset, _)| *offset);
        for (offset, template) in templates {
            let origin = Origin { place: place.clone(), offset };
            let depth = walk::template_depth(template);
            let annotations: Vec<_> = template.annotations().map(|(key, _)| key).collect();
            if let Some(id) = self.admit(
                self.named(template.annotation("id"), template.id()),
                &annotations,
                depth,
                &origin,
                report,
            ) {
                self.add_template(&template.new_id(id), origin, report);
            }
        }
    }

    /// What a policy or template is called: its `@id`, or to the language its place, which is how it was parsed.
    fn named<'p>(&self, annotated: Option<&'p str>, parsed: &'p PolicyId) -> Option<&'p str> {
        match self.strictness {
            Strictness::Full => annotated.filter(|id| !id.is_empty()),
            Strictness::Language(PolicyIds::Position) => Some(parsed.as_ref()),
            Strictness::Language(PolicyIds::Annotation) => annotated.or(Some(parsed.as_ref())),
        }
    }

    /// The id of a policy or template that may be loaded.
    fn admit(
        &self,
        id: Option<&str>,
        mut annotations: &[&str],
        depth: usize,
        origin: &Origin,
        report: &mut Report,
    ) -> Option<PolicyId> {
        let problem = |message: String| origin.error(message);
        if self.strictness != Strictness::Full {
            annotations = &[];
        }
        if !origin.check_condition(annotations, depth, report) {
            return None;
        }
        let Some(id) = id else {
            let help = "begin the policy with `@id(\"a-name-that-stays\")`; logs and tests refer to it";
            report.push(problem("the policy has no `@id`".to_owned()).help(help));
            return None;
        };
        if self.is_reserved(id) {
            report.push(problem(reserved(id)));
            return None;
        }
        self.unused(id, origin, report)
    }

    fn is_reserved(&self, id: &str) -> bool {
        self.strictness == Strictness::Full && id.starts_with(EMERGENCY)
    }

    /// The id, if nothing has it yet.
    pub(super) fn unused(&self, id: &str, origin: &Origin, report: &mut Report) -> Option<PolicyId> {
        let id = PolicyId::new(id);
        if let Some(first) = self.origins.get(&id) {
            let message = format!("`@id(\"{id}\")` is used twice, first at {}", first.locate());
            report.push(origin.error(message));
            return None;
        }
        Some(id)
    }

    pub(super) fn add(&mut self, policy: Policy, origin: Origin, report: &mut Report) {
        let id = policy.id().clone();
        match self.set.add(policy) {
            Ok(()) => {
                self.order.push(id.clone());
                self.origins.insert(id, origin);
            }
            Err(error) => report.push(origin.error(error.to_string())),
        }
    }

    fn add_template(&mut self, template: &Template, origin: Origin, report: &mut Report) {
        match self.set.add_template(template.clone()) {
            Ok(()) => {
                self.origins.insert(template.id().clone(), origin);
            }
            Err(error) => report.push(origin.error(error.to_string())),
        }
    }

    fn add_links(&mut self, file: &SourceFile, report: &mut Report) {
        let Some(place) = place(file, report) else { return };
        // A second member of the same name is an error before it can win.
        let parsed = serde_json::from_str::<Datum>(place.text());
        match parsed.and_then(|_unique| serde_json::from_str::<Vec<Link>>(place.text())) {
            Ok(links) => {
                for link in &links {
                    self.add_link(link, &place, report);
                }
            }
            Err(error) => report.push(Problem::error(&place, error.to_string()).help(
                "a link is {\"template_id\": …, \"link_id\": …, \"args\": {\"?principal\": \"Type::\\\"id\\\"\"}}",
            )),
        }
    }

    fn add_link(&mut self, link: &Link, place: &Place, report: &mut Report) {
        let offset = place.text().find(&format!("\"{}\"", link.link_id)).unwrap_or(0);
        let origin = Origin { place: place.clone(), offset };
        let problem = |message: String| Problem::error(place, message).at(origin.line_span(), None);
        let id = PolicyId::new(&link.link_id);
        if link.link_id.is_empty() || self.origins.contains_key(&id) {
            return report.push(problem(format!("link id `{}` is empty or used twice", link.link_id)));
        }
        if self.is_reserved(&link.link_id) {
            return report.push(problem(reserved(&link.link_id)));
        }
        let values = match link.values() {
            Ok(values) => values,
            Err(message) => return report.push(problem(message)),
        };
        match self.set.link(PolicyId::new(&link.template_id), id.clone(), values) {
            Ok(()) => {
                self.order.push(id.clone());
                self.origins.insert(id, origin);
            }
            Err(error) => {
                let cause =
                    std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
                report.push(problem(format!("link `{}`: {error}{cause}", link.link_id)));
            }
        }
    }

    /// A forbid that is never linked forbids nothing.
    pub(super) fn check_unlinked(&self, report: &mut Report) {
        for template in self.set.templates() {
            let linked = self
                .set
                .get_linked_policies(template.id().clone())
                .is_ok_and(|mut links| links.next().is_some());
            let Some(origin) = self.origins.get(template.id()).filter(|_| !linked) else { continue };
            let message = format!("template `{}` has no link, so it decides nothing", template.id());
            let problem = match template.effect() {
                cedar_policy::Effect::Forbid => Problem::error(&origin.place, message),
                cedar_policy::Effect::Permit => Problem::warning(&origin.place, message),
            };
            report.push(problem.at(origin.line_span(), None).help("link it in a `*.links.json` file"));
        }
    }

    /// The policies, ready to evaluate, in the order of the files.
    pub(super) fn compile(&self) -> Vec<PlacedPolicy> {
        let compiled = self.order.iter().filter_map(|id| {
            let (policy, origin) = (self.set.policy(id)?, self.origins.get(id)?);
            let compiled = Arc::new(CompiledPolicy::new(policy, origin.locate()));
            Some(PlacedPolicy { compiled, origin: origin.clone() })
        });
        compiled.collect()
    }
}

/// A file's policies, if it is text that parses and holds any.
pub(super) fn parse(
    file: &SourceFile,
    strictness: Strictness,
    report: &mut Report,
) -> Option<(Place, PolicySet)> {
    let place = place(file, report)?;
    if !check_nesting(&place, Syntax::Policy, report) {
        return None;
    }
    match PolicySet::from_str(place.text()) {
        Ok(set) if set.is_empty() && strictness == Strictness::Full => {
            let help =
                "an empty file is more often a failed write than an intention: delete it or restore it";
            report.push(Problem::error(&place, "the file holds no policy").help(help));
            None
        }
        Ok(set) => Some((place, set)),
        Err(errors) => {
            for error in errors.iter() {
                report.push(Problem::from_cedar(&place, Severity::Error, error));
            }
            None
        }
    }
}

/// Static policies as they stand in their file, each with its offset.
pub(super) fn in_order(set: &PolicySet) -> Vec<(usize, &Policy)> {
    let mut policies: Vec<_> = set.policies().map(|policy| (walk::offset(policy), policy)).collect();
    policies.sort_by_key(|(offset, _)| *offset);
    policies
}

fn reserved(id: &str) -> String {
    format!("`{id}` begins with `{EMERGENCY}`, which is kept for emergency forbids")
}

impl Origin {
    /// An error that points at the line the policy begins on.
    pub(super) fn error(&self, message: String) -> Problem {
        Problem::error(&self.place, message).at(self.line_span(), None)
    }

    /// Refuses what the condition or the annotations ask for and this build would not do. False if the policy must not
    /// go further.
    pub(super) fn check_condition(&self, annotations: &[&str], depth: usize, report: &mut Report) -> bool {
        if depth > MAX_POLICY_DEPTH {
            let message =
                format!("the condition is {depth} expressions deep; at most {MAX_POLICY_DEPTH} are accepted");
            report.push(self.error(message).help("split the policy, or test membership of a set"));
            return false;
        }
        for name in annotations.iter().filter(|name| NOT_HONOURED.contains(name)) {
            let message =
                format!("`@{name}` is not honoured by this build, and ignoring it would weaken the policy");
            report.push(self.error(message));
        }
        true
    }

    pub(super) fn locate(&self) -> String {
        self.place.locate(self.offset)
    }

    /// The line a policy begins on, to point at.
    pub(super) fn line_span(&self) -> std::ops::Range<usize> {
        let rest = self.place.text().get(self.offset..).unwrap_or_default();
        let length = rest.find('\n').unwrap_or(rest.len());
        self.offset..self.offset + length
    }
}

/// One link of a template, in the form of Cedar's own command line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    template_id: String,
    link_id: String,
    args: HashMap<String, String>,
}

impl Link {
    fn values(&self) -> Result<HashMap<SlotId, EntityUid>, String> {
        let values = self.args.iter().map(|(slot, uid)| {
            let slot = match slot.as_str() {
                "?principal" => SlotId::principal(),
                "?resource" => SlotId::resource(),
                other => return Err(format!("`{other}` is no slot; there are `?principal` and `?resource`")),
            };
            let uid = EntityUid::from_str(uid)
                .map_err(|_error| format!("`{uid}` is no entity; write `Type::\"id\"`"))?;
            Ok((slot, uid))
        });
        values.collect()
    }
}

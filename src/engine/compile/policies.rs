//! Policy files and links to one named policy set.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId, PolicySet, Template};

use super::checks::Findings;
use super::emergency::EMERGENCY;
use super::single::{Clean, Examiner, Fresh, Segment, Single};
use super::{Sources, check_policies, place};
use crate::engine::cedar::walk::{Heading, WrittenAnnotation};
use crate::engine::cedar::{CompiledPolicy, walk};
use crate::engine::generation::{PolicyIds, Strictness};
use crate::engine::guard::{MAX_POLICY_DEPTH, StackUnavailable};
use crate::engine::problem::{Place, Problem, Report, Severity, SourceFile};
use crate::engine::terms::Terms;

/// Annotations whose meaning this build does not honour yet: ignoring one would weaken the policy (C15).
const NOT_HONOURED: [&str; 1] = ["audit"];

/// Policies, each with the file it came from.
#[derive(Default)]
pub(super) struct LoadedPolicies {
    /// Those that were not looked at one by one, for Cedar's validator: templates and their links, emergency forbids.
    pub(super) joint: PolicySet,
    /// Where each policy, template and link stands.
    pub(super) origins: HashMap<PolicyId, Origin>,
    /// Templates that were parsed by themselves.
    single_templates: HashSet<PolicyId>,
    /// In the order of the files.
    pub(super) order: Vec<Member>,
    /// What was found in single policies.
    findings: Findings,
    /// The single policies in which nothing was.
    clean: Clean,
    /// How much is asked of them.
    pub(super) strictness: Strictness,
}

/// A policy or a link.
pub(super) enum Member {
    /// Looked at by itself.
    Single(Arc<CompiledPolicy>, Origin),
    /// One of the joint set.
    Joint(PolicyId),
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
    /// Whether it is of the joint set.
    pub(super) joint: bool,
}

/// A policy file whose text may be given to the parser.
struct PolicyFile {
    place: Place,
    /// How many segments it has.
    segments: usize,
}

/// Parses every file. Emergency forbids join the policies, and are no policies by themselves (W5).
///
/// # Errors
/// There is no thread to parse on.
pub(super) fn load(
    sources: &Sources,
    strictness: Strictness,
    examiner: &Examiner<'_>,
    report: &mut Report,
) -> Result<LoadedPolicies, StackUnavailable> {
    let mut loaded = LoadedPolicies { strictness, ..LoadedPolicies::default() };
    let mut segments = Vec::new();
    let files: Vec<_> = sources.policies.iter().map(|file| open(file, &mut segments)).collect();
    if strictness != Strictness::Full {
        // To the language, a policy may be called by its place among the others.
        segments.clear();
    }
    let mut singles = segments.iter().zip(examiner.examine(&segments)?);
    for file in files {
        match file {
            Ok(file) => loaded.add_file(&file, singles.by_ref().take(file.segments).collect(), report),
            Err(refused) => report.problems.extend(refused.problems),
        }
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
    Ok(loaded)
}

/// A file's text, parted into segments.
fn open(file: &SourceFile, segments: &mut Vec<Segment>) -> Result<PolicyFile, Report> {
    let mut report = Report::default();
    let spans =
        place(file, &mut report).and_then(|place| Some((check_policies(&place, &mut report)?, place)));
    let Some((spans, place)) = spans else { return Err(report) };
    let opened = PolicyFile { segments: spans.len(), place };
    segments.extend(spans.into_iter().map(|span| Segment { place: opened.place.clone(), span }));
    Ok(opened)
}

impl LoadedPolicies {
    fn add_file(&mut self, file: &PolicyFile, singles: Vec<(&Segment, Single)>, report: &mut Report) {
        if singles.is_empty() || singles.iter().any(|(_, single)| matches!(single, Single::Unclear)) {
            if let Some(set) = parse(&file.place, self.strictness, report) {
                self.add_parsed(&set, &file.place, report);
            }
            return;
        }
        let mut templates = Vec::new();
        for (segment, single) in singles {
            match single {
                Single::Known(known) => self.add_known(&known, segment.origin(), report),
                Single::Fresh(fresh) => self.add_fresh(*fresh, segment.origin(), report),
                Single::Template(template) => templates.push((template, segment.origin())),
                // Ruled out above.
                Single::Unclear => {}
            }
        }
        for (template, origin) in templates {
            if let Some(id) = self.admit_template(&template, origin, report) {
                self.single_templates.insert(id);
            }
        }
    }

    fn add_known(&mut self, known: &Arc<CompiledPolicy>, origin: Origin, report: &mut Report) {
        let Some(id) = self.unused(&known.id, &origin, report) else { return };
        let location = origin.locate();
        let policy =
            if known.location == location { Arc::clone(known) } else { Arc::new(known.at(location)) };
        self.clean.insert(Arc::clone(policy.text()), Arc::clone(&policy));
        self.add_single(id, policy, origin);
    }

    fn add_fresh(&mut self, fresh: Fresh, origin: Origin, report: &mut Report) {
        let found = report.problems.len();
        let id = fresh.id.as_deref().filter(|id| !id.is_empty());
        let id = self.admit(id, &fresh.heading, fresh.depth, &origin, report);
        let (Some(id), Some((policy, findings))) = (id, fresh.checked) else { return };
        let policy = Arc::new(policy);
        if findings.is_clean() && report.problems.len() == found {
            self.clean.insert(Arc::clone(policy.text()), Arc::clone(&policy));
        }
        self.findings.add(findings);
        self.add_single(id, policy, origin);
    }

    fn add_single(&mut self, id: PolicyId, policy: Arc<CompiledPolicy>, origin: Origin) {
        self.order.push(Member::Single(policy, origin.clone()));
        self.origins.insert(id, origin);
    }

    /// What was found in the policies that were looked at one by one.
    pub(super) fn take_findings(&mut self) -> Findings {
        std::mem::take(&mut self.findings)
    }

    /// The policies that need not be looked at again.
    pub(super) fn take_clean(&mut self) -> Clean {
        std::mem::take(&mut self.clean)
    }

    /// Where a policy of the joint set stands, and where its text begins that was parsed.
    pub(super) fn places_of(&self, id: &PolicyId) -> (Place, usize) {
        let template = self.joint.policy(id).and_then(Policy::template_id).unwrap_or(id);
        let parsed_alone = self.origins.get(template).filter(|_| self.single_templates.contains(template));
        let start = parsed_alone.map_or(0, |origin| origin.offset);
        match self.origins.get(id) {
            Some(origin) => (origin.place.clone(), start),
            None => (Place::new("policies", ""), start),
        }
    }

    fn add_parsed(&mut self, set: &PolicySet, place: &Place, report: &mut Report) {
        for (offset, policy) in in_order(set) {
            let origin = Origin { place: place.clone(), offset };
            let depth = walk::depth(policy);
            let id = self.named(policy.annotation("id"), policy.id());
            if let Some(id) = self.admit(id, &walk::heading(policy), depth, &origin, report) {
                self.add(policy.new_id(id), origin, report);
            }
        }
        let mut templates: Vec<_> =
            set.templates().map(|template| (walk::template_offset(template), template)).collect();
        templates.sort_by_key(|(offset, _)| *offset);
        for (offset, template) in templates {
            self.admit_template(template, Origin { place: place.clone(), offset }, report);
        }
    }

    /// The id, if the template may be loaded.
    fn admit_template(
        &mut self,
        template: &Template,
        origin: Origin,
        report: &mut Report,
    ) -> Option<PolicyId> {
        let depth = walk::template_depth(template);
        let id = self.named(template.annotation("id"), template.id());
        let id = self.admit(id, &walk::template_heading(template), depth, &origin, report)?;
        self.add_template(&template.new_id(id.clone()), origin, report);
        Some(id)
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
        heading: &Heading,
        depth: usize,
        origin: &Origin,
        report: &mut Report,
    ) -> Option<PolicyId> {
        let problem = |message: String| origin.error(message);
        if !origin.check_depth(depth, report) {
            return None;
        }
        if self.strictness == Strictness::Full {
            origin.check_annotations(heading, report);
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

    pub(super) fn is_reserved(&self, id: &str) -> bool {
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
        match self.joint.add(policy) {
            Ok(()) => {
                self.order.push(Member::Joint(id.clone()));
                self.origins.insert(id, origin);
            }
            Err(error) => report.push(origin.error(error.to_string())),
        }
    }

    fn add_template(&mut self, template: &Template, origin: Origin, report: &mut Report) {
        match self.joint.add_template(template.clone()) {
            Ok(()) => {
                self.origins.insert(template.id().clone(), origin);
            }
            Err(error) => report.push(origin.error(error.to_string())),
        }
    }

    /// The policies, ready to evaluate, in the order of the files.
    pub(super) fn compile(&mut self) -> Vec<PlacedPolicy> {
        let placed = std::mem::take(&mut self.order).into_iter().filter_map(|member| match member {
            Member::Single(compiled, origin) => Some(PlacedPolicy { compiled, origin, joint: false }),
            Member::Joint(id) => {
                let (policy, origin) = (self.joint.policy(&id)?, self.origins.get(&id)?.clone());
                let compiled = Arc::new(CompiledPolicy::new(policy, origin.locate()));
                Some(PlacedPolicy { compiled, origin, joint: true })
            }
        });
        placed.collect()
    }
}

/// A text's policies, if it parses and holds any. It has passed [`check_policies`].
pub(super) fn parse(place: &Place, strictness: Strictness, report: &mut Report) -> Option<PolicySet> {
    match PolicySet::from_str(place.text()) {
        Ok(set) if set.is_empty() && strictness == Strictness::Full => {
            let help =
                "an empty file is more often a failed write than an intention: delete it or restore it";
            report.push(Problem::error(place, "the file holds no policy").help(help));
            None
        }
        Ok(set) => Some(set),
        Err(errors) => {
            for error in errors.iter() {
                report.push(Problem::from_cedar(place, Severity::Error, error));
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

pub(super) fn reserved(id: &str) -> String {
    format!("`{id}` begins with `{EMERGENCY}`, which is kept for emergency forbids")
}

impl Origin {
    /// An error that points at the line the policy begins on.
    pub(super) fn error(&self, message: String) -> Problem {
        Problem::error(&self.place, message).at(self.line_span(), None)
    }

    /// Refuses a condition that is too deep. False if the policy must not go further.
    pub(super) fn check_depth(&self, depth: usize, report: &mut Report) -> bool {
        if depth <= MAX_POLICY_DEPTH {
            return true;
        }
        let message =
            format!("the condition is {depth} expressions deep; at most {MAX_POLICY_DEPTH} are accepted");
        report.push(self.error(message).help("split the policy, or test membership of a set"));
        false
    }

    /// Refuses annotations that ask for what this build would not do, or do not say what they should (C15).
    pub(super) fn check_annotations(&self, heading: &Heading, report: &mut Report) {
        let Heading { effect, annotations } = heading;
        for WrittenAnnotation { name, text, offset } in annotations {
            let at = Self { place: self.place.clone(), offset: self.offset + offset };
            if NOT_HONOURED.contains(&name.as_str()) {
                let message = format!(
                    "`@{name}` is not honoured by this build, and ignoring it would weaken the policy"
                );
                report.push(at.error(message));
            }
            if let Err(error) = Terms::of(*effect, [(name.as_str(), text.as_str())]) {
                report.push(at.error(error.to_string()).help(error.help()));
            }
        }
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

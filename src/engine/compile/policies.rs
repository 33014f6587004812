//! Policy files and links to one named policy set.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId, PolicySet, Template};
use foldhash::fast::RandomState;
use smol_str::SmolStr;

use super::Sources;
use super::checks::Findings;
use super::emergency::EMERGENCY;
use super::known::{CleanFile, Known};
use super::origin::Origin;
use super::parsing::{Opened, PolicyFile, in_order, open, parse};
use super::placed::{Placed, PlacedPolicy};
use super::single::{Examiner, Fresh, Segment, Single};
use crate::engine::cedar::walk::Heading;
use crate::engine::cedar::{CompiledPolicy, walk};
use crate::engine::generation::{PolicyIds, Strictness};
use crate::engine::guard::StackUnavailable;
use crate::engine::problem::{Place, Problem, Report, SourceFile};

/// Policies, each with the file it came from.
#[derive(Default)]
pub(super) struct LoadedPolicies {
    /// Those that were not looked at one by one, for Cedar's validator: templates and their links, emergency forbids.
    pub(super) joint: PolicySet,
    /// Where each policy, template and link stands, by its id.
    places: HashMap<SmolStr, Standing, RandomState>,
    /// Templates that were parsed by themselves.
    single_templates: HashSet<PolicyId>,
    /// In the order of the files.
    pub(super) order: Vec<Member>,
    /// Files that were taken over whole.
    taken: Vec<Arc<CleanFile>>,
    /// What was found in single policies.
    findings: Findings,
    /// The single policies in which nothing was.
    clean: Known,
    /// How much is asked of them.
    pub(super) strictness: Strictness,
}

/// A policy or a link, or a file of policies.
pub(super) enum Member {
    /// Policies that were all clean.
    File(Arc<CleanFile>),
    /// Looked at by itself.
    Single(Arc<CompiledPolicy>, Origin),
    /// One of the joint set.
    Joint(PolicyId),
}

/// Where a policy stands, as far as it must be known.
enum Standing {
    /// That one of `taken`.
    Taken(usize),
    Placed(Origin),
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
    let files: Vec<_> = sources.policies.iter().map(|file| open(file, examiner, &mut segments)).collect();
    let taken = files.iter().filter_map(|file| match file {
        Opened::Known(file) => Some((file.name(), file)),
        Opened::Text(_) | Opened::Refused(_) => None,
    });
    let taken = taken.collect();
    if strictness != Strictness::Full {
        // To the language, a policy may be called by its place among the others.
        segments.clear();
    }
    let mut singles = segments.iter().zip(examiner.examine(&segments, &taken)?);
    for file in &files {
        match file {
            Opened::Known(file) => loaded.add_known_file(file, report),
            Opened::Text(file) => {
                loaded.add_file(file, singles.by_ref().take(file.segments).collect(), report);
            }
            Opened::Refused(refused) => report.problems.extend(refused.problems.iter().cloned()),
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

impl LoadedPolicies {
    /// A file whose policies were all clean, if no id in it is used by now.
    fn add_known_file(&mut self, file: &Arc<CleanFile>, report: &mut Report) {
        if file.policies().iter().any(|policy| self.places.contains_key(&policy.id)) {
            for (policy, origin) in file.origins() {
                if let Some(policy) = self.add_known(policy, origin, report) {
                    self.clean.add_policy(&policy);
                }
            }
            return;
        }
        let number = self.taken.len();
        let ids = file.policies().iter().map(|policy| policy.id.clone());
        self.places.extend(ids.map(|id| (id, Standing::Taken(number))));
        self.taken.push(Arc::clone(file));
        self.order.push(Member::File(Arc::clone(file)));
        self.clean.add_file(Arc::clone(file));
    }

    fn add_file(&mut self, file: &PolicyFile<'_>, singles: Vec<(&Segment, Single)>, report: &mut Report) {
        if singles.is_empty() || singles.iter().any(|(_, single)| matches!(single, Single::Unclear)) {
            if let Some(set) = parse(&file.place, self.strictness, report) {
                self.add_parsed(&set, &file.place, report);
            }
            return;
        }
        let mut templates = Vec::new();
        let (first, count) = (self.order.len(), singles.len());
        let mut clean = Vec::new();
        for (segment, single) in singles {
            let origin = segment.origin();
            let offset = origin.offset;
            let added = match single {
                Single::Known(known) => self.add_known(&known, origin, report),
                Single::Fresh(fresh) => self.add_fresh(*fresh, origin, report),
                Single::Template(template) => {
                    templates.push((template, origin));
                    None
                }
                // Ruled out above.
                Single::Unclear => None,
            };
            clean.extend(added.map(|policy| (policy, offset)));
        }
        if clean.len() == count {
            let SourceFile { name, bytes } = file.source;
            let file = Arc::new(CleanFile::new(name, bytes.clone(), clean));
            self.order.truncate(first);
            self.order.push(Member::File(Arc::clone(&file)));
            return self.clean.add_file(file);
        }
        clean.iter().for_each(|(policy, _)| self.clean.add_policy(policy));
        for (template, origin) in templates {
            if let Some(id) = self.admit_template(&template, origin, report) {
                self.single_templates.insert(id);
            }
        }
    }

    /// The policy, if it is clean here too.
    fn add_known(
        &mut self,
        known: &Arc<CompiledPolicy>,
        origin: Origin,
        report: &mut Report,
    ) -> Option<Arc<CompiledPolicy>> {
        let id = self.unused(&known.id, &origin, report)?;
        let location = origin.locate();
        let policy =
            if known.location == location { Arc::clone(known) } else { Arc::new(known.at(location)) };
        self.add_single(id, Arc::clone(&policy), origin);
        Some(policy)
    }

    /// The policy, if it is clean.
    fn add_fresh(
        &mut self,
        fresh: Fresh,
        origin: Origin,
        report: &mut Report,
    ) -> Option<Arc<CompiledPolicy>> {
        let found = report.problems.len();
        let id = fresh.id.as_deref().filter(|id| !id.is_empty());
        let id = self.admit(id, &fresh.heading, fresh.depth, &origin, report);
        let (Some(id), Some((policy, findings))) = (id, fresh.checked) else { return None };
        let policy = Arc::new(policy);
        let is_clean = findings.is_clean() && report.problems.len() == found;
        self.findings.add(findings);
        self.add_single(id, Arc::clone(&policy), origin);
        is_clean.then_some(policy)
    }

    fn add_single(&mut self, id: PolicyId, policy: Arc<CompiledPolicy>, origin: Origin) {
        self.order.push(Member::Single(policy, origin.clone()));
        self.place(&id, origin);
    }

    /// Notes where something stands.
    pub(super) fn place(&mut self, id: &PolicyId, origin: Origin) {
        self.places.insert(SmolStr::new(id), Standing::Placed(origin));
    }

    /// Whether something is called so.
    pub(super) fn is_used(&self, id: &PolicyId) -> bool {
        let id: &str = id.as_ref();
        self.places.contains_key(id)
    }

    /// Where something stands.
    pub(super) fn origin(&self, id: &PolicyId) -> Option<Origin> {
        let id: &str = id.as_ref();
        match self.places.get(id)? {
            Standing::Placed(origin) => Some(origin.clone()),
            Standing::Taken(number) => {
                let mut origins = self.taken.get(*number)?.origins();
                origins.find(|(policy, _)| policy.id == id).map(|(_, origin)| origin)
            }
        }
    }

    /// What was found in the policies that were looked at one by one.
    pub(super) fn take_findings(&mut self) -> Findings {
        std::mem::take(&mut self.findings)
    }

    /// The policies that need not be looked at again.
    pub(super) fn take_clean(&mut self) -> Known {
        std::mem::take(&mut self.clean)
    }

    /// Where a policy of the joint set stands, and where its text begins that was parsed.
    pub(super) fn places_of(&self, id: &PolicyId) -> (Place, usize) {
        let template = self.joint.policy(id).and_then(Policy::template_id).unwrap_or(id);
        let parsed_alone = self.origin(template).filter(|_| self.single_templates.contains(template));
        let start = parsed_alone.map_or(0, |origin| origin.offset);
        match self.origin(id) {
            Some(origin) => (origin.place, start),
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
        if let Some(first) = self.origin(&id) {
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
                self.place(&id, origin);
            }
            Err(error) => report.push(origin.error(error.to_string())),
        }
    }

    fn add_template(&mut self, template: &Template, origin: Origin, report: &mut Report) {
        match self.joint.add_template(template.clone()) {
            Ok(()) => self.place(template.id(), origin),
            Err(error) => report.push(origin.error(error.to_string())),
        }
    }

    /// The policies, ready to evaluate, in the order of the files.
    pub(super) fn compile(&mut self) -> Vec<Placed> {
        let placed = std::mem::take(&mut self.order).into_iter().filter_map(|member| match member {
            Member::File(file) => Some(Placed::File(file)),
            Member::Single(compiled, origin) => {
                Some(Placed::Policy(PlacedPolicy { compiled, origin, joint: false }))
            }
            Member::Joint(id) => {
                let (policy, origin) = (self.joint.policy(&id)?, self.origin(&id)?);
                let compiled = Arc::new(CompiledPolicy::new(policy, origin.locate()));
                Some(Placed::Policy(PlacedPolicy { compiled, origin, joint: true }))
            }
        });
        placed.collect()
    }
}

pub(super) fn reserved(id: &str) -> String {
    format!("`{id}` begins with `{EMERGENCY}`, which is kept for emergency forbids")
}

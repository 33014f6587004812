//! The law of evaluation: prepared policies decide exactly what Cedar's own `Authorizer` decides, reasons and errors
//! included; from index and slice, on the language's published corpus and on generated worlds.

pub(super) mod generated;
mod keys;
mod stamps;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Entities, EntityUid, PolicyId, PolicySet, Request,
    SlotId, Template,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::catalog::ActionType;
use super::cedar::{CedarRecord, CompiledPolicy, Outcome, PolicyEffect, entities};
use super::compile::{Options, Sources, compile};
use super::decision::Decision as HopDecision;
use super::delegation::shown::Shown;
use super::entities::{EntityStore, StoredEntity};
use super::generation::{PolicyIds, Strictness};
use super::hearing::Hearing;
use super::parties::Parties;
use super::problem::SourceFile;
use super::question::Question;
use super::slice;
use super::soak_for_tests;
use super::supplied::Supplied;
use super::unknown::Unknown;
use super::world::World;

/// Allow or deny, satisfied policies of that side, and policies that failed.
type Verdict = (bool, BTreeSet<String>, BTreeSet<String>);

/// A world beside these schemas, by the language's rules.
fn bare(schemas: Vec<SourceFile>) -> World {
    let options = Options { strictness: Strictness::Language(PolicyIds::Position), ..Options::default() };
    let nothing =
        SourceFile { name: "one.cedar".into(), bytes: b"permit(principal, action, resource);".into() };
    compile(&Sources { policies: vec![nothing], schemas, ..Sources::default() }, &options).unwrap().world
}

/// The world that these policies and entities are, beside no schema.
fn world_of(policies: &PolicySet, stored: &Entities) -> World {
    static BARE: LazyLock<World> = LazyLock::new(|| bare(Vec::new()));
    world_beside(&BARE, policies, stored)
}

/// The world of a schema alone.
pub(super) fn world_of_schema(schema: &str) -> World {
    bare(vec![SourceFile { name: "s.cedarschema".into(), bytes: schema.as_bytes().into() }])
}

/// The world that these policies and entities are, beside the schema of another.
pub(super) fn world_beside(beside: &World, policies: &PolicySet, stored: &Entities) -> World {
    let mut store = EntityStore::default();
    for entity in stored.iter() {
        let (parents, attributes, tags) = entities::parts(entity).unwrap();
        let members = StoredEntity::new(parents, attributes.into_members(), tags.into_members());
        store.put(entity.uid(), members).unwrap();
    }
    let mut compiled: Vec<_> =
        policies.policies().map(|policy| Arc::new(CompiledPolicy::new(policy, ""))).collect();
    compiled.sort_by(|one, other| one.id.cmp(&other.id));
    World::new(Arc::new(beside.generation.with_policies(compiled)), store)
}

/// A request, understood by the language's rules.
fn question_of(request: &Request) -> Question {
    Question {
        principal: request.principal().unwrap().clone(),
        action: Arc::new(ActionType::bare(request.action().unwrap().clone())),
        resource: request.resource().unwrap().clone(),
        context: CedarRecord::of_context(request.context().unwrap()).unwrap(),
        references: Vec::new(),
        role: None,
        supplied: Supplied::default(),
        touched: Vec::new(),
        shown: Shown::default(),
        unknown: Unknown::default(),
    }
}

fn request_of((principal, action, resource, context): &Asked) -> Request {
    let context = Context::from_json_value(context.clone(), None).unwrap();
    Request::new(principal.clone(), action.clone(), resource.clone(), context, None).unwrap()
}

/// What a decision says, as far as answers tell it.
fn told(decision: &HopDecision) -> impl PartialEq + std::fmt::Debug + use<> {
    let ids: Vec<_> = decision.determining.iter().map(|policy| policy.id.clone()).collect();
    let failures = decision.errors.iter().map(|error| (error.policy.id.clone(), error.failure.summary));
    (decision.effect, decision.denial.clone(), ids, failures.collect::<Vec<_>>())
}

/// How much was looked at.
struct Looked {
    candidates: usize,
    sliced: usize,
    /// Candidates that were certain without Cedar's evaluator.
    swift: usize,
}

fn ours(world: &World, request: &Request) -> Verdict {
    decided(world, request).0
}

fn decided(world: &World, request: &Request) -> (Verdict, Looked) {
    let question = question_of(request);
    let parties = Parties::of(world, &question);
    let briefs = &world.generation.briefs;
    let covering = parties.candidates(world, &question);
    let plans = covering.iter().map(|place| briefs.plan(briefs.get(*place).unwrap()));
    let sight = slice::look(world, &question, &parties, plans).unwrap();
    let hearing = Hearing::new(world, &question, &sight);
    let scoped = parties.scoped(&question);
    let swift = covering.iter().filter(|place| hearing.swiftly(**place).is_some()).count();
    let looked = Looked { candidates: covering.len(), sliced: sight.found(), swift };
    let (mut permits, mut forbids, mut errors) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for place in covering {
        let policy = world.generation.policy(place).unwrap();
        let outcome = hearing.outcome(place);
        let trace = hearing.trace(&scoped, policy);
        assert!(trace.in_scope() && trace.outcome == outcome, "a trace decides what an evaluation does");
        match (outcome, policy.effect) {
            (Outcome::NotSatisfied, _) => continue,
            (Outcome::Satisfied, PolicyEffect::Permit) => permits.insert(policy.id.to_string()),
            (Outcome::Satisfied, PolicyEffect::Forbid) => forbids.insert(policy.id.to_string()),
            (Outcome::Failed(_), _) => errors.insert(policy.id.to_string()),
        };
    }
    let allow = forbids.is_empty() && !permits.is_empty();
    ((allow, if forbids.is_empty() { permits } else { forbids }, errors), looked)
}

fn cedars(policies: &PolicySet, entities: &Entities, request: &Request) -> Verdict {
    super::cedar::policy_tests::check_rebuilt(policies, entities, request);
    let response = Authorizer::new().is_authorized(request, policies, entities);
    let reasons = response.diagnostics().reason().map(ToString::to_string).collect();
    let errors = response
        .diagnostics()
        .errors()
        .map(|AuthorizationError::PolicyEvaluationError(error)| error.policy_id().to_string())
        .collect();
    (response.decision() == Decision::Allow, reasons, errors)
}

fn uid(value: &Value) -> EntityUid {
    EntityUid::from_json(value.clone()).unwrap()
}

fn names(value: &Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// The published corpus, or none with a loud word where it is not at hand.
fn corpus() -> Option<String> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/conformance");
    let folder = std::env::var("MANDATE_CONFORMANCE_DIR").unwrap_or_else(|_| default.to_owned());
    let file = PathBuf::from(folder).join("cedar-corpus-4.10-dev.jsonl.gz");
    let Ok(packed) = std::fs::File::open(&file) else {
        assert!(std::env::var_os("CI").is_none(), "{} is missing", file.display());
        eprintln!("SKIPPED: no conformance corpus at {}", file.display());
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    Some(text)
}

#[test]
fn the_published_corpus_comes_out_as_published() {
    let Some(corpus) = corpus() else { return };
    // Debug builds take a sample; release builds take all of it.
    let step = if cfg!(debug_assertions) { 20 } else { 1 };
    let mut requests = 0;
    for line in corpus.lines().step_by(step) {
        requests += check_corpus_line(&serde_json::from_str(line).unwrap());
    }
    assert!(requests > 1_000, "only {requests} requests were compared");
}

fn check_corpus_line(test: &Value) -> usize {
    let policies: PolicySet = test["policies"].as_str().unwrap().parse().unwrap();
    let entities = Entities::from_json_value(test["entities"].clone(), None).unwrap();
    let world = world_of(&policies, &entities);
    let requests = test["requests"].as_array().unwrap();
    for published in requests {
        let context = Context::from_json_value(published["context"].clone(), None).unwrap();
        let (principal, action, resource) =
            (uid(&published["principal"]), uid(&published["action"]), uid(&published["resource"]));
        let request = Request::new(principal, action, resource, context, None).unwrap();
        let expected =
            (published["decision"] == "allow", names(&published["reason"]), names(&published["errors"]));
        assert_eq!(ours(&world, &request), expected, "{}: {published}", test["id"]);
    }
    requests.len()
}

/// What a run of the law saw, so that it cannot hold for want of anything to decide.
#[derive(Default)]
struct Seen {
    requests: usize,
    policies: usize,
    candidates: usize,
    satisfied: usize,
    failed: usize,
    allowed: usize,
    sliced: usize,
    swift: usize,
}

impl Seen {
    /// Decides every request both ways.
    fn compare(
        &mut self,
        policies: &PolicySet,
        entities: &Entities,
        requests: &[Asked],
    ) -> Result<(), TestCaseError> {
        let world = world_of(policies, entities);
        for asked in requests {
            let request = request_of(asked);
            let (verdict, looked) = decided(&world, &request);
            prop_assert_eq!(&verdict, &cedars(policies, entities, &request), "{}", request);
            self.requests += 1;
            self.policies += policies.policies().count();
            self.candidates += looked.candidates;
            self.sliced += looked.sliced;
            self.swift += looked.swift;
            self.satisfied += verdict.1.len();
            self.failed += verdict.2.len();
            self.allowed += usize::from(verdict.0);
        }
        Ok(())
    }

    /// Between 1 and 20 % of the policies cover a request, and enough of them come out one way and another.
    #[track_caller]
    fn check(&self, failing: usize) {
        let share = self.candidates * 1_000 / self.policies;
        let failed = self.failed * 100 / self.candidates;
        let swift = self.swift * 100 / (self.candidates - self.failed);
        let satisfied = self.satisfied * 100 / self.candidates;
        println!(
            "{} requests: {} candidates of {} policies ({share} of 1,000), {failed} % failed, {satisfied} % determining, \
             {} allowed, {} entities looked at, {swift} % of the others swift",
            self.requests, self.candidates, self.policies, self.allowed, self.sliced
        );
        assert!(swift > 95, "of those that do not fail {swift} % are certain without Cedar's evaluator");
        assert!((10..=200).contains(&share), "{share} of 1,000 policies are candidates");
        assert!(failed >= failing, "only {failed} % of the candidates fail");
        assert!(satisfied >= 10, "only {satisfied} % of the candidates determine");
        assert!(
            self.allowed * 100 >= self.requests * 5,
            "only {} of {} are allowed",
            self.allowed,
            self.requests
        );
    }
}

type Asked = (EntityUid, EntityUid, EntityUid, Value);

const CASES: u32 = if cfg!(debug_assertions) { 24 } else { 400 };

#[test]
fn index_and_slice_decide_as_cedar_does_over_everything() {
    let sets = (
        vec(generated::policy(), 60..120),
        vec(generated::link(), 4..8),
        generated::entities(),
        vec(generated::request(), 40),
    );
    let run = soak_for_tests::runner(CASES).run(&sets, |(texts, links, entities, requests)| {
        let mut policies: PolicySet = texts.concat().parse().unwrap();
        for (place, (text, principal, resource)) in links.into_iter().enumerate() {
            let template = PolicyId::new(format!("template{place}"));
            policies.add_template(Template::parse(Some(template.clone()), text).unwrap()).unwrap();
            let values = HashMap::from([(SlotId::principal(), principal), (SlotId::resource(), resource)]);
            policies.link(template, PolicyId::new(format!("link{place}")), values).unwrap();
        }
        SEEN.with_borrow_mut(|seen| seen.compare(&policies, &entities, &requests))
    });
    run.unwrap();
    SEEN.with_borrow(|seen| seen.check(20));
}

#[test]
fn so_they_do_for_policies_that_the_validator_accepts() {
    let sets = (vec(generated::policy(), 150..250), generated::entities(), vec(generated::request(), 40));
    let run = soak_for_tests::runner(CASES / 2).run(&sets, |(texts, entities, requests)| {
        let policies = generated::validated(&texts);
        SEEN.with_borrow_mut(|seen| seen.compare(&policies, &entities, &requests))
    });
    run.unwrap();
    // Valid policies fail too: stored entities are missing.
    SEEN.with_borrow(|seen| seen.check(1));
}

thread_local! {
    static SEEN: RefCell<Seen> = RefCell::default();
}

#[test]
fn splitting_a_condition_keeps_every_policy_shareable() {
    fn shareable<T: Send + Sync>() {}
    shareable::<Arc<CompiledPolicy>>();
}

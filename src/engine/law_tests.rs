//! The law of evaluation: prepared policies decide exactly what Cedar's own `Authorizer` decides, reasons and errors
//! included; on the language's published corpus and on generated worlds.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::Value;

use super::catalog::ActionType;
use super::cedar::{CedarRecord, CompiledPolicy, Evaluation, Outcome, PolicyEffect, entities};
use super::compile::{Options, Sources, compile};
use super::entities::{EntityStore, StoredEntity};
use super::generation::{Generation, PolicyIds, Strictness};
use super::index::ScopeIndex;
use super::parties::Parties;
use super::problem::SourceFile;
use super::question::Question;
use super::slice;
use super::supplied::Supplied;
use super::world::World;

/// Allow or deny, satisfied policies of that side, and policies that failed.
type Verdict = (bool, BTreeSet<String>, BTreeSet<String>);

/// The world that these policies and entities are, beside no schema.
fn world_of(policies: &PolicySet, stored: &Entities) -> World {
    static BARE: LazyLock<World> = LazyLock::new(|| {
        let options = Options { strictness: Strictness::Language(PolicyIds::Position), ..Options::default() };
        let nothing =
            SourceFile { name: "one.cedar".into(), bytes: b"permit(principal, action, resource);".to_vec() };
        compile(&Sources { policies: vec![nothing], ..Sources::default() }, &options).unwrap().world
    });
    let mut store = EntityStore::default();
    for entity in stored.iter() {
        let (parents, attributes, tags) = entities::parts(entity).unwrap();
        let members = StoredEntity::new(parents, attributes.into_members(), tags.into_members());
        store.put(entity.uid(), members).unwrap();
    }
    let mut compiled: Vec<_> =
        policies.policies().map(|policy| Arc::new(CompiledPolicy::new(policy, ""))).collect();
    compiled.sort_by(|one, other| one.id.cmp(&other.id));
    let generation = Generation {
        index: ScopeIndex::of(&compiled),
        policies: compiled,
        ..BARE.generation.as_ref().clone()
    };
    World::new(Arc::new(generation), store)
}

fn ours(world: &World, request: &Request) -> Verdict {
    let question = Question {
        principal: request.principal().unwrap().clone(),
        action: Arc::new(ActionType::bare(request.action().unwrap().clone())),
        resource: request.resource().unwrap().clone(),
        context: CedarRecord::of_context(request.context().unwrap()).unwrap(),
        references: Vec::new(),
        supplied: Supplied::default(),
    };
    let parties = Parties::of(world, &question);
    let places = parties.candidates(world, &question);
    let candidates: Vec<_> = places.iter().map(|place| &world.generation.policies[*place as usize]).collect();
    let slice =
        slice::take(world, &question, &parties, candidates.iter().map(|policy| &*policy.plan)).unwrap();
    let (principal, action, resource) = (&question.principal, &question.action.uid, &question.resource);
    let evaluation = Evaluation::new(principal, action, resource, question.context.clone(), &slice);
    let scoped = parties.scoped(&question);
    let (mut permits, mut forbids, mut errors) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for policy in candidates {
        let outcome = evaluation.outcome(policy);
        let trace = evaluation.trace(&scoped, policy);
        assert!(trace.in_scope() && trace.outcome == outcome, "a trace decides what an evaluation does");
        match (outcome, policy.effect) {
            (Outcome::NotSatisfied, _) => continue,
            (Outcome::Satisfied, PolicyEffect::Permit) => permits.insert(policy.id.to_string()),
            (Outcome::Satisfied, PolicyEffect::Forbid) => forbids.insert(policy.id.to_string()),
            (Outcome::Failed(_), _) => errors.insert(policy.id.to_string()),
        };
    }
    let allow = forbids.is_empty() && !permits.is_empty();
    (allow, if forbids.is_empty() { permits } else { forbids }, errors)
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

/// Conditions over a small vocabulary: true, false, ill-typed, overflowing, missing, nested.
fn condition() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("1".to_owned()),
        Just("context.flag".to_owned()),
        Just("context.missing".to_owned()),
        Just("context.count > 1".to_owned()),
        Just("context.count + 9223372036854775807 > 0".to_owned()),
        Just("principal.level == 1".to_owned()),
        Just("resource.owner == principal".to_owned()),
        Just("principal in G::\"g0\"".to_owned()),
        Just("resource.owner in G::\"g1\"".to_owned()),
        Just("principal has level".to_owned()),
        Just("G::\"absent\" in G::\"g0\"".to_owned()),
    ];
    leaf.prop_recursive(4, 16, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("(if {a} then {b} else {c})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

fn policy() -> impl Strategy<Value = String> {
    let principal = prop_oneof![
        Just("principal"),
        Just("principal is U"),
        Just("principal == U::\"u0\""),
        Just("principal in G::\"g0\""),
        Just("principal is U in G::\"g1\""),
        Just("principal is X"),
    ];
    let action = prop_oneof![
        Just("action"),
        Just("action == Action::\"a0\""),
        Just("action in Action::\"all\""),
        Just("action in [Action::\"a1\", Action::\"all\"]"),
    ];
    let resource =
        prop_oneof![Just("resource"), Just("resource == R::\"r0\""), Just("resource in G::\"g2\"")];
    let clauses = proptest::collection::vec((any::<bool>(), condition()), 0..4);
    (any::<bool>(), principal, action, resource, clauses).prop_map(
        |(permit, principal, action, resource, clauses)| {
            let effect = if permit { "permit" } else { "forbid" };
            let clauses: String = clauses
                .into_iter()
                .map(|(when, body)| format!(" {} {{ {body} }}", if when { "when" } else { "unless" }))
                .collect();
            format!("{effect}({principal}, {action}, {resource}){clauses};")
        },
    )
}

fn world() -> Entities {
    let entities = serde_json::json!([
        {"uid": {"type": "U", "id": "u0"}, "attrs": {"level": 1}, "parents": [{"type": "G", "id": "g0"}]},
        {"uid": {"type": "U", "id": "u1"}, "attrs": {}, "parents": [{"type": "G", "id": "g1"}]},
        {"uid": {"type": "G", "id": "g0"}, "attrs": {}, "parents": [{"type": "G", "id": "g1"}]},
        {"uid": {"type": "G", "id": "g1"}, "attrs": {}, "parents": []},
        {"uid": {"type": "R", "id": "r0"}, "attrs": {"owner": {"__entity": {"type": "U", "id": "u0"}}},
         "parents": [{"type": "G", "id": "g2"}]},
        {"uid": {"type": "R", "id": "r1"}, "attrs": {"owner": {"__entity": {"type": "U", "id": "gone"}}}, "parents": []},
        {"uid": {"type": "Action", "id": "a0"}, "attrs": {}, "parents": [{"type": "Action", "id": "all"}]},
        {"uid": {"type": "Action", "id": "a1"}, "attrs": {}, "parents": []},
        {"uid": {"type": "Action", "id": "all"}, "attrs": {}, "parents": []}
    ]);
    Entities::from_json_value(entities, None).unwrap()
}

fn entity(kind: &str, id: &str) -> EntityUid {
    format!("{kind}::\"{id}\"").parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_worlds_come_out_as_cedar_decides_them(
        policies in proptest::collection::vec(policy(), 50..60),
        flag in any::<bool>(),
        count in 0_i64..4,
    ) {
        let policies: PolicySet = policies.concat().parse().unwrap();
        let entities = world();
        let world = world_of(&policies, &entities);
        for principal in ["u0", "u1", "u2"] {
            for action in ["a0", "a1", "all"] {
                for resource in ["r0", "r1", "r2"] {
                    let context = serde_json::json!({"flag": flag, "count": count});
                    let context = Context::from_json_value(context, None).unwrap();
                    let (p, a, r) = (entity("U", principal), entity("Action", action), entity("R", resource));
                    let request = Request::new(p, a, r, context, None).unwrap();
                    prop_assert_eq!(
                        ours(&world, &request),
                        cedars(&policies, &entities, &request)
                    );
                }
            }
        }
    }
}

#[test]
fn generated_worlds_are_worth_deciding() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let policies = proptest::collection::vec(policy(), 500).new_tree(&mut runner).unwrap().current();
    let policies: PolicySet = policies.concat().parse().unwrap();
    let context = Context::from_json_value(serde_json::json!({"flag": true, "count": 2}), None).unwrap();
    let request =
        Request::new(entity("U", "u0"), entity("Action", "a0"), entity("R", "r0"), context, None).unwrap();
    let (_, reasons, errors) = ours(&world_of(&policies, &world()), &request);
    assert!(reasons.len() > 25, "only {} of 500 policies are satisfied", reasons.len());
    assert!(errors.len() > 25, "only {} of 500 policies fail", errors.len());
}

#[test]
fn splitting_a_condition_keeps_every_policy_shareable() {
    fn shareable<T: Send + Sync>() {}
    shareable::<Arc<CompiledPolicy>>();
}

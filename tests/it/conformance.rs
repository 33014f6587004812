//! Tests that others publish of the Cedar language, through engine, cache and gRPC; and that the harness would notice.

// What the example runs by hand, too.
#[path = "../../examples/conformance/harness/mod.rs"]
mod harness;

use std::fs;
use std::path::PathBuf;

use harness::bundle::Bundle;
use harness::tally::{Surface, Tally};
use harness::{Harness, read};
use serde_json::{Value, json};

/// The published data, or none with a loud word where it is not at hand.
fn published(name: &str) -> Option<Vec<Bundle>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/conformance");
    let folder = std::env::var("MANDATE_CONFORMANCE_DIR").unwrap_or_else(|_| default.to_owned());
    let path = PathBuf::from(folder).join(name);
    if !path.exists() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing", path.display());
        eprintln!("SKIPPED: no conformance data at {}", path.display());
        return None;
    }
    Some(read(&path).unwrap())
}

fn run(bundles: impl IntoIterator<Item = Bundle>) -> Tally {
    let bundles: Vec<_> = bundles.into_iter().collect();
    let runtime = mandate::app::runtime().unwrap();
    let checked = runtime.spawn(async move {
        let mut harness = Harness::start(10).await.unwrap();
        for bundle in &bundles {
            harness.check(bundle).await;
        }
        harness.stop().await.unwrap()
    });
    runtime.block_on(checked).unwrap()
}

/// Fails unless everything passed, and so many questions were asked on every surface that decides.
#[track_caller]
fn check_passed(tally: &Tally, questions: usize) {
    assert_eq!(tally.failed(), 0, "{tally}");
    for surface in Surface::DECIDING {
        assert_eq!(tally.count(surface).passed, questions, "{surface:?}: {tally}");
    }
}

fn questions(bundles: &[Bundle]) -> usize {
    bundles.iter().map(|bundle| bundle.cases.len()).sum()
}

#[test]
fn the_published_corpus_comes_out_as_published() {
    let Some(bundles) = published("cedar-corpus-4.10-dev.jsonl.gz") else { return };
    // Debug builds take a sample; `make release-hostile` takes all of it.
    let step = if cfg!(debug_assertions) { 20 } else { 1 };
    eprintln!("taking one of {step} of {} published tests", bundles.len());
    let bundles: Vec<_> = bundles.into_iter().step_by(step).collect();
    let questions = questions(&bundles);
    assert!(questions > 1_000, "only {questions} questions");
    let tally = run(bundles);
    check_passed(&tally, questions);
    assert_eq!(tally.count(Surface::Fit).passed, questions, "{tally}");
    assert_eq!((tally.unjudged, tally.unremembered, tally.without_schema.len()), (0, 0, 0), "{tally}");
}

#[test]
fn tests_written_by_hand_come_out_as_published() {
    let Some(bundles) = published("cedar-handwritten") else { return };
    let questions = questions(&bundles);
    assert!(questions > 50, "only {questions} questions");
    let tally = run(bundles);
    check_passed(&tally, questions);
    assert_eq!((tally.unjudged, tally.unremembered, tally.without_schema.len()), (0, 0, 0), "{tally}");
}

#[test]
fn example_applications_come_out_as_published() {
    let Some(bundles) = published("cedar-examples") else { return };
    let questions = questions(&bundles);
    assert!(questions > 25, "only {questions} questions");
    let tally = run(bundles);
    check_passed(&tally, questions);
    // The entities of two do not fit their schemas.
    let names: Vec<_> =
        tally.without_schema.iter().map(|name| name.rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["document_cloud", "github_example"]);
}

const SCHEMA: &str = r#"
    entity Group in [Group];
    entity User in [Group] = { level: Long };
    entity Doc = { owner?: User };
    action all;
    action view in [all] appliesTo { principal: User, resource: Doc, context: { n: Long, from?: ipaddr, at?: datetime } };
"#;

/// A test as the corpus packs it: `ana` may view `plan`, which one policy permits and one cannot be evaluated on.
fn packed() -> Value {
    json!({
        "id": "one",
        "policies": "permit(principal, action in Action::\"all\", resource) when { context.n > 1 };
                     forbid(principal, action, resource) when { resource.owner.level == 9 };
                     forbid(principal, action, resource) when { context.n > 5 };",
        "schema": SCHEMA,
        "entities": [
            {"uid": {"type": "User", "id": "ana"}, "attrs": {"level": 1}, "parents": []},
            {"uid": {"__entity": {"type": "Doc", "id": "plan"}}, "attrs": {}, "parents": []},
        ],
        "shouldValidate": false,
        "requests": [{
            "description": "the only one",
            "principal": {"type": "User", "id": "ana"},
            "action": {"__entity": {"type": "Action", "id": "view"}},
            "resource": {"type": "Doc", "id": "plan"},
            "context": {"n": 2},
            "decision": "allow",
            "reason": ["policy0"],
            "errors": ["policy1"],
        }],
    })
}

/// The packed test with values in other places.
fn changed(changes: &[(&str, Value)]) -> Value {
    let mut test = packed();
    for (at, value) in changes {
        let (parent, member) = at.rsplit_once('/').unwrap();
        test.pointer_mut(parent).unwrap()[member] = value.clone();
    }
    test
}

/// Reads packed tests as the harness reads any.
fn unpacked(tests: &[Value]) -> Vec<Bundle> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tests.jsonl");
    fs::write(&file, tests.iter().map(|test| format!("{test}\n")).collect::<String>()).unwrap();
    read(&file).unwrap()
}

#[test]
fn a_wrong_expectation_fails_wherever_it_is_looked_at() {
    check_passed(&run(unpacked(&[packed()])), 1);
    for wrong in [
        ("/requests/0/decision", json!("deny")),
        ("/requests/0/reason", json!([])),
        ("/requests/0/reason", json!(["policy0", "policy2"])),
        ("/requests/0/errors", json!([])),
        ("/requests/0/errors", json!(["policy1", "policy2"])),
    ] {
        let tally = run(unpacked(&[changed(std::slice::from_ref(&wrong))]));
        for surface in Surface::DECIDING {
            assert_eq!(tally.count(surface).failed, 1, "{surface:?} does not notice {wrong:?}");
        }
        assert_eq!(tally.failed(), Surface::DECIDING.len(), "{wrong:?}: {tally}");
    }
    for (surface, wrong) in [
        (Surface::Validation, ("/shouldValidate", json!(true))),
        (Surface::Validation, ("/shouldValidate_4_14", json!(true))),
        (Surface::Fit, ("/requests/0/principal/type", json!("Group"))),
        (Surface::Fit, ("/requests/0/context", json!({"n": 2, "m": 2}))),
        (Surface::Fit, ("/requests/0/context", json!({"n": 2, "from": "nowhere"}))),
    ] {
        let tally = run(unpacked(&[changed(std::slice::from_ref(&wrong))]));
        assert_eq!((tally.count(surface).failed, tally.failed()), (1, 1), "{wrong:?}: {tally}");
    }
}

#[test]
fn what_cannot_be_loaded_or_asked_fails_and_is_not_left_out() {
    for wrong in [
        ("/policies", json!("permit(principal, action, nonsense);")),
        (
            "/entities",
            json!([{"uid": {"type": "User", "id": "ana"}, "attrs": {"x": {"__extn": 1}}, "parents": []}]),
        ),
        ("/requests/0/context", json!({"n": null})),
        ("/requests/0/context", json!([])),
        ("/requests/0/principal/type", json!("no name")),
    ] {
        let tally = run(unpacked(&[changed(std::slice::from_ref(&wrong))]));
        for surface in Surface::DECIDING {
            assert_eq!(tally.count(surface).failed, 1, "{surface:?} passes {wrong:?}");
        }
    }
}

#[test]
fn everything_the_language_allows_is_decided() {
    let name = "ü\u{1f512}\u{feff}\"\\".repeat(200);
    let wide: Vec<_> = (0..3000)
        .map(|n| format!("permit(principal, action, resource) when {{ context.n == {n} }};"))
        .collect();
    let deep = (0..100).fold(json!(2), |inner, _| json!({"in": inner}));
    let chain: Vec<_> = (0..300)
        .map(|n| {
            let parents =
                if n == 0 { json!([]) } else { json!([{"type": "Group", "id": (n - 1).to_string()}]) };
            json!({"uid": {"type": "Group", "id": n.to_string()}, "attrs": {}, "parents": parents})
        })
        .collect();
    let unfit = ("/requests/0/validateRequest", json!(false));
    let valid = ("/shouldValidate", json!(true));
    let silent = [("/requests/0/reason", json!([])), ("/requests/0/errors", json!([]))];
    let tests = [
        // An instant beyond the years that have four digits, as Cedar writes it.
        vec![("/requests/0/context", json!({"n": 2, "at": {"__extn": {"fn": "offset", "args": [
            {"__extn": {"fn": "datetime", "arg": "1970-01-01"}},
            {"__extn": {"fn": "duration", "arg": "1953240270903270172ms"}},
        ]}}}))],
        // Nothing is stored, and the reference in the entity that is not there fails.
        vec![("/entities", json!([]))],
        // Many policies, by position.
        vec![("/policies", json!(wide.concat())), ("/requests/0/reason", json!(["policy2"])), silent[1].clone(), valid.clone()],
        // No policy.
        vec![("/policies", json!("")), ("/requests/0/decision", json!("deny")), silent[0].clone(), silent[1].clone(), valid.clone()],
        // Ids that are long and hostile, of entities that are not stored.
        vec![("/requests/0/principal/id", json!(name)), ("/requests/0/resource/id", json!(""))],
        // An action and types that the schema does not declare, and attributes of other types.
        vec![unfit.clone(), ("/requests/0/principal/type", json!("A::B::Stranger"))],
        vec![
            unfit.clone(),
            ("/policies", json!("permit(principal, action == Other::Action::\"x\", resource) when { context.a.isLoopback() && context.b == Q::\"q\" && context.now == 1};")),
            ("/requests/0/action/__entity", json!({"type": "Other::Action", "id": "x"})),
            ("/requests/0/context", json!({"a": {"__extn": {"fn": "ip", "arg": "127.0.0.1"}}, "b": {"__entity": {"type": "Q", "id": "q"}}, "now": 1})),
            silent[1].clone(),
        ],
        // A context that is deeper and larger than any request may have.
        vec![unfit.clone(), ("/requests/0/context", json!({"n": 2, "deep": deep, "large": "x".repeat(150_000)}))],
        // No schema.
        vec![
            ("/schema", Value::Null),
            // Anything of it may be read, and all of it is too much to remember.
            ("/requests/0/context", json!({"n": 2, "large": "x".repeat(20_000)})),
            ("/policies", json!("permit(principal, action, resource) when { context.n > 1 }; forbid(principal, action, resource) when { resource.owner.level == 9 };")),
        ],
        // A hierarchy that is deeper than any store may have, given twice.
        vec![
            ("/entities", json!([chain.clone(), chain, vec![json!({"uid": {"type": "User", "id": "ana"}, "attrs": {"level": 1}, "parents": [{"type": "Group", "id": "299"}]})]].concat())),
            ("/policies", json!("permit(principal in Group::\"0\", action, resource);")),
            silent[1].clone(),
            valid.clone(),
        ],
        // Policies as JSON, their ids their own.
        vec![
            ("/policies", json!({"staticPolicies": {"a b\"c": {"effect": "permit", "principal": {"op": "All"}, "action": {"op": "All"}, "resource": {"op": "All"}, "conditions": []}}, "templates": {}, "templateLinks": []})),
            ("/requests/0/reason", json!(["a b\"c"])),
            silent[1].clone(),
            valid,
        ],
        // A set that can never apply, names that nobody declared, and annotations that Mandate does not honour.
        vec![
            ("/policies", json!("@audit permit(principal, action, resource); @obligation(\"x\") forbid(principal in Nobody::\"x\", action == Action::\"all\", resource); @id(\"emergency:x\") forbid(principal is User in ?principal, action, resource);")),
            silent[1].clone(),
        ],
    ];
    let tests: Vec<_> = tests.iter().map(|changes| changed(changes)).collect();
    let tally = run(unpacked(&tests));
    let failed = [Surface::Validation, Surface::Fit].map(|surface| tally.count(surface).failed);
    for surface in Surface::DECIDING {
        assert_eq!(
            (tally.count(surface).passed, tally.count(surface).failed),
            (tests.len(), 0),
            "{surface:?}: {tally}"
        );
    }
    assert_eq!(failed, [0, 0], "{tally}");
    assert_eq!((tally.unjudged, tally.unremembered), (1, 1), "{tally}");
}

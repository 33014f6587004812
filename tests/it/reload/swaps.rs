//! ConfigMaps, swapped as the kubelet swaps them.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{PATIENCE, PERMIT, Pair, RATE, entities, hide, hiding, questions};
use crate::support::{Load, Mount, Process, SMALL_SCHEMA, Sources, Truth, doc};

/// Swaps of a test that must not take longer than [`TIME`].
const SWAPS: usize = 1000;
/// What is compiled without optimisation, and shares the machine with other tests, may take longer.
const TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 90 } else { 30 });
/// The same for one swap.
const SOON: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 2 });

/// Three volumes, the policies in one that a test swaps.
fn mounted(sources: &Sources, hidden: &str) -> Mount {
    drop(Mount::new(sources.path("schemas"), &[("small.cedarschema", SMALL_SCHEMA)]));
    drop(Mount::new(sources.path("entities"), &[("base.json", entities().to_string())]));
    Mount::new(sources.path("policies"), &policies(hidden))
}

/// Several files that all say which set they are of: a mixture of two sets is a generation nobody knows.
fn policies(hidden: &str) -> Vec<(String, String)> {
    let marked = |at: usize| {
        let text = format!("// {hidden}\n@id(\"p{at}\")\npermit (principal, action, resource);\n");
        (format!("p{at}.cedar"), text)
    };
    let mut files: Vec<_> = (0..8).map(marked).collect();
    files.push(("z.cedar".to_owned(), hide(hidden)));
    files
}

/// What the two sets compile to.
fn learn() -> Pair {
    let generation = |hidden: &str| {
        let sources = hiding(hidden).without("policies/base.cedar");
        policies(hidden).iter().for_each(|(name, text)| sources.put(&format!("policies/{name}"), text));
        sources.generation()
    };
    Pair { plan_hidden: generation("plan"), notes_hidden: generation("notes") }
}

#[test]
fn a_thousand_swaps_are_served_whole_and_leave_nothing_behind() {
    let pair = learn();
    let sources = Sources::empty();
    let mut mount = mounted(&sources, "plan");
    let process = Process::start(&sources);
    let load = Load::of(&process.data, RATE, questions());
    load.until(PATIENCE, |call| call.is_of(&pair.plan_hidden));
    let begun = Instant::now();
    let (mut swaps, mut settled) = (0, None);
    while swaps < SWAPS && begun.elapsed() < TIME {
        // Ten back to back, while others are being read; then one that must be served before the next.
        for at in 0..9 {
            mount.swap(&policies(if at % 2 == 0 { "notes" } else { "plan" }));
            std::thread::sleep(Duration::from_millis(2));
        }
        swaps += 10;
        let odd = swaps / 10 % 2 == 0;
        mount.swap(&policies(if odd { "notes" } else { "plan" }));
        let expected = if odd { &pair.notes_hidden } else { &pair.plan_hidden };
        let took = load.until(PATIENCE, |call| call.is_of(expected));
        assert!(took < SOON, "a swap was served after {took:?} only");
        if swaps >= 100 {
            settled.get_or_insert_with(|| (process.memory(), process.open_files()));
        }
    }
    let elapsed = begun.elapsed();
    mount.swap(&policies("plan"));
    mount.swap(&policies("notes"));
    let took = load.until(SOON, |call| call.is_of(&pair.notes_hidden));
    let calls = load.finish();
    let answered = pair.truth().check(&calls);
    assert!(answered.len() == 2, "both were served: {answered:?}");
    let (memory, files) = settled.expect("a hundred swaps");
    let (now, files_now) = (process.memory(), process.open_files());
    let published = process.metric("pdp_reloads_total{outcome=\"published\"}");
    eprintln!(
        "{swaps} swaps in {elapsed:?}, {published} published; {answered:?}; last after {took:?}; \
         memory {memory} -> {now}; files {files} -> {files_now}"
    );
    assert_eq!(swaps, SWAPS, "in {elapsed:?}");
    assert_eq!(process.metric("pdp_reloads_total{outcome=\"rejected\"}"), 0.0, "{}", process.said());
    assert!(now <= memory + memory / 10 + (6 << 20), "memory grew from {memory} to {now}");
    assert!(files_now <= files + 2, "open files grew from {files} to {files_now}");
    process.terminate().check_code(0);
}

/// Policies, schema and entities that need each other, in volumes that are swapped one after the other.
#[test]
fn volumes_swapped_one_after_the_other_are_never_served_mixed() {
    let newer_schema = SMALL_SCHEMA.replace("level: Long, next", "level: Long, secret: Bool, next");
    let newer_policy = PERMIT.to_owned()
        + "@id(\"secret\")\nforbid (principal, action, resource is Mandate::Doc) when { resource.secret };\n";
    let mut newer_entities = json!([crate::support::user("ana"), doc("plan", &[]), doc("notes", &[])]);
    newer_entities[1]["attrs"]["secret"] = json!(false);
    newer_entities[2]["attrs"]["secret"] = json!(true);
    let newer = Sources::empty()
        .schema("small.cedarschema", &newer_schema)
        .policy("base.cedar", &newer_policy)
        .entities("base.json", &newer_entities)
        .generation();
    let older = learn().plan_hidden;
    let sources = Sources::empty();
    let mut policies_mount = mounted(&sources, "plan");
    let schema = |text: &str| vec![("small.cedarschema", text.to_owned())];
    let mut schemas = Mount::new(sources.path("schemas"), &schema(SMALL_SCHEMA));
    let mut seeds = Mount::new(sources.path("entities"), &[("base.json", entities().to_string())]);
    let process = Process::start(&sources);
    let load = Load::of(&process.data, RATE, questions());
    load.until(PATIENCE, |call| call.is_of(&older));
    for back in [false, true, false] {
        let (policy, text, data, expected) = if back {
            (policies("plan"), SMALL_SCHEMA.to_owned(), entities(), &older)
        } else {
            (
                vec![("base.cedar".to_owned(), newer_policy.clone())],
                newer_schema.clone(),
                newer_entities.clone(),
                &newer,
            )
        };
        // Each order begins with what does not fit the rest.
        if back {
            schemas.swap(&schema(&text));
            super::pause(300);
            policies_mount.swap(&policy);
        } else {
            policies_mount.swap(&policy);
            super::pause(300);
            schemas.swap(&schema(&text));
        }
        super::pause(300);
        seeds.swap(&[("base.json", data.to_string())]);
        load.until(PATIENCE, |call| call.is_of(expected));
    }
    let truth = Truth::default().and(&older, &[false, true]).and(&newer, &[true, false]);
    assert_eq!(truth.check(&load.finish()).len(), 2);
    assert!(process.metric("pdp_reloads_total{outcome=\"rejected\"}") >= 3.0);
    super::status_where(&process, PATIENCE, |status| status["serving_stale"] == false);
}

/// One volume for everything, as `items` with paths make it: what moves is the link above the source folders.
#[test]
fn a_volume_that_holds_all_folders_is_swapped_as_one_and_seen_at_once() {
    let files = |hidden: &str| {
        let sources = hiding(hidden);
        let text = |path: &str| (path.to_owned(), std::fs::read_to_string(sources.path(path)).unwrap());
        let mut files =
            ["policies/base.cedar", "schemas/small.cedarschema", "entities/base.json"].map(text).to_vec();
        files.push(("mandate.sum".to_owned(), sources.manifest()));
        files
    };
    let pair = Pair::learn();
    let sources = Sources::empty().without("policies").without("schemas").without("entities");
    let mut mount = Mount::new(sources.path("."), &files("plan"));
    let process = Process::try_start_with(&sources, &["MANDATE__RELOAD__POLL=30s"]).unwrap();
    let load = Load::of(&process.data, RATE, questions());
    load.until(PATIENCE, |call| call.is_of(&pair.plan_hidden));
    let mut took = Vec::new();
    for (hidden, expected) in [("notes", &pair.notes_hidden), ("plan", &pair.plan_hidden)].repeat(5) {
        // Longer than what the loader does of its own accord after a load.
        super::pause(500);
        // Two at once: the second comes while the first is being read.
        mount.swap(&files(if hidden == "plan" { "notes" } else { "plan" }));
        mount.swap(&files(hidden));
        took.push(load.until(Duration::from_secs(5), |call| call.is_of(expected)));
    }
    eprintln!("seen after {took:?}");
    assert_eq!(pair.truth().check(&load.finish()).len(), 2);
}

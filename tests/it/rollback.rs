//! Rollbacks and emergency forbids: the command line against a running server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::reload::{PATIENCE, PERMIT, Pair, QUICK, hide, hiding, pause, questions, start, status_where};
use crate::support::{Process, Sources, Truth, is_allow, mandate};

const POLICY: &str = "policies/base.cedar";
const EMERGENCY: &str = "forbid (principal, action, resource);\n";

fn with_hidden(hidden: &str) -> String {
    PERMIT.to_owned() + &hide(hidden)
}

/// Digits that name a generation.
fn prefix(generation: &str) -> &str {
    &generation["sha256:".len()..][..8]
}

fn kept(status: &Value) -> Vec<String> {
    let sets = status["kept"].as_array().expect("a list");
    sets.iter()
        .map(|set| set["generations"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned())
        .collect()
}

/// Which of the two questions are allowed.
fn allowed(process: &Process) -> Vec<bool> {
    let client = process.client();
    questions().into_iter().map(|question| is_allow(&client.authorize(question).unwrap())).collect()
}

#[test]
fn a_rollback_holds_over_restarts_until_the_files_change() {
    let pair = Pair::learn();
    let sources = hiding("plan");
    let (process, load) = start(&sources, &QUICK);
    sources.put(POLICY, with_hidden("notes"));
    load.until(PATIENCE, |call| call.is_of(&pair.notes_hidden));
    status_where(&process, PATIENCE, |status| {
        kept(status) == [pair.notes_hidden.clone(), pair.plan_hidden.clone()]
    });
    let finished = process.command(&["rollback", prefix(&pair.plan_hidden)]);
    finished.check_code(0);
    assert!(finished.stdout.contains(&pair.plan_hidden), "{finished:?}");
    // Answered: the next answer is of it.
    assert_eq!(allowed(&process), [false, true]);
    let status = process.status();
    assert_eq!((&status["source"], &status["serving_stale"]), (&"rollback".into(), &true.into()));
    assert_eq!(status["pinned"]["generation"], pair.plan_hidden.as_str());
    // Touched is not changed.
    sources.put(POLICY, with_hidden("notes"));
    pause(600);
    assert_eq!(process.status()["generation"], pair.plan_hidden.as_str());
    pair.truth().check(&load.finish());
    process.terminate().check_code(0);

    let (process, load) = start(&sources, &QUICK);
    assert!(process.announced.contains("WARNING") && process.announced.contains("a rollback holds"));
    load.until(PATIENCE, |call| call.is_of(&pair.plan_hidden));
    pause(600);
    assert_eq!(process.status()["source"], "rollback");
    sources.put(POLICY, "broken");
    let status = status_where(&process, PATIENCE, |status| status["last_load"]["outcome"] == "rejected");
    assert_eq!(status["generation"], pair.plan_hidden.as_str(), "{status:#}");
    sources.put(POLICY, with_hidden("notes"));
    load.until(PATIENCE, |call| call.is_of(&pair.notes_hidden));
    let status = status_where(&process, PATIENCE, |status| status["source"] == "files");
    assert!(status["pinned"].is_null());
    pair.truth().check(&load.finish());
}

#[test]
fn a_rollback_that_is_released_serves_the_files() {
    let pair = Pair::learn();
    let sources = hiding("plan");
    let (process, load) = start(&sources, &QUICK);
    process.command(&["rollback", "--release"]).check_code(1);
    sources.put(POLICY, with_hidden("notes"));
    load.until(PATIENCE, |call| call.is_of(&pair.notes_hidden));
    process.command(&["rollback", &pair.plan_hidden]).check_code(0);
    load.until(PATIENCE, |call| call.is_of(&pair.plan_hidden));
    let finished = process.command(&["rollback", "--release", "--format", "json"]);
    finished.check_code(0);
    assert_eq!(finished.json()["generation"], pair.notes_hidden.as_str());
    assert_eq!(allowed(&process), [true, false]);
    assert_eq!(process.status()["source"], "files");
    pair.truth().check(&load.finish());
}

#[test]
fn a_rollback_that_is_not_entitled_or_names_nothing_changes_nothing() {
    let pair = Pair::learn();
    let sources = hiding("plan");
    let (process, load) = start(&sources, &QUICK);
    sources.put(POLICY, with_hidden("notes"));
    load.until(PATIENCE, |call| call.is_of(&pair.notes_hidden));
    for (name, saying) in [
        ("0123456789", "no kept set"),
        ("abc", "names no generation"),
        ("not-hex-at-all", "names no generation"),
    ] {
        let finished = process.command(&["rollback", name]);
        finished.check_code(1);
        assert!(finished.stderr.contains(saying), "{name}: {finished:?}");
    }
    let good = prefix(&pair.plan_hidden);
    let token = sources.path("data/control.token");
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("control.token");
    let attempt = || {
        let address = process.control.trim_start_matches("http://").to_owned();
        let folder = elsewhere.path().display().to_string();
        mandate(["rollback", good, "--control", &address, "--data-dir", &folder])
    };
    let check = |saying: &str| {
        let finished = attempt();
        finished.check_code(1);
        assert!(finished.stderr.contains(saying), "{saying}: {finished:?}");
    };
    check("control.token");
    fs::write(&copy, fs::read_to_string(&token).unwrap()).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o640)).unwrap();
    check("chmod 600");
    fs::write(&copy, "0".repeat(64)).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
    check("token");
    assert_eq!(process.status()["generation"], pair.notes_hidden.as_str());
    let calls = load.finish();
    pair.truth().check(&calls);
    fs::write(&copy, fs::read_to_string(&token).unwrap()).unwrap();
    attempt().check_code(0);
}

/// A server whose files hide the plan, with an emergency forbid of everything in force.
#[test]
fn an_emergency_forbid_outlasts_rollbacks_broken_files_and_its_folder() {
    let pair = Pair::learn();
    let sources = hiding("notes");
    fs::create_dir(sources.path("emergency")).unwrap();
    let (process, load) = start(&sources, &QUICK);
    sources.put(POLICY, with_hidden("plan"));
    load.until(PATIENCE, |call| call.is_of(&pair.plan_hidden));
    // It lands while the files are broken.
    sources.put(POLICY, "broken");
    status_where(&process, PATIENCE, |status| status["serving_stale"] == true);
    sources.put("emergency/all.cedar", EMERGENCY);
    let denied = |call: &crate::support::Call| {
        call.outcome.as_ref().is_ok_and(|answer| {
            answer.determining_policies.iter().any(|policy| policy.policy_id == "emergency:all.cedar#1")
        })
    };
    load.until(PATIENCE, denied);
    let from = std::time::Instant::now();
    // What the loader says of itself follows when it has written what must outlive it.
    status_where(&process, PATIENCE, |status| status["emergency"]["policies"] == 1);
    assert_eq!(process.metric("pdp_emergency_policies"), 1.0);
    process.command(&["rollback", prefix(&pair.notes_hidden)]).check_code(0);
    pause(300);
    // The folder itself goes; then what was rolled back to is released, with files that are good and newer.
    fs::remove_dir_all(sources.path("emergency")).unwrap();
    pause(300);
    process.command(&["rollback", "--release"]).check_code(0);
    sources.put(POLICY, PERMIT);
    let begun = status_where(&process, PATIENCE, |status| {
        status["source"] == "files" && status["serving_stale"] == false
    });
    assert_eq!(begun["emergency"]["files"][0], "all.cedar");
    pause(300);
    let calls = load.finish();
    let later: Vec<_> = calls.iter().filter(|call| call.asked >= from).collect();
    assert!(later.len() > 50);
    for call in &later {
        let answer = call.outcome.as_ref().unwrap();
        assert!(!is_allow(answer), "{answer:?}");
        assert!(denied(call), "{answer:?}");
    }
    let earlier: Vec<_> = calls.iter().filter(|call| call.asked < from && !denied(call)).cloned().collect();
    pair.truth().check(&earlier);
    process.crash();
    // Without its folder, with good files and with broken ones: it holds.
    for text in [PERMIT, "broken"] {
        sources.put(POLICY, text);
        let process = Process::try_start_with(&sources, &QUICK).unwrap();
        assert_eq!(allowed(&process), [false, false], "{text}");
        process.crash();
    }
    // An empty folder lifts it.
    sources.put(POLICY, PERMIT);
    fs::create_dir(sources.path("emergency")).unwrap();
    let process = Process::try_start_with(&sources, &QUICK).unwrap();
    assert_eq!(allowed(&process), [true, true]);
}

#[test]
fn the_answer_to_a_rollback_under_load_divides_the_answers() {
    let pair = Pair::learn();
    let sources = hiding("plan");
    let (process, load) = start(&sources, &QUICK);
    sources.put(POLICY, with_hidden("notes"));
    load.until(PATIENCE, |call| call.is_of(&pair.notes_hidden));
    let mut divides = Vec::new();
    for round in 0..6 {
        let to = if round % 2 == 0 { &pair.plan_hidden } else { &pair.notes_hidden };
        let begun = std::time::Instant::now();
        process.command(&["rollback", prefix(to)]).check_code(0);
        let answered = std::time::Instant::now();
        divides.push((begun, answered, to.clone()));
        load.until(PATIENCE, |call| call.asked > answered);
        pause(100);
    }
    let calls = load.finish();
    let truth: Truth = pair.truth();
    truth.check(&calls);
    // Whoever asked after the answer, and was answered before the next command, sees it.
    for (at, (_, answered, generation)) in divides.iter().enumerate() {
        let next = divides.get(at + 1).map_or_else(std::time::Instant::now, |(begun, ..)| *begun);
        let between: Vec<_> =
            calls.iter().filter(|call| call.asked > *answered && call.ended < next).collect();
        assert!(!between.is_empty());
        assert!(between.iter().all(|call| call.is_of(generation)), "{between:?}");
    }
}

/// A set that does not fit a forbid in force is rejected, however good it is by itself.
#[test]
fn files_that_do_not_fit_an_emergency_forbid_are_rejected() {
    let sources = Sources::small().entities("base.json", &crate::reload::entities());
    fs::create_dir(sources.path("emergency")).unwrap();
    sources.put(
        "emergency/levels.cedar",
        "forbid (principal is Mandate::User, action, resource) when { principal.level == 1 };\n",
    );
    let process = Process::try_start_with(&sources, &QUICK).unwrap();
    assert_eq!(allowed(&process), [false, false]);
    let schema = crate::support::SMALL_SCHEMA
        .replace("entity User = { level: Long }", "entity User = { level?: Long }");
    sources.put("schemas/small.cedarschema", schema);
    let status = status_where(&process, PATIENCE, |status| status["serving_stale"] == true);
    assert!(status["last_load"]["problems"].to_string().contains("levels.cedar"), "{status:#}");
    assert_eq!(allowed(&process), [false, false]);
}

//! What must hold whatever the files say: revocations, and delegations as they were first served.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use cedar_policy::EntityUid;
use serde_json::{Value, json};

use super::super::support_tests::{Running, Site, errors, permit};
use super::{Command, OpenError, Source};

const SCHEMA: &str = r#"namespace Mandate {
  entity User = { level: Long };
  entity Team;
  entity Delegation in [Team] = { from_user?: User, from_agent?: User, to: User, parent?: Delegation,
    actions: Set<Action>, tools: Set<Doc>, toolsets: Set<Doc>, data: Set<Doc>, agents: Set<Doc>, servers: Set<Doc>,
    not_before: datetime, expires: datetime, max_depth: Long, purpose: String, notes?: Set<String> };
  entity Doc in [Doc] = { level: Long };
  action read;
  action view in [read] appliesTo { principal: [User], resource: [Doc] };
}
"#;

fn grant(id: &str, expires: &str) -> Value {
    let ana = json!({"type": "Mandate::User", "id": "ana"});
    json!({"uid": {"type": "Mandate::Delegation", "id": id}, "parents": [],
        "attrs": {"from_user": ana, "to": ana, "actions": [], "tools": [], "toolsets": [], "data": [], "agents": [],
            "servers": [], "not_before": "2026-01-01", "expires": expires, "max_depth": 0, "purpose": "p"}})
}

fn name(id: &str) -> String {
    format!("Mandate::Delegation::\"{id}\"")
}

/// A site whose schema has delegations, of which it stores these.
fn site(grants: &[Value]) -> Site {
    let site = Site::new();
    site.write("schemas/small.cedarschema", SCHEMA);
    store(&site, grants);
    site
}

fn store(site: &Site, grants: &[Value]) {
    site.write("entities/grants.json", serde_json::to_string_pretty(grants).unwrap());
    if !site.path("entities/team.json").exists() {
        let team = json!([{"uid": {"type": "Mandate::Team", "id": "t"}, "attrs": {}, "parents": []}]);
        site.write("entities/team.json", team.to_string());
    }
}

fn stores(running: &Running, id: &str) -> bool {
    let uid: EntityUid = name(id).parse().unwrap();
    running.store.current().world.stores(&uid)
}

#[track_caller]
fn until_loads(running: &Running, loads: u64) {
    running.until("a load", |running| {
        let reloads = running.status().reloads;
        reloads.published + reloads.rejected >= loads
    });
}

fn revokes(running: &Running, id: &str) -> bool {
    running.store.current().world.revocations.revokes(&name(id).parse().unwrap())
}

#[track_caller]
fn until_revoked(running: &Running, id: &str) {
    running.until(&format!("revoking {id}"), |running| revokes(running, id));
}

fn problems(running: &Running) -> String {
    running.status().revocations.problems.join("; ")
}

#[test]
fn a_delegation_that_was_served_is_never_changed() {
    let site = site(&[grant("g", "2030-01-01"), grant("h", "2030-01-01")]);
    let running = site.start();
    for (what, changed) in [
        ("an attribute", grant("g", "2031-01-01")),
        ("an attribute more", {
            let mut more = grant("g", "2030-01-01");
            more["attrs"]["notes"] = json!(["a"]);
            more
        }),
        ("a parent", {
            let mut moved = grant("g", "2030-01-01");
            moved["parents"] = json!([{"type": "Mandate::Team", "id": "t"}]);
            moved
        }),
    ] {
        let before = running.status().reloads.rejected;
        store(&site, &[grant("h", "2030-01-01"), changed]);
        running.until(what, |running| {
            let status = running.status();
            status.reloads.rejected > before
                && status.last_load.problems.iter().any(|it| it.contains(&name("g")))
        });
        let status = running.status();
        let [problem] = status.last_load.problems.as_slice() else { panic!("{what}: {status:#?}") };
        let line = fs::read_to_string(site.path("entities/grants.json")).unwrap();
        let line = 1 + line.lines().position(|line| line == "  {").unwrap();
        assert!(problem.contains("entities/grants.json:"), "{what}: {problem}");
        assert!(!problem.contains(&format!("grants.json:{line}:")), "{what}: the second entity: {problem}");
        assert!(problem.contains(&name("g")) && problem.contains("an id of its own"), "{what}: {problem}");
        assert_eq!(running.ids(), ["base"], "{what}");
    }
    // The same, written otherwise, is the same.
    site.write("policies/base.cedar", permit("next"));
    store(&site, &[grant("g", "2030-01-01T01:00:00+0100"), grant("h", "2030-01-01")]);
    running.until_serving(&["next"]);
    running.stop();
}

#[test]
fn an_id_is_not_given_to_another_delegation_even_after_a_restart() {
    let site = site(&[grant("g", "2030-01-01")]);
    let running = site.start();
    store(&site, &[]);
    running.until("without it", |running| !stores(running, "g"));
    running.stop();
    // Not at a start, either: what was good last is served.
    store(&site, &[grant("g", "2031-01-01"), grant("new", "2031-01-01")]);
    let running = site.start();
    assert_eq!(running.status().source, Source::LastKnownGood);
    assert!(errors(&running.found).iter().any(|error| error.contains(&name("g"))), "{}", running.found);
    assert!(!stores(&running, "g") && !stores(&running, "new"));
    // It may come back as it was.
    store(&site, &[grant("g", "2030-01-01"), grant("new", "2031-01-01")]);
    running.until("both", |running| stores(running, "g") && stores(running, "new"));
    running.stop();
}

#[test]
fn a_rollback_brings_no_other_delegation_under_a_known_id() {
    let site = site(&[]);
    let running = site.start();
    let empty = running.generation();
    store(&site, &[grant("g", "2030-01-01")]);
    site.write("policies/base.cedar", permit("with"));
    running.until_serving(&["with"]);
    let with = running.generation();
    running.roll_back(&empty).unwrap();
    assert!(!stores(&running, "g"));
    running.roll_back(&with).unwrap();
    assert!(stores(&running, "g"), "as it was, it comes back");
    running.stop();
    // A kept set from elsewhere, in which the id means something else.
    site.remove("data/entities.redb");
    site.remove("data/format");
    store(&site, &[grant("g", "2040-01-01")]);
    site.write("policies/base.cedar", permit("other"));
    fs::remove_file(site.path("data/rollback.pin")).unwrap();
    let running = site.start();
    assert_eq!(running.ids(), ["other"]);
    let refused = running.roll_back(&with).unwrap_err().to_string();
    assert!(refused.contains(&name("g")), "{refused}");
    assert_eq!(running.ids(), ["other"]);
    running.stop();
}

#[test]
fn a_log_that_is_damaged_or_lost_stops_the_start_and_no_seeds_stand_in() {
    let site = site(&[grant("g", "2030-01-01")]);
    site.start().stop();
    let log = site.path("data/entities.redb");
    let bytes = fs::read(&log).unwrap();
    let refused = |what: &str| match site.try_start(site.config()) {
        Err(OpenError::Log(error)) => {
            let error = error.to_string();
            assert!(error.contains("entities.redb") && error.contains("restore"), "{what}: {error}");
        }
        Err(other) => panic!("{what}: {other}"),
        Ok(_) => panic!("{what}: serves"),
    };
    // What is known of the delegation.
    let digest = bytes.windows(7).rposition(|part| part == b"sha256:").unwrap();
    for at in [0, digest + 8] {
        let mut damaged = bytes.clone();
        damaged.get_mut(at..at + 2).unwrap().fill(0xa5);
        fs::write(&log, &damaged).unwrap();
        refused(&format!("byte {at}"));
    }
    fs::write(&log, bytes.get(..bytes.len() / 2).unwrap()).unwrap();
    refused("cut short");
    fs::write(&log, "").unwrap();
    refused("empty");
    fs::remove_file(&log).unwrap();
    refused("lost");
    fs::write(&log, &bytes).unwrap();
    site.start().stop();
}

/// What an earlier build kept in files of their own moves into the log.
#[test]
fn what_an_earlier_build_kept_is_taken_over_once() {
    let site = site(&[]);
    fs::create_dir_all(site.path("data")).unwrap();
    fs::set_permissions(site.path("data"), fs::Permissions::from_mode(0o700)).unwrap();
    site.write("data/format", "1\n");
    let sealed = |file: &str, kind: &str, content: &Value| {
        crate::store::sealed::write(&site.path(file), Box::leak(kind.to_owned().into_boxed_str()), content)
            .unwrap();
    };
    sealed("data/revocations.known", "revocations", &json!({"revoked": [name("a")]}));
    sealed("data/grants.known", "grants", &json!({name("g"): "sha256:other"}));
    for _ in 0..2 {
        let running = site.start();
        assert!(revokes(&running, "a"));
        store(&site, &[grant("g", "2030-01-01")]);
        running.until_rejected("an id of its own");
        running.stop();
        assert!(!site.path("data/revocations.known").exists() && !site.path("data/grants.known").exists());
        store(&site, &[]);
    }
    site.write("data/format", "1\n");
    sealed("data/revocations.known", "revocations", &json!({"revoked": ["x"]}));
    assert!(matches!(site.try_start(site.config()), Err(OpenError::Log(_))));
}

#[test]
fn a_revocation_is_in_force_at_once_and_stays_whatever_becomes_of_the_file() {
    let site = site(&[]);
    let running = site.start();
    let sequence = running.store.current().sequence;
    assert_eq!((running.status().revocations.count, problems(&running)), (0, String::new()));
    site.write("revocations.json", json!([name("a"), {"grant": name("b"), "reason": "left"}]).to_string());
    until_revoked(&running, "a");
    assert!(revokes(&running, "b") && !revokes(&running, "c"));
    assert!(running.store.current().sequence > sequence, "it is another world");
    for (what, text, saying) in [
        ("lost", "[]", ""),
        ("half", "[\"Mandate::Deleg", "is not JSON"),
        ("empty", "", "is not JSON"),
        ("no list", "{}", "holds no list"),
    ] {
        site.write("revocations.json", text);
        running.until(what, |running| {
            if saying.is_empty() { problems(running).is_empty() } else { problems(running).contains(saying) }
        });
        assert!(revokes(&running, "a") && revokes(&running, "b"), "{what}");
        // The status follows the world.
        running.until(what, |running| running.status().revocations.count == 2);
    }
    site.remove("revocations.json");
    running.until("gone", |running| problems(running).contains("2 revocations known from it stay"));
    fs::create_dir(site.path("revocations.json")).unwrap();
    running.until("unreadable", |running| problems(running).contains("cannot be read"));
    assert!(revokes(&running, "a"));
    running.stop();
    let running = site.start();
    assert!(revokes(&running, "a") && revokes(&running, "b"), "after a restart");
    assert!(problems(&running).contains("cannot be read"));
    site.remove("revocations.json");
    site.write("revocations.json", json!([name("c")]).to_string());
    until_revoked(&running, "c");
    assert!(revokes(&running, "a"));
    running.stop();
}

#[test]
fn it_waits_for_no_policies_and_no_rollback_lifts_it() {
    let site = site(&[]);
    let running = site.start();
    let first = running.generation();
    site.write("policies/base.cedar", "permit (");
    until_loads(&running, 1);
    site.write("revocations.json", json!([name("a")]).to_string());
    until_revoked(&running, "a");
    assert_eq!(running.generation(), first, "the policies are broken still");
    site.write("policies/base.cedar", permit("next"));
    running.until_serving(&["next"]);
    assert!(revokes(&running, "a"), "after a load");
    running.roll_back(&first).unwrap();
    assert!(revokes(&running, "a"), "after a rollback");
    running.ask(Command::Release).unwrap();
    running.until_serving(&["next"]);
    site.write("emergency/x.cedar", "forbid (principal, action, resource);");
    running.until("an emergency", |running| running.ids().len() == 2);
    assert!(revokes(&running, "a"), "after an emergency");
    running.stop();
}

#[test]
fn a_new_revocation_does_not_wait_for_the_file_to_stand_still() {
    let site = site(&[]);
    let mut config = site.config();
    config.settle = Duration::from_secs(3600);
    let running = site.try_start(config).unwrap();
    let begun = Instant::now();
    site.write("revocations.json", json!([name("a"), 5]).to_string());
    until_revoked(&running, "a");
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!(problems(&running), "", "what is wrong may be half of an update, and is told of later");
    running.stop();
}

#[test]
fn a_first_start_that_cannot_know_what_is_revoked_is_refused() {
    for text in ["[", "[5]"] {
        let site = site(&[]);
        site.write("revocations.json", text);
        match site.try_start(site.config()) {
            Err(OpenError::Revocations(problem)) => {
                assert!(problem.to_string().contains("revocations.json"), "{problem}");
            }
            other => panic!("{text}: {other:?}"),
        }
        // Once it has been read, what is known is enough.
        site.write("revocations.json", "[]");
        site.start().stop();
        site.write("revocations.json", text);
        site.start().stop();
    }
}

//! Revoked delegations, and delegations that must not change, under a running server and its command line.

use std::time::Duration;

use mandate::server::pb;
use serde_json::{Value, json};

use crate::support::{Process, Sources, TestServer, get_status, is_allow, question};

const SCHEMA: &str = r#"namespace Mandate {
  entity User = { level: Long };
  entity Delegation = { from_user?: User, from_agent?: User, to: User, parent?: Delegation,
    actions: Set<Action>, tools: Set<Doc>, toolsets: Set<Doc>, data: Set<Doc>, agents: Set<Doc>, servers: Set<Doc>,
    not_before: datetime, expires: datetime, max_depth: Long, purpose: String };
  entity Doc in [Doc] = { level: Long };
  action view appliesTo { principal: [User], resource: [Doc] };
}
"#;

fn grant(id: &str, to: &str) -> Value {
    json!({"uid": {"type": "Mandate::Delegation", "id": id}, "parents": [],
        "attrs": {"from_user": {"type": "Mandate::User", "id": "ana"}, "to": {"type": "Mandate::User", "id": to},
            "actions": [], "tools": [], "toolsets": [], "data": [], "agents": [], "servers": [],
            "not_before": "2026-01-01", "expires": "2030-01-01", "max_depth": 0, "purpose": "p"}})
}

fn sources(grants: &Value) -> Sources {
    Sources::small().schema("small.cedarschema", SCHEMA).entities("grants.json", grants)
}

#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}: never");
}

fn view() -> pb::AuthorizeRequest {
    question(("User", "ana"), "view", ("Doc", "plan"))
}

#[test]
fn a_revocation_is_a_new_world_that_status_and_metrics_count() {
    let sources = sources(&json!([grant("g", "ana")]));
    let server = TestServer::with_config(&sources.restless_config());
    let status = || get_status(&server.control, &server.folder.path().join("data"));
    let before = server.authorize(view()).unwrap();
    assert_eq!(server.metrics().sum("pdp_revocations"), 0.0);
    assert_eq!(status()["revocations"], json!({"count": 0, "problems": []}));
    sources.put("revocations.json", r#"["Mandate::Delegation::\"g\"", "Mandate::Delegation::\"old\""]"#);
    until("two are revoked", || status()["revocations"]["count"] == json!(2));
    let after = server.authorize(view()).unwrap();
    assert!(is_allow(&after) && after.generation == before.generation && after.revision != before.revision);
    assert_eq!(after.cache(), pb::CacheStatus::Hit, "what the policies said of others stays true");
    assert_eq!(server.metrics().sum("pdp_revocations"), 2.0);
    sources.put("revocations.json", "[");
    until("it is said", || !status()["revocations"]["problems"].as_array().unwrap().is_empty());
    assert_eq!(status()["revocations"]["count"], json!(2));
    assert_eq!(server.metrics().sum("pdp_revocation_problems"), 1.0);
    assert_eq!(server.metrics().sum("pdp_serving_stale"), 0.0, "the policies are what the files say");
}

#[test]
fn both_outlive_a_killed_process() {
    let sources = sources(&json!([grant("g", "ana"), grant("h", "ana")]))
        .write("revocations.json", r#"[{"grant": "Mandate::Delegation::\"g\"", "reason": "left"}]"#);
    let process = Process::start(&sources);
    until("the set is kept", || !process.status()["kept"].as_array().unwrap().is_empty());
    process.crash();
    let sources = sources
        .write("revocations.json", "[]")
        .write("entities/grants.json", json!([grant("g", "ana"), grant("h", "nobody")]).to_string());
    let process = Process::start(&sources);
    let told = process.status();
    assert_eq!(told["revocations"]["count"], json!(1));
    assert_eq!(told["source"], json!("last_known_good"));
    let problems = told["last_load"]["problems"].to_string();
    assert!(problems.contains("grants.json:") && problems.contains("an id of its own"), "{problems}");
    process.terminate().check_code(0);
}

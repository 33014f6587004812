//! Files and callers: whose an entity is, and what a reload does to it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Admin, SCHEMA, doc, sources, uid, view};
use crate::support::{Process, Sources, TestServer, get_status, is_allow, user};

fn restless() -> (Sources, TestServer, Admin) {
    let sources = sources();
    let server = TestServer::with_config(&sources.restless_config());
    let admin = Admin::of(&server);
    (sources, server, admin)
}

fn status(server: &TestServer) -> Value {
    get_status(&server.control, &server.folder.path().join("data"))
}

#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}: never");
}

fn rejected_for(server: &TestServer, saying: &str) -> bool {
    status(server)["last_load"]["problems"].to_string().contains(saying)
}

#[test]
fn what_callers_wrote_outlives_reloads_of_policies_schema_and_seeds() {
    let (sources, server, admin) = restless();
    admin.put(vec![doc("own", 1, &["plan"])]).unwrap();
    let mut generation = server.generation();
    sources.put("policies/base.cedar", "@id(\"other\")\npermit (principal, action, resource);\n");
    generation = server.reloaded(&generation);
    assert!(is_allow(&server.authorize(view("own")).unwrap()));
    sources.put(
        "schemas/small.cedarschema",
        SCHEMA.replace("level: Long, owner", "level: Long, colour?: String, owner"),
    );
    server.reloaded(&generation);
    assert!(is_allow(&server.authorize(view("own")).unwrap()));
    sources.put("entities/more.json", json!([user("eve")]).to_string());
    until("seeds", || admin.get(crate::support::reference("Mandate::User", "eve")).is_ok());
    assert!(is_allow(&server.authorize(view("own")).unwrap()));
    assert_eq!(admin.get(uid("own")).unwrap().owner, "api");
    // And what is written after a reload counts as before.
    admin.put(vec![doc("later", 1, &["own"])]).unwrap();
    assert!(is_allow(&server.authorize(view("later")).unwrap()));
}

#[test]
fn a_file_that_brings_what_callers_own_is_rejected_and_both_are_named() {
    let (sources, server, admin) = restless();
    admin.put(vec![doc("own", 1, &[])]).unwrap();
    sources.put("entities/more.json", json!([crate::support::doc("own", &[])]).to_string());
    until("rejected", || rejected_for(&server, "written at run time"));
    let problems = status(&server)["last_load"]["problems"].to_string();
    assert!(problems.contains("more.json:1") && problems.contains("own"), "{problems}");
    assert_eq!(admin.get(uid("own")).unwrap().owner, "api");
    // Once callers give it up the file may have it.
    admin.delete(vec![uid("own")]).unwrap();
    sources.put("entities/more.json", json!([crate::support::doc("own", &[]), user("x")]).to_string());
    until("the file's", || admin.get(uid("own")).is_ok_and(|got| got.owner == "file"));
}

#[test]
fn seeds_cannot_leave_behind_what_is_in_them() {
    let (sources, server, admin) = restless();
    admin.put(vec![doc("own", 1, &["plan"])]).unwrap();
    sources.put("entities/base.json", json!([user("ana")]).to_string());
    until("rejected", || rejected_for(&server, "which is not stored"));
    let problems = status(&server)["last_load"]["problems"].to_string();
    assert!(problems.contains("entity log") && problems.contains("own"), "{problems}");
    assert!(is_allow(&server.authorize(view("own")).unwrap()), "what was served still is");
}

#[test]
fn a_schema_is_held_to_everything_that_is_stored() {
    let (sources, server, admin) = restless();
    admin.put(vec![doc("own", 1, &[])]).unwrap();
    let generation = server.generation();
    let stricter = SCHEMA.replace("level: Long, owner", "level: Long, colour: String, owner");
    sources.put(
        "entities/base.json",
        json!([user("ana"), {"uid": {"type": "Mandate::Doc", "id": "plan"},
        "attrs": {"level": 1, "colour": "red"}, "parents": []}])
        .to_string(),
    );
    sources.put("schemas/small.cedarschema", &stricter);
    until("rejected", || rejected_for(&server, "does not fit"));
    assert_eq!(server.generation(), generation);
    assert!(is_allow(&server.authorize(view("own")).unwrap()));
}

#[test]
fn files_take_no_revocation_and_no_suspension_back() {
    let sources = sources();
    let process = Process::start(&sources);
    let admin = Admin::of_process(&process, &sources);
    let first = process.status()["generation"].as_str().unwrap().to_owned();
    admin.revoke("g").unwrap();
    admin.suspend(None, false).unwrap();
    // Broken files change nothing about that either.
    sources.put("policies/base.cedar", "permit (");
    admin.suspend(Some(crate::support::reference("Mandate::User", "eve")), false).unwrap();
    let check = |process: &Process, what: &str| {
        assert_eq!(process.status()["revocations"]["count"], json!(1), "{what}");
        let answer = process.client().authorize(view("plan")).unwrap();
        assert_eq!(answer.denied_by.unwrap().rule, "frozen", "{what}");
    };
    check(&process, "broken files");
    sources.put("policies/base.cedar", "@id(\"b\")\npermit (principal, action, resource);\n");
    until("a load", || process.status()["generation"] != json!(first));
    check(&process, "a load");
    process.command(&["rollback", &first]).check_code(0);
    check(&process, "a rollback");
    process.crash();
    let process = Process::start(&sources);
    check(&process, "a restart");
}

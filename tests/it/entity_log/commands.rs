//! The command line: `mandate entity`, `revoke`, `quarantine`, `freeze`.

use serde_json::json;

use super::{sources, view};
use crate::support::{Process, is_allow, mandate};

const JSON: [&str; 2] = ["--format", "json"];

#[test]
fn entities_are_put_shown_listed_and_deleted() {
    let sources = sources();
    let process = Process::start(&sources);
    let run = |words: &[&str]| process.command(&[words, &JSON].concat());
    let file = sources.path("new.json");
    let new = json!({"uid": {"type": "Mandate::Doc", "id": "new"},
        "attrs": {"level": 3, "owner": {"__entity": {"type": "Mandate::User", "id": "ana"}}, "at": "2026-11-26"},
        "parents": [{"type": "Mandate::Doc", "id": "plan"}], "tags": {"a": "b"}});
    std::fs::write(&file, json!([new]).to_string()).unwrap();
    let put = run(&["entity", "put", file.to_str().unwrap()]);
    put.check_code(0);
    let revision = put.json()["revision"].as_str().unwrap().to_owned();
    assert!(is_allow(&process.client().authorize(view("new")).unwrap()));
    let got = run(&["entity", "get", "Mandate::Doc::\"new\""]).json();
    assert_eq!((&got["owner"], &got["revision"]), (&json!("api"), &json!(revision)));
    assert_eq!(got["entity"]["attrs"]["at"], json!("2026-11-26T00:00:00.000Z"));
    assert_eq!(got["entity"]["parents"], new["parents"]);
    // What is shown can be put.
    std::fs::write(&file, got["entity"].to_string()).unwrap();
    run(&["entity", "put", file.to_str().unwrap(), "--if-revision", &revision]).check_code(0);
    run(&["entity", "put", file.to_str().unwrap(), "--if-revision", &revision]).check_code(1);
    let listed = run(&["entity", "list", "Mandate::Doc"]).json();
    let ids: Vec<_> =
        listed["entities"].as_array().unwrap().iter().map(|entity| &entity["uid"]["id"]).collect();
    assert_eq!(ids, ["new", "plan"]);
    let watched = run(&["entity", "watch", "--from", &revision, "--until-synced"]);
    watched.check_code(0);
    assert!(watched.stdout.lines().next().unwrap().contains("\"changed\""), "{watched:?}");
    std::fs::write(
        &file,
        json!([{"uid": {"type": "Mandate::Doc", "id": "x"}, "attrs": {"level": "high"}}]).to_string(),
    )
    .unwrap();
    let rejected = run(&["entity", "put", file.to_str().unwrap()]);
    rejected.check_code(3);
    assert!(rejected.stderr.contains("entities[0]"), "{rejected:?}");
    std::fs::write(&file, "[{\"uid\": 5}]").unwrap();
    run(&["entity", "put", file.to_str().unwrap()]).check_code(3);
    run(&["entity", "delete", "Mandate::Doc::\"plan\""]).check_code(1);
    run(&["entity", "delete", "Mandate::Doc::\"new\""]).check_code(0);
    run(&["entity", "get", "Mandate::Doc::\"new\""]).check_code(1);
    for people in [&["entity", "get", "Mandate::Doc::\"plan\""][..], &["entity", "list", "Mandate::User"]] {
        let shown = process.command(people);
        shown.check_code(0);
        assert!(shown.stdout.contains("level"), "{shown:?}");
    }
}

#[test]
fn a_freeze_a_quarantine_and_a_revocation_hold_until_they_are_lifted_or_for_good() {
    let sources = sources();
    let process = Process::start(&sources);
    let rule = || process.client().authorize(view("plan")).unwrap().denied_by.map(|denied| denied.rule);
    process.command(&["freeze", "--reason", "fire"]).check_code(0);
    assert_eq!(rule().as_deref(), Some("frozen"));
    process.command(&["freeze", "--lift"]).check_code(0);
    process.command(&["quarantine", "Mandate::User::\"ana\""]).check_code(0);
    assert_eq!(rule().as_deref(), Some("suspended"));
    process.command(&["quarantine", "Mandate::User::\"ana\"", "--lift"]).check_code(0);
    process.command(&["quarantine", "Mandate::User::\"ana\"", "--lift"]).check_code(1);
    assert_eq!(rule(), None);
    process.command(&["revoke", "Mandate::Delegation::\"g\"", "--reason", "left"]).check_code(0);
    assert_eq!(process.status()["revocations"]["count"], json!(1));
    process.command(&["revoke", "Mandate::Doc::\"plan\""]).check_code(1);
    process.command(&["quarantine", "nobody"]).check_code(1);
}

#[test]
fn a_copy_is_restored_where_no_server_is() {
    let sources = sources();
    let process = Process::start(&sources);
    let (new, copy) = (sources.path("new.json"), sources.path("copy"));
    std::fs::write(&new, json!([crate::support::doc("new", &["plan"])]).to_string()).unwrap();
    process.command(&["entity", "put", new.to_str().unwrap()]).check_code(0);
    let copied = process.command(&["entity", "backup", copy.to_str().unwrap()]);
    copied.check_code(0);
    process.command(&["entity", "backup", copy.to_str().unwrap()]).check_code(1);
    let before = process.client().authorize(view("new")).unwrap().revision;
    process.command(&["entity", "delete", "Mandate::Doc::\"new\""]).check_code(0);
    process.command(&["quarantine", "Mandate::User::\"eve\""]).check_code(0);
    let data = sources.path("data").display().to_string();
    let restore =
        || mandate(["entity", "restore", copy.to_str().unwrap(), "--data-dir", &data, "--format", "json"]);
    let held = restore();
    held.check_code(1);
    assert!(held.stderr.contains("another process has it"), "{held:?}");
    process.terminate().check_code(0);
    let restored = restore();
    restored.check_code(0);
    assert_eq!(restored.json(), json!({"entities": 1, "facts": 0, "kept": 1}));
    let process = Process::start(&sources);
    assert!(is_allow(&process.client().authorize(view("new")).unwrap()));
    let refused = process.client().authorize(super::view_since("new", &before)).unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "another log");
    process.command(&["quarantine", "Mandate::User::\"eve\"", "--lift"]).check_code(0);
}

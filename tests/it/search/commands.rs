//! `mandate search`.

use std::ffi::OsString;

use serde_json::{Value, json};

use super::{context, session};
use crate::support::{Finished, mandate, repository, shipped_server};

/// Searches in the shipped sources, or a server.
fn search(arguments: &[&str], server: bool) -> Finished {
    let mut all: Vec<OsString> = vec!["search".into()];
    all.extend(arguments.iter().map(OsString::from));
    if server {
        all.extend(["--server".into(), shipped_server().data.clone().into()]);
    } else {
        let kinds = ["policies", "schemas", "entities"];
        let folders =
            kinds.iter().flat_map(|kind| [format!("--{kind}").into(), repository().join(kind).into()]);
        all.extend(folders);
    }
    mandate(all)
}

#[test]
fn files_and_a_server_tell_the_same_and_the_exit_code_whether_anything_was_found() {
    let (context, session) = (context().to_string(), json!({"session": session()}).to_string());
    let worker = [
        "resources",
        "--principal",
        "Mandate::Agent::\"worker\"",
        "--action",
        "call_tool",
        "--type",
        "Mandate::Tool",
        "--any-delegation",
        "--unknown",
        "digest",
        "--context",
        &context,
        "--format",
        "json",
    ];
    let people = [
        "principals",
        "--type",
        "Mandate::User",
        "--action",
        "list_tools",
        "--resource",
        "Mandate::ToolServer::\"github\"",
        "--context",
        &session,
        "--format",
        "json",
    ];
    let actions = [
        "actions",
        "--principal",
        "Mandate::User::\"cem\"",
        "--resource",
        "Mandate::ToolServer::\"github\"",
        "--context",
        &session,
        "--format",
        "json",
    ];
    for (arguments, expected) in
        [(&worker[..], "github/list_issues"), (&people, "bea"), (&actions, "list_tools")]
    {
        let [files, served] = [false, true].map(|server| {
            let finished = search(arguments, server);
            finished.check_code(0);
            serde_json::from_str::<Value>(&finished.stdout).unwrap()
        });
        assert_eq!(files["found"], served["found"]);
        let found = files["found"].as_array().unwrap();
        assert!(found.iter().any(|found| found["uid"]["id"] == expected), "{found:?}");
    }
    let through = search(&worker[..worker.len() - 2], false);
    assert!(through.stdout.contains("through Mandate::Delegation::\"planner-worker\""), "{}", through.stdout);
    let nobody = [
        "actions",
        "--principal",
        "Mandate::User::\"dov\"",
        "--resource",
        "Mandate::ToolServer::\"github\"",
        "--context",
        &session,
    ];
    for server in [false, true] {
        search(&nobody, server).check_code(2);
        let wrong = search(
            &["actions", "--principal", "dov", "--resource", "Mandate::ToolServer::\"github\""],
            server,
        );
        wrong.check_code(1);
        assert!(wrong.stderr.contains("is no entity"), "{wrong:?}");
        let bare = search(&nobody[..nobody.len() - 2], server);
        bare.check_code(1);
        assert!(bare.stderr.contains("is required"), "{bare:?}");
    }
}

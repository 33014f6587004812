//! The command line: exit codes, and that it answers as a server does.

use std::ffi::OsString;

use serde_json::{Value, json};

use crate::support::{Finished, Sources, mandate, mandate_with_input, repository, shipped_server};

/// The flags of the shipped sources.
fn shipped() -> Vec<OsString> {
    let kinds = ["policies", "schemas", "entities"];
    kinds.iter().flat_map(|kind| [format!("--{kind}").into(), repository().join(kind).into()]).collect()
}

fn run(arguments: &[&str]) -> Finished {
    mandate(arguments.iter().map(OsString::from).chain(shipped()))
}

const SESSION: &str = r#"{"session": {"id": "s", "purpose": "p", "attended": true, "untrusted": false,
    "read_level": 0, "calls": 0, "spent_cents": 0}}"#;

fn list_tools<'a>(command: &'a str, user: &'a str, server: &'a str) -> Vec<&'a str> {
    vec![command, "--principal", user, "--action", "list_tools", "--resource", server, "--context", SESSION]
}

const CEM: &str = r#"Mandate::User::"cem""#;
const GITHUB: &str = r#"Mandate::ToolServer::"github""#;
const WEATHER: &str = r#"Mandate::ToolServer::"weather""#;

#[test]
fn check_exits_with_what_was_decided() {
    let allowed = run(&list_tools("check", CEM, GITHUB));
    allowed.check_code(0);
    assert!(allowed.stdout.contains("ALLOW") && allowed.stdout.contains("list-known-servers"), "{allowed:?}");
    let denied = run(&list_tools("check", CEM, WEATHER));
    denied.check_code(2);
    assert!(denied.stdout.contains("DENY") && denied.stdout.contains("no_permit"), "{denied:?}");
}

#[test]
fn a_question_that_cannot_be_understood_is_a_failure_and_never_a_deny() {
    let mut no_action = list_tools("check", CEM, GITHUB);
    no_action[4] = "fly";
    let mut no_context = list_tools("check", CEM, GITHUB);
    no_context[8] = "{}";
    let mut no_json = list_tools("check", CEM, GITHUB);
    no_json[8] = "{";
    let no_uid = list_tools("check", "cem", GITHUB);
    for arguments in [no_action, no_context, no_json, no_uid] {
        run(&arguments).check_code(1);
    }
}

#[test]
fn rejected_sources_exit_with_three_whatever_was_asked() {
    let broken = Sources::small().policy("odd.cedar", "((");
    let ask = [
        "check",
        "--principal",
        "Mandate::User::\"ana\"",
        "--action",
        "view",
        "--resource",
        "Mandate::Doc::\"plan\"",
    ];
    let example = ["example", "view"];
    for arguments in [&ask[..], &example[..], &["validate"][..]] {
        let arguments = arguments.iter().map(OsString::from).chain(broken.flags());
        mandate(arguments).check_code(3);
    }
}

#[test]
fn a_wrong_usage_exits_with_one_and_help_with_zero() {
    let wrong: [&[&str]; 7] = [
        &[],
        &["fly"],
        &["check"],
        &["check", "--no-such-flag"],
        &["serve", "--data", "nowhere"],
        &["validate", "--format", "yaml"],
        &["completions", "tcsh-or-so"],
    ];
    for arguments in wrong {
        mandate(arguments).check_code(1);
    }
    for arguments in [["--help", ""], ["--version", ""], ["check", "--help"]] {
        mandate(arguments.into_iter().filter(|argument| !argument.is_empty())).check_code(0);
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_a_failure() {
    let mut arguments = list_tools("check", CEM, GITHUB);
    arguments.extend(["--server", "http://127.0.0.1:1"]);
    let finished = run(&arguments);
    finished.check_code(1);
    assert!(finished.stderr.contains("cannot reach http://127.0.0.1:1"), "{finished:?}");
}

/// What a command prints as JSON, less what differs each time.
fn printed(arguments: &[&str]) -> (Option<i32>, Value) {
    let finished = run(arguments);
    let mut json = finished.json();
    json.as_object_mut().unwrap().remove("decision_id");
    // A server names its files as it was told them.
    let text = json.to_string();
    (finished.code, serde_json::from_str(&text).unwrap())
}

#[test]
fn files_and_a_server_give_the_same_answer() {
    let leaver = r#"Mandate::User::"dov""#;
    let agent = r#"Mandate::Agent::"code-bot""#;
    let stranger = r#"Mandate::User::"eve""#;
    for command in ["check", "explain"] {
        for (principal, server) in
            [(CEM, GITHUB), (CEM, WEATHER), (leaver, GITHUB), (agent, GITHUB), (stranger, GITHUB)]
        {
            let mut arguments = list_tools(command, principal, server);
            arguments.extend(["--format", "json"]);
            let offline = printed(&arguments);
            arguments.extend(["--server", &shipped_server().data]);
            assert_eq!(printed(&arguments), offline, "{command} {principal} {server}");
        }
    }
}

#[test]
fn an_explanation_is_a_tree_for_people() {
    let finished = run(&list_tools("explain", CEM, WEATHER));
    finished.check_code(2);
    for shown in ["└─", "list-known-servers", "resource.trusted", "tools.cedar:"] {
        assert!(finished.stdout.contains(shown), "no `{shown}` in {}", finished.stdout);
    }
}

/// Every action that the shipped schemas declare, as the command itself names them.
fn shipped_actions() -> Vec<String> {
    let finished = run(&["example", "no-such-action"]);
    finished.check_code(1);
    let (_, names) = finished.stderr.split_once("actions are ").expect("it names them");
    names.trim().split(", ").map(str::to_owned).collect()
}

#[test]
fn the_example_of_every_shipped_action_is_a_request_that_is_answered() {
    let actions = shipped_actions();
    assert!(actions.len() >= 15, "{actions:?}");
    for action in &actions {
        let example = run(&["example", action]);
        example.check_code(0);
        let arguments = ["check", "--request", "-"].iter().map(OsString::from).chain(shipped());
        let checked = mandate_with_input(arguments, &example.stdout);
        assert!(matches!(checked.code, Some(0 | 2)), "{action}: {checked:?}");
        let authzen = run(&["example", action, "--authzen"]);
        authzen.check_code(0);
        let answer = shipped_server().evaluate(&authzen.json());
        assert_eq!(answer.decision(), checked.code == Some(0), "{action}: {answer:?}");
    }
}

#[test]
fn the_shipped_cases_pass_and_leave_no_policy_untested() {
    let folder = tempfile::tempdir().unwrap();
    let (junit, controls) = (folder.path().join("junit.xml"), folder.path().join("controls.md"));
    let arguments = [
        "test".into(),
        "--mutants".into(),
        "--format".into(),
        "json".into(),
        "--junit".into(),
        junit.clone().into_os_string(),
        "--controls".into(),
        controls.clone().into_os_string(),
    ];
    let finished = mandate(arguments.into_iter().chain(shipped()));
    finished.check_code(0);
    let json = finished.json();
    let cases = json["cases"].as_array().unwrap();
    assert!(cases.len() > 50 && cases.iter().all(|case| case["passed"] == json!(true)));
    assert_eq!(json["policies_no_case_notices"], json!([]));
    let junit = std::fs::read_to_string(junit).unwrap();
    assert_eq!(junit.matches("<testcase ").count(), cases.len());
    assert!(!junit.contains("<failure"), "{junit}");
    let controls = std::fs::read_to_string(controls).unwrap();
    assert!(controls.contains("ASI01") && controls.contains("no-way-out"), "{controls}");
}

#[test]
fn a_case_that_fails_exits_with_four_and_says_what_differs() {
    let cases = "cases:\n  - name: wrong\n    now: 2026-11-22T10:00:00Z\n    principal: Mandate::User::\"ana\"\n    \
                 action: Mandate::Action::\"view\"\n    resource: Mandate::Doc::\"plan\"\n    expect: {decision: deny}\n";
    let sources = Sources::small().write("cases.yaml", cases);
    let file: OsString = sources.path("cases.yaml").into();
    let junit: OsString = sources.path("junit.xml").into();
    let arguments = ["test".into(), file, "--junit".into(), junit];
    let finished = mandate(arguments.into_iter().chain(sources.flags()));
    finished.check_code(4);
    assert!(
        finished.stdout.contains("wrong") && finished.stdout.contains("0 passed, 1 failed"),
        "{finished:?}"
    );
    let junit = std::fs::read_to_string(sources.path("junit.xml")).unwrap();
    assert_eq!(junit.matches("<failure").count(), 1, "{junit}");
}

#[test]
fn a_policy_that_no_case_notices_fails_the_run_with_mutants() {
    let cases = "cases:\n  - name: good\n    now: 2026-11-22T10:00:00Z\n    principal: Mandate::User::\"ana\"\n    \
                 action: Mandate::Action::\"view\"\n    resource: Mandate::Doc::\"plan\"\n    expect: {decision: allow}\n";
    let idle = "@id(\"idle\")\nforbid (principal, action, resource) when { principal.level > 8 };\n";
    let sources = Sources::small().write("cases.yaml", cases).policy("idle.cedar", idle);
    let test = |more: Option<&str>| {
        let arguments = ["test".into(), OsString::from(sources.path("cases.yaml"))];
        mandate(arguments.into_iter().chain(more.map(OsString::from)).chain(sources.flags()))
    };
    test(None).check_code(0);
    let finished = test(Some("--mutants"));
    finished.check_code(4);
    assert!(finished.stdout.contains("idle"), "{finished:?}");
}

#[test]
fn without_a_case_the_run_fails() {
    let sources = Sources::small();
    mandate([OsString::from("test")].into_iter().chain(sources.flags())).check_code(1);
}

#[test]
fn completions_are_printed_for_the_common_shells() {
    for (shell, shown) in
        [("bash", "_mandate()"), ("zsh", "#compdef mandate"), ("fish", "complete -c mandate")]
    {
        let finished = mandate(["completions", shell]);
        finished.check_code(0);
        assert!(finished.stdout.contains(shown), "{shell}");
        assert!(finished.stdout.contains("import-mcp"), "{shell}");
    }
}

#[test]
fn a_request_file_with_an_unknown_key_is_refused() {
    let request = json!({
        "principal": {"type": "Mandate::User", "id": "ana"}, "action": {"id": "view"},
        "resource": {"type": "Mandate::Doc", "id": "plan"},
    });
    let sources = Sources::small();
    let check = |request: &str| {
        let arguments = ["check", "--request", "-"].iter().map(OsString::from).chain(sources.flags());
        mandate_with_input(arguments, request)
    };
    check(&request.to_string()).check_code(0);
    let mut unknown = request.clone();
    unknown["entites"] = json!([]);
    check(&unknown.to_string()).check_code(1);
    let mut both = request;
    both["context"] = json!({});
    both["context_json"] = json!("{}");
    check(&both.to_string()).check_code(1);
    check("").check_code(1);
}

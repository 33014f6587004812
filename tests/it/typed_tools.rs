//! Tools whose arguments policies read (C7), with the shipped sources.

use mandate::server::pb;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{
    Question as _, check_field, determining, is_allow, question, reason, reference, repository,
    shipped_server,
};

/// The digest that is stored for a tool.
fn digest(tool: &str) -> String {
    let server = tool.split('/').next().unwrap();
    let text = std::fs::read_to_string(repository().join(format!("entities/{server}.json"))).unwrap();
    let entities: Vec<Value> = serde_json::from_str(&text).unwrap();
    let stored = entities
        .iter()
        .find(|entity| entity["uid"]["id"] == tool && entity["uid"]["type"] == "Mandate::Tool");
    stored.expect("the tool is shipped")["attrs"]["digest"].as_str().unwrap().to_owned()
}

/// The context of a call that nobody minds, touching these data.
pub(crate) fn context(tool: &str, touched: &[&str]) -> Value {
    let touches: Vec<_> = touched.iter().map(|id| json!({"type": "Mandate::Data", "id": id})).collect();
    json!({
        "session": {"id": "s1", "purpose": "triage", "attended": true, "untrusted": false, "read_level": 0,
                    "calls": 3, "spent_cents": 0},
        "digest": digest(tool),
        "touches": touches,
    })
}

fn call(principal: (&str, &str), action: &str, tool: &str) -> pb::AuthorizeRequest {
    question(principal, action, ("Tool", tool)).struct_context(&context(tool, &[]))
}

fn fetch(action: &str, arguments: &Value) -> pb::AuthorizeRequest {
    call(("User", "ana"), action, "fetch/fetch").struct_arguments(arguments)
}

#[test]
fn a_call_of_a_typed_tool_is_decided_by_its_own_action_whatever_was_named() {
    for action in ["call_tool", "fetch/fetch"] {
        let good = shipped_server().authorize(fetch(action, &json!({"url": "https://docs.rs/a"}))).unwrap();
        assert!(is_allow(&good), "{action}: {good:?}");
        let bad =
            shipped_server().authorize(fetch(action, &json!({"url": "https://evil.example/"}))).unwrap();
        assert_eq!(determining(&bad), ["known-sites"], "{action}");
    }
}

#[test]
fn leaving_the_arguments_out_does_not_get_around_the_action() {
    let bare = call(("User", "ana"), "call_tool", "fetch/fetch");
    check_field(shipped_server().authorize(bare), Code::InvalidArgument, "arguments", "required");
}

#[test]
fn both_forms_of_arguments_are_read_alike() {
    for (url, allowed) in [("https://docs.rs/a", true), ("https://docs.rs.evil.example/", false)] {
        let arguments = json!({ "url": url, "max_length": 10, "raw": true });
        let asked = fetch("call_tool", &arguments);
        let text = asked.clone().json_arguments(arguments.to_string());
        for asked in [asked, text] {
            assert_eq!(is_allow(&shipped_server().authorize(asked).unwrap()), allowed, "{url}");
        }
    }
}

#[test]
fn the_action_of_another_tool_is_refused() {
    let odd = call(("User", "ana"), "fetch/fetch", "time/convert_time");
    check_field(shipped_server().authorize(odd), Code::InvalidArgument, "action", "is the action of");
    let odd = call(("User", "ana"), "github/delete_file", "fetch/fetch");
    check_field(shipped_server().authorize(odd), Code::InvalidArgument, "action", "is the action of");
    let elsewhere = pb::AuthorizeRequest {
        resource: Some(reference("Mandate::Data", "docs")),
        ..fetch("fetch/fetch", &json!({"url": "https://docs.rs/a"}))
    };
    check_field(shipped_server().authorize(elsewhere), Code::InvalidArgument, "action", "is the action of");
}

#[test]
fn arguments_that_do_not_fit_are_refused_with_their_path() {
    let cases = [
        (json!({}), "arguments", "required"),
        (json!({"url": null}), "arguments.url", ""),
        (json!({"url": 1}), "arguments.url", ""),
        (json!({"url": "https://docs.rs/", "depth": 1}), "arguments.depth", "not declared"),
        (json!({"url": "https://docs.rs/", "raw": "yes"}), "arguments.raw", ""),
        (json!({"url": "https://docs.rs/", "max_length": 1.5}), "arguments.max_length", ""),
        (json!({"url": "https://docs.rs/", "max_length": 0}), "arguments.max_length", "schema"),
        (json!({"url": "https://docs.rs/", "max_length": 1_000_000}), "arguments.max_length", "schema"),
        (json!({"url": "https://docs.rs/", "start_index": -1}), "arguments.start_index", "schema"),
        (json!({"url": ""}), "arguments.url", "schema"),
    ];
    for (arguments, field, saying) in cases {
        let text = fetch("call_tool", &json!({})).json_arguments(arguments.to_string());
        for asked in [fetch("call_tool", &arguments), text] {
            check_field(shipped_server().authorize(asked), Code::InvalidArgument, field, saying);
        }
    }
    let most = json!({"url": "https://docs.rs/", "max_length": 999_999, "start_index": 0});
    assert!(is_allow(&shipped_server().authorize(fetch("call_tool", &most)).unwrap()));
}

#[test]
fn arguments_of_a_list_of_objects_are_checked_in_it() {
    let push = |files: Value| {
        let arguments =
            json!({"owner": "acme", "repo": "shop", "branch": "agent/x", "files": files, "message": "m"});
        shipped_server()
            .authorize(call(("User", "ana"), "call_tool", "github/push_files").struct_arguments(&arguments))
    };
    assert!(is_allow(&push(json!([{"path": "a", "content": "b"}])).unwrap()));
    check_field(push(json!([{"path": "a"}])), Code::InvalidArgument, "arguments.files[0]", "required");
    check_field(push(json!("a")), Code::InvalidArgument, "arguments.files", "");
}

#[test]
fn arguments_of_something_that_is_no_call_are_refused() {
    let session = json!({"session": context("fetch/fetch", &[])["session"]});
    let list = question(("User", "ana"), "list_tools", ("ToolServer", "github")).struct_context(&session);
    assert!(is_allow(&shipped_server().authorize(list.clone()).unwrap()));
    for arguments in [json!({}), json!({"x": 1})] {
        let asked = list.clone().struct_arguments(&arguments);
        check_field(shipped_server().authorize(asked), Code::InvalidArgument, "arguments", "takes none");
    }
}

#[test]
fn a_tool_without_a_typed_action_is_called_with_any_arguments_that_are_plain() {
    let time = |arguments: &Value| {
        let asked = call(("User", "ana"), "call_tool", "time/convert_time");
        shipped_server().authorize(asked.struct_arguments(arguments))
    };
    assert!(is_allow(&time(&json!({"anything": [1, {"x": null}]})).unwrap()));
    check_field(
        time(&json!({"a": [{"__expr": "x"}]})),
        Code::InvalidArgument,
        "arguments.a[0].__expr",
        "escape",
    );
}

#[test]
fn touches_are_closed_upward_before_policies_see_them() {
    let ask = |touched: &[&str]| {
        let tool = "time/convert_time";
        let asked = question(("Agent", "night-watch"), "call_tool", ("Tool", tool));
        shipped_server().authorize(asked.struct_context(&context(tool, touched))).unwrap()
    };
    for touched in ["secrets", "secrets/payments", "secrets/payments/api-key"] {
        let answer = ask(&["docs", touched]);
        assert!(determining(&answer).contains(&"no-secrets"), "{touched}: {answer:?}");
    }
    let answer = ask(&["docs", "scratch/triage-bot"]);
    assert!(!determining(&answer).contains(&"no-secrets"), "{answer:?}");
    assert_eq!(reason(&ask(&["gone"])), "unknown_entity");
}

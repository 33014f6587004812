//! Messages of MCP: decided as at every other door, or refused.

use serde_json::json;

use super::ask::{Ask, example, header};
use crate::support::{Question as _, is_allow, question};

const GOOD: &str = "https://docs.rs/tonic";
const BAD: &str = "https://evil.example/";

fn message(method: &str, params: &serde_json::Value) -> Ask {
    Ask::mcp(&json!({"jsonrpc": "2.0", "id": "r-1", "method": method, "params": params}))
}

#[test]
fn a_tool_call_is_decided_by_its_arguments() {
    let server = example("");
    let good = Ask::fetch(GOOD).header("x-request-id", "r-9").header("mcp-session-id", "s-9").to(&server);
    let id = header(&good.allowed().headers, "x-mandate-decision-id").unwrap();
    let bad = Ask::fetch(BAD).to(&server);
    bad.check_denied("forbidden");
    let body = bad.denied(403);
    assert_eq!((&body["jsonrpc"], &body["id"]), (&json!("2.0"), &json!(7)));
    assert!(body["error"]["message"].as_str().unwrap().contains("listed sites"), "{body}");
    assert_eq!(bad.metadata("policies"), "known-sites");
    assert_eq!(bad.metadata("action"), "Mandate::Action::\"fetch/fetch\"");
    let records = server.records(2);
    assert_eq!(records[0]["decision_id"], id.as_str());
    assert_eq!(records[0]["request_id"], "r-9");
    assert_eq!(records[0]["evidence"]["session_id"], "s-9");
    assert_eq!(records[1]["decision_id"], bad.metadata("decision_id").as_str());
    assert!(records.iter().all(|record| record["surface"] == "ext_authz"), "{records:?}");
}

#[test]
fn it_is_the_decision_of_the_other_doors() {
    let server = example("");
    for url in [GOOD, BAD, "https://docs.rs.evil.example/", "https://www.rfc-editor.org/rfc/rfc9110"] {
        let check = Ask::fetch(url).to(&server);
        let context = json!({
            "session": {"id": "envoy", "purpose": "unknown", "attended": false, "untrusted": true, "read_level": 1,
                        "calls": 0, "spent_cents": 0},
            "touches": [],
            "digest": server_digest(),
        });
        let asked = question(("User", "ana"), "call_tool", ("Tool", "fetch/fetch"))
            .struct_context(&context)
            .json_arguments(json!({ "url": url }).to_string());
        let answer = server.authorize(asked).unwrap();
        assert_eq!(check.metadata("decision") == "allow", is_allow(&answer), "{url}");
        assert_eq!(check.metadata("policies"), crate::support::determining(&answer).join(" "), "{url}");
    }
}

fn server_digest() -> String {
    let text = include_str!("../../../entities/fetch.json");
    let entities: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    let tool = entities.iter().find(|entity| entity["uid"]["id"] == "fetch/fetch").unwrap();
    tool["attrs"]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_not_a_tool_call_is_about_the_server_or_its_data() {
    let server = example("");
    for method in ["initialize", "tools/list", "ping", "notifications/initialized", "resources/list"] {
        let verdict = message(method, &json!({})).to(&server);
        verdict.allowed();
        assert_eq!(verdict.metadata("action"), "Mandate::Action::\"list_tools\"", "{method}");
    }
    // `weather` is not trusted: not even its descriptions are seen.
    message("tools/list", &json!({})).route("server", "weather").to(&server).check_denied("no_permit");
    Ask::call("nothing", &json!({})).to(&server).check_denied("unknown_resource");
    for method in ["GET", "DELETE"] {
        Ask::bytes("").method(method).to(&server).allowed();
        let refused = Ask::fetch(GOOD).method(method).to(&server);
        refused.check_refused(405, "none that MCP has");
    }
    Ask::fetch(GOOD).method("PUT").to(&server).check_refused(405, "none that MCP has");
    message("tasks/result", &json!({})).to(&server).check_refused(400, "no method that is decided");
}

#[test]
fn nothing_beside_the_body_says_something_else() {
    let server = example("");
    let fetch = || Ask::fetch(GOOD).header("mcp-protocol-version", "2026-07-28");
    fetch().header("mcp-method", "tools/call").header("mcp-name", "fetch").to(&server).allowed();
    fetch().header("mcp-name", "=?base64?ZmV0Y2g=?=").to(&server).allowed();
    fetch().filtered("tools/call", "fetch").to(&server).allowed();
    for (name, value) in [
        ("mcp-method", "tools/list"),
        ("mcp-method", ""),
        ("mcp-name", "time"),
        ("mcp-name", ""),
        ("mcp-name", "Fetch"),
        ("mcp-name", "=?base64?dGltZQ==?="),
        ("mcp-name", "=?base64?ZmV0Y2g?="),
    ] {
        let body = fetch().header(name, value).to(&server).check_refused(400, "body's");
        assert_eq!((&body["error"]["code"], &body["id"]), (&json!(-32020), &json!(7)), "{name}: {value}");
    }
    // A list has no name.
    message("tools/list", &json!({})).header("mcp-name", "fetch").to(&server).check_refused(400, "body's");
    fetch().filtered("tools/list", "fetch").to(&server).check_refused(400, "another method");
    fetch().filtered("tools/call", "time").to(&server).check_refused(400, "something else");
}

#[test]
fn headers_that_decide_stand_once() {
    let server = example("");
    let fetch = || Ask::fetch(GOOD);
    fetch().raw(&[("mcp-method", b"tools/call")]).to(&server).allowed();
    for name in ["mcp-method", "mcp-name", "mcp-session-id", "content-type", "content-length"] {
        let value = match name {
            "content-type" => "application/json",
            "mcp-name" => "fetch",
            _ => "tools/call",
        };
        let twice = fetch().raw(&[(name, value.as_bytes()), (name, value.as_bytes())]).to(&server);
        twice.check_refused(400, "more than once");
        if name != "mcp-name" {
            fetch()
                .header(name, &format!("{value},{value}"))
                .to(&server)
                .check_refused(400, "more than once");
        }
    }
    fetch().header("mcp-name", "fetch,fetch").to(&server).check_refused(400, "body's");
    // Names differ in case only where somebody wants them to.
    let spelt = fetch().raw(&[("mcp-method", b"tools/call"), ("Mcp-Method", b"tools/list")]).to(&server);
    spelt.check_refused(400, "more than once");
    fetch().raw(&[("mcp-method", b"tools/\xffcall")]).to(&server).check_refused(400, "plain text");
    fetch().header("mcp-method", "tools/!call").to(&server).check_refused(400, "plain text");
}

#[test]
fn a_body_is_whole_or_is_not_decided_on() {
    let server = example("");
    let fetch = || Ask::fetch(GOOD);
    let partial = "x-envoy-auth-partial-body";
    fetch().header(partial, "false").to(&server).allowed();
    for value in ["true", "1", "", "False"] {
        fetch().header(partial, value).to(&server).check_refused(413, "longer than Envoy sends");
    }
    let length = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": "fetch", "arguments": {"url": GOOD}}})
    .to_string()
    .len();
    fetch().header("content-length", &length.to_string()).to(&server).allowed();
    for told in [length + 1, length - 1, 0] {
        let told = told.to_string();
        fetch().header("content-length", &told).to(&server).check_refused(400, "says something else");
    }
    fetch().header("content-length", "x").to(&server).check_refused(400, "says something else");
    Ask::bytes("").to(&server).check_refused(400, "with_request_body");
    fetch().text("{}").to(&server).check_refused(400, "could differ");
    let text = Ask::bytes("").text(&message_text(GOOD));
    text.to(&server).allowed();
    Ask::bytes("").text(&message_text("https://docs.rs/!")).to(&server).check_refused(400, "pack_as_bytes");
    let long = Ask::call("fetch", &json!({"url": GOOD, "x": "a".repeat(256 * 1024)}));
    long.to(&server).check_refused(413, "the limit is 262144");
}

fn message_text(url: &str) -> String {
    let params = json!({"name": "fetch", "arguments": {"url": url}});
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}).to_string()
}

#[test]
fn a_body_in_another_form_is_not_decided_on() {
    let server = example("");
    let fetch = || Ask::fetch(GOOD);
    for good in ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=\"UTF-8\""]
    {
        fetch().header("content-type", good).to(&server).allowed();
    }
    for bad in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        "application/json; profile=x",
        "application/jsonx",
    ] {
        fetch().header("content-type", bad).to(&server).check_refused(415, "application/json");
    }
    fetch().header("content-encoding", "identity").to(&server).allowed();
    fetch().header("content-encoding", "gzip").to(&server).check_refused(415, "identity");
}

#[test]
fn a_body_that_two_readers_could_read_differently_is_refused_with_its_id() {
    let server = example("");
    for (body, code) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}"#, -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch","name":"time"}}"#, -32700),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, -32600),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch","Name":"time","arguments":{"url":"https://docs.rs/"}}}"#,
            -32602,
        ),
        ("{", -32700),
    ] {
        let answer = Ask::bytes(body).to(&server).check_refused(400, "error");
        assert_eq!(answer["error"]["code"], code, "{body}: {answer}");
    }
    Ask::bytes(b"{\"jsonrpc\":\"2.0\",\"method\":\"ping\xff\"}".as_slice())
        .to(&server)
        .check_refused(400, "JSON");
    let records = server.records(8);
    assert!(records.iter().all(|record| record["code"] == "INVALID_ARGUMENT"), "{records:?}");
}

#[test]
fn arguments_that_do_not_fit_the_tool_are_the_clients_mistake() {
    let server = example("");
    for arguments in [json!({}), json!({"url": 1}), json!({"url": GOOD, "depth": 1}), json!({"url": ""})] {
        let body = Ask::call("fetch", &arguments).to(&server).check_refused(400, "arguments");
        assert_eq!(body["error"]["code"], -32602, "{arguments}");
    }
}

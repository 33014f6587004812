//! Plain HTTP: paths that have one meaning, and policies that read them.

use super::ask::{Ask, example};
use crate::support::TestServer;

/// An agent that may act alone.
const AGENT: &str = "night-watch";

fn by_agent(method: &str, path: &str) -> Ask {
    let ask = Ask::http(method, path);
    ask.route("principal", "fixed").route("principal_type", "Mandate::Agent").route("principal_id", AGENT)
}

#[track_caller]
fn check_denied(server: &TestServer, ask: Ask, reason: &str) {
    let body = ask.to(server).denied(403);
    assert_eq!(body["error"]["reason"], reason, "{body}");
    assert!(body["error"]["decision_id"].is_string(), "{body}");
}

#[test]
fn a_policy_reads_the_method_and_the_path_in_its_one_spelling() {
    let server = example("");
    by_agent("GET", "/status?x=%2F..").host("House.EXAMPLE.:80").to(&server).allowed();
    by_agent("GET", "/administrators").to(&server).allowed();
    check_denied(&server, by_agent("POST", "/status"), "no_permit");
    for path in ["/admin", "/admin?x", "/admin/jobs", "/%61dmin", "/adm%69n/jobs", "/admin/%6a"] {
        check_denied(&server, by_agent("GET", path), "forbidden");
    }
    // What was read of the request stands over what anybody writes down.
    let told = by_agent("GET", "/admin")
        .route("context", r#"{"path": "/", "method": "HEAD", "host": "x", "query": "y"}"#);
    check_denied(&server, told, "forbidden");
    // A person may.
    Ask::http("GET", "/admin/jobs").to(&server).allowed();
    check_denied(&server, by_agent("GET", "/").route("server", "weather"), "no_permit");
    check_denied(&server, by_agent("GET", "/").route("server", "nowhere"), "unknown_resource");
    let records = server.records(13);
    assert_eq!(records[0]["context"]["host"], "house.example", "{}", records[0]);
    let context = &records[7]["context"];
    assert_eq!((&context["path"], &context["host"]), (&"/admin/jobs".into(), &"house.example".into()));
    assert_eq!(context["query"], serde_json::Value::Null, "{context}");
}

#[test]
fn what_upstreams_would_differ_over_is_refused() {
    let server = example("");
    for path in [
        "",
        "*",
        "http://house.example/",
        "//admin",
        "/a//b",
        "/./admin",
        "/a/../admin",
        "/a/%2e%2e/admin",
        "/a%2fb",
        "/a%5cb",
        "/a\\b",
        "/%00",
        "/admin%00.png",
        "/%252e%252e/admin",
        "/admin;x=1",
        "/admin%3bx",
        "/a#b",
        "/a b",
        "/é",
        "/a%",
        "/a%zz",
        "/a!b",
        "/a%3Fb",
        "/a%0d%0ab",
    ] {
        by_agent("GET", path).to(&server).check_refused(400, "request.http.path");
    }
    let long = format!("/{}", "a".repeat(8192));
    by_agent("GET", &long).to(&server).check_refused(414, "the limit is 8192");
    for method in ["get", "GET ", ""] {
        by_agent(method, "/").to(&server).check_refused(400, "request.http.method");
    }
    for host in ["", "a,b", "user@house.example", "a b", "a/b"] {
        by_agent("GET", "/").host(host).to(&server).check_refused(400, "request.http.host");
    }
    for name in ["x-http-method-override", "x-original-url", "X-Rewrite-Url"] {
        by_agent("GET", "/").raw(&[(name, b"DELETE")]).to(&server).check_refused(400, "leave it out");
    }
    // Where the message decides, its path still leads to one server.
    let ask = Ask::fetch("https://docs.rs/tonic").path("/mcp/../admin");
    ask.to(&server).check_refused(400, "request.http.path");
}

#[test]
fn a_client_that_writes_in_mandates_name_is_not_heard() {
    let server = example("");
    let ask =
        by_agent("GET", "/").header("x-mandate-principal", "admin").header("x-mandate-decision-id", "0");
    let ok = ask.to(&server).allowed().clone();
    assert_eq!(ok.headers_to_remove, ["x-mandate-principal"]);
    assert_ne!(super::ask::header(&ok.headers, "x-mandate-decision-id").unwrap(), "0");
    let raw = by_agent("GET", "/").raw(&[("X-Mandate-Role", b"admin")]).to(&server);
    assert_eq!(raw.allowed().headers_to_remove, ["x-mandate-role"]);
}

#[test]
fn what_the_operator_does_not_say_is_nobodys_decision() {
    let server = example("");
    let bare = || Ask::http("GET", "/");
    for (name, value) in [
        ("protocol", "grpc"),
        ("server", ""),
        ("server", "a/b"),
        ("principal", "client"),
        ("principal", "header"),
        ("context", "[]"),
        ("context", "{"),
        ("context", r#"{"session": {}}"#),
        ("colour", "red"),
        ("principal_id", "ana"),
        ("resource_type", "Mandate::Data"),
        ("action", "no_action"),
    ] {
        let verdict = bare().route(name, value).to(&server);
        let body = verdict.failed(500);
        assert_eq!(body["error"]["reason"], "INVALID_REQUEST", "{name}: {body}");
    }
    let somebody_elses = bare().header("x", "y").route("server", "house");
    somebody_elses.to(&server).allowed();
    Ask::fetch("https://docs.rs/a").route("action", "http_request").to(&server).failed(500);
}

//! AuthZEN over HTTP, and `/healthz`.

mod batches;
mod certification;
mod clients;
mod hostile;
mod metadata;
mod names;
pub(crate) mod properties;
mod records;
mod searches;
mod todo;

use serde_json::{Value, json};

use crate::support::{HttpAnswer, Sources, TestServer, evaluation, get, post, shipped_server};

fn server() -> TestServer {
    TestServer::start(&Sources::small())
}

fn view() -> Value {
    evaluation(("Mandate::User", "ana"), "view", ("Mandate::Doc", "plan"))
}

/// The view, changed.
fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = view();
    change(&mut body);
    body
}

fn send(server: &TestServer, headers: &[(&str, &str)], body: &str) -> HttpAnswer {
    post(&format!("{}/access/v1/evaluation", server.http), headers, body)
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn a_decision_is_a_boolean_and_a_deny_is_no_error() {
    let server = server();
    let answer = server.evaluate(&view());
    assert!(answer.decision());
    assert!(answer.content_type.starts_with("application/json"), "{answer:?}");
    assert_eq!(answer.json()["context"]["policies"], json!(["base"]));
    let denied = server.evaluate(&changed(|body| body["subject"]["id"] = json!("eve")));
    assert!(!denied.decision());
    assert_eq!(denied.json()["context"]["reason"]["code"], "unknown_principal");
}

#[test]
fn unknown_types_and_ids_are_a_deny_and_an_undeclared_action_is_a_mistake() {
    let server = server();
    for (part, type_name) in [("subject", "robot"), ("resource", "record"), ("subject", "Mandate::Doc")] {
        assert!(!server.evaluate(&changed(|body| body[part]["type"] = json!(type_name))).decision());
    }
    server.evaluate(&changed(|body| body["action"]["name"] = json!("fly"))).check_error(400, "no action");
}

#[test]
fn a_request_id_comes_back_as_it_was_with_answers_and_errors() {
    let server = server();
    let id = ("x-request-id", "bfe9eb29-ab87-4ca3-be83-a1d5d8305716");
    for (body, status) in [(view().to_string(), 200), ("{}".to_owned(), 400)] {
        let answer = send(&server, &[JSON, id], &body);
        assert_eq!((answer.status, answer.request_id.as_deref()), (status, Some(id.1)));
    }
    assert_eq!(server.evaluate(&view()).status, 200, "without one");
}

#[test]
fn unknown_fields_are_ignored_and_nulls_are_absent() {
    let server = server();
    let body = changed(|body| {
        body["extra"] = json!({"deep": [1, {"x": null}]});
        body["subject"]["extra"] = json!(1);
        body["action"]["extra"] = json!("x");
        body["context"] = json!({"count": null});
        body["subject"]["properties"] = Value::Null;
        body["action"]["properties"] = Value::Null;
        body["resource"]["properties"] = Value::Null;
    });
    assert!(server.evaluate(&body).decision());
    assert!(server.evaluate(&changed(|body| body["context"] = Value::Null)).decision());
    assert!(server.evaluate(&changed(|body| body["subject"]["properties"] = json!({}))).decision());
}

#[test]
fn whatever_is_required_and_missing_is_named() {
    let server = server();
    for (part, name) in [("subject", ""), ("action", ""), ("resource", "")] {
        for absent in [Value::Null, json!({})] {
            let empty = absent.is_object();
            let body = changed(|body| body[part] = absent);
            let named = if empty { format!("{part}.") } else { format!("{part}{name}") };
            server.evaluate(&body).check_error(400, &named);
        }
        let body = changed(|body| drop(body.as_object_mut().unwrap().remove(part)));
        server.evaluate(&body).check_error(400, part);
    }
    for (part, name) in
        [("subject", "type"), ("subject", "id"), ("action", "name"), ("resource", "type"), ("resource", "id")]
    {
        let body = changed(|body| drop(body[part].as_object_mut().unwrap().remove(name)));
        server.evaluate(&body).check_error(400, &format!("{part}.{name}"));
        for wrong in [json!(1), json!([]), json!(true), json!({})] {
            server.evaluate(&changed(|body| body[part][name] = wrong)).check_error(400, "");
        }
    }
    for wrong in [json!(1), json!("x"), json!([])] {
        server.evaluate(&changed(|body| body["context"] = wrong)).check_error(400, "context");
    }
}

#[test]
fn a_body_that_is_not_json_is_a_mistake() {
    let server = server();
    let twice = r#"{"subject": {"type": "Mandate::User", "id": "eve", "id": "ana"}, "action": {"name": "view"},
                    "resource": {"type": "Mandate::Doc", "id": "plan"}}"#;
    let context_twice = view().to_string().replacen('{', r#"{"context": {"count": 1, "count": 2}, "#, 1);
    let subject_twice = view().to_string().replacen('{', r#"{"subject": {"type": "a", "id": "b"}, "#, 1);
    let trailing = format!("{} x", view());
    for body in ["", "{", "[]", "null", "1", "\"x\"", twice, &context_twice, &subject_twice, &trailing] {
        send(&server, &[JSON], body).check_error(400, "");
    }
    server.evaluate_bytes(b"\xff\xfe".to_vec()).check_error(400, "");
}

#[test]
fn a_member_given_twice_that_nobody_reads_is_a_mistake_too() {
    let server = server();
    let ignored_twice = view().to_string().replacen('{', r#"{"extra": 1, "extra": 2, "#, 1);
    send(&server, &[JSON], &ignored_twice).check_error(400, "duplicate");
}

#[test]
fn another_content_type_is_a_mistake() {
    let server = server();
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "application"]
    {
        send(&server, &[("content-type", content_type)], &view().to_string())
            .check_error(400, "content type");
    }
    let twice = [JSON, ("content-type", "text/plain")];
    send(&server, &twice, &view().to_string()).check_error(400, "content type");
    for content_type in ["application/json; charset=utf-8", "Application/JSON", "application/json ;x=y"] {
        assert!(send(&server, &[("content-type", content_type)], &view().to_string()).decision());
    }
}

#[test]
fn a_body_of_the_limit_is_read_and_one_byte_more_is_not() {
    let server = server();
    let limit = 256 * 1024;
    let of = |bytes: usize| {
        let text = view().to_string();
        format!("{text}{}", " ".repeat(bytes - text.len()))
    };
    assert!(send(&server, &[JSON], &of(limit)).decision());
    for bytes in [limit + 1, 4 * limit] {
        send(&server, &[JSON], &of(bytes)).check_error(400, "limit of 262144 bytes");
    }
    assert!(server.evaluate(&view()).decision());
}

#[test]
fn a_tools_arguments_stand_in_the_actions_properties() {
    let call = |url: &str| {
        let mut body = evaluation(("Mandate::User", "ana"), "call_tool", ("Mandate::Tool", "fetch/fetch"));
        body["action"]["properties"] = json!({"arguments": {"url": url}});
        body["context"] = crate::typed_tools::context("fetch/fetch", &[]);
        shipped_server().evaluate(&body)
    };
    assert!(call("https://docs.rs/cedar-policy").decision());
    let denied = call("http://169.254.169.254/");
    assert_eq!(denied.json()["context"]["policies"], json!(["known-sites"]));
    assert!(!denied.decision());
}

#[test]
fn another_method_is_answered_with_those_there_are() {
    let server = server();
    let posted = [
        "/access/v1/evaluation",
        "/access/v1/evaluations",
        "/access/v1/search/subject",
        "/access/v1/search/resource",
        "/access/v1/search/action",
    ];
    let posted = posted.map(|path| (path, "GET", "POST"));
    let got = ["/healthz", "/.well-known/authzen-configuration"].map(|path| (path, "POST", "GET,HEAD"));
    for (path, method, allowed) in posted.into_iter().chain(got) {
        let url = format!("{}{path}", server.http);
        let id = ("x-request-id", "r-1");
        let answer = if method == "GET" { get(&url) } else { post(&url, &[JSON, id], view().to_string()) };
        answer.check_error(405, "Allow");
        assert_eq!(answer.allow.as_deref(), Some(allowed), "{path}");
        assert_eq!(answer.request_id.as_deref(), (method == "POST").then_some("r-1"), "{path}");
    }
}

#[test]
fn another_path_is_none_of_authzens() {
    let server = server();
    for path in
        ["/access/v1/evaluations/", "/access/v1", "/", "/access/v2/evaluation", "/access/v1/EVALUATION"]
    {
        let url = format!("{}{path}", server.http);
        let answer = post(&url, &[JSON, ("x-request-id", "r-1")], view().to_string());
        answer.check_error(404, "nothing");
        assert_eq!(answer.request_id.as_deref(), Some("r-1"));
    }
}

#[test]
fn a_denial_says_why_to_those_who_run_the_service_and_to_people() {
    let forbids = "@id(\"not-eve\")\n@reason(\"eve has left\")\nforbid (principal == Mandate::User::\"eve\", action, resource);\n\
                   @id(\"broken\")\npermit (principal, action, resource) when { 9223372036854775807 + resource.level > 0 };\n";
    let sources = Sources::small()
        .policy("no.cedar", forbids)
        .entities("eve.json", &json!([crate::support::user("eve")]));
    let server = TestServer::start(&sources);
    let allowed = server.evaluate(&view()).json();
    let context = &allowed["context"];
    assert_eq!((&context["reasons"], &context["policies"]), (&json!(["base"]), &json!(["base"])));
    assert!(context["errors"][0].as_str().unwrap().starts_with("broken: "), "{allowed}");
    assert_eq!(context["errors"].as_array().unwrap().len(), 1);
    for absent in ["reason", "reason_admin", "reason_user", "ignored"] {
        assert_eq!(context.get(absent), None);
    }
    let forbidden = server.evaluate(&changed(|body| body["subject"]["id"] = json!("eve"))).json();
    let context = &forbidden["context"];
    assert_eq!((&forbidden["decision"], &context["reasons"]), (&json!(false), &json!(["not-eve"])));
    assert_eq!(context["reason_user"], json!({"403": "eve has left"}));
    assert_eq!(context["reason_admin"], json!({"403": "forbidden, by policy `not-eve`: eve has left"}));
    let unknown = server.evaluate(&changed(|body| body["subject"]["id"] = json!("nobody"))).json();
    let context = &unknown["context"];
    assert_eq!((&unknown["decision"], &context["reasons"]), (&json!(false), &json!(["unknown_principal"])));
    assert!(context["reason_admin"]["403"].as_str().unwrap().contains("nobody"));
    assert_eq!(context["reason_user"], json!({"403": "This is not allowed."}), "who exists is not told");
    let ids =
        [&allowed, &forbidden, &unknown].map(|answer| answer["context"]["decision_id"].as_str().unwrap());
    let records = server.records(3);
    assert!(records.iter().zip(ids).all(|(record, id)| record["decision_id"] == id), "{records:?}");
}

#[test]
fn healthz_says_ok_and_nothing_else() {
    let server = server();
    let answer = get(&format!("{}/healthz", server.http));
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    server.shutdown();
}

#[test]
fn http_and_grpc_decide_alike() {
    use crate::support::{is_allow, question};
    for (user, resource) in [("ana", "plan"), ("eve", "plan"), ("ana", "gone")] {
        let server = server();
        let body = evaluation(("Mandate::User", user), "view", ("Mandate::Doc", resource));
        let grpc = server.authorize(question(("User", user), "view", ("Doc", resource))).unwrap();
        assert_eq!(server.evaluate(&body).decision(), is_allow(&grpc));
    }
}

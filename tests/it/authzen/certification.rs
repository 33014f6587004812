//! The draft certification scenario of AuthZEN 1.0, line by line: Basic, Batch, Search and Discovery.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::{HttpAnswer, Sources, TestServer, get, post};

/// Who and what the scenario asks about. What a caller asserts of a status may forbid; what it asserts of a role is worth
/// nothing beyond what is stored.
const SCHEMA: &str = r#"namespace Records {
  entity Role enum ["editor", "admin"];
  entity User = { role: Role };
  entity Record = { status: String };
  type Asserted = { subject: { role?: String }, action: { soft?: Bool }, resource: { status?: String } };
  action read, write, delete appliesTo { principal: [User], resource: [Record], context: { asserted: Asserted } };
}
"#;

const POLICIES: &str = r#"
@id("read")
permit (principal, action == Records::Action::"read", resource);
@id("editors-write-active")
permit (principal, action == Records::Action::"write", resource)
when { principal.role == Records::Role::"editor" && resource.status == "active" };
@id("admins-write-archived")
permit (principal, action == Records::Action::"write", resource)
when { principal.role == Records::Role::"admin" && resource.status == "archived" };
@id("asserted-archived")
@reason("the record is archived")
forbid (principal, action == Records::Action::"write", resource)
when { context.asserted.resource has status && context.asserted.resource.status == "archived" }
unless { principal.role == Records::Role::"admin" };
@id("delete-softly")
permit (principal, action == Records::Action::"delete", resource)
when { context.asserted.action has soft && context.asserted.action.soft };
"#;

const CONFIG: &str = r#"
[domain]
namespace = "Records"
[authzen.subjects]
user = "Records::User"
[authzen.resources]
record = "Records::Record"
"#;

/// Serves the scenario's fixture.
pub(super) fn sources() -> Sources {
    let role = |id: &str, role: &str| {
        json!({"uid": {"type": "Records::User", "id": id}, "parents": [],
               "attrs": {"role": {"__entity": {"type": "Records::Role", "id": role}}}})
    };
    let record = |id: &str, status: &str| json!({"uid": {"type": "Records::Record", "id": id}, "attrs": {"status": status}, "parents": []});
    Sources::empty().schema("records.cedarschema", SCHEMA).policy("records.cedar", POLICIES).entities(
        "records.json",
        &json!([
            role("alice", "editor"),
            role("bob", "admin"),
            record("record-1", "active"),
            record("record-2", "archived")
        ]),
    )
}

pub(super) fn server() -> &'static TestServer {
    static SERVER: LazyLock<TestServer> =
        LazyLock::new(|| TestServer::with_config(&sources().config_written(CONFIG).unwrap()));
    &SERVER
}

fn ask(path: &str, body: &Value) -> HttpAnswer {
    ask_text(path, &body.to_string())
}

fn ask_text(path: &str, body: &str) -> HttpAnswer {
    post(&format!("{}{path}", server().http), &[("content-type", "application/json")], body)
}

const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";

pub(super) fn user(id: &str) -> Value {
    json!({"type": "user", "id": id})
}

pub(super) fn record(id: &str) -> Value {
    json!({"type": "record", "id": id})
}

fn with(mut entity: Value, properties: Value) -> Value {
    entity["properties"] = properties;
    entity
}

fn question(subject: Value, action: Value, resource: Value) -> Value {
    json!({"subject": subject, "action": action, "resource": resource})
}

fn name(name: &str) -> Value {
    json!({ "name": name })
}

fn archived() -> Value {
    with(record("record-2"), json!({"status": "archived"}))
}

fn admin() -> Value {
    with(user("bob"), json!({"role": "admin"}))
}

#[test]
fn the_eight_decisions() {
    let delete = |soft: bool| with(name("delete"), json!({"soft": soft}));
    for (line, body, expected) in [
        (1, question(user("alice"), name("read"), record("record-1")), true),
        (2, question(user("alice"), name("write"), record("record-1")), true),
        (3, question(user("bob"), name("read"), record("record-1")), true),
        (4, question(user("bob"), name("write"), record("record-1")), false),
        (5, question(user("alice"), name("write"), archived()), false),
        (6, question(admin(), name("write"), archived()), true),
        (7, question(user("alice"), delete(true), record("record-1")), true),
        (8, question(user("alice"), delete(false), record("record-1")), false),
    ] {
        // Once more, for a request that is repeated is answered alike.
        for _ in 0..3 {
            let answer = ask(EVALUATION, &body);
            assert_eq!(answer.decision(), expected, "{line}: {answer:?}");
            assert!(answer.json()["context"].is_object());
            assert_eq!(answer.content_type, "application/json");
        }
    }
    // A deny that hangs on what the caller asserts, not on which record it names.
    let asserted = with(record("record-1"), json!({"status": "archived"}));
    assert!(!ask(EVALUATION, &question(user("alice"), name("write"), asserted)).decision());
}

#[test]
fn what_real_requests_add_changes_nothing() {
    let base = question(user("alice"), name("read"), record("record-1"));
    let added = |change: &dyn Fn(&mut Value)| {
        let mut body = base.clone();
        change(&mut body);
        body
    };
    for body in [
        added(&|body| body["context"] = json!({"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"})),
        added(&|body| {
            body["subject"]["properties"] = json!({"department": "Sales", "role": "manager"});
            body["action"]["properties"] = json!({"method": "GET"});
            body["resource"]["properties"] = json!({"status": "active", "owner": "bob"});
        }),
        added(&|body| {
            body["foo"] = json!("bar");
            body["futureField"] = json!({"nested": true});
        }),
    ] {
        assert!(ask(EVALUATION, &body).decision(), "{body}");
    }
}

#[test]
fn what_is_missing_or_of_another_type_is_a_400() {
    let base = question(user("alice"), name("read"), record("record-1"));
    let mut bodies = Vec::new();
    for part in ["subject", "action", "resource"] {
        let mut body = base.clone();
        body.as_object_mut().unwrap().remove(part);
        bodies.push(body);
        for inner in ["type", "id", "name"] {
            let mut body = base.clone();
            if body[part].as_object_mut().unwrap().remove(inner).is_some() {
                bodies.push(body.clone());
                body[part][inner] = json!(123);
                bodies.push(body);
            }
        }
        let mut body = base.clone();
        body[part] = json!("alice");
        bodies.push(body);
    }
    assert_eq!(bodies.len(), 3 + 5 + 5 + 3);
    for body in bodies {
        for path in [EVALUATION, EVALUATIONS] {
            ask(path, &body).check_error(400, "");
        }
    }
    for path in [EVALUATION, EVALUATIONS] {
        for text in ["", "{", "not json", "[]"] {
            ask_text(path, text).check_error(400, "");
        }
        for content_type in ["text/plain", "application/xml", ""] {
            let url = format!("{}{path}", server().http);
            post(&url, &[("content-type", content_type)], base.to_string())
                .check_error(400, "application/json");
        }
    }
}

#[test]
fn a_request_id_is_echoed_and_need_not_be_there() {
    let body = question(user("alice"), name("read"), record("record-1")).to_string();
    for path in [EVALUATION, EVALUATIONS] {
        let url = format!("{}{path}", server().http);
        for id in ["bfe9eb29-ab87-4ca3-be83-a1d5d8305716", "any text: ~!", "0"] {
            let answer =
                post(&url, &[("content-type", "application/json"), ("X-Request-ID", id)], body.as_str());
            assert_eq!((answer.status, answer.request_id.as_deref()), (200, Some(id)));
        }
        assert!(ask_text(path, &body).decision());
    }
}

/// The decisions of a batch.
#[track_caller]
fn decisions(body: &Value) -> Vec<bool> {
    let answer = ask(EVALUATIONS, body);
    assert_eq!((answer.status, answer.content_type.as_str()), (200, "application/json"), "{answer:?}");
    let answer = answer.json();
    assert_eq!(answer.get("decision"), None);
    let items = answer["evaluations"].as_array().expect("a list");
    items.iter().map(|item| item["decision"].as_bool().expect("a boolean")).collect()
}

#[test]
fn batches() {
    let (read, write) = (name("read"), name("write"));
    for (line, body, expected) in [
        (
            "3.2.1",
            json!({"subject": user("alice"), "action": read, "evaluations":
                [{"resource": record("record-1")}, {"resource": record("record-2")}]}),
            vec![true, true],
        ),
        (
            "3.2.2",
            json!({"subject": user("bob"), "resource": record("record-1"), "evaluations":
                [{"action": read}, {"action": write}]}),
            vec![true, false],
        ),
        (
            "3.2.3",
            json!({"subject": user("alice"), "action": write, "evaluations":
                [{"resource": with(record("record-1"), json!({"status": "active"}))}, {"resource": archived()}]}),
            vec![true, false],
        ),
        (
            "3.2.4",
            json!({"action": write, "resource": archived(), "evaluations":
                [{"subject": user("alice")}, {"subject": admin()}]}),
            vec![false, true],
        ),
        (
            "3.2.5",
            json!({"evaluations": [question(user("alice"), read.clone(), record("record-1")),
                                   question(user("bob"), write.clone(), record("record-1"))]}),
            vec![true, false],
        ),
        (
            "3.2.6",
            json!({"subject": user("alice"), "action": read, "context": {"time": "2025-06-27T18:03-07:00"}, "evaluations": [
                {"resource": record("record-1")},
                {"resource": record("record-2"), "context": {"time": "2025-06-27T19:00-07:00", "source": "batch-override"}}]}),
            vec![true, true],
        ),
        (
            "3.2.7",
            json!({"subject": user("alice"), "action": write, "resource": {"type": "record"}, "evaluations": [
                {"resource": {"id": "record-1", "properties": {"status": "active"}}}, {"resource": archived()}]}),
            vec![true, false],
        ),
        (
            "3.4.1",
            json!({"subject": user("alice"), "action": read, "evaluations": [{"resource": record("record-1")}, {}]}),
            vec![true, false],
        ),
    ] {
        assert_eq!(decisions(&body), expected, "{line}");
    }
    let mut single = question(user("alice"), read, record("record-1"));
    assert!(ask(EVALUATIONS, &single).decision(), "3.4.2");
    single["evaluations"] = json!([]);
    assert!(ask(EVALUATIONS, &single).decision(), "3.4.3");
}

const SUBJECTS: &str = "/access/v1/search/subject";
const RESOURCES: &str = "/access/v1/search/resource";
const ACTIONS: &str = "/access/v1/search/action";

fn of_type(name: &str) -> Value {
    json!({ "type": name })
}

/// What a search finds, each result as it must be.
#[track_caller]
fn results(path: &str, body: &Value) -> Vec<Value> {
    let answer = ask(path, body);
    assert_eq!((answer.status, answer.content_type.as_str()), (200, "application/json"), "{answer:?}");
    let answer = answer.json();
    let results = answer["results"].as_array().expect("a list").clone();
    let members: &[&str] = if path == ACTIONS { &["name"] } else { &["type", "id"] };
    for result in &results {
        let result = result.as_object().unwrap();
        assert_eq!(result.len(), members.len(), "{result:?}");
        assert!(members.iter().all(|member| result[*member].is_string()), "{result:?}");
    }
    results
}

#[test]
fn searches() {
    let (read, write) = (name("read"), name("write"));
    let subjects = |action: &Value, resource| json!({"subject": of_type("user"), "action": action, "resource": resource});
    let resources = |subject, action: &Value| json!({"subject": subject, "action": action, "resource": of_type("record")});
    let actions = |subject, resource| json!({"subject": subject, "resource": resource});
    for (line, path, body, expected) in [
        ("4.2.1", SUBJECTS, subjects(&read, record("record-1")), vec![user("alice"), user("bob")]),
        ("4.2.4", SUBJECTS, subjects(&write, archived()), vec![user("bob")]),
        ("4.3.1", RESOURCES, resources(user("alice"), &read), vec![record("record-1"), record("record-2")]),
        ("4.3.3", RESOURCES, resources(admin(), &write), vec![record("record-2")]),
        ("4.4.1", ACTIONS, actions(user("alice"), record("record-1")), vec![name("read"), name("write")]),
        ("4.4.3", ACTIONS, actions(admin(), archived()), vec![name("read"), name("write")]),
    ] {
        assert_eq!(results(path, &body), expected, "{line}");
        // Whoever is searched for may be named all the same: the name is ignored. A context is accepted.
        let mut more = body.clone();
        for part in ["subject", "resource"] {
            if more[part].get("id").is_none() {
                more[part]["id"] = json!("nobody");
                more[part]["properties"] = json!({"role": 1, "status": 1});
            }
        }
        more["context"] = json!({"time": "2025-06-27T18:03-07:00"});
        more["foo"] = json!({"bar": [null]});
        assert_eq!(results(path, &more), expected, "{line}, with more");
    }
}

#[test]
fn pages_of_searches() {
    let whole = json!({"subject": of_type("user"), "action": name("read"), "resource": record("record-1")});
    let paged = |page: Value| {
        let mut body = whole.clone();
        body["page"] = page;
        ask(SUBJECTS, &body).json()
    };
    let first = paged(json!({"limit": 1}));
    assert_eq!(first["results"], json!([user("alice")]), "4.5.1");
    let token = first["page"]["next_token"].as_str().unwrap();
    assert!(!token.is_empty());
    let second = paged(json!({ "token": token }));
    assert_eq!(second["results"], json!([user("bob")]), "4.5.2");
    // There may be nothing behind the last one, which shows only on the page after it.
    let mut last = second;
    while !last["page"]["next_token"].as_str().unwrap().is_empty() {
        last = paged(json!({"token": last["page"]["next_token"]}));
    }
    assert!(last["page"]["count"].is_u64());
}

#[test]
fn searches_that_find_nothing_and_searches_that_are_none() {
    let nobody = json!({"subject": user("nonexistent-user"), "resource": record("record-1")});
    assert_eq!(ask(ACTIONS, &nobody).json(), json!({"results": []}), "4.6.1");
    let ship =
        json!({"subject": of_type("spaceship"), "action": name("read"), "resource": record("record-1")});
    assert_eq!(ask(SUBJECTS, &ship).json(), json!({"results": []}), "4.6.2");
    for (path, body) in [
        (
            SUBJECTS,
            json!({"subject": of_type("no type"), "action": name("read"), "resource": record("record-1")}),
        ),
        (
            SUBJECTS,
            json!({"subject": of_type("user"), "action": name("read"), "resource": record("record-9")}),
        ),
        (
            SUBJECTS,
            json!({"subject": of_type("user"), "action": name("fly"), "resource": record("record-1")}),
        ),
        (
            SUBJECTS,
            json!({"subject": of_type("user"), "action": name("read"), "resource": {"type": "ship", "id": "1"}}),
        ),
        (RESOURCES, json!({"subject": user("alice"), "action": name("read"), "resource": of_type("ship")})),
        (RESOURCES, json!({"subject": user("alice"), "action": name("fly"), "resource": of_type("record")})),
        (
            RESOURCES,
            json!({"subject": user("nobody"), "action": name("read"), "resource": of_type("record")}),
        ),
        (ACTIONS, json!({"subject": {"type": "ship", "id": "1"}, "resource": record("record-1")})),
    ] {
        let answer = ask(path, &body);
        assert_eq!((answer.status, answer.json()), (200, json!({"results": []})), "{body}");
    }
    for (path, body) in [
        (SUBJECTS, json!({"subject": of_type("user"), "resource": record("record-1")})),
        (RESOURCES, json!({"action": name("read"), "resource": of_type("record")})),
        (ACTIONS, json!({"subject": user("alice")})),
        (
            SUBJECTS,
            json!({"subject": of_type("user"), "action": name("read"), "resource": of_type("record")}),
        ),
        (
            RESOURCES,
            json!({"subject": of_type("user"), "action": name("read"), "resource": of_type("record")}),
        ),
        (ACTIONS, json!({"subject": of_type("user"), "resource": record("record-1")})),
        (SUBJECTS, json!({"subject": {}, "action": name("read"), "resource": record("record-1")})),
        (
            RESOURCES,
            json!({"subject": user("alice"), "action": name("read"), "resource": {"id": "record-1"}}),
        ),
        (SUBJECTS, json!({"subject": of_type("user"), "action": {}, "resource": record("record-1")})),
        (SUBJECTS, json!({"subject": "user", "action": name("read"), "resource": record("record-1")})),
        (ACTIONS, json!({"subject": user("alice"), "resource": {"type": "record", "id": 101}})),
    ] {
        ask(path, &body).check_error(400, "");
    }
    for path in [SUBJECTS, RESOURCES, ACTIONS] {
        for text in ["", "{", "[]", r#"{"subject": {}, "subject": {}}"#] {
            ask_text(path, text).check_error(400, "");
        }
    }
}

#[test]
fn discovery() {
    let server = server();
    let answer = get(&format!("{}/.well-known/authzen-configuration", server.http));
    assert_eq!((answer.status, answer.content_type.as_str()), (200, "application/json"));
    let metadata = answer.json();
    assert_eq!(metadata["policy_decision_point"], json!(server.http));
    for (name, value) in metadata.as_object().unwrap() {
        let url = value.as_str().unwrap();
        assert!(url.starts_with(&server.http), "{name}");
        if name.ends_with("_endpoint") {
            // What is named is served: an empty body is the caller's mistake.
            post(url, &[("content-type", "application/json")], "").check_error(400, "");
        }
    }
    assert!(metadata.get("access_evaluation_endpoint").is_some());
}

//! The decision log of a running service: one line for every answer, and what stands in it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use mandate::engine::disclosure::Disclosure;
use mandate::server::pb;
use pb::authorize_result::Outcome;
use prost::Message as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Request};

use crate::support::{
    Client, Conversation, Process, Question as _, Sources, TestServer, bearer, curl, evaluation, framed,
    is_allow, post, question, raw_call, reference, repository_config,
};

const AUTHORIZE: &str = "/mandate.v1.AuthorizationService/Authorize";
const BATCH: &str = "/mandate.v1.AuthorizationService/AuthorizeBatch";

fn view(user: &str) -> pb::AuthorizeRequest {
    question(("User", user), "view", ("Doc", "plan"))
}

fn server() -> TestServer {
    TestServer::start(&Sources::small())
}

/// The one line of a kind in a log of one line.
#[track_caller]
fn the_refusal(server: &TestServer, expected: &Value) -> Value {
    let record = server.records(1).remove(0);
    assert_eq!(record["kind"], "refusal", "{record}");
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&record[name], value, "{name} of {record}");
    }
    record
}

#[test]
fn every_answer_on_every_surface_is_one_line_with_its_id() {
    let server = server();
    let mut answered: Vec<(String, &str)> = Vec::new();
    for user in ["ana", "ana", "nobody"] {
        answered.push((server.authorize(view(user)).unwrap().decision_id, "grpc"));
    }
    let requests = ["ana", "nobody", "ana"].map(view).to_vec();
    for result in server.client().batch(pb::AuthorizeBatchRequest { defaults: None, requests }).unwrap() {
        let Some(Outcome::Response(answer)) = result.outcome else { panic!("an answer") };
        answered.push((answer.decision_id, "batch"));
    }
    let mut stream = Conversation::open(server.client(), &[]);
    for id in ["a", "b"] {
        answered.push((stream.decide(&view("ana").named(id)).decision_id, "stream"));
    }
    for user in ["ana", "nobody"] {
        let answer = server.evaluate(&evaluation(("Mandate::User", user), "view", ("Mandate::Doc", "plan")));
        answered.push((answer.json()["context"]["decision_id"].as_str().unwrap().to_owned(), "authzen"));
    }
    let records = server.records(answered.len());
    let surfaces: HashMap<_, _> = records
        .iter()
        .map(|record| (record["decision_id"].as_str().unwrap(), record["surface"].as_str().unwrap()))
        .collect();
    assert_eq!(surfaces.len(), answered.len(), "every line has an id of its own");
    for (id, surface) in &answered {
        assert_eq!(surfaces.get(id.as_str()), Some(surface), "{id}");
    }
}

#[test]
fn a_line_says_what_was_asked_and_answered() {
    let sources = Sources::small().policy(
        "no.cedar",
        "@id(\"no-count\")\n@reason(\"not so many\")\nforbid (principal, action, resource) when { context has count };\n",
    );
    let server = TestServer::start(&sources);
    let asked = view("ana").struct_context(&json!({"count": 3})).named("r-1");
    let answers = [1, 2].map(|_| server.authorize(asked.clone()).unwrap());
    let explained = server.authorize(asked.clone().explained()).unwrap();
    let records = server.records(3);
    for (record, answer) in records.iter().zip(answers.iter().chain([&explained])) {
        let text = |value: &str| json!(value);
        let expected = [
            ("v", json!(1)),
            ("kind", text("decision")),
            ("decision_id", text(&answer.decision_id)),
            ("surface", text("grpc")),
            ("caller", text("anonymous-loopback")),
            ("request_id", text("r-1")),
            ("revision", text(&answer.revision)),
            ("generation", text(&answer.generation)),
            ("principal", json!({"type": "Mandate::User", "id": "ana"})),
            ("chain", json!([{"type": "Mandate::User", "id": "ana"}])),
            ("action", json!({"type": "Mandate::Action", "id": "view"})),
            ("resource", json!({"type": "Mandate::Doc", "id": "plan"})),
            ("context", json!({"count": 3})),
            ("context_digest", text(&digest(r#"{"count":3}"#))),
            ("decision", text("deny")),
            ("reason", json!({"code": "forbidden", "message": "not so many", "policy": "no-count"})),
            ("mode", text("enforce")),
        ];
        for (name, value) in expected {
            assert_eq!(record[name], value, "{name} of {record}");
        }
        assert_eq!(record["determining"][0]["id"], "no-count");
        assert_eq!(record["determining"][0]["effect"], "forbid");
        assert!(record["latency_us"].as_f64().unwrap() > 0.0);
        let time = record["time"].as_str().unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok() && time.len() == 27, "{time}");
    }
    let each = |name: &str| records.iter().map(|record| record[name].clone()).collect::<Vec<_>>();
    assert_eq!(each("cache"), ["miss", "hit", "bypass"]);
    assert_eq!(each("first_seen"), [json!(true), Value::Null, Value::Null]);
    assert_eq!(each("explained"), [Value::Null, Value::Null, json!(true)]);
    assert_eq!(records[0]["instance"], records[2]["instance"]);
}

#[test]
fn every_documented_field_of_every_line_is_documented() {
    let page = fs::read_to_string(crate::support::repository().join("docs/decision-log.md")).unwrap();
    let server = TestServer::with_config(&repository_config());
    let evidence = Some(pb::Evidence { session_id: "s".to_owned(), ..pb::Evidence::default() });
    server.authorize(pb::AuthorizeRequest { evidence, ..tool_call(&json!({"x": 1})).explained() }).unwrap();
    server.authorize(pb::AuthorizeRequest::default()).unwrap_err();
    for record in server.records(2) {
        for name in record.as_object().unwrap().keys() {
            assert!(page.contains(&format!("`{name}`")), "docs/decision-log.md does not name `{name}`");
        }
    }
}

#[test]
fn what_is_refused_leaves_one_line_too() {
    let no_protobuf = vec![0x12, 0x7f, 0x01];
    let unreadable = json!({"code": "INVALID_ARGUMENT", "reason": "MESSAGE_UNREADABLE"});
    for (method, surface) in [(AUTHORIZE, "grpc"), (BATCH, "batch")] {
        for bytes in [no_protobuf.clone(), vec![0; 256 * 1024 + 1]] {
            let server = server();
            assert_eq!(raw_call(server.client(), method, bytes).unwrap_err().code(), Code::InvalidArgument);
            the_refusal(&server, &unreadable);
            assert_eq!(server.records(1)[0]["surface"], surface);
        }
    }
    let server = server();
    let credentials = pb::AuthorizeRequest { credentials: "t".to_owned(), ..view("ana").named("r") };
    server.authorize(credentials).unwrap_err();
    the_refusal(
        &server,
        &json!({"code": "UNAUTHENTICATED", "reason": "SUBJECT_TOKEN_INVALID", "field": "credentials", "request_id": "r"}),
    );
}

#[test]
fn a_refusal_that_the_world_gave_names_the_parties() {
    let server = server();
    server.authorize(view("ana").struct_context(&json!({"count": "canary-value"}))).unwrap_err();
    let record = the_refusal(&server, &json!({"field": "context.count", "reason": "INVALID_REQUEST"}));
    assert_eq!(record["principal"], json!({"type": "Mandate::User", "id": "ana"}));
    assert_eq!(record["resource"], json!({"type": "Mandate::Doc", "id": "plan"}));
    assert!(!record.to_string().contains("canary-value"), "{record}");
}

#[test]
fn a_batch_that_is_refused_whole_is_one_line_and_one_bad_item_is_its_own() {
    let whole = server();
    let requests = vec![view("ana"); 101];
    whole.client().batch(pb::AuthorizeBatchRequest { defaults: None, requests }).unwrap_err();
    the_refusal(&whole, &json!({"surface": "batch", "field": "requests", "code": "INVALID_ARGUMENT"}));
    let single = server();
    let requests =
        vec![view("ana").named("a"), pb::AuthorizeRequest::default().named("b"), view("ana").named("c")];
    assert_eq!(
        single.client().batch(pb::AuthorizeBatchRequest { defaults: None, requests }).unwrap().len(),
        3
    );
    let records = single.records(3);
    let kinds: Vec<_> = records.iter().map(|record| (&record["request_id"], &record["kind"])).collect();
    let expected = [("a", "decision"), ("b", "refusal"), ("c", "decision")];
    assert_eq!(
        kinds,
        expected.map(|(id, kind)| (json!(id), json!(kind))).each_ref().map(|(id, kind)| (id, kind))
    );
}

#[test]
fn bad_requests_over_http_are_one_line_each() {
    let server = server();
    let bodies: [&[u8]; 4] = [b"{", b"[]", b"{\"subject\": 1}", &[0xff]];
    for body in bodies {
        assert_eq!(server.evaluate_bytes(body).status, 400);
    }
    let url = format!("{}/access/v1/evaluation", server.http);
    assert_eq!(post(&url, &[("content-type", "text/plain")], "{}").status, 400);
    let json = [("content-type", "application/json"), ("x-request-id", "r-7")];
    assert_eq!(post(&url, &json, vec![b' '; 256 * 1024 + 1]).status, 400);
    let records = server.records(6);
    assert!(records.iter().all(|record| record["surface"] == "authzen" && record["kind"] == "refusal"));
    assert_eq!(records[5]["request_id"], "r-7");
}

#[test]
fn a_call_that_comes_too_late_is_one_line() {
    let batch = pb::AuthorizeBatchRequest { defaults: None, requests: vec![view("ana"); 100] };
    for (method, message) in [(AUTHORIZE, view("ana").encode_to_vec()), (BATCH, batch.encode_to_vec())] {
        for timeout in ["0n", "1n"] {
            let server = server();
            let header = format!("grpc-timeout: {timeout}");
            let Some(curled) = curl(&server.data, method, &framed(&message), &[&header]) else { return };
            assert_eq!(curled.status.as_deref(), Some("4"), "{method} {timeout}");
            for record in server.records(curled.calls) {
                assert_eq!(
                    (&record["kind"], &record["code"]),
                    (&json!("refusal"), &json!("DEADLINE_EXCEEDED"))
                );
            }
        }
    }
}

#[test]
fn what_the_transport_refuses_is_one_line() {
    // No message at all; one cut short; one that says it is compressed, and a call that says so.
    let compressed = [&[1], &framed(&view("ana").encode_to_vec())[1..]].concat();
    let short = framed(&view("ana").encode_to_vec())[..9].to_vec();
    for (body, headers) in [
        (Vec::new(), vec![]),
        (short, vec![]),
        (compressed.clone(), vec![]),
        (compressed, vec!["grpc-encoding: gzip"]),
    ] {
        let server = server();
        let Some(curled) = curl(&server.data, AUTHORIZE, &body, &headers) else { return };
        assert!(curled.status.is_some_and(|status| status != "0"));
        let records = server.records(curled.calls);
        assert!(records.iter().all(|record| record["kind"] == "refusal"), "{records:?}");
    }
}

/// `ana` calls a tool whose arguments no policy reads.
fn tool_call(arguments: &Value) -> pb::AuthorizeRequest {
    let entities = fs::read_to_string(crate::support::repository().join("entities/time.json")).unwrap();
    let entities: Vec<Value> = serde_json::from_str(&entities).unwrap();
    let tool = entities.iter().find(|entity| entity["uid"]["id"] == "time/convert_time").unwrap();
    let context = json!({
        "session": {
            "id": "s1", "purpose": "triage", "attended": true, "untrusted": false, "read_level": 0, "calls": 3,
            "spent_cents": 0,
        },
        "digest": tool["attrs"]["digest"],
        "touches": [],
    });
    let asked =
        question(("User", "ana"), "call_tool", ("Tool", "time/convert_time")).struct_context(&context);
    asked.struct_arguments(arguments)
}

fn digest(text: &str) -> String {
    let bytes = Sha256::digest(text.as_bytes());
    bytes.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// Arguments, and what RFC 8785 makes of them, written by hand: members by UTF-16 unit, numbers as ECMAScript has them.
const ARGUMENTS: &str = r#"{"z": [true, null, 1.0, 4.50, 9007199254740991, 0.000001, 1e-7], "\ufb33": "canary-argument", "\ud83d\ude00": "\u0007/\"", "a": {"b": -0.0, "B": 100}}"#;
const CANONICAL: &str = "{\"a\":{\"B\":100,\"b\":0},\"z\":[true,null,1,4.5,9007199254740991,0.000001,1e-7],\"😀\":\"\\u0007/\\\"\",\"\u{fb33}\":\"canary-argument\"}";

#[test]
fn arguments_are_a_digest_unless_asked_for() {
    let value: Value = serde_json::from_str(ARGUMENTS).unwrap();
    for raw in [false, true] {
        let mut config = repository_config();
        config.log.fields.rules.extend(raw.then(|| ("arguments".to_owned(), Disclosure::Clear)));
        let server = TestServer::with_config(&config);
        assert!(is_allow(&server.authorize(tool_call(&value)).unwrap()));
        let text = pb::AuthorizeRequest { arguments_form: None, ..tool_call(&json!({})) };
        assert!(is_allow(&server.authorize(text.json_arguments(ARGUMENTS)).unwrap()));
        let records = server.records(2);
        for record in &records {
            assert_eq!(record["arguments_digest"], digest(CANONICAL), "raw: {raw}");
            assert_eq!(record.to_string().contains("canary-argument"), raw);
            assert_eq!(record.get("arguments").is_some(), raw);
        }
        if raw {
            assert_eq!(records[0]["arguments"]["\u{fb33}"], "canary-argument");
        }
    }
}

#[test]
fn the_environment_turns_arguments_on() {
    let sources = Sources::small();
    let process = Process::try_start_with(&sources, &["MANDATE__LOG__FIELDS__ARGUMENTS=clear"]).unwrap();
    // The small schema has no tools; what counts is that the key is known.
    assert!(is_allow(&process.client().authorize(view("ana")).unwrap()));
    process.terminate().check_code(0);
}

#[test]
fn no_credential_is_ever_written() {
    let sources = Sources::small();
    let variables = ["MANDATE__LOG__DISCLOSE=everything", "MANDATE__TELEMETRY__LEVEL=trace"];
    let process = Process::try_start_with(&sources, &variables).unwrap();
    let client = process.client();
    let credentials = pb::AuthorizeRequest { credentials: "canary-subject".to_owned(), ..view("ana") };
    client.authorize(credentials.clone()).unwrap_err();
    let batch =
        pb::AuthorizeBatchRequest { defaults: Some(credentials.clone()), requests: vec![view("ana")] };
    client.batch(batch).unwrap_err();
    let items = vec![credentials.clone(), view("ana")];
    client.batch(pb::AuthorizeBatchRequest { defaults: None, requests: items }).unwrap();
    let mut stream = Conversation::open(&client, &[("authorization", "Bearer canary-stream")]);
    stream.ask(&credentials.named("s"));
    client.authorize(bearer(view("ana"), "Bearer canary-caller")).unwrap();
    let url = format!("{}/access/v1/evaluation", process.http);
    let body = evaluation(("Mandate::User", "ana"), "view", ("Mandate::Doc", "plan")).to_string();
    let headers = [("content-type", "application/json"), ("authorization", "Bearer canary-http")];
    assert!(post(&url, &headers, body).decision());
    let control = Client::connect(&process.control);
    let mut admin = pb::admin_service_client::AdminServiceClient::new(control.channel());
    let wrong: Request<_> = bearer(pb::GetStatusRequest {}, "Bearer canary-control");
    control.wait(admin.get_status(wrong)).unwrap_err();
    drop(stream);
    drop(client);
    let finished = process.terminate();
    finished.check_code(0);
    assert!(!finished.stderr.contains("canary"), "{}", finished.stderr);
    let written = files_below(&sources.path("data"));
    assert!(
        written
            .iter()
            .any(|(path, text)| path.ends_with(".mlog") && text.matches("\"surface\":").count() == 7)
    );
    for (path, text) in written {
        assert!(!text.contains("canary"), "{path}");
    }
}

/// Every file below a folder, as text.
fn files_below(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            found.push((path.display().to_string(), text));
        }
    }
    found
}

#[test]
fn what_a_request_brings_is_named_and_no_more() {
    let sources = Sources::small().schema(
        "note.cedarschema",
        "namespace Mandate { @request_scoped entity Note = { text: String }; action read appliesTo { principal: [User], resource: [Note], context: {} }; }",
    );
    let server = TestServer::start(&sources);
    let text = crate::support::text_value("canary-attribute");
    let note = pb::Entity {
        uid: Some(reference("Mandate::Note", "n1")),
        attributes: Some(crate::support::record(vec![("text", text)])),
        ..pb::Entity::default()
    };
    let asked =
        pb::AuthorizeRequest { entities: vec![note], ..question(("User", "ana"), "read", ("Note", "n1")) };
    assert!(is_allow(&server.authorize(asked).unwrap()));
    let record = server.records(1).remove(0);
    assert_eq!(record["request_entities"], json!([{"type": "Mandate::Note", "id": "n1"}]));
    assert!(!record.to_string().contains("canary"), "{record}");
}

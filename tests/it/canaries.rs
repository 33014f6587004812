//! A word in every field that callers fill: with nothing disclosed it stands in no file, line or number; with everything
//! disclosed it does, or this test would prove nothing.

use std::fs;
use std::path::Path;

use mandate::server::pb;
use serde_json::json;

use crate::support::{
    Conversation, Process, Question as _, Sources, evaluation, get, post, question, record, reference,
    text_value,
};

const SCHEMA: &str = r#"namespace Mandate {
  entity User = { level: Long };
  entity Doc in [Doc] = { level: Long, next?: Doc };
  @request_scoped entity Note = { text: String } tags String;
  entity Tool;
  type Inner = { word: String, words: Set<String> };
  action call_tool appliesTo { principal: [User], resource: [Tool, Note], context: { word: String, inner: Inner, about?: User } };
}"#;

/// Words in fields that are told with everything disclosed.
const TOLD: [&str; 21] = [
    "principal",
    "resource",
    "request-id",
    "context",
    "inner",
    "set",
    "reference",
    "argument",
    "session",
    "conversation",
    "tool-call",
    "version",
    "model",
    "prompt",
    "system",
    "catalog",
    "ref-kind",
    "ref-uri",
    "batch-id",
    "refused-action",
    "http-principal",
];
/// Words in fields that are never told.
const NEVER: [&str; 6] = ["attribute", "tag", "token", "header", "refused-value", "http-property"];

fn word(name: &str) -> String {
    format!("canary-{name}-end")
}

fn everywhere() -> pb::AuthorizeRequest {
    let context = json!({
        "word": word("context"),
        "inner": {"word": word("inner"), "words": [word("set")]},
        "about": {"type": "Mandate::User", "id": word("reference")},
    });
    let named = |name: &str| text_value(&word(name));
    let note = pb::Entity {
        uid: Some(reference("Mandate::Note", &word("resource"))),
        attributes: Some(record(vec![("text", named("attribute"))])),
        tags: Some(record(vec![("tag", named("tag"))])),
        parents: Vec::new(),
    };
    let evidence = pb::Evidence {
        session_id: word("session"),
        conversation_id: word("conversation"),
        tool_call_id: word("tool-call"),
        agent_version: word("version"),
        model: word("model"),
        prompt_digest: word("prompt"),
        system_prompt_digest: word("system"),
        catalog_digest: word("catalog"),
        refs: vec![pb::EvidenceRef {
            kind: word("ref-kind"),
            uri: word("ref-uri"),
            ..pb::EvidenceRef::default()
        }],
        ..pb::Evidence::default()
    };
    pb::AuthorizeRequest {
        entities: vec![note],
        evidence: Some(evidence),
        ..question(("User", &word("principal")), "call_tool", ("Note", &word("resource")))
            .struct_context(&context)
            .struct_arguments(&json!({"path": word("argument")}))
            .named(&word("request-id"))
    }
}

/// Asks through every door, rightly and wrongly.
fn ask(process: &Process) {
    let headers = [("content-type", "application/json")];
    let client = process.client();
    client.authorize(everywhere()).unwrap();
    client.authorize(everywhere().explained()).unwrap();
    let items = vec![everywhere().named(&word("batch-id"))];
    client.batch(pb::AuthorizeBatchRequest { defaults: None, requests: items }).unwrap();
    let mut stream = Conversation::open(&client, &[("x-note", &word("header"))]);
    stream.ask(&everywhere());
    let wrong = question(("User", "ana"), &word("refused-action"), ("Doc", "plan"));
    client.authorize(wrong).unwrap_err();
    let wrong = everywhere().struct_context(&json!({"word": {"deep": word("refused-value")}}));
    client.authorize(wrong).unwrap_err();
    let shown = pb::AuthorizeRequest { credentials: word("token"), ..everywhere() };
    client.authorize(shown).unwrap_err();
    let mut body =
        evaluation(("Mandate::User", &word("http-principal")), "call_tool", ("Mandate::Doc", "plan"));
    let url = format!("{}/access/v1/evaluation", process.http);
    post(&url, &headers, body.to_string());
    body["subject"]["properties"] = json!({"note": word("http-property")});
    post(&url, &headers, body.to_string());
}

/// Everything that is left of a service which was asked, and that it said meanwhile.
fn left_behind(disclose: &str) -> String {
    let sources = Sources::small().schema("small.cedarschema", SCHEMA);
    let variables =
        [format!("MANDATE__LOG__DISCLOSE={disclose}"), "MANDATE__TELEMETRY__LEVEL=debug".to_owned()];
    let variables: Vec<_> = variables.iter().map(String::as_str).collect();
    let process = Process::try_start_with(&sources, &variables).unwrap();
    ask(&process);
    let mut left = get(&format!("{}/metrics", process.ops)).body;
    let finished = process.terminate();
    finished.check_code(0);
    left += &finished.stderr;
    left += &finished.stdout;
    add_files(&sources.path("data"), &mut left);
    left
}

fn add_files(folder: &Path, left: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_files(&path, left);
        } else {
            *left += &String::from_utf8_lossy(&fs::read(&path).unwrap());
        }
    }
}

#[test]
fn with_nothing_disclosed_no_word_of_a_caller_is_left_anywhere() {
    let left = left_behind("nothing");
    assert!(
        left.contains("\"kind\":\"decision\"") && left.contains("\"kind\":\"refusal\""),
        "there are records"
    );
    let found: Vec<_> = TOLD.iter().chain(&NEVER).filter(|name| left.contains(&word(name))).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn with_everything_disclosed_the_words_are_there_but_for_those_never_told() {
    let left = left_behind("everything");
    let missing: Vec<_> = TOLD.iter().filter(|name| !left.contains(&word(name))).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let found: Vec<_> = NEVER.iter().filter(|name| left.contains(&word(name))).collect();
    assert!(found.is_empty(), "{found:?}");
}

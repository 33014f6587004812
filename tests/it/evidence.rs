//! What a caller wants remembered, and whether it will enforce: for the record, and never for the decision.

use mandate::server::pb;
use serde_json::{Value, json};
use tonic::{Code, Request};

use crate::support::{Conversation, Sources, TestServer, check_field, evaluation, is_allow, post, question};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER_TRACE: &str = "00-aaf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn view() -> pb::AuthorizeRequest {
    question(("User", "ana"), "view", ("Doc", "plan"))
}

fn with(evidence: pb::Evidence) -> pb::AuthorizeRequest {
    pb::AuthorizeRequest { evidence: Some(evidence), ..view() }
}

fn server() -> TestServer {
    TestServer::start(&Sources::small())
}

/// A change that sets one text.
type Set = fn(&mut pb::Evidence, String);

const TEXTS: [(&str, Set); 14] = [
    ("session_id", |evidence, text| evidence.session_id = text),
    ("conversation_id", |evidence, text| evidence.conversation_id = text),
    ("tool_call_id", |evidence, text| evidence.tool_call_id = text),
    ("agent_version", |evidence, text| evidence.agent_version = text),
    ("model", |evidence, text| evidence.model = text),
    ("prompt_digest", |evidence, text| evidence.prompt_digest = text),
    ("system_prompt_digest", |evidence, text| evidence.system_prompt_digest = text),
    ("catalog_digest", |evidence, text| evidence.catalog_digest = text),
    ("traceparent", |evidence, text| evidence.traceparent = text),
    ("refs[1].kind", |evidence, text| evidence.refs[1].kind = text),
    ("refs[1].uri", |evidence, text| evidence.refs[1].uri = text),
    ("refs[1].digest", |evidence, text| evidence.refs[1].digest = text),
    ("refs[1].source", |evidence, text| evidence.refs[1].source = text),
    ("refs[1].trust", |evidence, text| evidence.refs[1].trust = text),
];

fn with_text(set: Set, text: &str) -> pb::AuthorizeRequest {
    let mut evidence = pb::Evidence { refs: vec![pb::EvidenceRef::default(); 2], ..pb::Evidence::default() };
    set(&mut evidence, text.to_owned());
    with(evidence)
}

/// The text in a record at a path as [`TEXTS`] writes it.
fn text_at<'r>(record: &'r Value, path: &str) -> &'r Value {
    match path.strip_prefix("refs[1].") {
        Some(name) => &record["evidence"]["refs"][1][name],
        None => &record["evidence"][path],
    }
}

#[test]
fn every_text_of_evidence_is_recorded_as_it_came_up_to_its_limit() {
    let server = server();
    let longest = "é".repeat(512);
    for (name, set) in TEXTS {
        assert!(is_allow(&server.authorize(with_text(set, &longest)).unwrap()), "{name}");
        let long = format!("{longest}x");
        let field = format!("evidence.{name}");
        check_field(
            server.authorize(with_text(set, &long)),
            Code::InvalidArgument,
            &field,
            "is 1025 bytes long; the limit is 1024",
        );
    }
    let records = server.records(2 * TEXTS.len());
    for ((name, _), pair) in TEXTS.iter().zip(records.chunks(2)) {
        assert_eq!(text_at(&pair[0], name), &json!(longest), "{name}");
        assert_eq!(pair[1]["field"], format!("evidence.{name}"));
    }
}

#[test]
fn a_hundred_references_are_recorded_and_one_more_is_refused() {
    let server = server();
    let refs = |count: usize| {
        let reference =
            |index| pb::EvidenceRef { uri: format!("file:{index}"), ..pb::EvidenceRef::default() };
        with(pb::Evidence { refs: (0..count).map(reference).collect(), ..pb::Evidence::default() })
    };
    assert!(is_allow(&server.authorize(refs(100)).unwrap()));
    let refused = server.authorize(refs(101));
    check_field(refused, Code::InvalidArgument, "evidence.refs", "has 101 elements; the limit is 100");
    let records = server.records(2);
    assert_eq!(records[0]["evidence"]["refs"].as_array().unwrap().len(), 100);
    assert_eq!(records[0]["evidence"]["refs"][99], json!({"uri": "file:99"}));
}

#[test]
fn an_item_inherits_evidence_whole_or_brings_its_own() {
    let server = server();
    let session = |id: &str| pb::Evidence { session_id: id.to_owned(), ..pb::Evidence::default() };
    let own = pb::Evidence { model: "m".to_owned(), ..pb::Evidence::default() };
    let requests = vec![view(), with(own)];
    let defaults = Some(with(session("all")));
    server.client().batch(pb::AuthorizeBatchRequest { defaults, requests }).unwrap();
    let records = server.records(2);
    assert_eq!(records[0]["evidence"], json!({"session_id": "all"}));
    assert_eq!(records[1]["evidence"], json!({"model": "m"}));
}

#[test]
fn a_trace_is_the_calls_own_unless_evidence_names_another() {
    let server = server();
    let traced = |message: pb::AuthorizeRequest| {
        let mut request = Request::new(message);
        request.metadata_mut().insert("traceparent", TRACE.parse().unwrap());
        request
    };
    server.client().authorize(traced(view())).unwrap();
    let other = pb::Evidence { traceparent: OTHER_TRACE.to_owned(), ..pb::Evidence::default() };
    server.client().authorize(traced(with(other))).unwrap();
    let mut service = server.client().service();
    let requests = vec![view(), view()];
    let mut batch = Request::new(pb::AuthorizeBatchRequest { defaults: None, requests });
    batch.metadata_mut().insert("traceparent", TRACE.parse().unwrap());
    server.client().wait(service.authorize_batch(batch)).unwrap();
    let mut stream = Conversation::open(server.client(), &[("traceparent", TRACE)]);
    stream.decide(&pb::AuthorizeRequest { request_id: "m".to_owned(), ..view() });
    let url = format!("{}/access/v1/evaluation", server.http);
    let body = evaluation(("Mandate::User", "ana"), "view", ("Mandate::Doc", "plan")).to_string();
    assert!(post(&url, &[("content-type", "application/json"), ("traceparent", TRACE)], body).decision());
    let records = server.records(6);
    for (index, record) in records.iter().enumerate() {
        let trace = if index == 1 { OTHER_TRACE } else { TRACE };
        assert_eq!(record["evidence"]["traceparent"], trace, "{record}");
        assert_eq!(record["trace_id"], trace[3..35], "{record}");
    }
}

#[test]
fn what_is_no_trace_has_no_id() {
    let server = server();
    for text in [
        "nonsense",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-AAF7651916CD43DD8448EB211C80319C-x-01",
    ] {
        let evidence = pb::Evidence { traceparent: text.to_owned(), ..pb::Evidence::default() };
        assert!(is_allow(&server.authorize(with(evidence)).unwrap()));
    }
    assert!(server.records(3).iter().all(|record| record.get("trace_id").is_none()));
}

#[test]
fn who_only_observes_gets_the_same_decision_and_the_line_says_so() {
    let server = server();
    let modes = [pb::Mode::Unspecified, pb::Mode::Enforce, pb::Mode::Observe];
    for user in ["ana", "nobody"] {
        let answers = modes.map(|mode| {
            let asked = pb::AuthorizeRequest {
                mode: mode.into(),
                ..question(("User", user), "view", ("Doc", "plan"))
            };
            server.authorize(asked).unwrap()
        });
        for answer in &answers {
            assert_eq!(answer.decision, answers[0].decision);
            assert_eq!((&answer.reason, &answer.denied_by), (&answers[0].reason, &answers[0].denied_by));
            assert_eq!(answer.determining_policies, answers[0].determining_policies);
        }
    }
    let defaults = Some(pb::AuthorizeRequest { mode: pb::Mode::Observe.into(), ..view() });
    let enforced = pb::AuthorizeRequest { mode: pb::Mode::Enforce.into(), ..pb::AuthorizeRequest::default() };
    let requests = vec![pb::AuthorizeRequest::default(), enforced];
    server.client().batch(pb::AuthorizeBatchRequest { defaults, requests }).unwrap();
    let mut stream = Conversation::open(server.client(), &[]);
    stream.decide(&pb::AuthorizeRequest {
        request_id: "m".to_owned(),
        mode: pb::Mode::Observe.into(),
        ..view()
    });
    let records = server.records(9);
    let seen: Vec<_> = records.iter().map(|record| record["mode"].as_str().unwrap()).collect();
    let thrice = ["enforce", "enforce", "observe"];
    assert_eq!(seen, [thrice, thrice, ["observe", "enforce", "observe"]].concat());
}

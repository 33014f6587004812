//! Spans: which calls have one, inside whose, with what in it; and what a collector that takes none costs.

use std::collections::BTreeMap;
use std::time::Instant;

use mandate::server::pb;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::collector::{Collector, Manner, PATIENCE, texts};
use super::{serve, view};
use crate::support::{
    Conversation, Process, Question as _, Sources, evaluation, is_allow, lines, post, question,
    raw_call_with, record, text_value,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn sampled() -> String {
    format!("00-{TRACE}-{SPAN}-01")
}

/// A message with the headers of a trace.
fn traced<T>(message: T, traceparent: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
    request
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(span: &Span) -> BTreeMap<String, String> {
    texts(&span.attributes)
}

fn of_names(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The spans of one name.
fn named<'s>(spans: &'s [Span], name: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

const AUTHORIZE: &str = "mandate.v1.AuthorizationService/Authorize";

#[test]
fn a_call_is_a_span_inside_its_callers_and_its_decision_one_inside_that() {
    let collector = Collector::start(Manner::Take);
    let sources = Sources::small();
    let server = serve(&sources, &collector, "traces", "ratio = 0.0\nheaders = { x-tenant = 'a' }");
    let answer = server.client().authorize(traced(view(), &sampled())).unwrap();
    let spans = collector.spans(2);
    let ([call], [decision]) = (&named(&spans, AUTHORIZE)[..], &named(&spans, "decide")[..]) else {
        panic!("{spans:#?}")
    };
    assert_eq!((hex(&call.trace_id), hex(&call.parent_span_id)), (TRACE.to_owned(), SPAN.to_owned()));
    assert_eq!((&decision.trace_id, &decision.parent_span_id), (&call.trace_id, &call.span_id));
    assert_eq!((call.kind(), decision.kind()), (SpanKind::Server, SpanKind::Internal));
    assert_eq!(call.status, None);
    let expected =
        [("rpc.system.name", "grpc"), ("rpc.method", AUTHORIZE), ("rpc.response.status_code", "OK")];
    assert_eq!(attributes(call), of_names(&expected));
    let expected = [
        ("mandate.decision_id", answer.decision_id.as_str()),
        ("mandate.effect", "allow"),
        ("mandate.cached", "miss"),
        ("mandate.surface", "grpc"),
        ("mandate.generation", &server.generation()),
    ];
    assert_eq!(attributes(decision), of_names(&expected));
    assert!(call.start_time_unix_nano <= decision.start_time_unix_nano);
    assert!(decision.end_time_unix_nano <= call.end_time_unix_nano);
    let resource = texts(&collector.taken()[0].0.attributes);
    assert_eq!(
        (resource["service.name"].as_str(), resource["service.version"].as_str()),
        ("mandate", env!("CARGO_PKG_VERSION"))
    );
    assert!(resource.contains_key("service.instance.id"));
    assert_eq!(collector.metadata("x-tenant"), "a");
    // The record names the span of its decision.
    let records = server.records(1);
    let named_span = format!("00-{TRACE}-{}-01", hex(&decision.span_id));
    assert_eq!(records[0]["evidence"]["traceparent"], json!(named_span));
    assert_eq!(records[0]["decision_id"], json!(answer.decision_id));
}

#[test]
fn a_denial_says_its_reason_and_a_refusal_its_code() {
    let collector = Collector::start(Manner::Take);
    let server = serve(&Sources::small(), &collector, "traces", "ratio = 1.0");
    server.authorize(question(("User", "nobody"), "view", ("Doc", "plan"))).unwrap();
    server.authorize(pb::AuthorizeRequest::default()).unwrap_err();
    let missing = raw_call_with(server.client(), "/canary.Service/Canary", Vec::new(), &[]).unwrap_err();
    assert_eq!(missing.code(), Code::Unimplemented);
    let spans = collector.spans(4);
    let decision = attributes(named(&spans, "decide")[0]);
    assert_eq!(
        (decision["mandate.effect"].as_str(), decision["mandate.reason"].as_str()),
        ("deny", "unknown_principal")
    );
    let calls = named(&spans, AUTHORIZE);
    let statuses: Vec<_> =
        calls.iter().map(|call| attributes(call)["rpc.response.status_code"].clone()).collect();
    assert_eq!(statuses, ["OK", "INVALID_ARGUMENT"]);
    assert!(calls.iter().all(|call| call.status.is_none()), "a caller's mistake is no failure of the server");
    let [unknown] = &named(&spans, "grpc")[..] else { panic!("{spans:#?}") };
    assert_eq!(attributes(unknown)["rpc.method"], "_OTHER");
    assert_eq!(attributes(unknown)["error.type"], "UNIMPLEMENTED");
    // Each began a trace of its own.
    assert_ne!(calls[0].trace_id, calls[1].trace_id);
    assert!(calls[0].parent_span_id.is_empty());
}

#[test]
fn every_door_is_traced() {
    let collector = Collector::start(Manner::Take);
    let sources = Sources::small();
    let process = Process::try_start_with(
        &sources,
        &[
            &format!("MANDATE__TELEMETRY__TRACES__URL=http://{}", collector.address),
            "MANDATE__TELEMETRY__TRACES__RATIO=0.0",
        ],
    )
    .unwrap();
    let client = process.client();
    let parent = sampled();
    let batch = pb::AuthorizeBatchRequest { defaults: None, requests: vec![view(); 3] };
    client.wait(client.service().authorize_batch(traced(batch, &parent))).unwrap();
    let mut conversation = Conversation::open(&client, &[("traceparent", &parent)]);
    conversation.decide(&view().named("a"));
    conversation.decide(&view().named("b"));
    conversation.finish();
    assert!(conversation.next().unwrap().is_none());
    let body = evaluation(("Mandate::User", "ana"), "view", ("Mandate::Doc", "plan")).to_string();
    let headers = [("content-type", "application/json"), ("traceparent", parent.as_str())];
    let url = format!("{}/access/v1/evaluation", process.http);
    assert!(post(&url, &headers, body).decision());
    // What is under way when it stops is exported all the same.
    process.terminate().check_code(0);
    let spans = collector.spans(9);
    for (name, decisions, surface) in [
        ("mandate.v1.AuthorizationService/AuthorizeBatch", 3, "batch"),
        ("mandate.v1.AuthorizationService/AuthorizeStream", 2, "stream"),
        ("POST /access/v1/evaluation", 1, "authzen"),
    ] {
        let [call] = &named(&spans, name)[..] else { panic!("{name} in {spans:#?}") };
        assert_eq!((hex(&call.trace_id), hex(&call.parent_span_id)), (TRACE.to_owned(), SPAN.to_owned()));
        let inside = spans.iter().filter(|span| span.parent_span_id == call.span_id);
        let inside: Vec<_> = inside.map(|span| attributes(span)["mandate.surface"].clone()).collect();
        assert_eq!(inside, vec![surface; decisions], "{name}");
    }
    let http = attributes(named(&spans, "POST /access/v1/evaluation")[0]);
    let expected = [
        ("http.request.method", "POST"),
        ("http.route", "/access/v1/evaluation"),
        ("url.path", "/access/v1/evaluation"),
        ("http.response.status_code", "200"),
    ];
    assert_eq!(http, of_names(&expected));
    let recorded = lines(&sources.path("data/log"), 6);
    for span in named(&spans, "decide") {
        let named_span = format!("00-{TRACE}-{}-01", hex(&span.span_id));
        let id = attributes(span)["mandate.decision_id"].clone();
        let record = recorded.iter().find(|record| record["decision_id"] == json!(id)).unwrap();
        assert_eq!(record["evidence"]["traceparent"], json!(named_span));
    }
}

#[test]
fn what_its_caller_does_not_record_is_not_recorded_and_keeps_its_callers_trace() {
    let collector = Collector::start(Manner::Take);
    let server = serve(&Sources::small(), &collector, "traces", "ratio = 1.0");
    let unsampled = format!("00-{TRACE}-{SPAN}-00");
    server.client().authorize(traced(view(), &unsampled)).unwrap();
    // Nor are probes, whatever the ratio.
    let mut health = HealthClient::new(server.client().channel());
    server.client().wait(health.check(HealthCheckRequest::default())).unwrap();
    // One that is recorded comes later: if the other were, it would be here too.
    server.client().authorize(traced(view(), &sampled())).unwrap();
    let spans = collector.spans(2);
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    assert_eq!(named(&spans, AUTHORIZE).len(), 1);
    assert_eq!(server.records(2)[0]["evidence"]["traceparent"], json!(unsampled));
}

#[test]
fn what_the_caller_wants_remembered_instead_stays_in_the_record() {
    let collector = Collector::start(Manner::Take);
    let server = serve(&Sources::small(), &collector, "traces", "ratio = 1.0");
    let other = format!("00-{}-{SPAN}-01", "1".repeat(32));
    let evidence = pb::Evidence { traceparent: other.clone(), ..pb::Evidence::default() };
    let asked = pb::AuthorizeRequest { evidence: Some(evidence), ..view() };
    server.client().authorize(traced(asked, &sampled())).unwrap();
    assert_eq!(server.records(1)[0]["evidence"]["traceparent"], json!(other));
    collector.spans(2);
}

#[test]
fn nothing_that_is_asked_is_in_a_span() {
    let collector = Collector::start(Manner::Take);
    let server = serve(&Sources::small(), &collector, "traces", "ratio = 1.0");
    let canary = |text: &str| format!("canary-{text}");
    let evidence = pb::Evidence { session_id: canary("s"), model: canary("m"), ..pb::Evidence::default() };
    let asked = question(("User", "canary-user"), "view", ("Doc", "canary-doc")).named("canary-id");
    let mut asked = traced(pb::AuthorizeRequest { evidence: Some(evidence), ..asked }, &sampled());
    asked.metadata_mut().insert("tracestate", "canary=canary,ot=canary".parse().unwrap());
    asked.metadata_mut().insert("x-canary", "canary".parse().unwrap());
    asked.metadata_mut().insert("baggage", "canary=canary".parse().unwrap());
    server.client().authorize(asked).unwrap();
    let note = pb::Entity {
        uid: Some(pb::EntityRef { r#type: "canary".to_owned(), id: canary("e") }),
        attributes: Some(record(vec![("canary", text_value("canary"))])),
        ..pb::Entity::default()
    };
    server.authorize(pb::AuthorizeRequest { entities: vec![note], ..view() }).unwrap_err();
    server.authorize(question(("User", "ana"), "canary-action", ("Doc", "plan"))).unwrap_err();
    server.authorize(pb::AuthorizeRequest { credentials: canary("c"), ..view() }).unwrap_err();
    raw_call_with(server.client(), "/canary.Service/Canary", b"canary".to_vec(), &[]).unwrap_err();
    let body = evaluation(("Mandate::User", "canary"), "view", ("Mandate::Doc", "plan")).to_string();
    let url = format!("{}/access/v1/evaluation?canary=1", server.http);
    post(&url, &[("content-type", "application/json"), ("x-request-id", "canary")], body);
    let spans = collector.spans(8);
    assert!(!format!("{spans:?}").contains("canary"), "{spans:#?}");
}

#[test]
fn a_collector_that_hangs_refuses_or_is_gone_costs_spans_and_nothing_else() {
    let gone = {
        let collector = Collector::start(Manner::Take);
        collector.address
    };
    let hangs = Collector::start(Manner::Hang);
    let refuses = Collector::start(Manner::Refuse);
    for (what, address) in [("gone", gone), ("hangs", hangs.address), ("refuses", refuses.address)] {
        let sources = Sources::small();
        let settings = format!(
            "[telemetry.traces]\nurl = 'http://{address}'\nratio = 1.0\ntimeout = '300ms'\n[shutdown]\ndrain = '2s'\n"
        );
        let server = crate::support::TestServer::with_config(&sources.config_written(&settings).unwrap());
        for _ in 0..60 {
            let batch = pb::AuthorizeBatchRequest { defaults: None, requests: vec![view(); 100] };
            let results = server.client().batch(batch).unwrap();
            assert_eq!(results.len(), 100);
        }
        assert!(is_allow(&server.authorize(view()).unwrap()), "{what}");
        let lost = |outcome: &str| {
            server.metrics().value(&format!("pdp_trace_spans_total{{outcome=\"{outcome}\"}}"))
        };
        let begun = Instant::now();
        while lost("failed") + lost("queue_full") < 1000.0 {
            assert!(begun.elapsed() < PATIENCE, "{what}: {}", server.metrics().text);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_eq!(lost("exported"), 0.0, "{what}");
        server.shutdown();
    }
}

#[test]
fn what_a_collector_rejects_of_a_batch_is_counted() {
    let collector = Collector::start(Manner::RejectOne);
    let server = serve(&Sources::small(), &collector, "traces", "ratio = 1.0");
    let batch = pb::AuthorizeBatchRequest { defaults: None, requests: vec![view(); 9] };
    server.client().batch(batch).unwrap();
    collector.spans(10);
    let count =
        |outcome: &str| server.metrics().value(&format!("pdp_trace_spans_total{{outcome=\"{outcome}\"}}"));
    let begun = Instant::now();
    while count("exported") + count("rejected") < 10.0 {
        assert!(begun.elapsed() < PATIENCE);
    }
    assert!(count("rejected") >= 1.0, "{}", server.metrics().text);
}

//! Too much to do: who is turned away, what it is told on every surface, what is recorded of it, and who is not kept waiting.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use mandate::config::{Config, RateLimit};
use mandate::server::envoy::auth::authorization_client::AuthorizationClient;
use mandate::server::envoy::auth::check_response::HttpResponse;
use mandate::server::envoy::auth::{CheckRequest, CheckResponse};
use mandate::server::pb;
use pb::authorize_stream_response::Outcome;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use ureq::Agent;

use crate::support::{
    Conversation, Question as _, Sources, TestServer, evaluation, get, is_allow, keep_in, question, raw_call,
};

fn view() -> pb::AuthorizeRequest {
    question(("User", "ana"), "view", ("Doc", "plan"))
}

fn batch(items: usize) -> pb::AuthorizeBatchRequest {
    pb::AuthorizeBatchRequest {
        defaults: Some(view()),
        requests: vec![pb::AuthorizeRequest::default(); items],
    }
}

fn evaluated() -> Value {
    evaluation(("Mandate::User", "ana"), "view", ("Mandate::Doc", "plan"))
}

/// Serves small sources to Envoy as well, with these limits.
fn serve(sources: &Sources, limits: &str) -> TestServer {
    let written = format!(
        "[ext_authz]\nprotocol = 'http'\nserver = 'house'\nprincipal = 'fixed'\nprincipal_type = 'Mandate::User'\nprincipal_id = 'ana'\n{limits}"
    );
    let mut config: Config = sources.config_written(&written).unwrap();
    keep_in(&mut config, &sources.path("data"));
    TestServer::with_config(&config)
}

/// Asks as Envoy does. What is asked about is nothing that this schema has.
fn check(server: &TestServer) -> CheckResponse {
    let client = server.client();
    let mut envoy = AuthorizationClient::new(client.channel());
    client.wait(envoy.check(CheckRequest::default())).expect("an answer").into_inner()
}

/// The status of HTTP that a client of Envoy's gets, and the header that says when to come again. Fails if it is let through, or if
/// that would look to Envoy like a failure.
#[track_caller]
fn denied(response: &CheckResponse) -> (i32, Option<String>) {
    assert_ne!(response.status.as_ref().expect("a status").code, 0, "{response:?}");
    let Some(HttpResponse::DeniedResponse(denied)) = &response.http_response else {
        panic!("it is no denial: {response:?}")
    };
    let headers = denied.headers.iter().filter_map(|header| header.header.as_ref());
    let retry =
        headers.filter(|header| header.key == "retry-after").map(|header| header.value.clone()).next_back();
    (denied.status.as_ref().expect("a status").code, retry)
}

/// The status, `Retry-After` and body of an AuthZEN evaluation.
fn evaluate(server: &TestServer) -> (u16, Option<String>, String) {
    let agent: Agent = Agent::config_builder().http_status_as_error(false).build().into();
    let url = format!("{}/access/v1/evaluation", server.http);
    let asked = agent.post(&url).header("content-type", "application/json").send(evaluated().to_string());
    let mut answer = asked.expect("an answer");
    let retry = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), retry, answer.body_mut().read_to_string().unwrap())
}

#[track_caller]
fn check_exhausted(status: &Status, reason: &str, saying: &str) -> Option<Duration> {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.message().contains(saying), "{status:?}");
    let info = status.get_details_error_info().expect("a reason");
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "mandate"));
    status.get_details_retry_info().and_then(|retry| retry.retry_delay)
}

/// What a message of a stream is answered with, where it is an error.
fn streamed(server: &TestServer) -> (i32, String) {
    let mut conversation = Conversation::open(server.client(), &[]);
    conversation.send(&view().named("m"));
    let answer = conversation.next().expect("the stream goes on").expect("an answer");
    match answer.outcome {
        Some(Outcome::Status(status)) => (status.code, status.message),
        other => panic!("it was answered: {other:?}"),
    }
}

#[test]
fn a_caller_that_asks_more_than_it_may_is_told_which_limit_on_every_surface() {
    let sources = Sources::small();
    let server = serve(&sources, "[limits.rate]\nper_second = 1\nburst = 100\n");
    // A batch costs as many as it holds.
    assert_eq!(server.client().batch(batch(100)).unwrap().len(), 100);
    let limit = "more than 1 questions a second, 100 at once (`limits.rate`)";
    let refused = server.authorize(view()).unwrap_err();
    let retry = check_exhausted(&refused, "RATE_LIMITED", limit).expect("a time");
    assert!(retry <= Duration::from_secs(1), "{retry:?}");
    let refused = server.client().batch(batch(20)).unwrap_err();
    assert!(check_exhausted(&refused, "RATE_LIMITED", limit).expect("a time") > Duration::from_secs(10));
    // More than ever may be asked at once: to come again would not help.
    let refused = server.client().batch(batch(100)).unwrap_err();
    check_exhausted(&refused, "RATE_LIMITED", limit);
    let (status, retry, body) = evaluate(&server);
    assert_eq!((status, retry.as_deref()), (429, Some("1")), "{body}");
    assert!(body.contains(limit), "{body}");
    let (code, message) = streamed(&server);
    assert_eq!((code, message.contains(limit)), (Code::ResourceExhausted as i32, true), "{message}");
    assert_eq!(server.metrics().value("pdp_rate_limited_total"), 5.0);
    let records = server.records(105);
    let told = records.iter().filter(|record| record["reason"] == "RATE_LIMITED").count();
    assert_eq!(told, 5);
}

#[test]
fn callers_have_rates_of_their_own_and_batches_fit_into_every_burst() {
    let mut config = Sources::small().config();
    assert_eq!(config.limits.load.rate, None, "nobody is limited by default");
    let few = NonZeroU32::new(100).unwrap();
    let rate = RateLimit { per_second: few, burst: few };
    config.limits.load.rates = HashMap::from([("somebody".to_owned(), rate)]);
    let sources = Sources::small();
    let own = sources.config_written("[[limits.rates]]\ncaller = 'somebody'\nper_second = 100\n").unwrap();
    assert_eq!(own.limits.load.rates, config.limits.load.rates);
    for (written, named) in [
        ("[limits.rate]\nper_second = 0\n", "limits.rate"),
        ("[limits.rate]\nper_second = 1\nburst = 99\n", "limits.rate"),
        ("[limits]\nconcurrent_requests = 0\n", "limits.concurrent_requests"),
        ("[limits]\nqueued_requests = 1000001\n", "limits.queued_requests"),
        ("[limits]\nqueue_delay = '0s'\n", "limits.queue_delay"),
        ("[limits]\nmax_deadline = '1h'\n", "limits.max_deadline"),
        ("[limits]\ndeadline = '31s'\n", "limits.deadline"),
        ("[limits]\nmemory_bytes = 1000\n", "limits.memory_bytes"),
        (
            "[[limits.rates]]\ncaller = 'a'\nper_second = 1\n[[limits.rates]]\ncaller = 'a'\nper_second = 2\n",
            "limits.rates.caller",
        ),
    ] {
        let error = sources.config_written(written).unwrap_err().to_string();
        assert!(error.contains(&format!("`{named}`")), "{written}: {error}");
    }
}

#[test]
fn without_memory_requests_are_turned_away_on_every_surface_and_operators_are_not() {
    let sources = Sources::small();
    // This process uses more.
    let server = serve(&sources, "[limits]\nmemory_bytes = 33554432\n");
    let begun = Instant::now();
    while server.metrics().value("pdp_memory_pressure") < 2.0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", server.metrics().text);
    }
    let before = server.metrics().value(r#"pdp_requests_shed_total{reason="memory"}"#);
    let saying = "memory is nearly used up (`limits.memory_bytes`)";
    let second = Some(Duration::from_secs(1));
    assert_eq!(check_exhausted(&server.authorize(view()).unwrap_err(), "OVERLOADED", saying), second);
    let refused = server.client().batch(batch(3)).unwrap_err();
    assert_eq!(check_exhausted(&refused, "OVERLOADED", saying), second);
    // Nobody reads what is sent.
    let path = "/mandate.v1.AuthorizationService/Authorize";
    let unread = raw_call(server.client(), path, vec![0xff; 11]).unwrap_err();
    check_exhausted(&unread, "OVERLOADED", saying);
    let (status, retry, body) = evaluate(&server);
    assert_eq!((status, retry.as_deref()), (429, Some("1")), "{body}");
    assert_eq!(denied(&check(&server)), (503, Some("1".to_owned())));
    assert_eq!(get(&format!("{}/livez", server.ops)).status, 200);
    assert_eq!(get(&format!("{}/readyz", server.ops)).status, 200);
    let numbers = server.metrics();
    assert_eq!(numbers.value(r#"pdp_requests_shed_total{reason="memory"}"#) - before, 5.0);
    assert_eq!(numbers.value(r#"pdp_memory_bytes{kind="limit"}"#), 33_554_432.0);
    assert!(numbers.value(r#"pdp_memory_bytes{kind="resident"}"#) > 33_554_432.0);
    let records = server.records(5);
    assert!(records.iter().all(|record| record["code"] == "RESOURCE_EXHAUSTED"), "{records:#?}");
}

#[test]
fn a_flood_of_refusals_is_no_flood_of_records_and_the_account_holds() {
    let sources = Sources::small();
    let server = serve(&sources, "[limits.rate]\nper_second = 1\nburst = 100\n");
    // Messages of a stream, which wait for no answer: calls of their own are turned away no faster than records are made of it.
    let asked: u32 = 2_000;
    let mut stream = Conversation::open(server.client(), &[]);
    (0..asked).for_each(|at| stream.send(&view().named(&at.to_string())));
    let refused = (0..asked)
        .filter(|_| matches!(stream.next().unwrap().unwrap().outcome, Some(Outcome::Status(_))))
        .count();
    assert!(refused > 1_000, "{refused}");
    let numbers = || server.metrics();
    let begun = Instant::now();
    while numbers().value("pdp_audit_queue_depth") > 0.0 {
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    let (issued, written, left_out) = (
        numbers().value("pdp_audit_records_issued_total"),
        numbers().value(r#"pdp_audit_records_total{outcome="written"}"#),
        numbers().value(r#"pdp_audit_records_total{outcome="overload"}"#),
    );
    assert_eq!(issued, f64::from(asked));
    assert_eq!(issued, written + left_out);
    assert!(left_out > 0.0 && written >= 200.0, "{left_out} left out, {written} written");
}

#[test]
fn operators_are_answered_while_every_thread_that_decides_is_busy() {
    let server = TestServer::start(&Sources::small());
    assert!(is_allow(&server.authorize(view()).unwrap()));
    let busy = Duration::from_secs(6);
    let begun = Instant::now();
    server.keep_busy(busy);
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(get(&format!("{}{path}", server.ops)).status, 200, "{path}");
    }
    let data = server.folder.path().join("data");
    assert_eq!(crate::support::get_status(&server.control, &data)["policies"], json!(1));
    assert!(begun.elapsed() < busy, "they waited for those that decide: {:?}", begun.elapsed());
    // They were busy indeed.
    assert!(is_allow(&server.authorize(view()).unwrap()));
    assert!(begun.elapsed() >= busy - Duration::from_secs(1), "{:?}", begun.elapsed());
}

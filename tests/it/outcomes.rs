//! Outcomes of decisions: reported by whoever asked, held to what was decided, and recorded.

use mandate::engine::disclosure::Disclosure;
use mandate::server::pb;
use pb::decision_log_service_client::DecisionLogServiceClient;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::support::{
    Process, Question as _, Sources, TestServer, all_records, check_field, is_allow, question,
    repository_config,
};
use crate::typed_tools::context;

fn report(server: &TestServer, report: pb::ReportOutcomeRequest) -> Result<(), Status> {
    let client = server.client();
    let mut log = DecisionLogServiceClient::new(client.channel());
    client.wait(log.report_outcome(report)).map(drop)
}

fn of(decision_id: &str, outcome: pb::Outcome) -> pb::ReportOutcomeRequest {
    let outcome = outcome.into();
    pb::ReportOutcomeRequest { decision_id: decision_id.to_owned(), outcome, ..Default::default() }
}

fn view(principal: &str) -> pb::AuthorizeRequest {
    question(("User", principal), "view", ("Doc", "plan"))
}

/// The last of so many records.
fn last(server: &TestServer, records: usize) -> Value {
    server.records(records).pop().unwrap()
}

#[test]
fn an_outcome_is_recorded_with_the_decision_it_is_of() {
    let server = TestServer::start(&Sources::small());
    let answer = server.authorize(view("ana")).unwrap();
    assert!(is_allow(&answer));
    let digest = format!("sha256:{}", "ab".repeat(32));
    let executed = pb::ReportOutcomeRequest {
        result_digest: digest.clone(),
        detail: "done".to_owned(),
        ..of(&answer.decision_id, pb::Outcome::Executed)
    };
    report(&server, executed).unwrap();
    let record = last(&server, 2);
    let told = json!({"kind": record["kind"], "of": record["of"], "outcome": record["outcome"], "decision": record["decision"],
        "result_digest": record["result_digest"], "detail": record["detail"], "caller": record["caller"]});
    assert_eq!(
        told,
        json!({"kind": "outcome", "of": answer.decision_id, "outcome": "executed", "decision": "allow",
            "result_digest": digest, "detail": "done", "caller": "anonymous-loopback"})
    );
    assert_eq!(record.get("findings"), None, "{record}");
}

#[test]
fn what_was_done_though_it_was_denied_is_found_and_counted() {
    let server = TestServer::start(&Sources::small());
    let denied = server.authorize(view("nobody")).unwrap();
    assert!(!is_allow(&denied));
    report(&server, of(&denied.decision_id, pb::Outcome::Blocked)).unwrap();
    assert_eq!(last(&server, 2).get("findings"), None);
    report(&server, of(&denied.decision_id, pb::Outcome::Executed)).unwrap();
    assert_eq!(last(&server, 3)["findings"], json!(["executed_on_deny", "repeated"]));
    let numbers = server.metrics();
    assert_eq!(numbers.value("pdp_outcomes_total{outcome=\"executed\"}"), 1.0);
    assert_eq!(numbers.value("pdp_outcome_findings_total{finding=\"executed_on_deny\"}"), 1.0);
    let observed =
        server.authorize(pb::AuthorizeRequest { mode: pb::Mode::Observe.into(), ..view("nobody") });
    report(&server, of(&observed.unwrap().decision_id, pb::Outcome::Executed)).unwrap();
    assert_eq!(last(&server, 5).get("findings"), None, "nobody said that it would be enforced");
}

#[test]
fn other_arguments_than_were_decided_on_are_found_however_digests_are_told() {
    for told in [Disclosure::Clear, Disclosure::Hmac, Disclosure::Masked] {
        let mut config = repository_config();
        config.log.fields.rules.push(("arguments_digest".to_owned(), told));
        let server = TestServer::with_config(&config);
        let call = question(("User", "ana"), "call_tool", ("Tool", "fetch/fetch"))
            .struct_context(&context("fetch/fetch", &[]));
        let answer = server.authorize(call.struct_arguments(&json!({"url": "https://docs.rs/a"}))).unwrap();
        let digest_of = |url: &str| mandate::engine::digest::of_json(&json!({ "url": url })).unwrap();
        let executed = |url: &str| pb::ReportOutcomeRequest {
            input_digest: digest_of(url),
            ..of(&answer.decision_id, pb::Outcome::Executed)
        };
        report(&server, executed("https://docs.rs/a")).unwrap();
        assert_eq!(last(&server, 2).get("findings"), None, "{told:?}");
        report(&server, executed("https://docs.rs/b")).unwrap();
        let expected = match told {
            Disclosure::Masked => json!(["repeated"]),
            Disclosure::Clear | Disclosure::Hmac => json!(["input_mismatch", "repeated"]),
        };
        assert_eq!(last(&server, 3)["findings"], expected, "{told:?}");
    }
}

#[test]
fn a_decision_of_before_a_restart_is_found_in_the_log() {
    let sources = Sources::small();
    let process = Process::start(&sources);
    let denied = process.client().authorize(view("nobody")).unwrap().decision_id;
    process.terminate().check_code(0);
    let process = Process::start(&sources);
    let client = process.client();
    let mut log = DecisionLogServiceClient::new(client.channel());
    for _ in 0..2 {
        client.wait(log.report_outcome(of(&denied, pb::Outcome::Executed))).unwrap();
    }
    process.terminate().check_code(0);
    let records = all_records(&sources.path("data/log"));
    let outcomes: Vec<_> = records.iter().filter(|record| record["kind"] == "outcome").collect();
    assert_eq!(outcomes[0]["findings"], json!(["executed_on_deny"]));
    assert_eq!(outcomes.len(), 2);
}

#[test]
fn what_is_no_report_is_refused_by_its_field_and_recorded() {
    let server = TestServer::start(&Sources::small());
    let id = server.authorize(view("ana")).unwrap().decision_id;
    let executed = || of(&id, pb::Outcome::Executed);
    let wrong = [
        ("outcome", of(&id, pb::Outcome::Unspecified)),
        ("decision_id", of("not an id", pb::Outcome::Executed)),
        ("input_digest", pb::ReportOutcomeRequest { input_digest: "sha256:AB".to_owned(), ..executed() }),
        ("result_digest", pb::ReportOutcomeRequest { result_digest: "ab".to_owned(), ..executed() }),
        ("detail", pb::ReportOutcomeRequest { detail: "x".repeat(5_000), ..executed() }),
    ];
    for (field, message) in wrong.clone() {
        check_field(report(&server, message), Code::InvalidArgument, field, "");
    }
    let unknown = of("0190a1b2-0000-7000-8000-000000000000", pb::Outcome::Executed);
    check_field(report(&server, unknown), Code::NotFound, "decision_id", "no decision");
    let records = server.records(1 + wrong.len() + 1);
    assert!(records[1..].iter().all(|record| record["kind"] == "refusal"), "{records:?}");
    assert_eq!(records.last().unwrap()["reason"], "DECISION_UNKNOWN");
}

#[test]
fn the_log_is_not_read_where_decisions_are_made() {
    let server = TestServer::start(&Sources::small());
    let client = server.client();
    let mut log = DecisionLogServiceClient::new(client.channel());
    let query = client.wait(log.query(pb::QueryRequest::default())).map(drop);
    let tail = client.wait(log.tail(pb::TailRequest::default())).map(drop);
    for refused in [query, tail] {
        assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    }
}

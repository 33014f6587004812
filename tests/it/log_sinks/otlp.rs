//! Batches to an OpenTelemetry collector.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::collector::{Collector, accepted, attribute};
use super::fed::{Log, check_all, line};
use crate::support::{Authority, Papers};

fn sink(collector: &Collector) -> String {
    format!("kind = 'otlp'\nurl = 'http://{}'\ntimeout = '500ms'\n", collector.address)
}

#[test]
fn a_record_arrives_as_it_is_with_its_main_fields_beside_it() {
    let collector = Collector::answering(None, |_| accepted());
    let log = Log::of(1000);
    let token = log.file("token", "canary");
    let fed = log.feed(&format!("{}token_file = '{}'\n", sink(&collector), token.display()));
    fed.delivered(1000);
    assert_eq!(collector.sequences(), (0..1000).collect::<Vec<_>>());
    assert_eq!(collector.metadata("authorization"), "Bearer canary");
    let record = collector.taken().remove(7);
    let text = |text: &str| Some(Value::StringValue(text.to_owned()));
    assert_eq!(record.body.as_ref().unwrap().value, text(&line(7)));
    assert_eq!(attribute(&record, "mandate.principal"), text("Mandate::User::\"ana\""));
    assert_eq!(attribute(&record, "mandate.decision"), text("allow"));
    assert_eq!((record.trace_id.len(), record.trace_id[0]), (16, 0x0a));
    assert_eq!(record.time_unix_nano, 1_795_341_600_000_001_000);
    assert_eq!(record.event_name, "mandate.decision");
}

#[test]
fn what_a_collector_rejects_of_a_batch_is_lost_and_the_batch_not_sent_again() {
    let collector = Collector::answering(None, |sequences| {
        let rejected = i64::from(sequences.contains(&5)) * 3;
        let error_message = "too old".to_owned();
        let partial_success =
            Some(ExportLogsPartialSuccess { rejected_log_records: rejected, error_message });
        Some(Ok(ExportLogsServiceResponse { partial_success }))
    });
    let fed = Log::of(1000).feed(&sink(&collector));
    let status = fed.until(|status| status.next == 1000);
    assert_eq!((status.delivered, status.lost.rejected), (997, 3));
    assert_eq!(collector.sequences().len(), 1000, "each once");
}

#[test]
fn a_collector_that_hangs_or_fails_has_everything_in_the_end() {
    let mut answers = vec![
        None,
        Some(Err(Status::unavailable("later"))),
        Some(Err(Status::new(Code::Internal, "canary\nof an error"))),
        Some(Err(Status::unauthenticated("who?"))),
        None,
    ];
    let collector = Collector::answering(None, move |_| answers.pop().unwrap_or_else(accepted));
    let fed = Log::of(600).feed(&sink(&collector));
    let status = fed.delivered(600);
    assert!(status.failures >= 5);
    check_all(&collector.sequences(), 0..600);
}

#[test]
fn a_collector_says_when_to_come_again() {
    let mut asked: Option<Instant> = None;
    let collector = Collector::answering(None, move |_| match asked {
        None => {
            asked = Some(Instant::now());
            let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(2)));
            Some(Err(Status::with_error_details(Code::Unavailable, "busy", details)))
        }
        Some(at) => {
            assert!(at.elapsed().as_secs_f64() >= 2.0, "{:?}", at.elapsed());
            accepted()
        }
    });
    Log::of(10).feed(&sink(&collector)).delivered(10);
}

#[test]
fn a_record_that_is_refused_for_good_is_given_up_alone() {
    let collector = Collector::answering(None, |sequences| {
        if sequences.contains(&77) { Some(Err(Status::invalid_argument("no"))) } else { accepted() }
    });
    let status = Log::of(200).feed(&sink(&collector)).until(|status| status.next == 200);
    assert_eq!((status.delivered, status.lost.refused), (199, 1));
    let mut taken = collector.sequences();
    taken.push(77);
    check_all(&taken, 0..200);
}

#[test]
fn only_a_collector_that_the_authorities_vouch_for_has_records() {
    let papers = Papers::new();
    let sink = |collector: &Collector, authority: &Authority| {
        papers.put("ca.pem", &authority.pem);
        let (port, ca) = (collector.address.port(), papers.path("ca.pem"));
        format!("kind = 'otlp'\nurl = 'https://localhost:{port}'\nca_file = '{}'\n", ca.display())
    };
    let named = Collector::answering(Some(&papers.authority.server()), |_| accepted());
    Log::of(10).feed(&sink(&named, &Authority::root("somebody else"))).problem("certificate");
    let shown = papers.authority.server_named(&["elsewhere.example"]);
    let misnamed = Collector::answering(Some(&shown), |_| accepted());
    Log::of(10).feed(&sink(&misnamed, &papers.authority)).problem("certificate");
    assert!(named.taken().is_empty() && misnamed.taken().is_empty());
    Log::of(10).feed(&sink(&named, &papers.authority)).delivered(10);
}

//! The whole service with a sink: what decisions notice of it, which is nothing, and what it has after kills.

use std::collections::BTreeMap;
use std::io::Read as _;

use std::time::{Duration, Instant};

use mandate::audit::spool::reader::LogReader;
use mandate::server::pb;
use serde_json::Value;

use super::fed::{PATIENCE, check_all, outage};
use super::receiver::{Answer, Receiver};
use crate::support::{Process, Sources, is_allow, lines_of, question};

fn view() -> pb::AuthorizeRequest {
    question(("User", "ana"), "view", ("Doc", "plan"))
}

fn batch(items: usize) -> pb::AuthorizeBatchRequest {
    pb::AuthorizeBatchRequest {
        defaults: Some(view()),
        requests: vec![pb::AuthorizeRequest::default(); items],
    }
}

/// A service whose log is delivered to this receiver.
fn serve(sources: &Sources, receiver: &Receiver) -> Process {
    let url = format!("MANDATE__LOG__SINKS__TEST__URL={}", receiver.url());
    let sink = ["MANDATE__LOG__SINKS__TEST__KIND=http", &url, "MANDATE__LOG__SINKS__TEST__TIMEOUT=300ms"];
    Process::try_start_with(sources, &sink).expect("the server starts")
}

/// Every record of the log, by sequence.
fn log_of(sources: &Sources) -> BTreeMap<u64, Value> {
    let mut reader = LogReader::new(&sources.path("data/log"), 0);
    let entries = reader.read(u64::MAX, usize::MAX, usize::MAX).unwrap();
    let parsed =
        entries.into_iter().map(|entry| (entry.sequence, serde_json::from_slice(&entry.line).unwrap()));
    parsed.collect()
}

#[track_caller]
fn until(process: &Process, series: &str, holds: impl Fn(f64) -> bool) -> f64 {
    let begun = Instant::now();
    loop {
        let value = process.metric(series);
        if holds(value) {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE + outage(), "{series} stays {value}: {}", process.said());
        std::thread::sleep(Duration::from_millis(20));
    }
}

const LAG: &str = r#"pdp_log_sink_lag_records{sink="test"}"#;
const FAILING: &str = r#"pdp_log_sink_failing{sink="test"}"#;
const DELIVERED: &str = r#"pdp_log_sink_records_total{result="delivered",sink="test"}"#;

/// Fails unless the receiver has the whole log, every record as it stands there.
#[track_caller]
fn check_log(sources: &Sources, receiver: &Receiver) {
    let log = log_of(sources);
    let end = log.len() as u64;
    assert_eq!(log.keys().copied().collect::<Vec<_>>(), (0..end).collect::<Vec<_>>());
    check_all(&receiver.taken(), 0..end);
    for record in receiver.posted().iter().filter(|posted| posted.taken).flat_map(|posted| &posted.records) {
        let sequence = record["sequence"].as_u64().unwrap();
        assert_eq!(Some(record), log.get(&sequence), "what was delivered is what is in the log");
    }
}

#[test]
fn decisions_do_not_notice_a_sink_that_hangs_and_it_has_everything_in_the_end() {
    let (sources, receiver) = (Sources::small(), Receiver::answering(|_| Answer::Hang));
    let process = serve(&sources, &receiver);
    let client = process.client();
    let begun = Instant::now();
    let mut answers = 0;
    while answers < 2000 || begun.elapsed() < outage() {
        // A long outage is not meant to fill a disk.
        let (items, pause) = if answers < 2000 { (100, 10) } else { (20, 100) };
        assert_eq!(client.batch(batch(items)).unwrap().len(), items);
        answers += items;
        std::thread::sleep(Duration::from_millis(pause));
    }
    until(&process, FAILING, |failing| failing == 1.0);
    let lag = until(&process, LAG, |lag| lag >= answers as f64);
    assert!(process.metric(r#"pdp_log_sink_lag_seconds{sink="test"}"#) > 0.0);
    assert_eq!(process.metric(DELIVERED), 0.0, "{lag} records wait");
    let status = &process.status()["decision_log"]["sinks"][0];
    assert_eq!(
        (&status["name"], &status["kind"], &status["next"]),
        (&"test".into(), &"http".into(), &0.into())
    );
    assert!(status["problem"].as_str().unwrap().contains("no answer within"), "{status}");
    receiver.answer(|_| Answer::Take);
    until(&process, LAG, |lag| lag == 0.0);
    until(&process, FAILING, |failing| failing == 0.0);
    process.terminate().check_code(0);
    check_log(&sources, &receiver);
}

#[test]
fn kills_in_the_middle_cost_the_sink_no_record_of_the_log() {
    let mut batches = 0;
    let receiver = Receiver::answering(move |_| {
        batches += 1;
        if batches % 3 == 0 { Answer::Say(503, Vec::new()) } else { Answer::Take }
    });
    let sources = Sources::small();
    for round in 0..4 {
        let process = serve(&sources, &receiver);
        let client = process.client();
        for _ in 0..10 {
            assert_eq!(client.batch(batch(50)).unwrap().len(), 50);
            std::thread::sleep(Duration::from_millis(7 * round));
        }
        process.crash();
    }
    let process = serve(&sources, &receiver);
    assert!(is_allow(&process.client().authorize(view()).unwrap()));
    process.terminate().check_code(0);
    check_log(&sources, &receiver);
}

#[test]
fn the_end_of_the_log_is_delivered_at_the_end() {
    let (sources, receiver) = (Sources::small(), Receiver::start());
    let process = serve(&sources, &receiver);
    process.client().batch(batch(20)).unwrap();
    process.terminate().check_code(0);
    check_log(&sources, &receiver);
    let last = log_of(&sources).pop_last().unwrap().1;
    let delivered = receiver.posted().pop().unwrap().records.pop().unwrap();
    assert_eq!(delivered, last);
}

#[test]
fn standard_output_has_the_lines_of_the_log_and_nothing_else() {
    let sources = Sources::small();
    let (process, mut stdout) = Process::start_piped(&sources, &["MANDATE__LOG__SINKS__OUT__KIND=stdout"]);
    // Nobody reads: the pipe is full after some of these, and all of them are answered.
    let client = process.client();
    for _ in 0..10 {
        assert_eq!(client.batch(batch(100)).unwrap().len(), 100);
    }
    until(&process, r#"pdp_log_sink_lag_records{sink="out"}"#, |lag| lag > 0.0);
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text).unwrap()
    });
    process.terminate().check_code(0);
    let lines = lines_of(&reading.join().unwrap());
    assert_eq!(lines, log_of(&sources).into_values().collect::<Vec<_>>());
}

#[test]
fn a_file_has_the_lines_of_the_log() {
    let sources = Sources::small();
    let process = Process::try_start_with(&sources, &["MANDATE__LOG__SINKS__LINES__KIND=file"]).unwrap();
    process.client().batch(batch(100)).unwrap();
    process.terminate().check_code(0);
    let text = std::fs::read_to_string(sources.path("data/decisions/decisions.jsonl")).unwrap();
    assert_eq!(lines_of(&text), log_of(&sources).into_values().collect::<Vec<_>>());
}

#[test]
fn a_sink_that_cannot_be_opened_stops_the_start_and_is_named() {
    let sources = Sources::small();
    let absent = sources.path("absent.pem");
    let ca = format!("MANDATE__LOG__SINKS__TEST__CA_FILE={}", absent.display());
    let sink =
        ["MANDATE__LOG__SINKS__TEST__KIND=http", "MANDATE__LOG__SINKS__TEST__URL=https://localhost:1/", &ca];
    let finished = Process::try_start_with(&sources, &sink).expect_err("nobody could vouch for it");
    finished.check_code(1);
    assert!(
        finished.stderr.contains("`log.sinks.test`") && finished.stderr.contains("absent.pem"),
        "{finished:?}"
    );
}

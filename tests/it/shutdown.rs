//! How a server stops, and what its decision log then holds.

use std::time::{Duration, Instant};

use mandate::server::pb;
use nix::sys::signal::Signal;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tonic::{Code, Request};

use crate::reload::{PATIENCE, PERMIT, Pair, hide, hiding, pause, questions, start, status_where};
use crate::support::{Call, Client, Process, Question as _, Sources, all_records, get};

/// The decision ids in the log, each once.
fn logged(sources: &Sources) -> Vec<String> {
    let records = all_records(&sources.path("data/log"));
    let lines = records.iter().filter(|record| record["kind"] == "decision");
    let mut ids: Vec<_> = lines.map(|line| line["decision_id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

/// The decision ids that clients received.
fn received(calls: &[Call]) -> Vec<String> {
    let answers = calls.iter().filter_map(|call| call.outcome.as_ref().ok());
    let mut ids: Vec<_> = answers.map(|answer| answer.decision_id.clone()).collect();
    ids.sort();
    ids
}

/// The numbers of the line that says how the log was closed.
fn closed(said: &str) -> (u64, u64, u64) {
    let line = said.lines().find(|line| line.contains("the decision log is closed"));
    let line = line.unwrap_or_else(|| panic!("it does not say so: {said}"));
    let number = |name: &str| {
        let rest = line.split_once(&format!("{name}=")).unwrap_or_else(|| panic!("no `{name}` in {line}")).1;
        rest.split(|letter: char| !letter.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    (number("issued"), number("written"), number("dropped"))
}

fn readiness(process: &Process) -> u16 {
    get(&format!("{}/readyz", process.ops)).status
}

#[test]
fn a_server_told_to_stop_serves_its_grace_out_and_loses_no_answer() {
    let pair = Pair::learn();
    let sources = hiding("plan");
    let (process, load) = start(&sources, &["MANDATE__SHUTDOWN__GRACE=3s"]);
    load.until(PATIENCE, |call| call.is_of(&pair.plan_hidden));
    assert_eq!(readiness(&process), 200);
    let told = Instant::now();
    process.signal(Signal::SIGTERM);
    while readiness(&process) == 200 {
        assert!(told.elapsed() < Duration::from_secs(2), "still ready");
        pause(5);
    }
    // Not ready, and decisions are answered, to those who connect now as well.
    load.until(Duration::from_secs(2), |call| call.outcome.is_ok());
    let connecting = Instant::now();
    let newcomer = Client::connect(&process.data).authorize(questions().remove(1));
    assert!(newcomer.is_ok(), "after {:?}: {newcomer:?}", connecting.elapsed());
    assert_eq!(readiness(&process), 503);
    let finished = process.ended();
    let ended = Instant::now();
    finished.check_code(0);
    assert!(ended - told >= Duration::from_secs(3), "the grace was kept");
    assert!(ended - told < Duration::from_secs(10), "{:?}", ended - told);
    pause(100);
    let calls = load.finish();
    let (answered, failed): (Vec<_>, Vec<_>) = calls.into_iter().partition(|call| call.outcome.is_ok());
    pair.truth().check(&answered);
    for call in &failed {
        assert!(call.ended > told + Duration::from_millis(2950), "failed within the grace: {call:?}");
        let code = call.outcome.as_ref().unwrap_err().code();
        // Of a call that it had not sent yet a client says that it was cancelled, if the connection closes just then.
        let may_ask_another = [Code::Unavailable, Code::Cancelled].contains(&code);
        assert!(may_ask_another, "a client may ask another server: {call:?}");
    }
    let (issued, written, dropped) = closed(&finished.stderr);
    assert_eq!((issued, dropped), (written, 0));
    let (lines, ids) = (logged(&sources), received(&answered));
    assert_eq!(lines.len() as u64, written);
    assert!(ids.iter().all(|id| lines.binary_search(id).is_ok()), "an answer without a record");
    // One more was asked above, on a connection of its own.
    assert_eq!(lines.len(), ids.len() + 1, "a record without an answer");
}

/// A client that keeps its connection, as behind a balancer that leaves connections where they are, is told to find another before this
/// one is closed: afterwards it could not know whether its request was heard.
#[test]
fn a_client_that_keeps_its_http_connection_is_told_to_leave_it_within_the_grace() {
    let sources = hiding("plan");
    let process = Process::try_start_with(&sources, &["MANDATE__SHUTDOWN__GRACE=5s"]).unwrap();
    let mut kept = std::net::TcpStream::connect(process.http.trim_start_matches("http://")).unwrap();
    kept.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    for _ in 0..2 {
        let answer = ask_over(&mut kept);
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    process.signal(Signal::SIGTERM);
    while readiness(&process) == 200 {
        pause(5);
    }
    let answer = ask_over(&mut kept);
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(std::io::Read::read(&mut kept, &mut [0]).unwrap(), 0, "it is closed after that");
    // Whoever connects anew is answered, too.
    assert!(get(&format!("{}/healthz", process.http)).status == 200);
    process.ended().check_code(0);
}

/// Asks whether the server is well, and reads the whole answer.
fn ask_over(connection: &mut std::net::TcpStream) -> String {
    use std::io::{Read as _, Write as _};
    connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok") {
        let mut byte = [0];
        assert_eq!(connection.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&answer));
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap().to_lowercase()
}

#[test]
fn an_interrupt_stops_at_once_and_writes_every_record() {
    let pair = Pair::learn();
    let sources = hiding("plan");
    let (process, load) = start(&sources, &["MANDATE__SHUTDOWN__GRACE=30s"]);
    load.until(PATIENCE, |call| call.is_of(&pair.plan_hidden));
    pause(300);
    let told = Instant::now();
    process.signal(Signal::SIGINT);
    let finished = process.ended();
    finished.check_code(0);
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
    let calls = load.finish();
    let answered: Vec<_> = calls.into_iter().filter(|call| call.outcome.is_ok()).collect();
    pair.truth().check(&answered);
    let (issued, written, dropped) = closed(&finished.stderr);
    assert_eq!((issued, dropped), (written, 0));
    assert_eq!(logged(&sources), received(&answered));
}

#[test]
fn an_open_stream_ends_with_unavailable_after_its_last_answer() {
    let sources = hiding("plan");
    let settings = ["MANDATE__SHUTDOWN__GRACE=300ms"];
    let process = Process::try_start_with(&sources, &settings).unwrap();
    let client = process.client();
    client.wait(async {
        let (messages, receiver) = mpsc::channel(8);
        let mut service = client.service();
        let receiver = tokio_stream::wrappers::ReceiverStream::new(receiver);
        messages.send(questions().remove(1).named("first")).await.unwrap();
        let mut answers = service.authorize_stream(Request::new(receiver)).await.unwrap().into_inner();
        assert_eq!(answers.next().await.unwrap().unwrap().request_id, "first");
        process.signal(Signal::SIGTERM);
        tokio::time::sleep(Duration::from_millis(100)).await;
        messages.send(questions().remove(1).named("last")).await.unwrap();
        let last = answers.next().await.unwrap().unwrap();
        assert_eq!(last.request_id, "last");
        assert!(matches!(last.outcome, Some(pb::authorize_stream_response::Outcome::Response(_))));
        let end = answers.next().await.expect("an end that says why").unwrap_err();
        assert_eq!(end.code(), Code::Unavailable, "{end:?}");
        assert!(end.message().contains("stopping"), "{end:?}");
    });
    drop(client);
    let finished = process.ended();
    finished.check_code(0);
    assert_eq!(logged(&sources).len(), 2);
    assert_eq!(closed(&finished.stderr), (2, 2, 0));
}

/// Sends the head of a request, and never its body's end.
#[test]
fn a_client_that_never_ends_its_request_is_not_waited_for() {
    use std::io::Write as _;
    let sources = hiding("plan");
    let settings = ["MANDATE__SHUTDOWN__GRACE=0s", "MANDATE__SHUTDOWN__DRAIN=1s"];
    let process = Process::try_start_with(&sources, &settings).unwrap();
    let mut http = std::net::TcpStream::connect(process.http.trim_start_matches("http://")).unwrap();
    http.write_all(
        b"POST /access/v1/evaluation HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{",
    )
    .unwrap();
    let client = process.client();
    let (messages, receiver) = mpsc::channel::<pb::AuthorizeBatchRequest>(1);
    let body = tokio_stream::wrappers::ReceiverStream::new(receiver);
    // A unary call whose message never comes.
    let mut grpc = tonic::client::Grpc::new(client.channel());
    client.wait(grpc.ready()).unwrap();
    let path = "/mandate.v1.AuthorizationService/AuthorizeBatch".parse().unwrap();
    let codec = tonic_prost::ProstCodec::<pb::AuthorizeBatchRequest, pb::AuthorizeBatchResponse>::default();
    let calling = async move { grpc.client_streaming(Request::new(body), path, codec).await };
    let hanging = client.spawn(calling);
    pause(300);
    let told = Instant::now();
    process.signal(Signal::SIGTERM);
    let finished = process.ended();
    finished.check_code(0);
    let took = told.elapsed();
    assert!(took >= Duration::from_secs(1), "it was waited for as long as was said: {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(messages);
    client.wait(hanging).unwrap().unwrap_err();
}

#[test]
fn a_hangup_loads_at_once_and_tries_again_what_was_rejected() {
    let pair = Pair::learn();
    let sources = hiding("plan");
    let settings = ["MANDATE__RELOAD__SETTLE=1m", "MANDATE__RELOAD__POLL=200ms"];
    let (process, load) = start(&sources, &settings);
    load.until(PATIENCE, |call| call.is_of(&pair.plan_hidden));
    sources.put("policies/base.cedar", PERMIT.to_owned() + &hide("notes"));
    pause(700);
    assert_eq!(process.status()["generation"], pair.plan_hidden.as_str(), "it waits to settle");
    process.signal(Signal::SIGHUP);
    let took = load.until(PATIENCE, |call| call.is_of(&pair.notes_hidden));
    assert!(took < Duration::from_secs(5), "{took:?}");
    sources.put("policies/base.cedar", "broken");
    for rejected in 1..=2 {
        process.signal(Signal::SIGHUP);
        status_where(&process, PATIENCE, |status| status["reloads"]["rejected"] == rejected);
    }
    assert_eq!(pair.truth().check(&load.finish()).len(), 2);
}

#[test]
fn signals_are_obeyed_from_the_announcement_on() {
    let sources = hiding("plan");
    for _ in 0..15 {
        let process = Process::start(&sources);
        process.signal(Signal::SIGHUP);
        process.signal(Signal::SIGINT);
        process.ended().check_code(0);
    }
}

//! The account of the decision log, `issued = written + queued + dropped`, and what happens to answers when it cannot keep up.

use std::io::{Read as _, Write as _};
use std::process::ChildStdout;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mandate::config::LogSink;
use mandate::server::pb;
use prost::Message as _;
use serde_json::Value;

use crate::support::{
    Client, Numbers, Process, Question as _, Sources, StopOnDrop, TestServer, curl, framed, get_status,
    is_allow, lines, lines_of, question,
};

const AUTHORIZE: &str = "/mandate.v1.AuthorizationService/Authorize";

fn view(user: &str) -> pb::AuthorizeRequest {
    question(("User", user), "view", ("Doc", "plan"))
}

fn batch(items: usize) -> pb::AuthorizeBatchRequest {
    pb::AuthorizeBatchRequest {
        defaults: Some(view("ana")),
        requests: vec![pb::AuthorizeRequest::default(); items],
    }
}

/// One reading of the account.
#[derive(Debug, Clone, Copy)]
struct Account {
    issued: f64,
    written: f64,
    queued: f64,
    dropped: f64,
}

impl Account {
    fn of(numbers: &Numbers) -> Self {
        let by_outcome = |written: bool| {
            let records = numbers.named("pdp_audit_records_total");
            let counted =
                records.filter(move |(series, _)| series.contains("outcome=\"written\"") == written);
            counted.map(|(_, count)| count).sum()
        };
        Self {
            issued: numbers.sum("pdp_audit_records_issued_total"),
            written: by_outcome(true),
            queued: numbers.sum("pdp_audit_queue_depth"),
            dropped: by_outcome(false),
        }
    }

    fn of_status(status: &Value) -> Self {
        let count =
            |name: &str| status["decision_log"][name].as_f64().unwrap_or_else(|| panic!("{name}: {status}"));
        Self {
            issued: count("issued"),
            written: count("written"),
            queued: count("queued"),
            dropped: count("dropped"),
        }
    }

    #[track_caller]
    fn check(self) -> Self {
        assert_eq!(self.issued, self.written + self.queued + self.dropped, "{self:?}");
        self
    }
}

#[test]
fn the_account_holds_at_every_moment_for_everybody_who_looks() {
    let server = TestServer::start(&Sources::small());
    let stop = AtomicBool::new(false);
    let answers = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        let stopping = StopOnDrop(&stop);
        for _ in 0..2 {
            threads.spawn(|| {
                let client = Client::connect(&server.data);
                while !stop.load(Ordering::Relaxed) {
                    let answered = client.batch(batch(20)).unwrap().len();
                    answers.fetch_add(answered, Ordering::Relaxed);
                }
            });
        }
        // Two look at once: neither may be shown numbers of two moments.
        let looking: Vec<_> = (0..3)
            .map(|_| {
                threads.spawn(|| {
                    let mut before = 0.0;
                    for _ in 0..150 {
                        let account = Account::of(&server.metrics()).check();
                        assert!(account.issued >= before, "{account:?} after {before}");
                        before = account.issued;
                    }
                })
            })
            .collect();
        for _ in 0..10 {
            Account::of_status(&get_status(&server.control, &server.folder.path().join("data"))).check();
        }
        let looked: Vec<_> = looking.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        drop(stopping);
        looked.into_iter().for_each(|looked| looked.expect("every reading holds"));
    });
    let answers = answers.load(Ordering::Relaxed);
    server.records(answers);
    let account = Account::of(&server.metrics()).check();
    assert_eq!((account.queued, account.dropped), (0.0, 0.0));
}

#[test]
fn a_queue_that_is_full_drops_and_counts_and_every_answer_is_given() {
    let sources = Sources::small();
    let mut config = sources.config();
    config.log.queue = 1;
    let server = TestServer::with_config(&config);
    let rounds = 20;
    for _ in 0..rounds {
        assert_eq!(server.client().batch(batch(100)).unwrap().len(), 100);
    }
    let mut account = Account::of(&server.metrics()).check();
    while account.queued > 0.0 {
        account = Account::of(&server.metrics()).check();
    }
    assert_eq!(account.issued, f64::from(rounds * 100));
    assert!(account.dropped > 0.0 && account.written > 0.0, "{account:?}");
    let full = server.metrics().value(r#"pdp_audit_records_total{outcome="queue_full",sink="file"}"#);
    assert_eq!(full, account.dropped);
    // An f64 of so few records is exact.
    let written = format!("{}", account.written).parse().unwrap();
    lines(&server.folder.path().join("data/decisions"), written);
}

#[test]
fn a_log_that_is_off_counts_nothing() {
    let sources = Sources::small();
    let mut config = sources.config();
    config.log.sink = LogSink::Off;
    let server = TestServer::with_config(&config);
    assert!(is_allow(&server.authorize(view("ana")).unwrap()));
    assert_eq!(Account::of(&server.metrics()).check().issued, 0.0);
    assert!(!server.folder.path().join("data/decisions").exists());
}

/// Reads a pipe to its end, on a thread of its own.
fn drain(mut stdout: ChildStdout) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).expect("text");
        text
    })
}

/// A question whose line is long: a pipe is full after a few.
fn long(id: usize) -> pb::AuthorizeRequest {
    let evidence =
        pb::Evidence { model: "m".repeat(1000), prompt_digest: "p".repeat(1000), ..pb::Evidence::default() };
    pb::AuthorizeRequest { evidence: Some(evidence), ..view("ana").named(&format!("q{id}")) }
}

#[test]
fn where_answers_wait_for_their_records_none_is_given_without_and_none_is_lost() {
    let sources = Sources::small();
    let variables = ["MANDATE__LOG__SINK=stdout", "MANDATE__LOG__QUEUE=1", "MANDATE__LOG__OVERFLOW=block"];
    let (process, stdout) = Process::start_piped(&sources, &variables);
    let (mut given, mut late, mut calls) = (0_usize, 0_usize, 0);
    let begun = Instant::now();
    // Nobody reads: the pipe fills, then the queue, then calls wait until it is too late.
    while late < 3 {
        let body = framed(&long(calls).encode_to_vec());
        let Some(curled) = curl(&process.data, AUTHORIZE, &body, &["grpc-timeout: 400m"]) else { return };
        assert_eq!(curled.calls, 1, "curl lost an answer");
        match curled.status.as_deref() {
            None => given += 1,
            Some("4") => late += 1,
            other => panic!("{other:?}"),
        }
        calls += 1;
        assert!(begun.elapsed() < Duration::from_secs(30), "{given} answers, and the pipe is not full");
    }
    assert!(given > 0);
    let account = Account::of(&Numbers::read(&process.ops)).check();
    // A refusal that finds no room is dropped and counted: whoever cannot be answered must not fill the memory.
    assert_eq!((account.issued, account.dropped), ((given + late) as f64, late as f64), "{account:?}");
    assert!(account.queued > 0.0, "{account:?}");
    // Many wait at once, and each is late, and counted.
    let message = framed(&long(9999).encode_to_vec());
    let waiting = 8;
    std::thread::scope(|threads| {
        for _ in 0..waiting {
            threads.spawn(|| {
                let curled = curl(&process.data, AUTHORIZE, &message, &["grpc-timeout: 300m"]).unwrap();
                assert_eq!((curled.status.as_deref(), curled.calls), (Some("4"), 1));
            });
        }
    });
    let late = late + waiting;
    let account = Account::of(&Numbers::read(&process.ops)).check();
    assert_eq!((account.issued, account.dropped), ((given + late) as f64, late as f64), "{account:?}");
    // Somebody reads again: every answer that was given is there, and answers are given as before.
    let reading = drain(stdout);
    assert!(is_allow(&process.client().authorize(view("ana")).unwrap()));
    process.terminate().check_code(0);
    let records = lines_of(&reading.join().unwrap());
    let of_kind = |kind: &str| records.iter().filter(|record| record["kind"] == kind).count();
    assert_eq!((of_kind("decision"), of_kind("refusal")), (given + 1, 0));
}

#[test]
fn standard_output_is_a_sink_of_lines_and_nothing_else() {
    let (process, stdout) = Process::start_piped(&Sources::small(), &["MANDATE__LOG__SINK=stdout"]);
    let reading = drain(stdout);
    assert_eq!(process.client().batch(batch(50)).unwrap().len(), 50);
    process.terminate().check_code(0);
    assert_eq!(lines_of(&reading.join().unwrap()).len(), 50);
}

#[test]
fn a_log_that_cannot_be_opened_stops_the_start_and_says_where() {
    let sources = Sources::small().write("a-file", "text");
    let inside = sources.path("a-file/decisions");
    let variable = format!("MANDATE__LOG__DIRECTORY={}", inside.display());
    let finished = Process::try_start_with(&sources, &[&variable]).expect_err("it cannot write");
    finished.check_code(1);
    assert!(finished.stderr.contains("the decision log cannot be opened"), "{finished:?}");
    assert!(finished.stderr.contains(&inside.display().to_string()), "{finished:?}");
}

#[test]
fn a_line_that_a_crash_left_unfinished_does_not_spoil_the_next() {
    let sources = Sources::small();
    let folder = sources.path("data/decisions");
    std::fs::create_dir_all(&folder).unwrap();
    let mut file = std::fs::File::create(folder.join("decisions.jsonl")).unwrap();
    file.write_all(b"{\"v\":1,\"kind\":\"deci").unwrap();
    let process = Process::start(&sources);
    assert!(is_allow(&process.client().authorize(view("ana")).unwrap()));
    process.terminate().check_code(0);
    let text = std::fs::read_to_string(folder.join("decisions.jsonl")).unwrap();
    assert_eq!(lines_of(text.split_once('\n').unwrap().1).len(), 1, "{text}");
}

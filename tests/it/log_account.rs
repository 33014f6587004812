//! The account of the decision log, `issued = written + queued + dropped`, and what happens to answers when it cannot keep up.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mandate::config::LogMode;
use mandate::server::pb;
use serde_json::Value;

use crate::support::{
    Client, Numbers, Process, Sources, StopOnDrop, TestServer, get_status, is_allow, lines, question,
};

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
    let full = server.metrics().value(r#"pdp_audit_records_total{outcome="queue_full"}"#);
    assert_eq!(full, account.dropped);
    // An f64 of so few records is exact.
    let written = format!("{}", account.written).parse().unwrap();
    lines(&server.folder.path().join("data/log"), written);
}

#[test]
fn a_log_that_is_off_counts_nothing() {
    let sources = Sources::small();
    let mut config = sources.config();
    config.log.mode = LogMode::Off;
    let server = TestServer::with_config(&config);
    assert!(is_allow(&server.authorize(view("ana")).unwrap()));
    assert_eq!(Account::of(&server.metrics()).check().issued, 0.0);
    assert!(!server.folder.path().join("data/log").exists());
}

#[test]
fn a_log_that_cannot_be_opened_stops_the_start_and_says_where() {
    let sources = Sources::small().write("a-file", "text");
    let inside = sources.path("a-file/decisions");
    let variable = format!("MANDATE__LOG__DIRECTORY={}", inside.display());
    let finished = Process::try_start_with(&sources, &[&variable]).expect_err("it cannot write");
    finished.check_code(1);
    assert!(finished.stderr.contains("cannot be opened"), "{finished:?}");
    assert!(finished.stderr.contains(&inside.display().to_string()), "{finished:?}");
}

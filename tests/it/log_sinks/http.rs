//! Batches over HTTP.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::fed::{Log, check_all, line};
use super::receiver::{Answer, Receiver, free_address};
use crate::support::{Authority, Papers, Shown};

fn say(status: u16) -> Answer {
    Answer::Say(status, Vec::new())
}

#[test]
fn batches_arrive_whole_with_what_tells_them_apart() {
    let (log, receiver) = (Log::of(1000), Receiver::start());
    let token = log.file("token", "canary-token\n");
    let fed = log.feed(&format!(
        "kind = 'http'\nurl = '{}'\nbatch = {{ records = 100 }}\ntoken_file = '{}'\nheaders = {{ x-tenant = 'a' }}\n",
        receiver.url(),
        token.display()
    ));
    fed.delivered(1000);
    assert_eq!(receiver.taken(), (0..1000).collect::<Vec<_>>(), "each once and in order");
    let posted = receiver.posted();
    assert_eq!(posted[0].records[7], serde_json::from_str::<serde_json::Value>(&line(7)).unwrap());
    for batch in &posted {
        let first = batch.sequences[0];
        assert_eq!(batch.header("authorization"), "Bearer canary-token");
        assert_eq!(batch.header("x-tenant"), "a");
        assert_eq!(
            (batch.header("content-type"), batch.header("content-encoding")),
            ("application/json", "gzip")
        );
        assert_eq!(batch.header("mandate-first-sequence"), first.to_string());
        let key = format!("{}:{first}:{}", super::fed::LOG, batch.sequences.len());
        assert_eq!(batch.header("idempotency-key"), key);
    }
}

#[test]
fn lines_are_sent_where_lines_are_wanted() {
    let (log, receiver) = (Log::of(10), Receiver::start());
    let fed =
        log.feed(&format!("kind = 'http'\nurl = '{}'\nformat = 'ndjson'\ngzip = false\n", receiver.url()));
    fed.delivered(10);
    let posted = receiver.posted().remove(0);
    assert_eq!(
        (posted.header("content-type"), posted.header("content-encoding")),
        ("application/x-ndjson", "")
    );
    check_all(&receiver.taken(), 0..10);
}

#[test]
fn a_server_that_is_not_there_has_everything_once_it_is() {
    let (log, address) = (Log::of(500), free_address());
    let fed = log.feed(&format!("kind = 'http'\nurl = 'http://{address}/'\n"));
    let status = fed.until(|status| status.failures >= 3);
    assert_eq!((status.next, status.lag_records), (0, 500));
    assert!(status.lag_seconds > 0.0);
    let receiver = Receiver::at(address, None, |_| Answer::Take);
    fed.delivered(500);
    log.add(500..600);
    fed.delivered(600);
    check_all(&receiver.taken(), 0..600);
}

#[test]
fn a_server_that_hangs_or_fails_is_asked_again() {
    let mut answers = vec![
        Answer::Hang,
        say(500),
        say(429),
        say(408),
        Answer::Hang,
        Answer::Say(307, vec![("location", "http://127.0.0.1:1/".to_owned())]),
    ];
    let receiver = Receiver::answering(move |_| answers.pop().unwrap_or(Answer::Take));
    let log = Log::of(200);
    let fed = log.feed(&format!("kind = 'http'\nurl = '{}'\ntimeout = '200ms'\n", receiver.url()));
    let status = fed.delivered(200);
    assert!(status.failures >= 6, "{status:?}");
    check_all(&receiver.taken(), 0..200);
}

#[test]
fn a_server_says_when_to_come_again() {
    let mut asked: Option<Instant> = None;
    let receiver = Receiver::answering(move |_| match asked {
        None => {
            asked = Some(Instant::now());
            Answer::Say(503, vec![("retry-after", "2".to_owned())])
        }
        Some(at) => {
            assert!(at.elapsed().as_secs_f64() >= 2.0, "{:?}", at.elapsed());
            Answer::Take
        }
    });
    Log::of(10).feed(&format!("kind = 'http'\nurl = '{}'\n", receiver.url())).delivered(10);
}

#[test]
fn a_wrong_token_or_address_costs_no_record_and_is_never_shown() {
    let receiver = Receiver::answering(|posted| match posted.header("authorization") {
        "Bearer right" => Answer::Take,
        _ => say(401),
    });
    let log = Log::of(300);
    let token = log.file("token", "canary-wrong");
    let sink = format!("kind = 'http'\nurl = '{}'\ntoken_file = '{}'\n", receiver.url(), token.display());
    let fed = log.feed(&sink);
    let problem = fed.problem("401");
    assert!(problem.contains("token_file") && !problem.contains("canary"), "{problem}");
    fs::remove_file(&token).unwrap();
    let problem = fed.problem("No such file");
    assert!(problem.contains(&token.display().to_string()), "{problem}");
    fs::write(&token, "right").unwrap();
    fed.delivered(300);
    receiver.answer(|_| say(404));
    log.add(300..310);
    fed.problem("see `url`");
    receiver.answer(|_| Answer::Take);
    fed.delivered(310);
    check_all(&receiver.taken(), 0..310);
}

#[test]
fn a_record_that_is_refused_for_good_is_given_up_alone() {
    let receiver = Receiver::answering(|posted| match posted.sequences.len() {
        _ if posted.sequences.contains(&137) => say(422),
        0..=50 => Answer::Take,
        _ => say(413),
    });
    let fed = Log::of(1000).feed(&format!("kind = 'http'\nurl = '{}'\n", receiver.url()));
    let status = fed.until(|status| status.next == 1000);
    assert_eq!((status.delivered, status.lost.refused), (999, 1));
    let mut taken = receiver.taken();
    taken.push(137);
    check_all(&taken, 0..1000);
}

fn server_config(shown: &Shown) -> ServerConfig {
    let chain = CertificateDer::pem_slice_iter(shown.chain.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_no_client_auth().with_single_cert(chain, key).unwrap()
}

#[test]
fn only_a_server_that_the_authorities_vouch_for_has_records() {
    let papers = Papers::new();
    let receiver = |shown: &Shown| {
        Receiver::at(([127, 0, 0, 1], 0).into(), Some(server_config(shown)), |_| Answer::Take)
    };
    let sink = |receiver: &Receiver, authority: &Authority| {
        papers.put("ca.pem", &authority.pem);
        let (port, ca) = (receiver.address.port(), papers.path("ca.pem"));
        format!("kind = 'http'\nurl = 'https://localhost:{port}/'\nca_file = '{}'\n", ca.display())
    };
    let named = receiver(&papers.authority.server());
    Log::of(10).feed(&sink(&named, &Authority::root("somebody else"))).problem("certificate");
    let misnamed = receiver(&papers.authority.server_named(&["elsewhere.example"]));
    Log::of(10).feed(&sink(&misnamed, &papers.authority)).problem("certificate");
    assert!(named.posted().is_empty() && misnamed.posted().is_empty());
    Log::of(10).feed(&sink(&named, &papers.authority)).delivered(10);
}

#[test]
fn a_restart_in_the_middle_misses_nothing() {
    let open = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&open);
    let mut taken = 0;
    let receiver = Receiver::answering(move |_| {
        taken += 1;
        if taken <= 3 || opened.load(Ordering::Relaxed) { Answer::Take } else { say(503) }
    });
    let log = Log::of(1000);
    let sink = format!("kind = 'http'\nurl = '{}'\nbatch = {{ records = 10 }}\n", receiver.url());
    let fed = log.feed(&sink);
    fed.until(|status| status.failures > 0);
    let status = fed.stop();
    assert_eq!(status.next, 30);
    open.store(true, Ordering::Relaxed);
    log.feed(&sink).delivered(1000);
    assert_eq!(receiver.taken(), (0..1000).collect::<Vec<_>>(), "and nothing twice");
}

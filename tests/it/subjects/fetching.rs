//! Keys that are fetched: how often, from where, and what holds when they cannot be had.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use mandate::config::Config;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::doors::check_refused;
use super::issuer::{AUDIENCE, ISSUER, Issuer, ask, claims};
use crate::support::{Draft, SigningKey, TestServer, is_allow, status_within};

/// What a server of keys answers.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Keys(Vec<Value>),
    Redirect(String),
    Status(u16),
    Bytes(Vec<u8>),
    /// Nothing, for so long.
    Late(Duration),
}

/// A server of keys that counts who asks.
#[derive(Debug)]
pub(super) struct KeyServer {
    pub(super) url: String,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl KeyServer {
    pub(super) fn start(answer: Answer) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (answer, asked) = (Arc::new(Mutex::new(answer)), Arc::new(AtomicUsize::new(0)));
        let state = (Arc::clone(&answer), Arc::clone(&asked));
        let respond = move || {
            let (answer, asked) = (Arc::clone(&state.0), Arc::clone(&state.1));
            async move {
                asked.fetch_add(1, Ordering::SeqCst);
                let answer = answer.lock().unwrap().clone();
                let mut headers = HeaderMap::new();
                match answer {
                    Answer::Keys(keys) => {
                        (StatusCode::OK, headers, json!({ "keys": keys }).to_string().into_bytes())
                    }
                    Answer::Bytes(bytes) => (StatusCode::OK, headers, bytes),
                    Answer::Status(status) => (StatusCode::from_u16(status).unwrap(), headers, Vec::new()),
                    Answer::Redirect(to) => {
                        headers.insert(header::LOCATION, to.parse().unwrap());
                        (StatusCode::FOUND, headers, Vec::new())
                    }
                    Answer::Late(span) => {
                        tokio::time::sleep(span).await;
                        (StatusCode::OK, headers, Vec::new())
                    }
                }
            }
        };
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, Router::new().route("/keys", get(respond))).await });
        Self { url, answer, asked, _runtime: runtime }
    }

    pub(super) fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The configuration of an issuer whose keys are fetched.
pub(super) fn fetched(issuer: &Issuer, url: &str) -> Config {
    issuer.config_of(&format!(
        "[[issuers]]\nissuer = '{ISSUER}'\naudience = '{AUDIENCE}'\nprofile = 'rfc8693'\njwks_url = '{url}'\n"
    ))
}

fn token(key: &SigningKey, kid: &str) -> String {
    Draft::new(&json!({"typ": "at+jwt", "alg": key.algorithm(), "kid": kid}), &claims()).sign(key)
}

/// Waits until something holds.
#[track_caller]
pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_new_key_is_found_by_one_look_and_a_removed_one_verifies_nothing() {
    let (issuer, next) = (Issuer::new(SigningKey::p256()), SigningKey::rsa());
    let keys = KeyServer::start(Answer::Keys(vec![issuer.key.jwk("k1")]));
    let server = TestServer::with_config(&fetched(&issuer, &keys.url));
    let old = issuer.token();
    assert!(is_allow(&server.authorize(ask("view", &old)).unwrap()));
    assert_eq!(keys.asked(), 1, "fetched before anybody asked, or while they waited");
    // The old key is gone, and nobody has looked yet.
    keys.answer(Answer::Keys(vec![next.jwk("k2")]));
    assert!(is_allow(&server.authorize(ask("view", &old)).unwrap()));
    assert!(is_allow(&server.authorize(ask("view", token(&next, "k2"))).unwrap()));
    assert_eq!(keys.asked(), 2, "one look");
    check_refused(server.authorize(ask("view", &old)), "key: its issuer has no key of the name");
    check_refused(server.authorize(ask("view", issuer.token())), "key");
    assert_eq!(keys.asked(), 2, "and no more for a while");
}

#[test]
fn a_key_that_is_replaced_under_its_name_verifies_nothing_old() {
    let (issuer, next) = (Issuer::new(SigningKey::p256()), SigningKey::p256());
    let keys = KeyServer::start(Answer::Keys(vec![issuer.key.jwk("k1")]));
    let server = TestServer::with_config(&fetched(&issuer, &keys.url));
    let old = issuer.token();
    assert!(is_allow(&server.authorize(ask("view", &old)).unwrap()));
    keys.answer(Answer::Keys(vec![next.jwk("k1"), next.jwk("k2")]));
    assert!(is_allow(&server.authorize(ask("view", token(&next, "k2"))).unwrap()), "which causes a look");
    check_refused(server.authorize(ask("view", &old)), "signature");
}

#[test]
fn a_flood_of_unknown_keys_causes_one_look() {
    let issuer = Issuer::new(SigningKey::p256());
    let keys = KeyServer::start(Answer::Keys(vec![issuer.key.jwk("k1")]));
    let server = TestServer::with_config(&fetched(&issuer, &keys.url));
    assert!(is_allow(&server.authorize(ask("view", issuer.token())).unwrap()));
    let before = keys.asked();
    let calls: Vec<_> = (0..200)
        .map(|at| {
            let mut service = server.client().service();
            let asked = ask("view", token(&issuer.key, &format!("unknown-{at}")));
            server.client().spawn(async move { service.authorize(asked).await })
        })
        .collect();
    for call in calls {
        check_refused(server.client().wait(call).unwrap(), "key");
    }
    assert_eq!(keys.asked(), before + 1);
    assert!(
        server.metrics().value(&format!("pdp_jwks_looks_total{{issuer=\"{ISSUER}\",outcome=\"limited\"}}"))
            > 100.0
    );
    assert!(is_allow(&server.authorize(ask("view", issuer.token())).unwrap()));
}

#[test]
fn a_provider_that_is_down_is_done_without_for_a_while_and_no_longer() {
    let issuer = Issuer::new(SigningKey::p256());
    let keys = KeyServer::start(Answer::Keys(vec![issuer.key.jwk("k1")]));
    let mut config = fetched(&issuer, &keys.url);
    let limits = &mut config.issuers[0].limits;
    (limits.min_age, limits.max_age) = (Duration::from_millis(100), Duration::from_millis(100));
    (limits.stale, limits.refetch) = (Duration::from_secs(2), Duration::from_millis(100));
    let server = TestServer::with_config(&config);
    let known = issuer.token();
    assert!(is_allow(&server.authorize(ask("view", &known)).unwrap()));
    for broken in [Answer::Status(500), Answer::Bytes(b"<html>".to_vec()), Answer::Keys(Vec::new())] {
        keys.answer(broken.clone());
        let asked = keys.asked();
        until("it is asked in turn", || keys.asked() > asked + 1);
        assert!(is_allow(&server.authorize(ask("view", issuer.token())).unwrap()), "{broken:?}: a new token");
        assert!(is_allow(&server.authorize(ask("view", &known)).unwrap()), "{broken:?}: a known one");
    }
    std::thread::sleep(Duration::from_millis(2200));
    check_refused(server.authorize(ask("view", &known)), "keys: its issuer's keys cannot be had");
    check_refused(server.authorize(ask("view", issuer.token())), "keys");
    keys.answer(Answer::Keys(vec![issuer.key.jwk("k1")]));
    until("it is believed again", || server.authorize(ask("view", &known)).is_ok());
}

#[test]
fn no_key_comes_from_where_an_address_redirects() {
    let issuer = Issuer::new(SigningKey::p256());
    let target = KeyServer::start(Answer::Keys(vec![issuer.key.jwk("k1")]));
    let keys = KeyServer::start(Answer::Redirect(target.url.clone()));
    let server = TestServer::with_config(&fetched(&issuer, &keys.url));
    check_refused(server.authorize(ask("view", issuer.token())), "keys");
    assert!(keys.asked() >= 1);
    assert_eq!(target.asked(), 0);
    // The same keys from the address itself are good.
    let server = TestServer::with_config(&fetched(&issuer, &target.url));
    assert!(is_allow(&server.authorize(ask("view", issuer.token())).unwrap()));
}

#[test]
fn a_document_without_end_is_not_read() {
    let issuer = Issuer::new(SigningKey::p256());
    let long = json!({"keys": [issuer.key.jwk("k1")], "more": "x".repeat(600 * 1024)});
    let keys = KeyServer::start(Answer::Bytes(long.to_string().into_bytes()));
    let server = TestServer::with_config(&fetched(&issuer, &keys.url));
    check_refused(server.authorize(ask("view", issuer.token())), "keys");
}

#[test]
fn a_request_waits_for_keys_no_longer_than_for_its_answer() {
    let issuer = Issuer::new(SigningKey::p256());
    let keys = KeyServer::start(Answer::Late(Duration::from_secs(20)));
    let server = TestServer::with_config(&fetched(&issuer, &keys.url));
    let (message, begun) = (ask("view", issuer.token()).encode_to_vec(), Instant::now());
    let method = "/mandate.v1.AuthorizationService/Authorize";
    let Some(status) = status_within(&server.data, method, &message, "300m") else { return };
    assert_eq!(status, Some((tonic::Code::DeadlineExceeded as i32).to_string()));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn a_file_of_keys_is_read_again_when_it_changes() {
    let (issuer, next) = (Issuer::new(SigningKey::p256()), SigningKey::ed25519());
    let server = TestServer::with_config(&issuer.config(""));
    let old = issuer.token();
    assert!(is_allow(&server.authorize(ask("view", &old)).unwrap()));
    issuer.publish(&[next.jwk("k2")]);
    until("the removed key verifies nothing", || server.authorize(ask("view", &old)).is_err());
    assert!(is_allow(&server.authorize(ask("view", token(&next, "k2"))).unwrap()));
    issuer.sources.put("keys.json", "{");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(is_allow(&server.authorize(ask("view", token(&next, "k2"))).unwrap()), "the last good ones");
    issuer.publish(&[issuer.key.jwk("k1")]);
    until("the key is back", || server.authorize(ask("view", &old)).is_ok());
}

//! Connections that come to their limits: what ends them, and what that costs those who do nothing wrong.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mandate::listening::ConnectionLimits;
use mandate::server::pb::authorization_service_client::AuthorizationServiceClient;
use tokio::net::TcpSocket;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::{PATIENCE, view};
use crate::support::{
    Conversation, Question as _, Sources, TestServer, evaluation, is_allow, is_unprocessed,
};

/// A server whose connections are limited so.
fn limited(sources: &Sources, limit: impl FnOnce(&mut ConnectionLimits)) -> TestServer {
    let mut config = sources.config();
    limit(&mut config.limits.connections);
    TestServer::with_config(&config)
}

fn ended(server: &TestServer, listener: &str, limit: &str) -> f64 {
    let series = format!("pdp_connections_ended_total{{limit=\"{limit}\",listener=\"{listener}\"}}");
    server.metrics().value(&series)
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Reads until the other end closes, and fails if it does not.
#[track_caller]
fn is_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
}

/// Asks on and on, and says how often it was answered; a call that nobody has looked at is asked again.
async fn ask_on_and_on(
    mut service: AuthorizationServiceClient<Channel>,
    stop: &AtomicBool,
) -> Result<u64, Status> {
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        match service.authorize(view()).await {
            Ok(answer) => {
                assert!(is_allow(answer.get_ref()));
                answered += 1;
            }
            Err(status) if is_unprocessed(&status) => {}
            Err(status) => return Err(status),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(answered)
}

#[test]
fn connections_come_to_an_age_and_no_call_that_has_arrived_fails() {
    let sources = Sources::small();
    let server = limited(&sources, |limits| limits.max_age = Duration::from_millis(200));
    let stop = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let channel = Endpoint::from_shared(server.data.clone()).unwrap();
            let channel = server.client().wait(async { channel.connect_lazy() });
            let (service, stop) = (AuthorizationServiceClient::new(channel), Arc::clone(&stop));
            server.client().spawn(async move { ask_on_and_on(service, &stop).await })
        })
        .collect();
    let begun = Instant::now();
    // Four connections, which come to their age again and again.
    while ended(&server, "data", "max_age") < 20.0 {
        assert!(begun.elapsed() < 3 * PATIENCE, "{}", ended(&server, "data", "max_age"));
        std::thread::sleep(Duration::from_millis(50));
    }
    stop.store(true, Ordering::Relaxed);
    let answered: u64 = asking.into_iter().map(|asking| server.client().wait(asking).unwrap().unwrap()).sum();
    assert_eq!(server.metrics().sum("pdp_decisions_total"), answered as f64, "a decision that nobody got");
    assert_eq!(ended(&server, "data", "max_age_grace"), 0.0);
}

#[test]
fn over_http1_the_answer_says_that_the_connection_ends() {
    let sources = Sources::small();
    let server = limited(&sources, |limits| {
        limits.max_age = Duration::from_secs(1);
        limits.max_age_grace = Duration::from_secs(600);
        // Not the time between requests.
        limits.header = Duration::from_millis(100);
    });
    let mut stream = connect(&server.http);
    let body = evaluation(("Mandate::User", "ana"), "view", ("Mandate::Doc", "plan")).to_string();
    let begun = Instant::now();
    loop {
        let length = body.len();
        write!(
            stream,
            "POST /access/v1/evaluation HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .expect("it is open until an answer says otherwise");
        let answer = answer(&mut stream);
        assert!(answer.contains("\"decision\":true"), "{answer}");
        if answer.to_lowercase().contains("connection: close") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(begun.elapsed() >= Duration::from_secs(1));
    is_closed(&mut stream);
}

/// One answer, whose length its headers say.
fn answer(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let mut some = [0; 4096];
    loop {
        let count = stream.read(&mut some).unwrap();
        assert_ne!(count, 0, "it ended without an answer");
        read.extend_from_slice(&some[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if length.is_some_and(|length: usize| body.len() >= length) {
            return text;
        }
    }
}

#[test]
fn a_stream_ends_with_a_word_when_its_connection_makes_way() {
    let sources = Sources::small();
    let server = limited(&sources, |limits| limits.max_age = Duration::from_secs(1));
    let mut conversation = Conversation::open(server.client(), &[]);
    conversation.decide(&view().named("first"));
    let end = conversation.next().unwrap_err();
    assert_eq!(end.code(), Code::Unavailable);
    assert!(end.message().contains("limits.max_age"), "{end:?}");
    // The next call goes over another connection.
    assert!(is_allow(&server.authorize(view()).unwrap()));
}

#[test]
fn one_peer_leaves_places_to_others() {
    let sources = Sources::small();
    let server = limited(&sources, |limits| limits.connections_per_peer = Some(3));
    assert!(is_allow(&server.authorize(view()).unwrap()));
    // The client has one of three; http and data share them.
    let mut held = vec![connect(&server.data), connect(&server.http)];
    for _ in 0..5 {
        is_closed(&mut connect(&server.http));
    }
    assert_eq!(ended(&server, "http", "connections_per_peer"), 5.0);
    let mut other = from_elsewhere(&server);
    other.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answered = String::new();
    other.read_to_string(&mut answered).unwrap();
    assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
    // What one peer gives back it has again.
    drop(held.pop());
    let begun = Instant::now();
    loop {
        let mut again = connect(&server.http);
        drop(again.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"));
        let mut answered = String::new();
        if again.read_to_string(&mut answered).is_ok_and(|count| count > 0) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE);
    }
}

/// A connection from another address of this host.
fn from_elsewhere(server: &TestServer) -> TcpStream {
    let address = server.http.trim_start_matches("http://").parse().unwrap();
    let connecting = async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        socket.connect(address).await.unwrap().into_std().unwrap()
    };
    let stream = server.client().wait(connecting);
    stream.set_nonblocking(false).unwrap();
    stream
}

#[test]
fn what_is_begun_and_not_ended_is_put_out() {
    let sources = Sources::small();
    let server = limited(&sources, |limits| limits.header = Duration::from_millis(300));
    for (listener, address) in [("data", &server.data), ("http", &server.http)] {
        for begun in [&b"POST /access"[..], b"PRI * HTTP/2.0\r\n\r\n"] {
            let mut stream = connect(address);
            stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            stream.write_all(begun).unwrap();
            let since = Instant::now();
            // Byte by byte, it would go on for ever.
            while stream.write_all(b"a").is_ok() {
                let mut some = [0; 64];
                match stream.read(&mut some) {
                    Ok(0) => break,
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                    _ => assert!(since.elapsed() < PATIENCE, "{begun:?} is waited for"),
                }
            }
        }
        assert!(ended(&server, listener, "header") >= 1.0);
    }
}

#[test]
fn silence_and_an_unanswered_ping_end_a_connection() {
    let sources = Sources::small();
    let server = limited(&sources, |limits| {
        limits.idle = Duration::from_millis(600);
        limits.http2.ping = Duration::from_millis(100);
        limits.http2.ping_timeout = Duration::from_millis(200);
    });
    is_closed(&mut connect(&server.http));
    // A client that answers pings stays.
    std::thread::sleep(Duration::from_secs(1));
    assert!(is_allow(&server.authorize(view()).unwrap()));
    // One that says enough and answers none does not.
    let mut silent = connect(&server.data);
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    is_closed(&mut silent);
    assert_eq!(ended(&server, "http", "idle"), 1.0);
    assert_eq!(ended(&server, "data", "idle"), 1.0);
}

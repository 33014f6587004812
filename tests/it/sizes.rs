//! How large a request may be, through every door: what is as large as it may be is answered, what is larger is refused with the limit and
//! its name, and costs no more than the limit.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use flate2::Compression;
use flate2::write::GzEncoder;
use mandate::server::pb;
use prost::Message as _;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::support::{
    Conversation, HttpAnswer, Process, Question as _, Sources, TestServer, curl, evaluation, is_allow, post,
    question, try_post,
};

const AUTHORIZE: &str = "/mandate.v1.AuthorizationService/Authorize";

/// Limits small enough to be met exactly.
const LIMITS: &str = "[limits]\nmessage_bytes = 4096\nbatch_items = 3\nbatch_bytes = 6000\ncontext_bytes = 1024\nrequest_entities = 2\n";

fn sources() -> Sources {
    Sources::small().schema(
        "note.cedarschema",
        "namespace Mandate { @request_scoped entity Page; action note appliesTo { principal: [User], resource: [Doc], context: { text: String } }; }",
    )
}

fn server() -> TestServer {
    TestServer::with_config(&sources().config_written(LIMITS).unwrap())
}

fn view() -> pb::AuthorizeRequest {
    question(("User", "ana"), "view", ("Doc", "plan"))
}

/// A question whose message has so many bytes: what nobody reads of it fills it up.
fn of_bytes(bytes: usize) -> pb::AuthorizeRequest {
    let with = |parts: usize, last: usize, name: &str| {
        let part = |bytes| pb::EvidenceRef { uri: "x".repeat(bytes), ..pb::EvidenceRef::default() };
        let refs = vec![part(900); parts].into_iter().chain([part(last)]).collect();
        let evidence = pb::Evidence { refs, ..pb::Evidence::default() };
        pb::AuthorizeRequest { evidence: Some(evidence), ..view().named(name) }
    };
    let parts = bytes / 1_000;
    // Where a length takes another byte, a size is left out that a longer name has.
    let mut all = (0..1_000).flat_map(|last| ["m", "mm"].map(|name| with(parts, last, name)));
    all.find(|question| question.encoded_len() == bytes).expect("a question of that size")
}

fn note(text: usize) -> pb::AuthorizeRequest {
    // The name and eight bytes of the string count too.
    let text = "a".repeat(text - "text".len() - 8);
    question(("User", "ana"), "note", ("Doc", "plan")).struct_context(&json!({ "text": text }))
}

fn pages(count: usize) -> pb::AuthorizeRequest {
    let page = |number: usize| pb::Entity {
        uid: Some(pb::EntityRef { r#type: "Mandate::Page".to_owned(), id: number.to_string() }),
        ..pb::Entity::default()
    };
    pb::AuthorizeRequest { entities: (0..count).map(page).collect(), ..view() }
}

fn batch(items: usize) -> pb::AuthorizeBatchRequest {
    pb::AuthorizeBatchRequest {
        defaults: Some(view()),
        requests: vec![pb::AuthorizeRequest::default(); items],
    }
}

#[track_caller]
fn check<T: std::fmt::Debug>(answer: Result<T, Status>, saying: &str) {
    let status = answer.expect_err("it is over the limit");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains(saying), "`{}` does not say `{saying}`", status.message());
}

#[test]
fn what_is_as_large_as_it_may_be_is_answered_and_what_is_larger_names_the_limit() {
    let server = server();
    let (client, ask) = (server.client(), |question| server.authorize(question));
    for bytes in [4_095, 4_096] {
        assert!(is_allow(&ask(of_bytes(bytes)).unwrap()), "{bytes}");
        assert!(is_allow(&Conversation::open(client, &[]).decide(&of_bytes(bytes))), "{bytes}");
    }
    check(ask(of_bytes(4_097)), "found 4097 bytes, the limit is: 4096 bytes");
    let mut conversation = Conversation::open(client, &[]);
    conversation.send(&of_bytes(4_097));
    check(conversation.next(), "found 4097 bytes, the limit is: 4096 bytes");
    for items in [2, 3] {
        assert_eq!(client.batch(batch(items)).unwrap().len(), items);
    }
    check(client.batch(batch(4)), "has 4 items; the limit is 3 (`limits.batch_items`)");
    let inherits = |bytes| pb::AuthorizeBatchRequest { defaults: Some(of_bytes(bytes)), ..batch(3) };
    assert_eq!(client.batch(inherits(2_000)).unwrap().len(), 3);
    check(
        client.batch(inherits(2_001)),
        "comes to 6003 bytes over all items; the limit is 6000 (`limits.batch_bytes`)",
    );
    for bytes in [1_023, 1_024] {
        assert!(is_allow(&ask(note(bytes)).unwrap()), "{bytes}");
    }
    check(ask(note(1_025)), "is 1025 bytes large; the limit is 1024 (`limits.context_bytes`)");
    for entities in [1, 2] {
        assert!(is_allow(&ask(pages(entities)).unwrap()), "{entities}");
    }
    check(ask(pages(3)), "has 3 entities; the limit is 2 (`limits.request_entities`)");
}

fn authzen(server: &TestServer, path: &str, body: impl Into<Vec<u8>>) -> HttpAnswer {
    post(&format!("{}{path}", server.http), &[("content-type", "application/json")], body)
}

/// A body of AuthZEN with so many bytes: spaces fill it up.
fn body(bytes: usize) -> String {
    let text = evaluation(("Mandate::User", "ana"), "view", ("Mandate::Doc", "plan")).to_string();
    format!("{text:<bytes$}")
}

#[test]
fn authzen_has_the_same_limits() {
    let server = server();
    for bytes in [4_095, 4_096] {
        assert!(authzen(&server, "/access/v1/evaluation", body(bytes)).decision(), "{bytes}");
    }
    let larger = authzen(&server, "/access/v1/evaluation", body(4_097));
    larger.check_error(400, "over the limit of 4096 bytes (`limits.message_bytes`): it has 4097");
    let items = |count: usize| {
        let mut body: Value = serde_json::from_str(&body(0)).unwrap();
        body["evaluations"] = json!(vec![json!({}); count]);
        authzen(&server, "/access/v1/evaluations", body.to_string())
    };
    assert_eq!(items(3).json()["evaluations"].as_array().unwrap().len(), 3);
    items(4).check_error(400, "has 4 items; the limit is 3 (`limits.batch_items`)");
}

/// What is answered to bytes of HTTP/1, until the connection ends or nothing comes for a while.
fn said(http: &str, request: &str, ends: bool) -> String {
    let mut stream = TcpStream::connect(http.trim_start_matches("http://")).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    // To whoever has ended its side while it is answered, the server owes nothing.
    if ends {
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
    stream.set_read_timeout(Some(std::time::Duration::from_secs(15))).unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_length_that_lies_gets_no_decision() {
    let server = server();
    let send = |length: usize| {
        let head = "POST /access/v1/evaluation HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json";
        let request = format!("{head}\r\ncontent-length: {length}\r\n\r\n{}", body(0));
        said(&server.http, &request, length != body(0).len())
    };
    assert!(send(body(0).len()).contains("\"decision\":true"), "the harness can succeed");
    for length in [body(0).len() - 1, body(0).len() + 1, 0, 4_096] {
        let answer = send(length);
        assert!(!answer.contains("\"decision\""), "{length}: {answer}");
    }
    assert!(is_allow(&server.authorize(view()).unwrap()));
}

/// A thousand times smaller than what it unfolds to.
fn bomb() -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&vec![b' '; 3_000_000]).unwrap();
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 4_000, "{}", packed.len());
    packed
}

#[test]
fn nothing_is_unpacked() {
    let server = server();
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let answer = post(&format!("{}/access/v1/evaluation", server.http), &headers, bomb());
    assert_eq!(answer.status, 400, "{answer:?}");
    let length = u32::try_from(bomb().len()).unwrap().to_be_bytes();
    let framed = [&[1], &length[..], &bomb()].concat();
    let Some(curled) = curl(&server.data, AUTHORIZE, &framed, &["grpc-encoding: gzip"]) else { return };
    assert_eq!(curled.status, Some((Code::Unimplemented as i32).to_string()));
}

#[test]
fn a_million_items_cost_no_more_than_the_limit() {
    let process = Process::start(&sources());
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    };
    assert!(is_allow(&process.client().authorize(view()).unwrap()));
    let before = resident();
    let items = "{},".repeat(1_000_000);
    let body = format!("{{\"evaluations\":[{}]}}", items.trim_end_matches(','));
    let url = format!("{}/access/v1/evaluations", process.http);
    // The server hangs up before it has read all of it.
    if let Ok(answer) = try_post(&url, &[("content-type", "application/json")], body) {
        answer.check_error(400, "the body is over the limit of 262144 bytes");
    }
    check(process.client().batch(batch(1_000_000)), "the limit is: 262144 bytes");
    let grown = resident() - before;
    assert!(grown < 64, "it grew by {grown} MiB");
}

//! `AuthorizeStream`: each message its own question, answer, world and record (C10).

use std::time::{Duration, Instant};

use mandate::server::pb;
use pb::authorize_stream_response::Outcome;
use serde_json::json;
use tonic::Code;

use crate::support::{
    Conversation, Question as _, Sources, TestServer, determining, is_allow, question, reason, reference,
};

fn view(user: &str) -> pb::AuthorizeRequest {
    question(("User", user), "view", ("Doc", "plan"))
}

fn server() -> TestServer {
    TestServer::start(&Sources::small())
}

/// Answers given through streams.
fn decided(server: &TestServer) -> f64 {
    server.metrics().value("pdp_decision_seconds_count{surface=\"stream\"}")
}

#[track_caller]
fn check_status(outcome: &Outcome, code: Code, saying: &str) {
    let Outcome::Status(status) = outcome else { panic!("it must be refused: {outcome:?}") };
    assert_eq!(Code::from(status.code), code, "{status:?}");
    assert!(status.message.contains(saying), "`{}` does not say `{saying}`", status.message);
}

#[test]
fn answers_carry_their_messages_ids_and_say_what_single_calls_say() {
    let server = server();
    let mut stream = Conversation::open(server.client(), &[]);
    let questions: Vec<_> = (0..300)
        .map(|index| {
            let user = ["ana", "nobody"][index % 2];
            let context = [json!({}), json!({"count": index}), json!({"count": "one"})][index % 3].clone();
            view(user).struct_context(&context).named(&format!("m{index}"))
        })
        .collect();
    questions.iter().for_each(|question| stream.send(question));
    stream.finish();
    let mut answered = Vec::new();
    while let Some(answer) = stream.next().unwrap() {
        let id = answer.request_id.clone();
        let asked = questions.iter().find(|question| question.request_id == id).expect("an id that was sent");
        match (answer.outcome.unwrap(), server.authorize(asked.clone())) {
            (Outcome::Response(streamed), Ok(single)) => {
                assert_eq!(streamed.decision, single.decision);
                assert_eq!(determining(&streamed), determining(&single));
                assert_eq!((streamed.reason, streamed.errors), (single.reason, single.errors));
                assert_eq!(streamed.request_id, id);
            }
            (Outcome::Status(streamed), Err(single)) => {
                assert_eq!(Code::from(streamed.code), single.code());
                assert_eq!(streamed.message, single.message());
            }
            (streamed, single) => panic!("{id}: {streamed:?}, but alone {single:?}"),
        }
        answered.push(id);
    }
    let sent: Vec<_> = questions.iter().map(|question| question.request_id.clone()).collect();
    answered.sort();
    let mut sorted = sent;
    sorted.sort();
    assert_eq!(answered, sorted, "one answer each");
}

#[test]
fn a_message_that_cannot_be_answered_is_refused_alone() {
    let server = server();
    let mut stream = Conversation::open(server.client(), &[]);
    check_status(&stream.ask(&view("ana")), Code::InvalidArgument, "request_id");
    let bad = pb::AuthorizeRequest { resource: None, ..view("ana").named("b") };
    check_status(&stream.ask(&bad), Code::InvalidArgument, "resource");
    let grants = vec![reference("Mandate::Delegation", "g"); 6];
    let chained = pb::AuthorizeRequest { delegations: grants, ..view("ana").named("c") };
    check_status(&stream.ask(&chained), Code::InvalidArgument, "delegations");
    let long = "i".repeat(1025);
    check_status(&stream.ask(&view("ana").named(&long)), Code::InvalidArgument, "1025 bytes");
    assert!(is_allow(&stream.decide(&view("ana").named("d"))));
    // An id is free again once it was answered.
    assert!(is_allow(&stream.decide(&view("ana").named("d"))));
    stream.finish();
    assert_eq!(stream.next().unwrap(), None);
    let records = server.records(6);
    let kinds: Vec<_> = records.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["refusal", "refusal", "refusal", "refusal", "decision", "decision"]);
    assert!(records.iter().all(|record| record["surface"] == "stream"), "{records:?}");
}

#[test]
fn a_message_that_cannot_be_read_ends_the_stream_with_one_refusal() {
    let oversize = vec![0; 256 * 1024 + 1];
    let no_protobuf = vec![0x12, 0x7f, 0x01];
    for (bytes, before) in [(&oversize, 0), (&no_protobuf, 0), (&oversize, 2), (&no_protobuf, 2)] {
        let server = server();
        let mut stream = Conversation::open(server.client(), &[]);
        for index in 0..before {
            assert!(is_allow(&stream.decide(&view("ana").named(&format!("m{index}")))));
        }
        stream.send_bytes(bytes.clone());
        let status = stream.next().unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        stream.send(&view("ana").named("after"));
        assert!(!matches!(stream.next(), Ok(Some(_))), "the stream has ended");
        let records = server.records(before + 1);
        let refusal = records.last().unwrap();
        assert_eq!((&refusal["kind"], &refusal["code"]), (&json!("refusal"), &json!("INVALID_ARGUMENT")));
        assert_eq!(
            (&refusal["surface"], &refusal["reason"]),
            (&json!("stream"), &json!("MESSAGE_UNREADABLE"))
        );
    }
}

#[test]
fn each_message_sees_the_world_of_its_moment() {
    let sources = Sources::small();
    let server = TestServer::with_config(&sources.restless_config());
    let mut stream = Conversation::open(server.client(), &[]);
    let mut generation = server.generation();
    let first = stream.decide(&view("ana").named("before"));
    assert!(is_allow(&first));
    assert_eq!(first.generation, generation);
    for (index, effect) in ["forbid", "permit", "forbid"].into_iter().enumerate() {
        sources.replace(
            "policies/base.cedar",
            format!("@id(\"base\")\n{effect} (principal, action, resource);\n"),
        );
        generation = server.reloaded(&generation);
        let answer = stream.decide(&view("ana").named(&format!("m{index}")));
        assert_eq!(is_allow(&answer), effect == "permit");
        assert_eq!(answer.generation, generation);
    }
}

#[test]
fn the_callers_deadline_ends_a_stream_that_nobody_feeds() {
    let server = server();
    let mut stream = Conversation::open(server.client(), &[("grpc-timeout", "700m")]);
    let begun = Instant::now();
    assert!(is_allow(&stream.decide(&view("ana").named("in-time"))));
    let status = stream.next().unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    server.records(1);
}

#[test]
fn the_callers_deadline_ends_a_stream_that_never_pauses() {
    let server = server();
    let begun = Instant::now();
    let mut stream = Conversation::open(server.client(), &[("grpc-timeout", "300m")]);
    let message = view("ana").named("m");
    let status = loop {
        for _ in 0..200 {
            stream.send(&message);
        }
        match stream.next() {
            Ok(answer) => assert!(answer.is_some(), "it ended without a status"),
            Err(status) => break status,
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "the deadline was 0.3 s");
    };
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}

#[test]
fn a_deadline_beyond_every_clock_is_none() {
    let server = server();
    let mut stream = Conversation::open(server.client(), &[("grpc-timeout", "99999999H")]);
    assert!(is_allow(&stream.decide(&view("ana").named("m"))));
}

#[test]
fn a_stream_that_is_cancelled_leaves_nothing_behind() {
    let server = server();
    for round in 0..50 {
        let mut stream = Conversation::open(server.client(), &[]);
        assert!(is_allow(&stream.decide(&view("ana").named("m"))), "{round}");
    }
    // Nothing is recorded of an end that nobody waits for, and nothing keeps the server from stopping.
    server.records(50);
    let begun = Instant::now();
    server.shutdown();
    assert!(begun.elapsed() < Duration::from_secs(5), "a stream that is gone holds the server up");
}

#[test]
fn a_stream_ends_when_the_server_stops() {
    let server = server();
    let client = crate::support::Client::connect(&server.data);
    let mut stream = Conversation::open(&client, &[]);
    assert!(is_allow(&stream.decide(&view("ana").named("m"))));
    let begun = Instant::now();
    server.shutdown();
    assert_eq!(stream.next().unwrap_err().code(), Code::Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_reader_that_does_not_read_holds_back_its_own_messages_and_nothing_else() {
    const MESSAGES: usize = 10_000;
    let server = server();
    let mut stream = Conversation::open(server.client(), &[]);
    for index in 0..MESSAGES {
        stream.send(&view("ana").named(&format!("m{index}")));
    }
    stream.finish();
    let mut before = -1.0;
    while decided(&server) > before {
        before = decided(&server);
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(before > 0.0, "some are decided");
    assert!(before < MESSAGES as f64 / 5.0, "{before} answers wait for a reader that may never come");
    // Others are served meanwhile, on the same connection and on another.
    assert!(is_allow(&server.authorize(view("ana")).unwrap()));
    assert_eq!(reason(&server.authorize(view("nobody")).unwrap()), "unknown_principal");
    for index in 0..MESSAGES {
        assert_eq!(stream.next().unwrap().unwrap().request_id, format!("m{index}"));
    }
    assert_eq!(stream.next().unwrap(), None);
}

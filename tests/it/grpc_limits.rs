//! What is refused or bounded before a question is understood.

use std::time::Duration;

use mandate::server::pb;
use prost::Message as _;
use serde_json::json;
use tonic::{Code, Request, Status};

use crate::support::{
    Question as _, Sources, TestServer, check_field, is_allow, question, raw_call, reference, shipped_server,
    status_within,
};

const BATCH: &str = "/mandate.v1.AuthorizationService/AuthorizeBatch";
const AUTHORIZE: &str = "/mandate.v1.AuthorizationService/Authorize";
const MAX_MESSAGE_BYTES: usize = 256 * 1024;

fn view() -> pb::AuthorizeRequest {
    question(("User", "ana"), "view", ("Doc", "plan"))
}

/// A change that sets one field of a question.
type Change = fn(&mut pb::AuthorizeRequest);

#[test]
fn fields_that_change_no_decision_are_accepted() {
    let server = TestServer::start(&Sources::small());
    let mut ask = view();
    ask.mode = pb::Mode::Observe.into();
    ask.evidence = Some(pb::Evidence::default());
    ask.consistency = Some(pb::Consistency { minimum_revision: String::new(), bypass_cache: true });
    assert!(is_allow(&server.authorize(ask).unwrap()));
}

#[test]
fn an_unknown_mode_is_the_callers_mistake() {
    let server = TestServer::start(&Sources::small());
    for mode in [3, 77, -1] {
        let ask = pb::AuthorizeRequest { mode, ..view() };
        check_field(server.authorize(ask), Code::InvalidArgument, "mode", "is no mode");
    }
}

#[test]
fn a_question_without_one_of_its_three_parts_is_refused() {
    let server = TestServer::start(&Sources::small());
    let changes: [(&str, Change); 3] = [
        ("principal", |ask| ask.principal = None),
        ("action", |ask| ask.action = None),
        ("resource", |ask| ask.resource = None),
    ];
    for (field, change) in changes {
        let mut ask = view();
        change(&mut ask);
        check_field(server.authorize(ask), Code::InvalidArgument, field, "required");
    }
}

#[test]
fn ids_and_type_names_are_bounded_and_ids_may_be_any_text() {
    let server = TestServer::start(&Sources::small());
    let longest = "x".repeat(1024);
    for id in ["", "\"", "a\0b", "\u{202e}gpj.exe", "\u{1b}[31m", "x\" || true //", longest.as_str()] {
        let answer = server.authorize(question(("User", id), "view", ("Doc", "plan"))).unwrap();
        assert_eq!(crate::support::reason(&answer), "unknown_principal", "{id:?}");
    }
    let long = "x".repeat(1025);
    let refused = server.authorize(question(("User", &long), "view", ("Doc", "plan")));
    check_field(refused, Code::InvalidArgument, "principal.id", "1025 bytes long; the limit is 1024");
    for type_name in ["", "Mandate::", "::User", "Mandate::User\"", "User {}", "Mandate User", "1User"] {
        let ask = pb::AuthorizeRequest { principal: Some(reference(type_name, "ana")), ..view() };
        check_field(server.authorize(ask), Code::InvalidArgument, "principal.type", "");
    }
    let ask = pb::AuthorizeRequest { resource: Some(reference(&"T".repeat(1025), "plan")), ..view() };
    check_field(server.authorize(ask), Code::InvalidArgument, "resource.type", "the limit is 1024");
}

#[test]
fn a_request_id_is_echoed_up_to_its_limit() {
    let server = TestServer::start(&Sources::small());
    for id in ["", "r-1", "ünï\n\0", &"i".repeat(1024)] {
        assert_eq!(server.authorize(view().named(id)).unwrap().request_id, id);
    }
    let refused = server.authorize(view().named(&"i".repeat(1025)));
    check_field(refused, Code::InvalidArgument, "request_id", "1025 bytes long; the limit is 1024");
}

/// A question whose message has exactly this many bytes. What fills it is an argument nobody reads: the context's
/// own limit is lower.
fn message_of(bytes: usize) -> pb::AuthorizeRequest {
    let filled = |length: usize| view().json_arguments(format!("{{\"x\":\"{}\"}}", "a".repeat(length)));
    let overhead = filled(bytes).encoded_len() - bytes;
    let ask = filled(bytes - overhead);
    assert_eq!(ask.encoded_len(), bytes);
    ask
}

#[test]
fn a_message_of_the_limit_is_read_and_one_byte_more_is_not() {
    let server = TestServer::start(&Sources::small());
    let read = server.authorize(message_of(MAX_MESSAGE_BYTES));
    check_field(read, Code::InvalidArgument, "arguments", "are for tool calls");
    let refused = server.authorize(message_of(MAX_MESSAGE_BYTES + 1)).unwrap_err();
    check_names_limit(&refused, MAX_MESSAGE_BYTES + 1);
    let far = server.authorize(message_of(20 * MAX_MESSAGE_BYTES)).unwrap_err();
    check_names_limit(&far, 20 * MAX_MESSAGE_BYTES);
    assert!(is_allow(&server.authorize(view()).unwrap()), "the connection goes on");
}

/// C12: INVALID_ARGUMENT naming limit and size.
#[track_caller]
fn check_names_limit(status: &Status, size: usize) {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    for number in [size, MAX_MESSAGE_BYTES] {
        assert!(status.message().contains(&number.to_string()), "{number} in `{}`", status.message());
    }
}

#[test]
fn a_context_over_its_limit_is_refused_with_limit_and_size() {
    let limit = 64 * 1024;
    let sources = Sources::small().schema(
        "text.cedarschema",
        "namespace Mandate { action note appliesTo { principal: [User], resource: [Doc], context: { text: String } }; }",
    );
    let server = TestServer::start(&sources);
    let note = |bytes: usize| {
        // The name and eight bytes of the string count too.
        let text = "a".repeat(bytes - "text".len() - 8);
        let ask = question(("User", "ana"), "note", ("Doc", "plan"));
        server.authorize(ask.struct_context(&json!({ "text": text })))
    };
    assert!(is_allow(&note(limit).unwrap()));
    check_field(
        note(limit + 1),
        Code::InvalidArgument,
        "context",
        "is 65537 bytes large; the limit is 65536",
    );
}

#[test]
fn bytes_that_are_no_message_are_the_callers_mistake() {
    let client = shipped_server().client();
    let length_beyond_the_end = vec![0x12, 0x7f, 0x01];
    let not_utf8 = vec![0x0a, 0x02, 0xff, 0xfe];
    let wrong_wire_type = vec![0x10, 0x01];
    let endless_varint = vec![0xff; 11];
    for bytes in [length_beyond_the_end, not_utf8, wrong_wire_type, endless_varint, vec![0x00]] {
        let status = raw_call(client, AUTHORIZE, bytes.clone()).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{bytes:?}: {status:?}");
    }
    // The harness can succeed: a good message sent the same way is answered.
    let good = question(("User", "nobody"), "list_tools", ("ToolServer", "github")).struct_context(
        &json!({"session": {"id": "s", "purpose": "p", "attended": true, "untrusted": false, "read_level": 0,
                "calls": 0, "spent_cents": 0}}),
    );
    let answer = raw_call(client, AUTHORIZE, good.encode_to_vec()).unwrap();
    assert_eq!(pb::AuthorizeResponse::decode(answer).unwrap().decision(), pb::Decision::Deny);
}

#[test]
fn an_empty_message_is_a_question_without_a_principal() {
    let status = raw_call(shipped_server().client(), AUTHORIZE, Vec::new()).unwrap_err();
    check_field(Err::<(), _>(status), Code::InvalidArgument, "principal", "required");
}

#[test]
fn a_method_that_does_not_exist_is_unimplemented() {
    let client = shipped_server().client();
    for path in [
        "/mandate.v1.AuthorizationService/Nothing",
        "/mandate.v1.NoService/Authorize",
        "/mandate.v1.AuthorizationService/authorize",
        "//mandate.v1.AuthorizationService/Authorize",
        "/mandate.v1.EntityService/PutEntity",
    ] {
        let status = raw_call(client, path, Vec::new()).unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{path}: {status:?}");
    }
}

#[test]
fn a_deadline_that_has_passed_is_exceeded_and_one_to_come_is_not() {
    let server = TestServer::start(&Sources::small());
    let exceeded = Some((Code::DeadlineExceeded as i32).to_string());
    let message = view().encode_to_vec();
    for timeout in ["0n", "1n", "0S"] {
        let Some(status) = status_within(&server.data, AUTHORIZE, &message, timeout) else { return };
        assert_eq!(status, exceeded, "{timeout}");
    }
    for timeout in ["20S", "99999999H"] {
        assert_eq!(status_within(&server.data, AUTHORIZE, &message, timeout), Some(None), "{timeout}");
    }
    let mut request = Request::new(view());
    request.set_timeout(Duration::from_secs(20));
    assert!(is_allow(&server.client().authorize(request).unwrap()));
}

#[test]
fn a_deadline_holds_for_batches_too() {
    let server = TestServer::start(&Sources::small());
    let batch = pb::AuthorizeBatchRequest {
        defaults: Some(view()),
        requests: vec![pb::AuthorizeRequest::default(); 100],
    };
    let Some(status) = status_within(&server.data, BATCH, &batch.encode_to_vec(), "1n") else { return };
    assert_eq!(status, Some((Code::DeadlineExceeded as i32).to_string()));
}

#[test]
fn http_1_is_told_that_this_is_http_2() {
    let server = TestServer::start(&Sources::small());
    let answer = crate::support::post(&format!("{}{AUTHORIZE}", server.data), &[], Vec::new());
    assert_eq!(answer.status, 505, "{answer:?}");
}

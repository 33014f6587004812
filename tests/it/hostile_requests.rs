//! Requests made to break a running process: it answers, and goes on answering the same (F10).

use mandate::server::pb;
use serde_json::{Value, json};
use tonic::Code;

use crate::conversion::depth;
use crate::support::{Client, HttpAnswer, Process, evaluation, is_allow, raw_call, try_post};

const AUTHORIZE: &str = "/mandate.v1.AuthorizationService/Authorize";
const BATCH: &str = "/mandate.v1.AuthorizationService/AuthorizeBatch";

/// A process under attack, and a question it must go on answering.
struct Target {
    process: Process,
    client: Client,
}

impl Target {
    fn start() -> Self {
        let process = Process::start(&depth::sources());
        let client = process.client();
        let mut target = Self { process, client };
        target.check_control("before");
        target
    }

    /// Fails unless the process is there and answers the control question as ever, over both protocols.
    #[track_caller]
    fn check_control(&mut self, when: &str) {
        assert!(self.process.is_alive(), "{when}: the process is gone");
        assert!(is_allow(&self.client.authorize(depth::probe()).unwrap()), "{when}");
        let body = evaluation(("Mandate::User", "nobody"), "probe", ("Mandate::Doc", "plan"));
        assert!(!self.evaluate(body.to_string()).decision(), "{when}");
    }

    fn evaluate(&self, body: impl Into<Vec<u8>>) -> HttpAnswer {
        self.try_evaluate(body).unwrap()
    }

    fn try_evaluate(&self, body: impl Into<Vec<u8>>) -> Result<HttpAnswer, ureq::Error> {
        let url = format!("{}/access/v1/evaluation", self.process.http);
        try_post(&url, &[("content-type", "application/json")], body)
    }

    /// Ends the attack: the process is there, answers, and stops when told to.
    #[track_caller]
    fn check_survived(mut self) {
        self.check_control("after");
        drop(self.client);
        let finished = self.process.terminate();
        finished.check_code(0);
        assert!(!finished.stderr.contains("panicked"), "{finished:?}");
    }
}

#[test]
fn deep_values_in_every_form() {
    let mut target = Target::start();
    for levels in [depth::LIMIT - 1, depth::LIMIT] {
        for (form, asked) in depth::questions(levels) {
            assert!(is_allow(&target.client.authorize(asked).unwrap()), "{form}, {levels}");
        }
    }
    for levels in [depth::LIMIT + 1, 100, 128, 1_000] {
        for (form, asked) in depth::questions(levels) {
            let status = target.client.authorize(asked).expect_err(form);
            assert_eq!(status.code(), Code::InvalidArgument, "{form}, {levels}: {status:?}");
        }
        target.check_control("between");
    }
    target.check_survived();
}

#[test]
fn json_text_deeper_than_a_message_can_hold() {
    let target = Target::start();
    for levels in [1_000, 100_000] {
        for text in ["[".repeat(levels), "{\"a\":".repeat(levels / 4), "[{\"a\":".repeat(levels / 4)] {
            use pb::authorize_request::{ArgumentsForm, ContextForm};
            let context = Some(ContextForm::ContextJson(format!("{{\"lists\":{text}")));
            let arguments = Some(ArgumentsForm::ArgumentsJson(text));
            for asked in [
                pb::AuthorizeRequest { context_form: context, ..depth::probe() },
                pb::AuthorizeRequest { arguments_form: arguments, ..depth::probe() },
            ] {
                let status = target.client.authorize(asked).unwrap_err();
                assert_eq!(status.code(), Code::InvalidArgument, "{levels}: {status:?}");
            }
        }
    }
    target.check_survived();
}

/// A length-delimited field for each tag, each inside the one before.
fn nested(tags: &[u8], levels: usize) -> Vec<u8> {
    let mut length = 0_usize;
    let mut headers = Vec::new();
    for level in (0..levels).rev() {
        let mut header = vec![tags[level % tags.len()]];
        prost::encoding::encode_varint(length as u64, &mut header);
        length += header.len();
        headers.push(header);
    }
    headers.into_iter().rev().flatten().collect()
}

/// `tag` as a length-delimited field that holds these bytes.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

#[test]
fn messages_within_messages() {
    let mut target = Target::start();
    for levels in [99, 100, 101, 102, 1_000, 30_000] {
        // `Struct` in field 5: fields → value → struct_value, or list_value → values.
        let records = field(0x2a, &nested(&[0x0a, 0x12, 0x2a], levels));
        let lists = field(0x2a, &field(0x0a, &field(0x12, &nested(&[0x32, 0x0a], levels))));
        let typed = field(0x32, &nested(&[0x0a, 0x12, 0x32], levels));
        // Fields nobody declared, and bytes that are nothing.
        let unknown = nested(&[0xfa], levels);
        for (name, bytes) in [("records", records), ("lists", lists), ("typed", typed), ("unknown", unknown)]
        {
            let status = raw_call(&target.client, AUTHORIZE, bytes).unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{name}, {levels}: {status:?}");
        }
        target.check_control("between");
    }
    target.check_survived();
}

#[test]
fn groups_within_groups() {
    let target = Target::start();
    for levels in [50, 99, 100, 101, 1_000, 200_000] {
        for tag in [0x0b, 0x2b, 0xfb] {
            let status = raw_call(&target.client, AUTHORIZE, vec![tag; levels]).unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{levels} of {tag:#x}: {status:?}");
        }
        // Well formed, of a field that is not declared: skipped, and then no question is left.
        let balanced = [vec![0x7b; levels], vec![0x7c; levels]].concat();
        let status = raw_call(&target.client, AUTHORIZE, balanced).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{levels} balanced: {status:?}");
    }
    target.check_survived();
}

#[test]
fn batches_of_more_than_anybody_means() {
    let target = Target::start();
    let empty_items = [0x12, 0x00].repeat(130_000);
    let status = raw_call(&target.client, BATCH, empty_items).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let many = vec![pb::Entity::default(); 1_001];
    let status =
        target.client.authorize(pb::AuthorizeRequest { entities: many, ..depth::probe() }).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    target.check_survived();
}

#[test]
fn http_bodies() {
    let mut target = Target::start();
    let whole = |context: &str| {
        format!(
            r#"{{"subject": {{"type": "Mandate::User", "id": "ana"}}, "action": {{"name": "probe"}},
                "resource": {{"type": "Mandate::Doc", "id": "plan"}}, "context": {context}}}"#
        )
    };
    for levels in [depth::LIMIT - 1, depth::LIMIT] {
        for context in [json!({"lists": depth::lists(levels)}), json!({"records": depth::records(levels)})] {
            assert!(target.evaluate(whole(&context.to_string())).decision(), "{levels}");
        }
    }
    for levels in [depth::LIMIT + 1, 127, 128, 1_000, 100_000, 1_000_000] {
        let closed = whole(&format!("{{\"lists\": {}{}}}", "[".repeat(levels), "]".repeat(levels)));
        let ignored = format!("{{\"ignored\": {}{}}}", "[".repeat(levels), "]".repeat(levels));
        for body in [closed, "[".repeat(levels), "{\"a\":".repeat(levels), "\"".repeat(levels), ignored] {
            let over_the_limit = body.len() > 256 * 1024;
            match target.try_evaluate(body) {
                Ok(answer) => answer.check_error(400, ""),
                // The server may hang up on what it will not read.
                Err(error) => assert!(over_the_limit, "{levels}: {error}"),
            }
        }
        target.check_control("between");
    }
    target.check_survived();
}

#[test]
fn ids_that_are_made_of_controls_and_quotes() {
    let target = Target::start();
    let texts =
        ["\u{1b}[2J\r\n\0", "\"; permit(principal, action, resource); //", "\\u0000", "\u{202e}", "' OR 1=1"];
    for text in texts {
        let answer =
            target.client.authorize(crate::support::question(("User", text), "probe", ("Doc", text)));
        assert!(!is_allow(&answer.unwrap()));
        let body = evaluation(("Mandate::User", text), "probe", ("Mandate::Doc", text));
        assert!(!target.evaluate(body.to_string()).decision());
        let typed = evaluation((text, "ana"), "probe", ("Mandate::Doc", "plan"));
        assert_eq!(target.evaluate(typed.to_string()).status, 400, "{text:?}");
    }
    assert!(!matches!(target.evaluate(Value::Null.to_string()).status, 200 | 500..));
    target.check_survived();
}

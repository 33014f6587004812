//! Bodies made to be read in more than one way, or not at all: each is a 400, and the next request is answered.

use serde_json::{Value, json};

use super::certification::{record, server, user};
use crate::support::{HttpAnswer, post};

const PATHS: [&str; 2] = ["/access/v1/evaluation", "/access/v1/evaluations"];

fn send(path: &str, body: impl Into<Vec<u8>>) -> HttpAnswer {
    post(&format!("{}{path}", server().http), &[("content-type", "application/json")], body)
}

fn whole() -> Value {
    json!({"subject": user("alice"), "action": {"name": "read"}, "resource": record("record-1")})
}

/// The question as text, with `more` as its first members.
fn with(more: &str) -> String {
    whole().to_string().replacen('{', &format!("{{{more}, "), 1)
}

#[track_caller]
fn refused(body: impl Into<Vec<u8>>) {
    let body = body.into();
    for path in PATHS {
        let answer = send(path, body.clone());
        let shown: String = String::from_utf8_lossy(&body).chars().take(120).collect();
        assert_eq!(answer.status, 400, "{path}: {shown}: {answer:?}");
        assert!(answer.json().is_string(), "{answer:?}");
    }
    assert!(send(PATHS[0], whole().to_string()).decision(), "and the next is answered");
}

#[test]
fn duplicates_are_refused_wherever_they_stand() {
    for more in [
        r#""subject": {"type": "user", "id": "bob"}"#,
        r#""sub\u006aect": {"type": "user", "id": "bob"}"#,
        r#""x": 1, "x": 1"#,
        r#""x": {"y": [{"z": 1, "z": 2}]}"#,
        r#""context": {"a": 1, "a": 2}"#,
        r#""evaluations": [{"action": {"name": "read", "name": "write"}}]"#,
        r#""options": {"evaluations_semantic": "execute_all", "evaluations_semantic": "permit_on_first_permit"}"#,
        r#""page": {}, "page": {}"#,
    ] {
        refused(with(more));
    }
}

#[test]
fn what_is_no_json_is_refused() {
    let text = whole().to_string();
    for body in [
        format!("\u{feff}{text}"),
        format!("{text}{text}"),
        format!("{text},"),
        format!("[{text}]"),
        text.replace('"', "'"),
        text.replacen('{', "{/**/", 1),
        text.replacen("alice", "al\u{0}ice", 1),
        text.replacen("alice", "al\nice", 1),
        text.replacen("alice", r"al\xice", 1),
        text[..text.len() - 1].to_owned(),
        with(r#""x": 1e999"#),
        with(r#""x": -1e999"#),
        with(r#""x": NaN"#),
        with(r#""x": Infinity"#),
        with(r#""x": 0x10"#),
        with(r#""x": 1."#),
        with(r#""x": 007"#),
    ] {
        refused(body);
    }
    refused(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    for bytes in [&b"\xff"[..], b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf"] {
        let mut body = text.clone().into_bytes();
        let at = text.find("alice").unwrap();
        body.splice(at..at + 5, bytes.iter().copied());
        refused(body);
    }
}

#[test]
fn lone_surrogates_and_noncharacters_are_refused() {
    for escaped in [
        r"\ud800",
        r"\udfff",
        r"\ud800x",
        r"\ud800\u0041",
        r"\ude00\ud83d",
        r"\uffff",
        r"\ufdd0",
        r"\ud83f\udfff",
    ] {
        refused(with(&format!(r#""x": "{escaped}""#)));
        refused(with(&format!(r#""{escaped}": 1"#)));
        refused(whole().to_string().replacen("alice", escaped, 1));
    }
    assert!(send(PATHS[0], with(r#""x": "\ud83d\ude00 \u0000""#)).decision(), "a pair is a character");
}

#[test]
fn nesting_and_numbers_have_an_end() {
    for levels in [128, 1_000, 60_000] {
        refused(with(&format!(r#""x": {}1{}"#, "[".repeat(levels), "]".repeat(levels))));
        refused(with(&format!(
            r#""x": {}1{}"#,
            r#"{"a":"#.repeat(levels.min(40_000)),
            "}".repeat(levels.min(40_000))
        )));
    }
    let ignored = format!(r#""x": {}1{}"#, "[".repeat(60), "]".repeat(60));
    assert!(send(PATHS[0], with(&ignored)).decision());
    for number in ["123456789012345678901234567890", "-9223372036854775809", "1e308", "0.1e-400", "-0"] {
        assert!(
            send(PATHS[0], with(&format!(r#""x": {number}"#))).decision(),
            "{number}, which nobody reads"
        );
    }
}

#[test]
fn a_type_or_name_is_never_more_than_a_name() {
    for (part, inner, hostile) in [
        ("action", "name", r#"read" || true || ""#),
        ("action", "name", r#"Records::Action::"read""#),
        ("action", "name", ""),
        ("subject", "type", "Records::User::\"alice\""),
        ("subject", "type", "user\u{0}"),
        ("subject", "type", ""),
        ("resource", "type", "::"),
        ("resource", "type", "Records:: Record"),
        ("resource", "id", "record-1\") || (\""),
        ("subject", "id", ""),
    ] {
        let mut body = whole();
        body[part][inner] = json!(hostile);
        let answer = send(PATHS[0], body.to_string());
        let denied = answer.status == 200 && !answer.decision();
        assert!(answer.status == 400 || denied, "{part}.{inner}: {answer:?}");
    }
    for (part, inner) in
        [("subject", "type"), ("subject", "id"), ("action", "name"), ("resource", "type"), ("resource", "id")]
    {
        let mut body = whole();
        body[part][inner] = json!("x".repeat(2000));
        send(PATHS[0], body.to_string()).check_error(400, "");
    }
}

//! What a line says, and what it never says.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::examples_for_tests::{asked, decision, fields, policy, refusal};
use super::first_seen::FirstSeen;
use super::line::Encoder;
use super::record::{DecisionRecord, Evidence, EvidenceRef, Mode, Record};
use crate::engine::cedar::{PolicyFailure, PolicyFailureKind};
use crate::engine::convert::Form;
use crate::engine::datum::{Datum, Reference};
use crate::engine::decision::{Decision, Denial, Effect, PolicyError, ReasonCode};
use crate::engine::digest;
use crate::engine::request::RequestEntity;

/// Everything that some reader takes for more than text.
const HOSTILE: &str = "\u{1b}[2J\r\n\u{2028}\u{2029}\u{85}\u{9b}\0\u{7f}\u{202e}\"\\ok 😀 é";
const CANARY: &str = "canary-7f3a";

fn text_of(mut record: Record, arguments: bool) -> String {
    let mut out = Vec::new();
    record.mask(&fields(arguments));
    let line = Encoder::new(Uuid::from_u128(9)).line(&record).unwrap();
    line.number(7, line.combination.is_some(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn line(record: DecisionRecord) -> Value {
    serde_json::from_str(&text_of(Record::Decision(Box::new(record)), false)).unwrap()
}

fn change(record: &mut DecisionRecord, change: impl FnOnce(&mut Decision)) {
    change(Arc::get_mut(&mut record.decision).unwrap());
}

#[test]
fn an_allow_says_who_what_and_by_which_policy() {
    let context = digest::of_json(&json!({"calls": 3})).unwrap();
    let ana = json!({"type": "Mandate::User", "id": "ana"});
    let expected = json!({
        "v": 1, "kind": "decision", "sequence": 7,
        "decision_id": "00000000-0000-0000-0000-000000000007",
        "time": "2026-11-22T10:00:00.000123Z",
        "instance": "00000000-0000-0000-0000-000000000009",
        "surface": "grpc", "caller": "anonymous-loopback", "request_id": "r-1",
        "revision": "rev", "generation": "gen",
        "principal": ana, "chain": [ana],
        "action": {"type": "Mandate::Action", "id": "list_tools"},
        "resource": {"type": "Mandate::ToolServer", "id": "github"},
        "context": {"calls": 3}, "context_digest": context,
        "decision": "allow",
        "determining": [{"id": "house.reads", "effect": "permit", "annotations": {"id": "house.reads"}}],
        "cache": "miss", "latency_us": 13.125, "mode": "enforce", "first_seen": true,
    });
    assert_eq!(line(decision()), expected);
}

#[test]
fn the_members_of_a_line_stand_in_the_same_order_always() {
    let digest = digest::of_json(&json!({"calls": 3})).unwrap();
    let ana = r#"{"type":"Mandate::User","id":"ana"}"#;
    let expected = [
        r#"{"v":1,"kind":"decision","sequence":7,"decision_id":"00000000-0000-0000-0000-000000000007""#,
        r#","time":"2026-11-22T10:00:00.000123Z","instance":"00000000-0000-0000-0000-000000000009""#,
        r#","surface":"grpc","caller":"anonymous-loopback","request_id":"r-1","revision":"rev","generation":"gen""#,
        r#","cache":"miss","latency_us":13.125,"mode":"enforce","principal":"#,
        ana,
        r#","chain":["#,
        ana,
        r#"],"action":{"type":"Mandate::Action","id":"list_tools"},"resource":{"type":"Mandate::ToolServer","id":"github"}"#,
        r#","context":{"calls":3},"context_digest":""#,
        &digest,
        r#"","decision":"allow","determining":[{"id":"house.reads","effect":"permit","annotations":{"id":"house.reads"}}]"#,
        r#","first_seen":true}"#,
    ];
    assert_eq!(text_of(Record::Decision(Box::new(decision())), false), expected.concat());
}

#[test]
fn every_line_tells_a_policy_alike_and_of_each_policy_its_own() {
    let annotated = |value: &str| format!("@note(\"{value}\") permit(principal, action, resource);");
    let policies = ["one", "\u{2028}two"].map(|value| policy(&annotated(value)));
    for turn in [0, 1, 0, 1] {
        let mut record = decision();
        change(&mut record, |decision| decision.determining = vec![Arc::clone(&policies[turn])]);
        let text = text_of(Record::Decision(Box::new(record)), false);
        let note = ["one", "\\u2028two"][turn];
        let told = format!(
            r#""determining":[{{"id":"house.reads","effect":"permit","annotations":{{"note":"{note}"}}}}]"#
        );
        assert!(text.contains(&told), "{text}");
    }
}

#[test]
fn a_refusal_says_only_what_is_safe() {
    let Record::Refusal(mut record) = refusal("r-2") else { panic!("a refusal") };
    record.field = "context.".to_owned() + &"x".repeat(400);
    record.principal = Some(Reference::new("Mandate::User", "ana"));
    let line: Value = serde_json::from_str(&text_of(Record::Refusal(record), true)).unwrap();
    let field = "context.".to_owned() + &"x".repeat(248) + "…";
    let expected = json!({
        "v": 1, "kind": "refusal", "sequence": 7,
        "decision_id": "00000000-0000-0000-0000-000000000008",
        "time": "2026-11-22T10:00:00.000123Z",
        "instance": "00000000-0000-0000-0000-000000000009",
        "surface": "batch", "caller": "anonymous-loopback", "request_id": "r-2",
        "code": "INVALID_ARGUMENT", "reason": "malformed", "field": field,
        "principal": {"type": "Mandate::User", "id": "ana"},
    });
    assert_eq!(line, expected);
}

#[test]
fn a_deny_says_why_without_cedars_words() {
    let mut record = decision();
    change(&mut record, |decision| {
        decision.effect = Effect::Deny;
        decision.determining.clear();
        decision.denial =
            Some(Denial { policy: Some("p".into()), ..Denial::new(ReasonCode::PolicyError, "no") });
        let message = format!("type error at {CANARY}");
        let failure = PolicyFailure {
            kind: PolicyFailureKind::Data,
            summary: "a value has the wrong type",
            message,
            absent: None,
        };
        let policy = policy("forbid(principal, action, resource);");
        decision.errors.push(PolicyError { policy, failure });
    });
    let line = line(record);
    assert_eq!(line["decision"], "deny");
    assert_eq!(line["reason"], json!({"code": "policy_error", "message": "no", "policy": "p"}));
    assert_eq!(line["errors"], json!([{"id": "house.reads", "kind": "a value has the wrong type"}]));
    assert_eq!(line.get("determining"), None);
    assert!(!line.to_string().contains(CANARY));
}

#[test]
fn the_action_that_was_asked_about_is_said_where_another_was_decided() {
    let asked = |type_name: &str, id: &str| {
        let mut record = decision();
        asked(&mut record).action = Reference::new(type_name, id);
        line(record).get("asked_action").cloned()
    };
    assert_eq!(asked("", "list_tools"), None);
    assert_eq!(asked("Mandate::Action", "list_tools"), None);
    assert!(asked("Mandate::Action", "call_tool").is_some());
    assert!(asked("Mandate::Act", "list_tools").is_some());
    assert!(asked("Action", "list_tools").is_some());
    assert!(asked("Mandate::Actions", "list_tools").is_some());
}

#[test]
fn arguments_are_written_only_where_that_was_asked_for() {
    let record = || {
        let mut record = decision();
        asked(&mut record).arguments =
            Some(serde_json::from_str(&format!(r#"{{"deep":[{{"x":"{CANARY}"}}]}}"#)).unwrap());
        asked(&mut record).entities = vec![RequestEntity {
            uid: Reference::new("Mandate::Data", "d1"),
            form: Form::Plain,
            attributes: vec![("secret".to_owned(), Datum::String("canary-of-an-attribute".to_owned()))],
            tags: vec![("tag".to_owned(), Datum::String("canary-of-a-tag".to_owned()))],
            parents: Vec::new(),
        }];
        Record::Decision(Box::new(record))
    };
    let without = text_of(record(), false);
    assert!(!without.contains("canary"), "{without}");
    let line: Value = serde_json::from_str(&without).unwrap();
    let digest = digest::of_json(&json!({"deep": [{"x": CANARY}]})).unwrap();
    assert_eq!(line["arguments_digest"], digest);
    assert_eq!(line["request_entities"], json!([{"type": "Mandate::Data", "id": "d1"}]));
    let with: Value = serde_json::from_str(&text_of(record(), true)).unwrap();
    assert_eq!(with["arguments"], json!({"deep": [{"x": CANARY}]}));
    assert_eq!(with["arguments_digest"], digest);
}

#[test]
fn a_large_context_is_a_digest() {
    let of_size = |size: usize| {
        let mut record = decision();
        asked(&mut record).context = vec![("k".to_owned(), Datum::String("x".repeat(size - 8)))];
        line(record)
    };
    let fits = of_size(4096);
    assert_eq!(fits["context"].to_string().len(), 4096);
    assert_eq!(fits.get("context_truncated"), None);
    let large = of_size(4097);
    assert_eq!((large.get("context"), &large["context_truncated"]), (None, &json!(true)));
    assert!(large["context_digest"].as_str().unwrap().starts_with("sha256:"));
}

#[test]
fn numbers_of_a_context_are_written_as_they_came() {
    let mut record = decision();
    asked(&mut record).context = vec![("n".to_owned(), Datum::Long(9_007_199_254_740_993))];
    assert!(text_of(Record::Decision(Box::new(record)), false).contains(r#"{"n":9007199254740993}"#));
}

#[test]
fn one_record_is_one_line_whatever_its_texts_hold() {
    let hostile = || HOSTILE.to_owned();
    let mut record = decision();
    let names = Reference::new(HOSTILE, HOSTILE);
    record.request_id = hostile();
    (record.caller, record.revision, record.generation) = (HOSTILE.into(), HOSTILE.into(), HOSTILE.into());
    asked(&mut record).action = names.clone();
    asked(&mut record).resource = names.clone();
    asked(&mut record).context = vec![(hostile(), Datum::List(vec![Datum::String(hostile())]))];
    asked(&mut record).arguments = Some(Datum::Record(vec![(hostile(), Datum::Entity(names.clone()))]));
    asked(&mut record).entities = vec![RequestEntity {
        uid: names.clone(),
        form: Form::Plain,
        attributes: Vec::new(),
        tags: Vec::new(),
        parents: Vec::new(),
    }];
    let evidence = EvidenceRef { uri: hostile(), kind: hostile(), ..EvidenceRef::default() };
    record.evidence = Some(Box::new(Evidence {
        session_id: hostile(),
        traceparent: hostile(),
        refs: vec![evidence],
        ..Evidence::default()
    }));
    change(&mut record, |decision| decision.denial = Some(Denial::new(ReasonCode::NoPermit, HOSTILE)));
    let decided = text_of(Record::Decision(Box::new(record)), true);
    let Record::Refusal(mut refused) = refusal(HOSTILE) else { panic!("a refusal") };
    refused.field = hostile();
    refused.resource = Some(names);
    for line in [decided, text_of(Record::Refusal(refused), true)] {
        let body = line.as_str();
        let hidden = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202e}');
        assert!(!body.contains(hidden), "{body:?}");
        let read: Value = serde_json::from_str(body).unwrap();
        assert_eq!(read["request_id"], HOSTILE);
        assert_eq!(read["resource"], json!({"type": HOSTILE, "id": HOSTILE}));
    }
}

#[test]
fn long_texts_end_in_an_ellipsis() {
    let mut record = decision();
    record.request_id = "é".repeat(1000);
    asked(&mut record).resource = Reference::new("T", "x".repeat(5000));
    let line = line(record);
    assert_eq!(line["request_id"], "é".repeat(512) + "…");
    assert_eq!(line["resource"]["id"], "x".repeat(1024) + "…");
}

#[test]
fn evidence_and_its_trace_are_written() {
    let of = |traceparent: &str| {
        let mut record = decision();
        record.mode = Mode::Observe;
        asked(&mut record).explain = true;
        let refs = vec![EvidenceRef { uri: "doc:1".to_owned(), ..EvidenceRef::default() }];
        record.evidence = Some(Box::new(Evidence {
            session_id: "s".to_owned(),
            refs,
            traceparent: traceparent.to_owned(),
            ..Evidence::default()
        }));
        line(record)
    };
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let line = of(parent);
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    let expected = json!({"session_id": "s", "refs": [{"uri": "doc:1"}], "traceparent": parent});
    assert_eq!(line["evidence"], expected);
    assert_eq!((&line["mode"], &line["explained"]), (&json!("observe"), &json!(true)));
    for wrong in
        ["", "x", "00-00000000000000000000000000000000-1-01", "00-4BF92F3577B34DA6A3CE929D0E0E4736-1-01"]
    {
        assert_eq!(of(wrong).get("trace_id"), None, "{wrong}");
    }
}

#[test]
fn a_combination_is_first_seen_once() {
    let (encoder, mut seen) = (Encoder::new(Uuid::from_u128(9)), FirstSeen::new());
    let mut first = |record: DecisionRecord| {
        let line = encoder.line(&Record::Decision(Box::new(record))).unwrap();
        seen.first(line.combination.unwrap())
    };
    assert!(first(decision()));
    assert!(!first(decision()));
    let mut other = decision();
    asked(&mut other).resource.id = "gitlab".to_owned();
    assert!(first(other));
}

//! Values that are accepted, and what they become.

use mandate::server::pb;
use serde_json::json;

use super::{SERVER, call, probe};
use crate::support::{
    Question as _, decimal_value, determining, entity_value, long_value, record, record_value, set_value,
    text_value,
};

/// A value, and the condition that holds of it and of none of the others.
pub(super) struct Value {
    name: &'static str,
    condition: &'static str,
    /// As JSON, and so as `Struct`.
    plain: Option<&'static str>,
    /// As Cedar JSON.
    cedar: Option<&'static str>,
}

impl Value {
    /// A policy for the context, and one for a tool's arguments.
    pub(super) fn policies(&self) -> String {
        let Self { name, condition, .. } = self;
        let input = condition.replace("context", "context.input");
        format!(
            "@id(\"{name}\")\npermit (principal, action == Mandate::Action::\"probe\", resource)\n\
             when {{ {condition} }};\n\
             @id(\"input-{name}\")\npermit (principal, action == Mandate::Action::\"lab/probe\", resource)\n\
             when {{ {input} }};\n"
        )
    }
}

/// The same text in both forms.
const fn both(name: &'static str, condition: &'static str, text: &'static str) -> Value {
    Value { name, condition, plain: Some(text), cedar: Some(text) }
}

const fn plain(name: &'static str, condition: &'static str, text: &'static str) -> Value {
    Value { name, condition, plain: Some(text), cedar: None }
}

const fn cedar(name: &'static str, condition: &'static str, text: &'static str) -> Value {
    Value { name, condition, plain: None, cedar: Some(text) }
}

pub(super) const VALUES: &[Value] = &[
    both("largest", "context has long && context.long == 9007199254740991", r#"{"long": 9007199254740991}"#),
    both(
        "smallest",
        "context has long && context.long == -9007199254740991",
        r#"{"long": -9007199254740991}"#,
    ),
    plain("whole-double", "context has long && context.long == 3", r#"{"long": 3.0}"#),
    plain("whole-exponent", "context has long && context.long == 1000", r#"{"long": 1e3}"#),
    plain("negative-zero", "context has long && context.long == 0", r#"{"long": -0.0}"#),
    cedar(
        "64-bit",
        "context has long && context.long == 9223372036854775807",
        r#"{"long": 9223372036854775807}"#,
    ),
    cedar(
        "64-bit-negative",
        "context has long && context.long < -9223372036854775807",
        r#"{"long": -9223372036854775808}"#,
    ),
    plain(
        "decimal-number",
        "context has decimal && context.decimal == decimal(\"10.25\")",
        r#"{"decimal": 10.25}"#,
    ),
    plain(
        "decimal-places",
        "context has decimal && context.decimal == decimal(\"-0.0001\")",
        r#"{"decimal": -0.0001}"#,
    ),
    plain("decimal-whole", "context has decimal && context.decimal == decimal(\"7.0\")", r#"{"decimal": 7}"#),
    plain(
        "decimal-tenth",
        "context has decimal && context.decimal == decimal(\"0.1\")",
        r#"{"decimal": 0.1}"#,
    ),
    cedar(
        "decimal-escape",
        "context has decimal && context.decimal == decimal(\"1.2345\")",
        r#"{"decimal": {"__extn": {"fn": "decimal", "arg": "1.2345"}}}"#,
    ),
    both("ip", "context has ip && context.ip == ip(\"10.1.2.3\")", r#"{"ip": "10.1.2.3"}"#),
    both("ip-range", "context has ip && context.ip == ip(\"10.0.0.0/8\")", r#"{"ip": "10.0.0.0/8"}"#),
    cedar(
        "ip-escape",
        "context has ip && context.ip == ip(\"::1\")",
        r#"{"ip": {"__extn": {"fn": "ip", "arg": "::1"}}}"#,
    ),
    both(
        "datetime",
        "context has datetime && context.datetime == datetime(\"2026-11-22T10:00:00Z\")",
        r#"{"datetime": "2026-11-22T10:00:00Z"}"#,
    ),
    both(
        "datetime-offset",
        "context has datetime && context.datetime == datetime(\"2026-11-22T09:30:00.250Z\")",
        r#"{"datetime": "2026-11-22T11:00:00.25+01:30"}"#,
    ),
    both(
        "datetime-day",
        "context has datetime && context.datetime == datetime(\"2026-11-22\")",
        r#"{"datetime": "2026-11-22"}"#,
    ),
    both(
        "duration",
        "context has duration && context.duration == duration(\"90m\")",
        r#"{"duration": "1h30m"}"#,
    ),
    both(
        "text-like-a-datetime",
        "context has text && context.text == \"2026-11-22T10:00:00Z\"",
        r#"{"text": "2026-11-22T10:00:00Z"}"#,
    ),
    both(
        "text-like-a-path",
        "context has text && context.text == \"a\\\"::b\\\\\"",
        r#"{"text": "a\"::b\\"}"#,
    ),
    both(
        "null-is-absent",
        "context has bool && context.bool && !(context has long) && !(context has nested)",
        r#"{"bool": true, "long": null, "nested": null}"#,
    ),
    both("list-is-set", "context has longs && context.longs == [2, 1]", r#"{"longs": [1, 2, 2, 1]}"#),
    both("empty-list", "context has longs && context.longs.isEmpty()", r#"{"longs": []}"#),
    both(
        "nested",
        "context has nested && context.nested.need == 4 && context.nested has also.deep && context.nested.also.deep",
        r#"{"nested": {"need": 4, "also": {"deep": true}}}"#,
    ),
];

#[track_caller]
fn check(asked: pb::AuthorizeRequest, expected: &str) {
    let answer = SERVER.authorize(asked.clone()).unwrap_or_else(|status| panic!("{expected}: {status:?}"));
    assert_eq!(determining(&answer), [expected], "{asked:?}");
}

#[test]
fn struct_becomes_what_the_schema_declares() {
    for Value { name, plain, .. } in VALUES {
        if let Some(text) = plain {
            check(probe().struct_context(&serde_json::from_str(text).unwrap()), name);
        }
    }
}

#[test]
fn cedar_json_becomes_what_the_schema_declares() {
    for Value { name, cedar, .. } in VALUES {
        if let Some(text) = cedar {
            check(probe().json_context(*text), name);
        }
    }
}

#[test]
fn arguments_become_the_input_in_both_forms() {
    for Value { name, plain, .. } in VALUES {
        if let Some(text) = plain {
            let expected = format!("input-{name}");
            check(call().struct_arguments(&serde_json::from_str(text).unwrap()), &expected);
            check(call().json_arguments(*text), &expected);
        }
    }
}

#[test]
fn authzen_becomes_what_the_schema_declares() {
    for Value { name, plain, .. } in VALUES {
        let Some(text) = plain else { continue };
        let body = format!(
            r#"{{"subject": {{"type": "Mandate::User", "id": "ana"}}, "action": {{"name": "probe"}},
                "resource": {{"type": "Mandate::Doc", "id": "plan"}}, "context": {text}}}"#
        );
        let answer = SERVER.evaluate_bytes(body);
        assert!(answer.decision(), "{name}: {answer:?}");
        assert_eq!(answer.json()["context"]["policies"], json!([name]));
    }
}

#[test]
fn typed_values_become_what_they_say() {
    let instant = |seconds, nanos| pb::Value {
        kind: Some(pb::value::Kind::Datetime(prost_types::Timestamp { seconds, nanos })),
    };
    let other = |kind| pb::Value { kind: Some(kind) };
    let values = vec![
        ("largest", "long", long_value(9_007_199_254_740_991)),
        ("64-bit", "long", long_value(i64::MAX)),
        ("64-bit-negative", "long", long_value(i64::MIN)),
        ("decimal-escape", "decimal", decimal_value("1.2345")),
        ("ip-range", "ip", other(pb::value::Kind::Ipaddr("10.0.0.0/8".to_owned()))),
        ("datetime", "datetime", instant(1_795_341_600, 0)),
        ("datetime-offset", "datetime", instant(1_795_339_800, 250_000_000)),
        ("duration", "duration", other(pb::value::Kind::Duration("90m".to_owned()))),
        ("text-like-a-datetime", "text", text_value("2026-11-22T10:00:00Z")),
        ("list-is-set", "longs", set_value(vec![long_value(2), long_value(1), long_value(2)])),
        ("empty-list", "longs", set_value(Vec::new())),
    ];
    for (expected, member, value) in values {
        check(probe().typed_context(record(vec![(member, value)])), expected);
    }
    let deep = record_value(vec![("deep", other(pb::value::Kind::Boolean(true)))]);
    let nested = record_value(vec![("need", long_value(4)), ("also", deep)]);
    check(probe().typed_context(record(vec![("nested", nested)])), "nested");
}

#[test]
fn a_reference_is_one_in_every_form_that_can_say_it() {
    let plain = json!({
        "doc": {"type": "Mandate::Doc", "id": "note"},
        "docs": [{"type": "Mandate::Doc", "id": "note"}, {"type": "Mandate::Doc", "id": "plan"}],
        "colour": {"type": "Mandate::Colour", "id": "red"},
    });
    let escaped = r#"{
        "doc": {"__entity": {"type": "Mandate::Doc", "id": "note"}},
        "docs": [{"__entity": {"type": "Mandate::Doc", "id": "plan"}}, {"type": "Mandate::Doc", "id": "note"}],
        "colour": {"__entity": {"type": "Mandate::Colour", "id": "red"}}
    }"#;
    let doc = |id| entity_value("Mandate::Doc", id);
    let typed = record(vec![
        ("doc", doc("note")),
        ("docs", set_value(vec![doc("plan"), doc("note")])),
        ("colour", entity_value("Mandate::Colour", "red")),
    ]);
    // Accepted, and found to exist: without a policy that permits it, it is a plain deny.
    let forms = [probe().struct_context(&plain), probe().json_context(escaped), probe().typed_context(typed)];
    for asked in forms {
        let answer = SERVER.authorize(asked).unwrap();
        assert_eq!(crate::support::reason(&answer), "no_permit");
    }
}

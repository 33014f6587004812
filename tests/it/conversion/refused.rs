//! Values that are refused, each with the path of what is wrong.

use mandate::server::pb;
use prost_types::value::Kind;
use serde_json::{Value, json};
use tonic::Code;

use super::{SERVER, call, probe};
use crate::support::{
    Question as _, check_field, decimal_value, entity_value, evaluation, long_value, record, record_value,
    set_value, text_value, violation,
};

#[track_caller]
fn check(asked: pb::AuthorizeRequest, field: &str, saying: &str) {
    check_field(SERVER.authorize(asked), Code::InvalidArgument, field, saying);
}

/// Refused as `Struct`, as arguments, and over HTTP: the value, the path below the root, and what is said.
const PLAIN: &[(&str, &str, &str)] = &[
    (r#"{"long": 9007199254740992}"#, "long", "2^53−1"),
    (r#"{"long": -9007199254740992}"#, "long", "2^53−1"),
    (r#"{"long": 1.5}"#, "long", "whole number"),
    (r#"{"long": 1e300}"#, "long", "whole number"),
    (r#"{"long": "1"}"#, "long", "must be Long; it is a string"),
    (r#"{"long": true}"#, "long", "must be Long; it is a boolean"),
    (r#"{"bool": 0}"#, "bool", "must be Bool"),
    (r#"{"bool": "true"}"#, "bool", "must be Bool"),
    (r#"{"text": 1}"#, "text", "must be String"),
    (r#"{"decimal": 0.00001}"#, "decimal", "four decimal places"),
    (r#"{"decimal": 1.23456}"#, "decimal", "four decimal places"),
    (r#"{"decimal": 0.30000000000000004}"#, "decimal", "four decimal places"),
    (r#"{"decimal": 922337203685478}"#, "decimal", ""),
    (r#"{"decimal": 1e300}"#, "decimal", ""),
    (r#"{"decimal": "1.0"}"#, "decimal", "must be decimal; it is a string"),
    (r#"{"ip": "10.0.0.300"}"#, "ip", ""),
    (r#"{"ip": "10.0.0.1 "}"#, "ip", ""),
    (r#"{"ip": 167772161}"#, "ip", "must be ipaddr"),
    (r#"{"datetime": "yesterday"}"#, "datetime", ""),
    (r#"{"datetime": "2026-13-01T00:00:00Z"}"#, "datetime", ""),
    (r#"{"datetime": "2026-11-22T10:00:00.0001Z"}"#, "datetime", "millisecond"),
    (r#"{"datetime": 1795341600}"#, "datetime", "must be datetime"),
    (r#"{"duration": "1 hour"}"#, "duration", ""),
    (r#"{"duration": 3600}"#, "duration", "must be duration"),
    (r#"{"longs": [1, null]}"#, "longs[1]", "null"),
    (r#"{"longs": [1, "2"]}"#, "longs[1]", "must be Long"),
    (r#"{"longs": 1}"#, "longs", "must be Set<Long>"),
    (r#"{"longs": {"0": 1}}"#, "longs", "must be Set<Long>"),
    (r#"{"nested": {}}"#, "nested.need", "required"),
    (r#"{"nested": {"need": null}}"#, "nested.need", "required"),
    (r#"{"nested": {"need": 1, "more": 2}}"#, "nested.more", "not declared"),
    (r#"{"nested": {"need": 1, "also": {"deep": 3}}}"#, "nested.also.deep", "must be Bool"),
    (r#"{"nested": [1]}"#, "nested", "must be record"),
    (r#"{"unknown": 1}"#, "unknown", "declared are"),
    (r#"{"unknown": null}"#, "unknown", "declared are"),
    (r#"{"doc": "plan"}"#, "doc", ""),
    (r#"{"doc": {"__entity": {"type": "Mandate::Doc", "id": "plan"}}}"#, "doc.__entity", "escape"),
    (r#"{"decimal": {"__extn": {"fn": "decimal", "arg": "1.0"}}}"#, "decimal.__extn", "escape"),
    (r#"{"text": {"__extn": {"fn": "ip", "arg": "::1"}}}"#, "text.__extn", "escape"),
    (r#"{"long": {"__expr": "1"}}"#, "long.__expr", "escape"),
    (r#"{"nested": {"need": 1, "__expr": "1"}}"#, "nested.__expr", "escape"),
    (r#"{"longs": [{"__entity": {"type": "Mandate::Doc", "id": "x"}}]}"#, "longs[0].__entity", "escape"),
];

#[test]
fn struct_that_does_not_fit_is_refused_with_its_path() {
    for (text, path, saying) in PLAIN {
        let context = serde_json::from_str(text).unwrap();
        check(probe().struct_context(&context), &format!("context.{path}"), saying);
    }
}

#[test]
fn arguments_that_do_not_fit_are_refused_in_both_forms() {
    for (text, path, saying) in PLAIN.iter().filter(|(_, _, saying)| !saying.contains("2^53")) {
        for asked in
            [call().struct_arguments(&serde_json::from_str(text).unwrap()), call().json_arguments(*text)]
        {
            let status = SERVER.authorize(asked).expect_err(text);
            assert_eq!(status.code(), Code::InvalidArgument, "{text}: {status:?}");
            let (field, said) = violation(&status);
            // Escapes are looked for first, and are reported at the object that holds them.
            let escape = path.contains("__") && field.starts_with("arguments");
            assert!(escape || field == format!("arguments.{path}"), "{text}: {field}: {said}");
            assert!(said.contains(saying), "{text}: `{said}` does not say `{saying}`");
        }
    }
}

#[test]
fn numbers_beyond_what_json_can_say_are_refused_in_arguments() {
    for number in ["9007199254740992", "-9007199254740992", "1e300"] {
        for member in ["long", "decimal"] {
            let text = format!(r#"{{"{member}": {number}}}"#);
            let status = SERVER.authorize(call().json_arguments(text.as_str())).expect_err(&text);
            assert_eq!(status.code(), Code::InvalidArgument, "{text}: {status:?}");
        }
    }
}

#[test]
fn numbers_beyond_what_json_can_say_are_refused_with_their_path_in_arguments() {
    for number in ["9007199254740992", "-9007199254740992"] {
        check(call().json_arguments(format!(r#"{{"long": {number}}}"#)), "arguments.long", "2^53−1");
    }
}

#[test]
fn authzen_context_that_does_not_fit_is_a_400_with_its_path() {
    // What the action does not declare is left out there, and told of.
    for (text, path, _) in PLAIN.iter().filter(|(_, path, _)| *path != "unknown") {
        let mut body = evaluation(("Mandate::User", "ana"), "probe", ("Mandate::Doc", "plan"));
        body["context"] = serde_json::from_str(text).unwrap();
        SERVER.evaluate(&body).check_error(400, &format!("context.{path}"));
    }
}

#[test]
fn numbers_that_json_cannot_write_are_refused() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for member in ["long", "decimal"] {
            let value = prost_types::Value { kind: Some(Kind::NumberValue(number)) };
            let fields = [(member.to_owned(), value)].into_iter().collect();
            let context = pb::authorize_request::ContextForm::Context(prost_types::Struct { fields });
            let asked = pb::AuthorizeRequest { context_form: Some(context), ..probe() };
            check(asked, &format!("context.{member}"), "");
        }
    }
}

#[test]
fn a_reference_of_another_type_or_outside_a_closed_set_is_refused() {
    let cases = [
        (json!({"doc": {"type": "Mandate::User", "id": "ana"}}), "context.doc", "`Mandate::Doc`"),
        (
            json!({"doc": {"type": "Mandate::Doc", "id": "plan", "x": 1}}),
            "context.doc",
            "must be a reference",
        ),
        (json!({"doc": {"type": "Mandate::Doc"}}), "context.doc", "must be a reference"),
        (json!({"doc": {"type": "Mandate::Doc", "id": 1}}), "context.doc", "must be a reference"),
        (json!({"docs": [{"type": "Doc", "id": "plan"}]}), "context.docs[0]", "`Mandate::Doc`"),
        (json!({"colour": {"type": "Mandate::Colour", "id": "blue"}}), "context.colour", "one of green, red"),
    ];
    for (context, field, saying) in cases {
        check(probe().json_context(context.to_string()), field, saying);
        check(probe().struct_context(&context), field, saying);
    }
    let blue = record(vec![("colour", entity_value("Mandate::Colour", "blue"))]);
    check(probe().typed_context(blue), "context.colour", "one of green, red");
}

#[test]
fn arguments_never_become_references_however_they_are_written() {
    for doc in [json!({"type": "Mandate::Doc", "id": "plan"}), json!("plan"), json!({"__entity": 1})] {
        let status =
            SERVER.authorize(call().struct_arguments(&json!({ "doc": doc }))).expect_err("no reference");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
    let doc = json!({"doc": {"type": "Mandate::Doc", "id": "plan"}});
    check(call().struct_arguments(&doc), "arguments.doc", "never become entity references");
}

/// Texts that are no Cedar JSON.
const CEDAR: &[(&str, &str, &str)] = &[
    ("", "context_json", "is not JSON"),
    ("{", "context_json", "is not JSON"),
    ("[]", "context_json", "must be a JSON object"),
    ("null", "context_json", "must be a JSON object"),
    ("{} {}", "context_json", "trailing"),
    ("{}x", "context_json", "trailing"),
    (r#"{"long": 1, "long": 2}"#, "context_json", "duplicate member `long`"),
    (r#"{"nested": {"need": 1, "n\u0065ed": 2}}"#, "context_json", "duplicate member `need`"),
    (r#"{"long": 01}"#, "context_json", "is not JSON"),
    (r#"{"long": NaN}"#, "context_json", "is not JSON"),
    (r#"{"long": 9223372036854775808}"#, "context.long", ""),
    (r#"{"long": 1.0}"#, "context.long", ""),
    (r#"{"longs": [null]}"#, "context.longs[0]", "null"),
    (r#"{"doc": {"__expr": "Doc::\"plan\""}}"#, "context.doc.__expr", "escape"),
    (r#"{"doc": {"__entity": {"type": "Mandate::Doc", "id": "plan"}, "x": 1}}"#, "context.doc", ""),
    (r#"{"doc": {"__entity": {"type": "Mandate::Doc", "id": "plan", "x": 1}}}"#, "context.doc", ""),
    (r#"{"doc": {"__entity": {"type": "Mandate::User", "id": "ana"}}}"#, "context.doc", ""),
    (r#"{"doc": {"__extn": {"fn": "ip", "arg": "::1"}}}"#, "context.doc", ""),
    (r#"{"decimal": {"__extn": {"fn": "ip", "arg": "::1"}}}"#, "context.decimal", "must be decimal"),
    (r#"{"decimal": {"__extn": {"fn": "evil", "arg": "1.0"}}}"#, "context.decimal", "must be decimal"),
    (r#"{"decimal": {"__extn": {"fn": "decimal", "arg": 1.0}}}"#, "context.decimal", "must be decimal"),
    (r#"{"decimal": {"__extn": {"fn": "decimal", "arg": "1.23456"}}}"#, "context.decimal", ""),
    (r#"{"text": {"__extn": {"fn": "ip", "arg": "::1"}}}"#, "context.text", "must be String"),
];

#[test]
fn cedar_json_that_does_not_fit_is_refused_with_its_path() {
    for (text, field, saying) in CEDAR {
        check(probe().json_context(*text), field, saying);
    }
}

#[test]
fn an_escape_with_more_in_it_is_refused() {
    for text in [
        r#"{"decimal": {"__extn": {"fn": "decimal", "arg": "1.0"}, "x": 1}}"#,
        r#"{"decimal": {"__extn": {"fn": "decimal", "arg": "1.0", "x": 1}}}"#,
    ] {
        check(probe().json_context(text), "context.decimal", "");
    }
}

#[test]
fn a_typed_value_of_another_type_is_refused() {
    let instant = |nanos| {
        let seconds = 1_795_341_600;
        pb::Value { kind: Some(pb::value::Kind::Datetime(prost_types::Timestamp { seconds, nanos })) }
    };
    let cases = vec![
        ("long", text_value("1"), "long"),
        ("text", long_value(1), "text"),
        ("decimal", long_value(1), "decimal"),
        ("decimal", text_value("1.0"), "decimal"),
        ("decimal", decimal_value("1.23456"), "decimal"),
        ("datetime", text_value("2026-11-22T10:00:00Z"), "datetime"),
        ("ip", text_value("10.0.0.1"), "ip"),
        ("doc", entity_value("Mandate::User", "ana"), "doc"),
        ("doc", record_value(vec![("type", text_value("Mandate::Doc")), ("id", text_value("plan"))]), "doc"),
        ("longs", set_value(vec![long_value(1), text_value("2")]), "longs[1]"),
        ("longs", record_value(vec![]), "longs"),
        ("nested", record_value(vec![("need", text_value("4"))]), "nested.need"),
        ("nested", record_value(vec![]), "nested.need"),
        ("unknown", long_value(1), "unknown"),
    ];
    for (member, value, path) in cases {
        check(probe().typed_context(record(vec![(member, value)])), &format!("context.{path}"), "");
    }
    for (member, value) in
        [("datetime", instant(1)), ("datetime", instant(-1)), ("long", pb::Value { kind: None })]
    {
        check(probe().typed_context(record(vec![(member, value)])), &format!("typed_context.{member}"), "");
    }
}

#[test]
fn what_mandate_fills_cannot_be_supplied_in_any_form() {
    for name in ["now", "token", "delegation", "caller", "approval", "input"] {
        let field = format!("context.{name}");
        for value in [json!(1), Value::Null, json!({})] {
            let context = json!({ name: value });
            check(probe().struct_context(&context), &field, "filled by Mandate");
            check(probe().json_context(context.to_string()), &field, "filled by Mandate");
            // The tool's own action declares `input`, and still only Mandate fills it.
            check(call().struct_context(&context), &field, "filled by Mandate");
            let mut body = evaluation(("Mandate::User", "ana"), "probe", ("Mandate::Doc", "plan"));
            body["context"] = context;
            SERVER.evaluate(&body).check_error(400, &field);
        }
        check(probe().typed_context(record(vec![(name, long_value(1))])), &field, "filled by Mandate");
    }
}

#[test]
fn arguments_text_is_strict_json() {
    for (text, saying) in [
        (r#"{"long": 1, "long": 1}"#, "duplicate member `long`"),
        ("{} {}", "trailing"),
        ("", "is not JSON"),
        (r#"{"long": 1,}"#, "is not JSON"),
    ] {
        check(call().json_arguments(text), "arguments_json", saying);
    }
    for text in ["[]", "1", "null", "\"x\""] {
        check(call().json_arguments(text), "arguments", "must be an object");
    }
}

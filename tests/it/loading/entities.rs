//! Entity files that must not load (F24).

use serde_json::{Value, json};

use super::{check_clean, check_rejected};
use crate::support::Sources;

fn doc(id: &str, parents: &[&str]) -> Value {
    let parents: Vec<_> = parents.iter().map(|id| json!({"type": "Mandate::Doc", "id": id})).collect();
    json!({"uid": {"type": "Mandate::Doc", "id": id}, "attrs": {"level": 1}, "parents": parents})
}

/// The small sources and these entities, one a line.
fn sources(entities: &[Value]) -> Sources {
    let lines: Vec<_> = entities.iter().map(Value::to_string).collect();
    Sources::small().write("entities/odd.json", format!("[\n{}\n]\n", lines.join(",\n")))
}

#[test]
fn a_cycle_is_rejected_and_every_member_named() {
    check_rejected("of one", &sources(&[doc("a", &["a"])]), &[("odd.json:2", "\"a\" is in itself")]);
    let three = [doc("a", &["b"]), doc("b", &["c"]), doc("c", &["a"]), doc("below", &["a"])];
    let expected = [("odd.json:2", "\"a\" is in itself"), ("odd.json:3", "\"b\""), ("odd.json:4", "\"c\"")];
    check_rejected("of three", &sources(&three), &expected);
}

#[test]
fn a_chain_is_accepted_to_its_limit_and_rejected_beyond_it() {
    let chain = |levels: usize| -> Vec<Value> {
        let link = |at: usize| match at {
            0 => doc("d0", &[]),
            at => doc(&format!("d{at}"), &[&format!("d{}", at - 1)]),
        };
        (0..=levels).map(link).collect()
    };
    check_clean("the limit", &sources(&chain(100)));
    let expected = [("odd.json:103", "101 levels below its furthest ancestor; at most 100 are accepted")];
    check_rejected("one more", &sources(&chain(101)), &expected);
    check_rejected("far over", &sources(&chain(5_000)), &[("odd.json:103", "at most 100 are accepted")]);
}

#[test]
fn parents_are_bounded() {
    let crowd = |parents: usize| {
        let names: Vec<_> = (0..parents).map(|at| format!("p{at}")).collect();
        let named: Vec<_> = names.iter().map(String::as_str).collect();
        let mut entities: Vec<_> = named.iter().map(|name| doc(name, &[])).collect();
        entities.push(doc("child", &named));
        sources(&entities)
    };
    check_clean("the limit", &crowd(10_000));
    let saying = "has 10001 parents; at most 10000 are accepted";
    check_rejected("one more", &crowd(10_001), &[("odd.json:10003", saying)]);
}

#[test]
fn a_uid_given_twice_names_both_places() {
    let saying = "\"a\" is given twice, first at ";
    check_rejected("in one file", &sources(&[doc("a", &[]), doc("a", &[])]), &[("odd.json:3", saying)]);
    let [error] = sources(&[doc("plan", &[])]).validate().errors().try_into().expect("one error");
    let error: String = error;
    assert!(error.starts_with("odd.json:2: ") && error.contains("base.json:1"), "{error}");
}

#[test]
fn an_entity_that_does_not_fit_the_schema_is_rejected_with_its_line() {
    let with = |attributes: Value| {
        let mut entity = doc("a", &[]);
        entity["attrs"] = attributes;
        entity
    };
    let typed = |type_name: &str| json!({"uid": {"type": type_name, "id": "a"}, "attrs": {}, "parents": []});
    let cases = [
        ("undeclared attribute", with(json!({"level": 1, "colour": 1})), "colour"),
        ("missing attribute", with(json!({})), "level"),
        ("wrong type", with(json!({"level": "high"})), "level"),
        ("null", with(json!({"level": null})), ""),
        ("a fraction", with(json!({"level": 1.5})), ""),
        (
            "wrong reference",
            with(json!({"level": 1, "next": {"type": "Mandate::User", "id": "ana"}})),
            "next",
        ),
        ("undeclared type", typed("Mandate::Nobody"), "Nobody"),
        ("an action", typed("Mandate::Action"), "Action"),
        ("no uid", json!({"attrs": {}, "parents": []}), "uid"),
        ("no object", json!(1), ""),
        (
            "a parent of another type",
            json!({"uid": {"type": "Mandate::Doc", "id": "a"}, "attrs": {"level": 1},
                   "parents": [{"type": "Mandate::User", "id": "ana"}]}),
            "Mandate::User",
        ),
    ];
    for (name, entity, saying) in cases {
        check_rejected(name, &sources(&[doc("first", &[]), entity]), &[("odd.json:3", saying)]);
    }
}

#[test]
fn a_key_given_twice_is_rejected_at_every_level() {
    let uid = r#""uid": {"type": "Mandate::Doc", "id": "a"}"#;
    for (name, text) in [
        ("an attribute", format!(r#"[{{{uid}, "attrs": {{"level": 1, "level": 2}}, "parents": []}}]"#)),
        ("the attributes", format!(r#"[{{{uid}, "attrs": {{"level": 1}}, "attrs": {{"level": 2}}, "parents": []}}]"#)),
        ("the name", format!(r#"[{{{uid}, {uid}, "attrs": {{"level": 1}}, "parents": []}}]"#)),
        (
            "a part of the name",
            r#"[{"uid": {"type": "Mandate::Doc", "id": "a", "id": "b"}, "attrs": {"level": 1}, "parents": []}]"#
                .to_owned(),
        ),
    ] {
        check_rejected(name, &Sources::small().write("entities/odd.json", text), &[("odd.json", "")]);
    }
}

#[test]
fn a_part_left_out_is_rejected() {
    for part in ["uid", "attrs", "parents"] {
        let mut entity = doc("a", &[]);
        entity.as_object_mut().unwrap().remove(part);
        check_rejected(part, &sources(&[entity]), &[("odd.json:2", part)]);
    }
}

#[test]
fn a_key_nobody_reads_is_rejected() {
    let mut entity = doc("a", &[]);
    entity["tag"] = json!({"colour": "red"});
    check_rejected("misspelt", &sources(&[entity]), &[("odd.json:2", "tag")]);
}

#[test]
fn a_file_that_is_no_list_is_rejected() {
    for text in ["{}", "[", "null", "[1,]", "[] []", "\"x\""] {
        check_rejected(text, &Sources::small().write("entities/odd.json", text), &[("odd.json", "")]);
    }
    check_clean("an empty list", &Sources::small().write("entities/odd.json", "[]"));
}

#[test]
fn a_reference_that_is_not_stored_is_warned_of() {
    let mut pointing = doc("a", &[]);
    pointing["attrs"]["next"] = json!({"type": "Mandate::Doc", "id": "gone"});
    let verdict = sources(&[pointing]).validate();
    assert!(verdict.valid);
    let warnings = verdict.warnings();
    assert!(
        warnings.iter().any(|warning| warning.starts_with("odd.json:2: ") && warning.contains("gone")),
        "{warnings:?}"
    );
}

#[test]
fn a_parent_that_is_not_stored_is_rejected() {
    let saying = "is in Mandate::Doc::\"gone\", which is not stored";
    check_rejected("a parent", &sources(&[doc("a", &["gone"])]), &[("odd.json:2", saying)]);
}

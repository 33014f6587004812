//! What this reader takes, Cedar's parser takes, and makes the same of.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::*;
use crate::engine::compile::{Compiler, Options, Sources};

const SCHEMA: &str = r#"
namespace Mandate {
  entity Team in [Team];
  entity Colour enum ["red", "green"];
  entity User in [Team] = {
    level: Long, name?: String, active?: Bool, manager?: User, colour?: Colour, roles?: Set<String>, scores?: Set<Long>,
    friends?: Set<User>, home?: { city: String, since?: datetime, near?: { by: Team } }, homes?: Set<{ city: String }>,
    limit?: decimal, address?: ipaddr, born?: datetime, takes?: duration, "__odd"?: Long, "two words"?: String,
  } tags Set<Team>;
  entity Job in [Team] tags { city: String };
  action view appliesTo { principal: [User], resource: [User], context: {} };
}
entity Plain;
"#;

fn catalog() -> Arc<Catalog> {
    static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(|| {
        let mut compiler = Compiler::new(Options::default(), Workers::default());
        let file = |name: &str, text: &str| SourceFile { name: name.into(), bytes: text.into() };
        let sources = Sources {
            schemas: vec![file("s.cedarschema", SCHEMA)],
            policies: vec![file(
                "p.cedar",
                "@id(\"a\") permit(principal is Mandate::User, action, resource);",
            )],
            ..Sources::default()
        };
        Arc::clone(&compiler.compile(&sources).unwrap().world.generation.catalog)
    });
    Arc::clone(&CATALOG)
}

/// Names of entities, written every way that is or might be accepted.
fn reference() -> impl Strategy<Value = Value> {
    prop_oneof![1 => reference_to("Mandate::User"), 1 => reference_to("Mandate::Team"), 2 => any_reference()]
}

/// A reference to that type, written as usual, nearly always.
fn reference_to(name: &'static str) -> impl Strategy<Value = Value> {
    let id = select(vec!["a", "b", "red"]);
    prop_oneof![
        24 => id.prop_map(move |id| json!({"type": name, "id": id})),
        1 => any_reference(),
    ]
}

fn any_reference() -> impl Strategy<Value = Value> {
    let names = [
        "Mandate::User",
        "Mandate::Team",
        "Mandate::Colour",
        "Mandate::Action",
        "Mandate::Job",
        "Plain",
        "User",
        "Gone",
        "Mandate :: User",
        "",
    ];
    let name = prop_oneof![8 => select(&["Mandate::User", "Mandate::Team"][..]), 4 => select(names.to_vec())];
    let id = select(
        &[
            "a",
            "b",
            "red",
            "view",
            "",
            "é\u{1F600}",
            "q\"\\\n\u{7f}",
            "an id that is longer than what is kept inline",
        ][..],
    );
    (name, id, 0..12).prop_map(|(name, id, form)| match form {
        0 => json!({"__entity": {"type": name, "id": id}}),
        1 => json!({"id": id, "type": name}),
        2 => json!({"type": name, "id": id, "more": 1}),
        3 => json!({"__entity": {"type": name, "id": id, "more": 1}}),
        4 => json!({"__entity": {"type": name, "id": id}, "more": 1}),
        5 => json!({"__expr": format!("{name}::\"{id}\"")}),
        6 => json!({"type": name, "id": 1}),
        _ => json!({"type": name, "id": id}),
    })
}

fn extension() -> impl Strategy<Value = Value> {
    let texts = [
        "1.0",
        "10.25",
        "1.00000",
        "-0.0001",
        "922337203685477.5807",
        "10.0.0.1",
        "10.0.0.0/8",
        "::1",
        "2026-01-01",
        "2026-01-01T10:00:00Z",
        "2026-01-01T10:00:00.123+0130",
        "2026-13-01",
        "1h30m",
        "-1d",
        "90s",
        "",
        "unknown",
    ];
    let functions =
        ["decimal", "ip", "datetime", "duration", "unknown", "offset", "isLoopback", "toTime", "no such"];
    (select(texts.to_vec()), select(functions.to_vec()), 0..8).prop_map(|(text, function, form)| match form {
        0 => json!({"__extn": {"fn": function, "arg": text}}),
        1 => json!({"fn": function, "arg": text}),
        2 => json!({"__extn": {"fn": function, "args": [text, text]}}),
        3 => json!([text]),
        _ => json!(text),
    })
}

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        Just(json!(1.0)),
        Just(json!(1.5)),
        Just(json!(-0.0)),
        ".{0,30}".prop_map(Value::from),
        reference(),
        extension(),
    ];
    scalar.prop_recursive(3, 12, 4, |inner| {
        let key = select(
            &["city", "since", "near", "by", "type", "id", "__entity", "__extn", "__expr", "other"][..],
        );
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// A value that often is one of the attribute's type.
fn fitting(name: &'static str) -> BoxedStrategy<Value> {
    let strings = || proptest::collection::vec(".{0,6}", 0..4).prop_map(|list| json!(list));
    let fits = match name {
        "level" => any::<i64>().prop_map(Value::from).boxed(),
        "active" => any::<bool>().prop_map(Value::from).boxed(),
        "name" | "two words" => ".{0,30}".prop_map(Value::from).boxed(),
        "manager" => reference_to("Mandate::User").boxed(),
        "colour" => reference_to("Mandate::Colour").boxed(),
        "roles" => strings().boxed(),
        "scores" => proptest::collection::vec(-2_i64..2, 0..5).prop_map(|list| json!(list)).boxed(),
        "friends" => {
            proptest::collection::vec(reference_to("Mandate::User"), 0..3).prop_map(Value::from).boxed()
        }
        "tag" => proptest::collection::vec(reference_to("Mandate::Team"), 0..3).prop_map(Value::from).boxed(),
        "limit" => select(vec!["1.0", "10.25", "1.00000"]).prop_map(Value::from).boxed(),
        "address" => select(vec!["10.0.0.1", "::1", "10.0.0.0/8"]).prop_map(Value::from).boxed(),
        "born" => {
            select(vec!["2026-01-01", "2026-01-01T10:00:00Z", "2026-13-01"]).prop_map(Value::from).boxed()
        }
        "takes" => select(vec!["1h30m", "-1d", "90s"]).prop_map(Value::from).boxed(),
        "__odd" => Just(json!(1)).boxed(),
        "home" => (".{0,6}", fitting("born"), reference_to("Mandate::Team"))
            .prop_map(|(city, since, by)| json!({"city": city, "since": since, "near": {"by": by}}))
            .boxed(),
        "homes" => ".{0,6}".prop_map(|city| json!([{"city": city}, {"city": "x"}])).boxed(),
        _ => extension().boxed(),
    };
    prop_oneof![24 => fits, 1 => value()].boxed()
}

fn entity() -> impl Strategy<Value = Value> {
    let names = [
        "level",
        "name",
        "active",
        "manager",
        "colour",
        "roles",
        "scores",
        "friends",
        "home",
        "homes",
        "limit",
        "address",
        "born",
        "takes",
        "__odd",
        "two words",
    ];
    let attribute = select(names.to_vec()).prop_flat_map(|name| (Just(name), fitting(name)));
    let attributes =
        (proptest::option::weighted(0.95, fitting("level")), proptest::collection::vec(attribute, 0..4));
    let tags = proptest::collection::vec((".{0,4}", fitting("tag")), 0..3);
    let shape = (
        reference_to("Mandate::User"),
        attributes,
        proptest::collection::vec(reference_to("Mandate::Team"), 0..3),
        proptest::option::of(tags),
        0..40,
    );
    shape.prop_map(|(uid, (level, others), parents, tags, odd)| {
        let mut attrs: serde_json::Map<String, Value> =
            others.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        attrs.extend(level.map(|level| ("level".to_owned(), level)));
        let mut entity = json!({"uid": uid, "attrs": attrs, "parents": parents});
        if let Some(tags) = tags {
            entity["tags"] = tags.into_iter().collect();
        }
        match odd {
            0 => entity["tag"] = json!({}),
            1 => entity["parents"] = json!(null),
            2 => entity["attrs"] = json!([]),
            3 => entity["tags"] = json!(null),
            4 => entity["uid"] = json!("Mandate::User::\"a\""),
            _ => {}
        }
        entity
    })
}

/// Whether the reader took it by itself.
fn check(reader: &Reader<'_>, text: &str) -> bool {
    let Ok(datum) = serde_json::from_str(text) else { return false };
    let Some((uid, plain)) = reader.plain(&datum) else { return false };
    let cedars = reader.cedars(text);
    let (name, parsed) = cedars.unwrap_or_else(|error| panic!("only this reader takes it: {error}\n{text}"));
    assert_eq!(uid, name, "{text}");
    assert!(plain.holds_same(&parsed), "{text}\n{plain:?}\n{parsed:?}");
    assert_eq!(reader.name(text), Some(uid));
    true
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_here_is_what_cedar_reads(entity in entity()) {
        let catalog = catalog();
        check(&Reader::new(&catalog), &entity.to_string());
    }
}

#[test]
fn what_is_written_plainly_needs_no_other_parser() {
    let catalog = catalog();
    let reader = Reader::new(&catalog);
    let uid = json!({"type": "Mandate::User", "id": "a"});
    let attributes = json!({"level": -1, "name": "n", "active": true, "manager": uid, "colour": {"type": "Mandate::Colour", "id": "red"},
        "roles": ["a", "b", "a"], "scores": [], "friends": [uid, {"__entity": uid}], "home": {"city": "c", "since": "2026-01-01"},
        "homes": [{"city": "c"}], "limit": "1.5", "address": "10.0.0.0/8", "born": "2026-01-01T10:00:00Z", "takes": "1h", "two words": ""});
    let parents = json!([{"type": "Mandate::Team", "id": "t"}, {"type": "Mandate::Team", "id": "t"}]);
    let entity = json!({"uid": uid, "attrs": attributes, "parents": parents, "tags": {"t": [{"type": "Mandate::Team", "id": "t"}]}});
    assert!(check(&reader, &entity.to_string()));
    let without = |name: &str| {
        let mut entity = entity.clone();
        entity["attrs"].as_object_mut().unwrap().remove(name);
        entity.to_string()
    };
    assert!(check(&reader, &without("home")) && check(&reader, &without("limit")));
    assert!(!check(&reader, &without("level")), "Cedar says that it is missing");
}

#[test]
fn enough_of_what_is_generated_is_taken_and_refused_to_compare() {
    use proptest::strategy::ValueTree as _;
    let catalog = catalog();
    let reader = Reader::new(&catalog);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut plain, mut cedars, mut refused) = (0, 0, 0);
    for _ in 0..2_000 {
        let text = entity().new_tree(&mut runner).unwrap().current().to_string();
        match (check(&reader, &text), reader.cedars(&text).is_ok()) {
            (true, _) => plain += 1,
            (false, true) => cedars += 1,
            (false, false) => refused += 1,
        }
    }
    assert!(plain > 100 && cedars > 50 && refused > 100, "{plain} {cedars} {refused}");
}

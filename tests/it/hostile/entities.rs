//! Entity files that are deep or large.

use serde_json::json;

use super::{check_limit, check_serves, validate};
use crate::support::Sources;

/// Deeper than any limit, so that depth and not the schema is what stops a value.
const DECLARED: usize = 60;

/// An entity with this attribute, declared as sets in one another or as records in one another.
fn sources(attribute: &str) -> Sources {
    let declared = if attribute.contains("sets") {
        format!("sets?: {}Long{}", "Set<".repeat(DECLARED), ">".repeat(DECLARED))
    } else {
        format!("records?: {{ {}a?: Long{} }}", "a?: {".repeat(DECLARED), "}".repeat(DECLARED))
    };
    let schema = format!("namespace Odd {{ entity X = {{ {declared} }}; }}");
    let entity =
        format!(r#"[{{"uid": {{"type": "Odd::X", "id": "x"}}, "attrs": {{{attribute}}}, "parents": []}}]"#);
    Sources::small().schema("odd.cedarschema", schema).write("entities/odd.json", entity)
}

#[test]
fn sets_within_sets_up_to_what_is_declared() {
    for levels in [1, 31, 32, 33, DECLARED] {
        let sets = format!(r#""sets": {}{}"#, "[".repeat(levels), "]".repeat(levels));
        validate(&format!("{levels} levels"), &sources(&sets));
    }
}

#[test]
fn records_within_records_up_to_what_is_declared() {
    for levels in [1, 31, 32, 33, DECLARED] {
        let records =
            format!(r#""records": {}{{}}{}"#, "{\"a\": ".repeat(levels - 1), "}".repeat(levels - 1));
        validate(&format!("{levels} levels"), &sources(&records));
    }
}

/// Checking a stored record doubles in time with each level its type nests.
#[test]
fn types_of_records_have_a_limit() {
    let nested = |levels: usize| {
        let declared = format!("{}{}", "{ a?: ".repeat(levels - 1) + "{}", "}".repeat(levels - 1));
        let schema = format!("namespace Odd {{ entity X = {{ records?: {declared} }}; }}");
        let value = format!("{}{{}}{}", "{\"a\": ".repeat(levels - 1), "}".repeat(levels - 1));
        let entity = json!([{"uid": {"type": "Odd::X", "id": "x"}, "parents": [],
                             "attrs": {"records": serde_json::from_str::<serde_json::Value>(&value).unwrap()}}]);
        Sources::small().schema("odd.cedarschema", schema).write("entities/odd.json", entity.to_string())
    };
    check_limit("records", 10, &["nests records deeper than 10 levels"], &[30, 60], nested);
}

/// What a request's value may hold, a stored entity's may too, and no more.
#[test]
fn values_have_the_same_limit_as_those_of_requests() {
    let saying = &["nested deeper than 32 levels"];
    let sets = |n: usize| sources(&format!(r#""sets": {}{}"#, "[".repeat(n), "]".repeat(n)));
    check_limit("[", 32, saying, &[40, 60], sets);
}

#[test]
fn values_far_over_every_limit() {
    for levels in [61, 126, 127, 128, 1_000, 20_000, 1_000_000] {
        let closed = format!(r#""sets": {}{}"#, "[".repeat(levels), "]".repeat(levels));
        let open = format!(r#""sets": {}"#, "[".repeat(levels));
        for text in [closed, open] {
            let finished = validate(&format!("{levels} levels"), &sources(&text));
            assert_eq!(finished.code, Some(3), "{levels}");
        }
    }
    for bracket in ["[", "{\"a\":", "{\"uid\":"] {
        let file = Sources::small().write("entities/odd.json", bracket.repeat(1_000_000));
        assert_eq!(validate(bracket, &file).code, Some(3), "{bracket}");
    }
}

#[test]
fn escapes_within_escapes() {
    for levels in [2, 50, 120, 128, 100_000] {
        let text = format!(r#""sets": [{}1{}]"#, r#"{"__entity": "#.repeat(levels), "}".repeat(levels));
        assert_eq!(validate(&format!("{levels}"), &sources(&text)).code, Some(3), "{levels}");
    }
}

fn doc(id: usize, parent: Option<usize>) -> serde_json::Value {
    let named = |id: usize| json!({"type": "Mandate::Doc", "id": format!("d{id}")});
    let parents: Vec<_> = parent.map(named).into_iter().collect();
    json!({"uid": named(id), "attrs": {"level": 1}, "parents": parents})
}

#[test]
fn chains_of_parents() {
    // A chain of n entities above the one at its foot.
    let shape = |n: usize| {
        let entities: Vec<_> = (0..=n).map(|id| doc(id, id.checked_sub(1))).collect();
        Sources::small().entities("chain.json", &json!(entities))
    };
    check_limit("parents", 100, &["at most 100 are accepted"], &[3_200], shape);
}

#[test]
fn a_chain_of_parents_in_reverse_order() {
    let entities: Vec<_> = (0..=3_200).rev().map(|id| doc(id, id.checked_sub(1))).collect();
    let finished = validate("reversed", &Sources::small().entities("chain.json", &json!(entities)));
    assert_eq!(finished.code, Some(3));
}

#[test]
fn a_large_cycle() {
    let size = 4_000;
    let entities: Vec<_> = (0..size).map(|id| doc(id, Some((id + 1) % size))).collect();
    let finished = validate("a cycle", &Sources::small().entities("cycle.json", &json!(entities)));
    assert_eq!(finished.code, Some(3));
    assert!(finished.stdout.contains("is in itself"), "{}", super::shorten(&finished.stdout));
}

/// A lattice has few entities and exponentially many paths.
#[test]
fn a_lattice_of_parents() {
    let named = |layer: usize, side: usize| json!({"type": "Mandate::Doc", "id": format!("{layer}-{side}")});
    let mut entities = Vec::new();
    for layer in 0..=100_usize {
        for side in 0..10 {
            let above = layer.checked_sub(1);
            let parents: Vec<_> =
                above.into_iter().flat_map(|above| (0..10).map(move |side| named(above, side))).collect();
            entities.push(json!({"uid": named(layer, side), "attrs": {"level": 1}, "parents": parents}));
        }
    }
    let sources = Sources::small().entities("lattice.json", &json!(entities));
    assert_eq!(validate("a lattice", &sources).code, Some(0));
    check_serves("a lattice", &sources);
}

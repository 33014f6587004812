//! Schemas that are deep or long.

use super::{FAR, TEXT_LIMIT, check_limit, validate};
use crate::support::Sources;

const TOO_DEEP: &[&str] = &["nested deeper than 64 levels"];

fn with(declarations: &str) -> Sources {
    Sources::small().schema("odd.cedarschema", format!("namespace Odd {{ {declarations} }}"))
}

#[test]
fn sets() {
    // The namespace's brace and the entity's are two levels.
    let shape = |n: usize| {
        let levels = n - 2;
        with(&format!("entity X = {{ a: {}Long{} }};", "Set<".repeat(levels), ">".repeat(levels)))
    };
    check_limit("Set<", TEXT_LIMIT, TOO_DEEP, &FAR, shape);
}

#[test]
fn records() {
    let shape = |n: usize| {
        let levels = n - 2;
        with(&format!("entity X = {{ {}a: Long{} }};", "a: {".repeat(levels), "}".repeat(levels)))
    };
    check_limit("{", TEXT_LIMIT, TOO_DEEP, &FAR, shape);
}

#[test]
fn a_million_of_one_bracket() {
    for bracket in ["(", "[", "{", "<", ">", "}"] {
        let finished =
            validate(bracket, &Sources::small().schema("odd.cedarschema", bracket.repeat(1_000_000)));
        assert_eq!(finished.code, Some(3), "{bracket}");
    }
}

/// Text nesting is no bound on the depth of types: common types name one another.
#[test]
fn common_types_within_one_another() {
    for levels in [10, 60, 200, 1_000, 5_000] {
        let mut text = "type T0 = Long;".to_owned();
        for level in 1..=levels {
            text += &format!("type T{level} = Set<T{}>;\n", level - 1);
        }
        text += &format!("entity X = {{ a: T{levels} }};");
        validate(&format!("types {levels}"), &with(&text));
    }
}

#[test]
fn common_types_in_records_within_one_another() {
    for levels in [10, 60, 200, 1_000] {
        let mut text = "type T0 = Long;".to_owned();
        for level in 1..=levels {
            text += &format!("type T{level} = {{ a?: T{} }};\n", level - 1);
        }
        text += &format!("entity X = {{ a: T{levels} }};");
        validate(&format!("types {levels}"), &with(&text));
    }
}

/// A type that doubles with each name: small text, and 2^n members if it is written out.
#[test]
fn common_types_that_double() {
    for levels in [8, 14] {
        let mut text = "type T0 = Long;".to_owned();
        for level in 1..=levels {
            text += &format!("type T{level} = {{ a: T{0}, b: T{0} }};\n", level - 1);
        }
        text += &format!("entity X = {{ a: T{levels} }};");
        validate(&format!("doubling {levels}"), &with(&text));
    }
}

#[test]
fn a_common_type_in_itself_is_rejected() {
    for text in ["type T = Set<T>;", "type T = { a: T };", "type A = Set<B>; type B = Set<A>;"] {
        let finished = validate(text, &with(&format!("{text} entity X;")));
        assert_eq!(finished.code, Some(3), "{text}");
    }
}

#[test]
fn json_schemas() {
    for levels in [10, 40, 126, 127, 128, 1_000, 200_000] {
        let ty = format!(
            "{}{{\"type\": \"Long\"}}{}",
            "{\"type\": \"Set\", \"element\": ".repeat(levels),
            "}".repeat(levels)
        );
        let text = format!(
            r#"{{"Odd": {{"entityTypes": {{"X": {{"shape": {{"type": "Record", "attributes": {{"a": {ty}}}}}}}}}, "actions": {{}}}}}}"#
        );
        let finished =
            validate(&format!("json {levels}"), &Sources::small().schema("odd.cedarschema.json", text));
        assert_eq!(finished.code, Some(if levels <= 40 { 0 } else { 3 }), "{levels}");
    }
}

#[test]
fn chains_of_entity_types_and_actions() {
    for levels in [100, 1_000] {
        let mut text = "entity T0; action a0;\n".to_owned();
        for level in 1..=levels {
            text += &format!("entity T{level} in [T{0}]; action a{level} in [a{0}];\n", level - 1);
        }
        validate(&format!("hierarchy {levels}"), &with(&text));
    }
}

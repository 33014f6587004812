//! Whatever the schema: what is written loads, or the import is refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::domain_for_tests::{import_value, load, tool};

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-d]",
        1 => any::<String>(),
        1 => Just("in".to_owned()),
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(vec!["string", "integer", "number", "boolean", "null", "object", "array"])
            .prop_map(|kind| json!({ "type": kind })),
        prop::sample::select(vec!["#", "#/$defs/a", "#/$defs/b", "#/$defs/none", "other"])
            .prop_map(|target| json!({ "$ref": target })),
        prop::collection::vec(
            prop_oneof![Just(json!("x")), Just(json!(1)), Just(json!(null)), Just(json!({}))],
            0..3
        )
        .prop_map(|values| json!({ "enum": values })),
        Just(json!({})),
        any::<bool>().prop_map(Value::Bool),
        Just(json!({ "required": ["a", "b"] })),
    ]
}

fn schema() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(5, 40, 4, |inner| {
        let many = prop::collection::vec(inner.clone(), 0..4);
        let combined = prop::sample::select(vec!["anyOf", "oneOf", "allOf", "prefixItems"]);
        prop_oneof![
            2 => object(inner.clone()),
            1 => inner.clone().prop_map(|items| json!({ "type": "array", "items": items })),
            2 => (combined, many).prop_map(|(keyword, schemas)| json!({ keyword: schemas })),
            1 => inner.clone().prop_map(|others| json!({ "type": "object", "additionalProperties": others })),
            1 => inner.prop_map(|not| json!({ "not": not })),
        ]
    })
}

fn object(inner: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    let properties = prop::collection::btree_map(name(), inner, 0..4);
    let required = prop::collection::vec(name(), 0..3);
    (properties, required, any::<bool>()).prop_map(|(properties, required, closed)| {
        let mut schema = json!({ "type": "object", "properties": properties, "required": required });
        if closed {
            schema["additionalProperties"] = json!(false);
        }
        schema
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_loads(root in object(schema().boxed()), a in schema(), b in schema(), name in ".{1,8}") {
        let mut root = root;
        root["$defs"] = json!({ "a": a, "b": b });
        let mut list = tool(&root);
        list[0]["name"] = json!(name);
        if let Ok(import) = import_value(&list) {
            load(&import);
        }
    }

    #[test]
    fn no_text_breaks_the_reader(text in "[\\[\\]{}\",:a0-9etrufalsnm .\\\\-]{0,64}") {
        let _ = super::import(&text, &super::domain_for_tests::options());
    }
}

//! What each JSON Schema becomes.

use serde_json::{Value, json};

use super::domain_for_tests::{import_value, load, tool};

/// The text of `input`, on one line.
fn input(input_schema: &Value) -> String {
    let import = import_value(&tool(input_schema)).unwrap_or_else(|e| panic!("{input_schema}: {e}"));
    load(&import);
    let schema = import.schema.unwrap();
    let (_, input) = schema.split_once("input: ").unwrap();
    let (input, _) =
        input.rsplit_once(", }, };").unwrap_or_else(|| input.rsplit_once("    },\n  };").unwrap());
    let words: Vec<&str> = input.split_whitespace().collect();
    words.join(" ").trim_end_matches(',').to_owned()
}

/// The attribute `v` that a property of that schema becomes.
fn attribute(schema: &Value, required: &[&str]) -> String {
    let properties = json!({ "v": schema });
    let whole = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "$defs": {
            "Name": { "type": "string" },
            "Pair": { "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"] },
            "Node": { "type": "object", "properties": { "next": { "$ref": "#/$defs/Node" }, "n": { "type": "integer" } } },
            "Loop": { "$ref": "#/$defs/Loop" },
            "Map": { "type": "object", "additionalProperties": { "type": "string" } },
            "a/b~c": { "type": "boolean" },
        },
        "definitions": { "Old": { "type": "integer" } },
    });
    let text = input(&whole);
    let inner = text.strip_prefix("{ ").and_then(|t| t.strip_suffix(", }"));
    inner.unwrap_or_else(|| panic!("{text}")).to_owned()
}

fn check<const N: usize>(table: [(Value, &str); N]) {
    for (schema, expected) in table {
        assert_eq!(attribute(&schema, &[]), expected, "{schema}");
    }
}

fn check_required<const N: usize>(table: [(Value, &str); N]) {
    for (schema, expected) in table {
        assert_eq!(attribute(&schema, &["v"]), expected, "{schema}");
    }
}

#[test]
fn scalars() {
    check_required([
        (json!({"type": "string"}), "v: String"),
        (json!({"type": "string", "format": "date-time"}), "v: String"),
        (json!({"type": "integer"}), "v: Long"),
        (json!({"type": "number"}), "v: decimal"),
        (json!({"type": "boolean"}), "v: Bool"),
        (json!({"type": ["string"]}), "v: String"),
    ]);
    check([(json!({"type": "string"}), "v?: String")]);
}

#[test]
fn listed_values() {
    check_required([
        (json!({"enum": ["a", "b"]}), "v: String"),
        (json!({"type": "string", "enum": ["a"]}), "v: String"),
        (json!({"type": "number", "enum": [1, 2]}), "v: decimal"),
        (json!({"const": "a"}), "v: String"),
        (json!({"const": 1}), "v: Long"),
        (json!({"enum": [1, 2.5]}), "@union v: { long?: Long, decimal?: decimal, }"),
        (json!({"enum": [true, false]}), "v: Bool"),
        (json!({"enum": ["a", null]}), "v?: String"),
        (json!({"enum": ["a", 1, "b"]}), "@union v: { string?: String, long?: Long, }"),
        (json!({"const": {"a": 1}}), "@json v: String"),
    ]);
}

#[test]
fn sets_and_records() {
    check_required([
        (json!({"type": "array", "items": {"type": "integer"}}), "v: Set<Long>"),
        (
            json!({"type": "array", "items": {"type": "array", "items": {"type": "string"}}}),
            "v: Set<Set<String>>",
        ),
        (
            json!({"type": "object", "properties": {"b": {"type": "boolean"}, "a": {"type": "string"}}, "required": ["a"]}),
            "v: { a: String, b?: Bool, }",
        ),
        (
            json!({"type": "array", "items": {"properties": {"a": {"type": "string"}}}}),
            "v: Set<{ a?: String, }>",
        ),
        (json!({"type": "object", "additionalProperties": false}), "v: {}"),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b"]}),
            "v: { a: String, @json b?: String, }",
        ),
        (json!({"properties": {"no": false, "nil": {"type": "null"}}}), "v: { @json nil?: String, }"),
    ]);
}

#[test]
fn nullable_is_optional() {
    check_required([
        (json!({"type": ["string", "null"]}), "v?: String"),
        (json!({"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}), "v?: String"),
        (json!({"oneOf": [{"$ref": "#/$defs/Pair"}, {"type": "null"}]}), "v?: { a: String, }"),
        (json!({}), "@json v?: String"),
        (json!(true), "@json v?: String"),
        (json!({"description": "anything"}), "@json v?: String"),
        (json!({"type": "null"}), "@json v?: String"),
    ]);
}

#[test]
fn unions() {
    check([
        (
            json!({"type": ["string", "number", "boolean"]}),
            "@union v?: { string?: String, decimal?: decimal, bool?: Bool, }",
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "string", "minLength": 1}]}),
            "@union v?: { string?: String, long?: Long, }",
        ),
        (
            json!({"type": "object", "oneOf": [
                {"properties": {"a": {"type": "string"}}},
                {"properties": {"b": {"type": "integer"}}},
                {"properties": {"c": {}}},
            ]}),
            "@union v?: { record?: { a?: String, }, record_2?: { b?: Long, }, record_3?: { @json c?: String, }, }",
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
            "@union v?: { string?: String, set?: Set<String>, }",
        ),
        (
            json!({"type": "array", "items": {"oneOf": [{"type": "string"}, {"$ref": "#/$defs/Pair"}]}}),
            "@union v?: Set<{ string?: String, record?: { a: String, }, }>",
        ),
        (json!({"anyOf": [{"const": "a"}, {"const": "b"}]}), "v?: String"),
        (json!({"anyOf": [{"type": "string"}, false]}), "v?: String"),
        (
            json!({"anyOf": [{"type": "string"}, {"anyOf": [{"type": "integer"}, {"type": "null"}]}]}),
            "@union v?: { string?: String, long?: Long, }",
        ),
    ]);
}

#[test]
fn text_in_unions() {
    check([
        (
            json!({"anyOf": [{"type": "string"}, {"type": "object"}]}),
            "@union v?: { string?: String, @json json?: String, }",
        ),
        (
            json!({"type": ["string", "object", "array"], "items": {"type": "string"}}),
            "@union v?: { string?: String, @json json?: String, }",
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "array"}]}),
            "@union v?: { string?: String, @json set?: Set<String>, }",
        ),
        (json!({"anyOf": [{"type": "string"}, {}]}), "@json v?: String"),
        (json!({"anyOf": [{"$ref": "#/$defs/Pair"}, {"type": "object"}]}), "@json v?: String"),
    ]);
}

#[test]
fn unions_of_sets_of_unions() {
    let inner = json!({"anyOf": [{"type": "string"}, {"type": "integer"}]});
    let middle = json!({"anyOf": [{"type": "boolean"}, {"type": "array", "items": inner}]});
    check([
        (middle.clone(), "@union v?: { bool?: Bool, @union set?: Set<{ string?: String, long?: Long, }>, }"),
        (json!({"type": "array", "items": middle}), "@json v?: String"),
    ]);
}

#[test]
fn branches_that_only_narrow() {
    check([
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}},
                   "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
            "v?: { a?: String, }",
        ),
        (json!({"type": "string", "oneOf": [{"minLength": 1}, {"pattern": "x"}]}), "v?: String"),
    ]);
}

#[test]
fn open_ended_schemas_are_text() {
    check_required([
        (json!({"type": "object"}), "@json v: String"),
        (json!({"type": "object", "properties": {}}), "@json v: String"),
        (json!({"type": "object", "additionalProperties": {"type": "string"}}), "@json v: String"),
        (json!({"type": "object", "patternProperties": {"^x": {}}}), "@json v: String"),
        (json!({"type": "array"}), "@json v: Set<String>"),
        (json!({"type": "array", "items": {}}), "@json v: Set<String>"),
        (json!({"type": "array", "items": {"type": "object"}}), "@json v: Set<String>"),
        (json!({"type": "array", "prefixItems": [{"type": "string"}]}), "@json v: String"),
        (json!({"type": "array", "items": [{"type": "string"}]}), "@json v: String"),
        (json!({"type": "array", "items": false}), "@json v: String"),
        (json!({"type": "object", "properties": {"a": {}}, "if": {}, "then": {}}), "@json v: String"),
        (json!({"not": {"type": "string"}}), "@json v?: String"),
        (json!({"properties": {"a": {}}, "anyOf": [{"properties": {"b": {}}}]}), "@json v?: String"),
        (json!({"anyOf": [{"type": "string"}], "oneOf": [{"type": "string"}]}), "@json v?: String"),
    ]);
}

#[test]
fn references() {
    check_required([
        (json!({"$ref": "#/$defs/Name", "description": "x"}), "v: String"),
        (json!({"$ref": "#/definitions/Old"}), "v: Long"),
        (json!({"$ref": "#/$defs/a~1b~0c"}), "v: Bool"),
        (json!({"$ref": "#/$defs/Map"}), "@json v: String"),
        (json!({"$ref": "#/$defs/Node"}), "v: { n?: Long, @json next?: String, }"),
        (json!({"$ref": "#/$defs/Loop"}), "@json v?: String"),
        (json!({"$ref": "#"}), "@json v?: String"),
        (json!({"$ref": "#/$defs/Missing"}), "@json v?: String"),
        (json!({"$ref": "https://example.com/x.json"}), "@json v?: String"),
    ]);
}

#[test]
fn all_of_merges_records() {
    check_required([
        (json!({"allOf": [{"$ref": "#/$defs/Name"}], "default": "x"}), "v: String"),
        (
            json!({"type": "object", "allOf": [
                {"$ref": "#/$defs/Pair"},
                {"properties": {"b": {"type": "integer"}}},
                {"required": ["b"]},
            ]}),
            "v: { a: String, b: Long, }",
        ),
        (
            json!({"$ref": "#/$defs/Pair", "properties": {"b": {"type": "integer"}}}),
            "v: { a: String, b?: Long, }",
        ),
        (
            json!({"type": "object", "allOf": [
                {"$ref": "#/$defs/Pair"},
                {"properties": {"a": {"type": "integer"}}},
            ]}),
            "@json v: String",
        ),
        (json!({"allOf": [{"type": "string"}, {"type": "integer"}]}), "@json v?: String"),
        (json!({"allOf": [{"$ref": "#/$defs/Pair"}, {"$ref": "#/$defs/Missing"}]}), "@json v?: String"),
    ]);
}

#[test]
fn the_whole_input_is_a_record() {
    let table = [
        (json!({}), "{}"),
        (json!({"type": "object"}), "{}"),
        (json!({"type": "object", "properties": {}}), "{}"),
        (json!({"type": "object", "additionalProperties": true}), "{}"),
        (
            json!({"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"a": {"type": "string"}}}}}),
            "{ a?: String, }",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "oneOf": [{"properties": {"b": {}}}],
                   "not": {"required": ["a"]}}),
            "{ a?: String, }",
        ),
        (
            json!({"type": "object", "allOf": [{"properties": {"a": {"type": "string"}}}, {"required": ["a"]}]}),
            "{ a: String, }",
        ),
    ];
    for (schema, expected) in table {
        assert_eq!(input(&schema), expected, "{schema}");
    }
}

#[test]
fn names_are_quoted_where_needed() {
    let names = ["a-b", "if", "in", "Set", "__cedar", "", "a\"b\\\n", "é", "\u{202e}x"];
    let properties: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    let expected = r#"{ ""?: String, Set?: String, "__cedar"?: String, "a\"b\\\n"?: String, "a-b"?: String, "if"?: String, "in"?: String, "é"?: String, "\u{202e}x"?: String, }"#;
    assert_eq!(input(&json!({"properties": properties})), expected);
}

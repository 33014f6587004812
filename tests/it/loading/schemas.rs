//! Schemas that must not load.

use super::check_rejected;
use crate::support::Sources;

#[test]
fn what_cedar_rejects_is_rejected_with_its_file() {
    let cases = [
        ("syntax", "namespace Mandate {\n  entity X = ;\n}\n", "odd.cedarschema:2", ""),
        (
            "unknown type",
            "namespace Mandate {\n  entity X = { a: Nothing };\n}\n",
            "odd.cedarschema",
            "Nothing",
        ),
        (
            "unknown parent",
            "namespace Mandate {\n  entity X in [Nothing];\n}\n",
            "odd.cedarschema",
            "Nothing",
        ),
        ("action cycle", "namespace Mandate {\n  action a in [b];\n  action b in [a];\n}\n", "", "cycle"),
        ("reserved name", "namespace __cedar { entity X; }\n", "odd.cedarschema", ""),
    ];
    for (name, text, place, saying) in cases {
        check_rejected(name, &Sources::small().schema("odd.cedarschema", text), &[(place, saying)]);
    }
}

#[test]
fn a_json_schema_is_held_to_the_same() {
    for (name, text) in [
        ("no json", "{"),
        ("a list", "[]"),
        ("unknown key", r#"{"Mandate": {"entityTypes": {}, "actions": {}, "extra": 1}}"#),
    ] {
        let sources = Sources::small().schema("odd.cedarschema.json", text);
        check_rejected(name, &sources, &[("odd.cedarschema.json", "")]);
    }
    let good = r#"{"Other": {"entityTypes": {"X": {}}, "actions": {}}}"#;
    assert!(Sources::small().schema("good.cedarschema.json", good).validate().valid);
}

#[test]
fn an_unknown_type_in_a_json_schema_names_its_file() {
    let text = r#"{"Other": {"entityTypes": {"X": {"memberOfTypes": ["Nothing"]}}, "actions": {}}}"#;
    let sources = Sources::small().schema("odd.cedarschema.json", text);
    check_rejected("unknown type", &sources, &[("odd.cedarschema.json", "Nothing")]);
}

#[test]
fn a_declaration_in_two_files_names_both() {
    for (what, text) in
        [("User", "namespace Mandate { entity User; }"), ("view", "namespace Mandate { action view; }")]
    {
        let [error] =
            Sources::small().schema("odd.cedarschema", text).validate().errors().try_into().expect("one");
        let error: String = error;
        assert!(error.contains(&format!("`{what}` is declared in")), "{error}");
        assert!(error.contains("odd.cedarschema") && error.contains("small.cedarschema"), "{error}");
    }
    let shared = |name: &str| format!("namespace {name} {{ type Level = Long; }}");
    let twice = Sources::small().schema("a.cedarschema", shared("X")).schema("b.cedarschema", shared("X"));
    check_rejected("a common type", &twice, &[("b.cedarschema", "`Level` is declared in")]);
    let apart = Sources::small().schema("a.cedarschema", shared("X")).schema("b.cedarschema", shared("Y"));
    assert!(apart.validate().valid, "the same name in two namespaces is two names");
}

#[test]
fn a_declaration_twice_in_one_file_is_rejected() {
    for text in [
        "namespace Mandate { entity X; entity X; }",
        "namespace Mandate { action a; action a; }",
        "namespace Mandate { type T = Long; type T = String; }",
    ] {
        check_rejected(text, &Sources::small().schema("odd.cedarschema", text), &[("", "")]);
    }
}

#[test]
fn what_mandate_fills_must_be_something_it_can_fill() {
    let cases = [
        ("now: Long", "must be a datetime"),
        ("delegation: String", "must be a record"),
        ("input: { path: String }", "annotate the action with `@tool`"),
        ("token: { issuer: String }", "make it optional"),
        ("caller: String", "make it optional"),
        ("approval: { by: User }", "make it optional"),
    ];
    for (member, saying) in cases {
        let text = format!(
            "namespace Mandate {{ action odd appliesTo {{ principal: [User], resource: [Doc], context: {{ {member} }} }}; }}"
        );
        let sources = Sources::small().schema("odd.cedarschema", text);
        check_rejected(member, &sources, &[("odd.cedarschema", saying)]);
    }
}

#[test]
fn a_type_with_authority_cannot_be_request_scoped() {
    let cases = [
        (
            "a principal",
            "entity Robot; action go appliesTo { principal: [Robot], resource: [Doc], context: {} };",
            "Robot",
        ),
        (
            "a group of principals",
            "entity Robot in [Crew]; action go appliesTo { principal: [Robot], resource: [Doc], context: {} };",
            "Crew",
        ),
        ("a tool", "", "Tool"),
        ("a group of tools", "entity Tool in [Box];", "Box"),
    ];
    for (what, more, marked) in cases {
        let declared = format!("entity {marked}");
        let text = if more.contains(&declared) {
            more.replace(&declared, &format!("@request_scoped(\"\") {declared}"))
        } else {
            format!("@request_scoped(\"\") {declared}; {more}")
        };
        let sources = Sources::small().schema("odd.cedarschema", format!("namespace Mandate {{ {text} }}"));
        let saying = format!("`Mandate::{marked}` cannot be `@request_scoped`: it is ");
        check_rejected(what, &sources, &[("odd.cedarschema", &saying)]);
    }
}

#[test]
fn a_tool_is_typed_once_and_by_a_declared_type() {
    let untyped = "namespace Mandate { @tool(\"a/b\") action odd appliesTo { principal: [User], resource: [Doc], context: {} }; }";
    let sources = Sources::small().schema("odd.cedarschema", untyped);
    check_rejected("no tool type", &sources, &[("odd.cedarschema", "declares no `Mandate::Tool`")]);
    let twice = "namespace Mandate { entity Tool;
      @tool(\"a/b\") action one appliesTo { principal: [User], resource: [Tool], context: {} };
      @tool(\"a/b\") action two appliesTo { principal: [User], resource: [Tool], context: {} }; }";
    let sources = Sources::small().schema("odd.cedarschema", twice);
    check_rejected("typed twice", &sources, &[("odd.cedarschema", "are both annotated `@tool`")]);
}

#[test]
fn tool_definitions_must_be_claimed_and_be_json_schema() {
    let definitions = |tools: &str| format!(r#"{{"server": "a", "tools": [{tools}]}}"#);
    let cases = [
        (
            "unclaimed",
            definitions(r#"{"name": "b", "inputSchema": {"type": "object"}}"#),
            "no action is annotated",
        ),
        (
            "no schema",
            definitions(r#"{"name": "b", "inputSchema": {"type": "nothing"}}"#),
            "is no JSON Schema",
        ),
        ("no schema at all", definitions(r#"{"name": "b"}"#), "inputSchema"),
        ("another shape", "[]".to_owned(), ""),
        ("unknown key", r#"{"server": "a", "tools": [], "x": 1}"#.to_owned(), "unknown field"),
        (
            "fetched",
            definitions(r#"{"name": "b", "inputSchema": {"$ref": "http://127.0.0.1:1/schema"}}"#),
            "is no JSON Schema",
        ),
    ];
    for (name, text, saying) in cases {
        let sources = Sources::small().schema("odd.tools.json", text);
        check_rejected(name, &sources, &[("odd.tools.json", saying)]);
    }
}

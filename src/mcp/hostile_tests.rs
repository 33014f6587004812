//! What a server, or the person who imports, must not get through.

use serde_json::{Map, Value, json};

use super::domain_for_tests::{import_value, load, options, tool};
use super::{ImportError, Options, Typed, import};

fn refusal(list: &Value) -> String {
    import_value(list).unwrap_err().to_string()
}

fn refused_option(change: impl FnOnce(&mut Options)) -> String {
    let mut options = options();
    change(&mut options);
    import("[]", &options).unwrap_err().to_string()
}

#[test]
fn wrong_shapes_are_refused() {
    let table = [
        (json!(1), "$: expected an object or an array, found a number"),
        (json!({}), "$: expected a member `tools` or `result`, found an object"),
        (json!({"error": {}}), "$: expected a member `tools` or `result`"),
        (json!({"result": []}), "$: expected a member `tools` or `result`"),
        (json!({"tools": {}}), "$.tools: expected an array of tools, found an object"),
        (json!({"result": {}}), "$.result.tools: expected an array of tools, found nothing"),
        (json!({"tools": ["x"]}), "$.tools[0]: expected a tool, which is an object, found a string"),
        (json!([{}]), "$[0].name: expected the tool's name, which is a string, found nothing"),
        (json!([{"name": 1}]), "$[0].name: expected the tool's name, which is a string, found a number"),
        (json!([{"name": ""}]), "$[0].name: the tool's name is empty"),
    ];
    for (list, expected) in table {
        let text = refusal(&list);
        assert!(text.starts_with(expected), "{text}\n{expected}");
    }
}

#[test]
fn malformed_schemas_are_refused() {
    let property = |schema: Value| json!({ "properties": { "a": schema } });
    let table = [
        (json!("x"), r#"tool "t": $.inputSchema: expected a JSON Schema object, found a string"#),
        (json!({"type": "string"}), r#"tool "t": $.inputSchema.type: arguments are an object"#),
        (json!({"properties": []}), r#"tool "t": $.inputSchema.properties: expected an object of schemas"#),
        (
            property(json!(1)),
            r#"tool "t": $.inputSchema.properties.a: expected a JSON Schema, found a number"#,
        ),
        (
            property(json!({"type": "float"})),
            r#"tool "t": $.inputSchema.properties.a.type: "float" is no JSON type"#,
        ),
        (
            property(json!({"type": [1]})),
            r#"tool "t": $.inputSchema.properties.a.type[0]: expected the name"#,
        ),
        (
            property(json!({"anyOf": {}})),
            r#"tool "t": $.inputSchema.properties.a.anyOf: expected an array of"#,
        ),
        (
            property(json!({"enum": "x"})),
            r#"tool "t": $.inputSchema.properties.a.enum: expected an array of values"#,
        ),
        (property(json!({"$ref": 1})), r#"tool "t": $.inputSchema.properties.a.$ref: expected a string"#),
        (
            json!({"properties": {"a": {}}, "required": true}),
            r#"tool "t": $.inputSchema.required: expected an array of names, found a boolean"#,
        ),
        (
            json!({"properties": {"a": {}}, "required": [1]}),
            r#"tool "t": $.inputSchema.required[0]: expected a name, found a number"#,
        ),
        (json!({"$ref": "#/$defs/none"}), r#"tool "t": $.inputSchema: its parts do not make one record"#),
    ];
    for (schema, expected) in table {
        let text = refusal(&tool(&schema));
        assert!(text.starts_with(expected), "{text}\n{expected}");
    }
}

#[test]
fn a_typed_tool_needs_a_schema() {
    let text = refusal(&json!([{"name": "t"}]));
    let expected = r#"tool "t": $.inputSchema: a typed tool needs an inputSchema; leave the tool untyped"#;
    assert_eq!(text, expected);
}

#[test]
fn names_that_escape_in_cedar_json_are_refused() {
    for name in ["__entity", "__extn", "__expr"] {
        let text = refusal(&tool(&json!({"properties": {"o": {"properties": {name: {}}}}})));
        let expected = format!(
            r#"tool "t": $.inputSchema.properties.o.properties.{name}: arguments named "{name}" are refused in requests; leave the tool untyped"#
        );
        assert_eq!(text, expected);
    }
}

#[test]
fn shared_names_are_all_told() {
    let list =
        json!([{"name": "b"}, {"name": "a"}, {"name": "b"}, {"name": "a\n"}, {"name": "a\n"}, {"name": "A"}]);
    let expected = r#"tools share a name: "a\n", "b"; rename or remove all but one of each"#;
    assert_eq!(refusal(&list), expected);
}

#[test]
fn unknown_tools_are_not_typed() {
    let list = json!([{"name": "create_issue"}, {"name": "list"}]).to_string();
    let typed = Typed::Named(vec!["creat_issue".to_owned(), "list".to_owned(), "zzz".to_owned()]);
    let error = import(&list, &Options { typed, ..options() }).unwrap_err();
    let expected =
        r#"no such tool to be typed: "creat_issue" (near: "create_issue"), "zzz"; use a name from the list"#;
    assert_eq!(error.to_string(), expected);
}

#[test]
fn options_outside_the_domain_are_refused() {
    assert!(refused_option(|o| o.server.clear()).contains("it is empty"));
    assert!(refused_option(|o| o.server = "a/b".to_owned()).contains("contains `/`"));
    assert!(refused_option(|o| o.env = "test".to_owned()).contains("dev, staging or prod"));
    assert!(refused_option(|o| o.level = 4).contains("option level is \"4\""));
    assert!(refused_option(|o| o.level = -1).contains("0 to 3"));
    assert!(refused_option(|o| o.owner = Some(String::new())).contains("option owner"));
    for reviewed in ["", "22.11.2026", "2026-13-01", "2026-11-22T10:00:00"] {
        assert!(
            refused_option(|o| o.reviewed = reviewed.to_owned()).contains("option reviewed"),
            "{reviewed}"
        );
    }
    for namespace in ["", "A::if", "A {", "A B", "__cedar"] {
        assert!(
            refused_option(|o| o.namespace = namespace.to_owned()).contains("option namespace"),
            "{namespace}"
        );
    }
}

#[test]
fn a_server_cannot_be_called_like_a_risk_toolset() {
    for name in ["read-only", "changes", "destructive", "outward", "open-world", "unattended"] {
        let text = refused_option(|o| o.server = name.to_owned());
        assert!(text.contains("a toolset of the domain has that name"), "{text}");
    }
}

/// `levels` objects, one in the other.
fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({ "properties": inner }))
}

#[test]
fn nesting_is_bounded() {
    let list = |levels: usize| json!([{ "name": "deep", "inputSchema": {}, "_meta": nested(levels) }]);
    import_value(&list(31)).unwrap();
    let text = refusal(&list(32));
    assert!(text.starts_with(r#"tool "deep": $._meta.properties.properties"#), "{text}");
    assert!(text.contains("nested over 32 levels"), "{text}");
    let before_name = format!("[{{\"inputSchema\":{}", "{\"a\":".repeat(100_000));
    let error = import(&before_name, &options()).unwrap_err();
    let at = "$[0].inputSchema.a.a.a.a…".to_owned();
    assert_eq!(error, ImportError::TooDeep { at });
}

#[test]
fn references_that_multiply_are_bounded() {
    let mut defs = Map::new();
    for level in 0..40 {
        let next = json!({ "$ref": format!("#/$defs/d{}", level + 1) });
        defs.insert(format!("d{level}"), json!({ "properties": { "a": next, "b": next, "c": next } }));
    }
    let text = refusal(&tool(&json!({ "properties": { "x": { "$ref": "#/$defs/d0" } }, "$defs": defs })));
    assert!(text.contains("typed tools unfold to over"), "{text}");
}

#[test]
fn references_that_never_end_are_text() {
    let mut defs = Map::new();
    for level in 0..50_000 {
        defs.insert(format!("d{level}"), json!({ "$ref": format!("#/$defs/d{}", level + 1) }));
    }
    let import =
        import_value(&tool(&json!({ "properties": { "x": { "$ref": "#/$defs/d0" } }, "$defs": defs })))
            .unwrap();
    assert!(import.schema.as_ref().unwrap().contains("@json x?: String"));
    load(&import);
}

#[test]
fn names_stay_names() {
    let names = [
        "a.b-c/d e",
        "x\") permit(principal, action, resource); //",
        "\\\"; } action \"evil",
        "line\nbreak\r\u{0}\u{7f}\u{85}\u{2028}",
        "\u{202e}gnp.exe",
        "日本語 🦀 é e\u{301} \u{301}",
        "'",
        "*",
        "__cedar::x",
    ];
    let tools: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({ "name": name, "inputSchema": { "properties": { *name: { "type": "string" } }, "required": [name] } })
        })
        .collect();
    let import = import_value(&Value::from(tools)).unwrap();
    let (schema, entities) = load(&import);
    let actions: Vec<String> = schema.actions().map(|uid| uid.id().unescaped().to_owned()).collect();
    let tools: Vec<String> = entities.iter().map(|entity| entity.uid().id().unescaped().to_owned()).collect();
    for name in names {
        let id = format!("srv/{name}");
        assert!(actions.contains(&id), "{name:?} {actions:?}");
        assert!(tools.contains(&id), "{name:?}");
    }
    let text = import.schema.unwrap();
    assert!(!text.contains(['\u{202e}', '\u{2028}', '\u{0}', '\r']), "{text:?}");
}

#[test]
fn messages_stay_short() {
    let name = "n".repeat(1_000_000);
    let text = refusal(&json!([{ "name": name, "annotations": 1 }]));
    assert!(text.len() < 400, "{}", text.len());
    let text = refusal(&json!([{ "name": "t", "inputSchema": { "properties": { name: 1 } } }]));
    assert!(text.len() < 400, "{}", text.len());
}

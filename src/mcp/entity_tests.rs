//! Small imports, whole.

use serde_json::{Value, json};

use super::domain_for_tests::{import_value, load, options};
use super::{Options, Typed, import};
use crate::engine::digest;

fn refund() -> Value {
    json!({
        "name": "refund",
        "annotations": { "destructiveHint": false },
        "inputSchema": {
            "type": "object",
            "properties": { "amount_cents": { "type": "integer" }, "note": { "type": ["string", "null"] } },
            "required": ["amount_cents", "note"],
        },
    })
}

#[test]
fn one_tool_becomes_three_entities() {
    let list = json!({ "tools": [refund()] });
    let import = import_value(&list).unwrap();
    let owned = json!({
        "business": { "__entity": { "type": "Mandate::User", "id": "ada" } },
        "technical": { "__entity": { "type": "Mandate::User", "id": "ada" } },
        "reviewed": { "__extn": { "fn": "datetime", "arg": "2026-11-22" } },
    });
    let prod = json!({ "__entity": { "type": "Mandate::Env", "id": "prod" } });
    let toolset = |id: &str| json!({ "type": "Mandate::Toolset", "id": id });
    let expected = json!([
        {
            "uid": { "type": "Mandate::ToolServer", "id": "srv" },
            "attrs": { "owned": owned, "env": prod, "trusted": false },
            "parents": [],
        },
        { "uid": toolset("srv"), "attrs": {}, "parents": [] },
        {
            "uid": { "type": "Mandate::Tool", "id": "srv/refund" },
            "attrs": {
                "server": { "__entity": { "type": "Mandate::ToolServer", "id": "srv" } },
                "owned": owned,
                "status": { "__entity": { "type": "Mandate::Status", "id": "active" } },
                "env": prod,
                "level": 2,
                "digest": digest::of_json(&refund()).unwrap(),
            },
            "parents": [toolset("srv"), toolset("changes"), toolset("outward")],
        },
    ]);
    let entities: Value = serde_json::from_str(&import.entities).unwrap();
    assert_eq!(entities, expected);
    assert!(import.notes.is_empty(), "{:?}", import.notes);
    load(&import);
}

#[test]
fn a_typed_tool_becomes_an_action() {
    let import = import_value(&json!([refund()])).unwrap();
    let schema = import.schema.unwrap();
    let (_, body) = schema.split_once("namespace").unwrap();
    let expected = r#" Mandate {
  @tool("srv/refund")
  action "srv/refund" in [call_tool] appliesTo {
    principal: [User, Agent],
    resource: [Tool],
    context: {
      now: datetime,
      delegation: Chain,
      token?: Token,
      approval?: Approval,
      session: Session,
      @log("clear") digest: String,
      @log("clear") touches: Set<Data>,
      input: {
        amount_cents: Long,
        note?: String,
      },
    },
  };
}
"#;
    assert_eq!(body, expected);
    let definitions: Value = serde_json::from_str(&import.definitions.unwrap()).unwrap();
    assert_eq!(definitions, json!({ "server": "srv", "tools": [refund()] }));
}

#[test]
fn the_three_shapes_say_the_same() {
    let bare = json!([refund()]);
    let answer = json!({ "tools": [refund()], "ttlMs": 1 });
    let rpc = json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": [refund()], "nextCursor": null } });
    let expected = import_value(&bare).unwrap();
    assert_eq!(import_value(&answer).unwrap(), expected);
    assert_eq!(import_value(&rpc).unwrap(), expected);
}

#[test]
fn only_named_tools_are_typed() {
    let list = json!([refund(), { "name": "plain" }]).to_string();
    let with = |typed: Typed| import(&list, &Options { typed, ..options() }).unwrap();
    let named = with(Typed::Named(vec!["refund".to_owned(), "refund".to_owned()]));
    assert_eq!((named.tools, named.typed), (2, 1));
    load(&named);
    let none = with(Typed::None);
    assert_eq!((none.schema, none.definitions, none.typed), (None, None, 0));
    assert_eq!(with(Typed::Named(vec![])).schema, None);
    assert_eq!(none.entities, named.entities);
}

#[test]
fn notes_name_what_to_look_at() {
    let list = json!({
        "nextCursor": "2",
        "tools": [
            { "name": "odd name", "inputSchema": {} },
            { "name": "reader", "annotations": { "readOnlyHint": true }, "inputSchema": { "type": "object",
                "properties": { "filter": { "type": "object" }, "o": { "properties": { "x": {} }, "additionalProperties": true } },
                "anyOf": [{ "properties": { "y": {} } }] } },
        ],
    });
    let import = import(&list.to_string(), &Options { owner: None, ..options() }).unwrap();
    let starts = [
        "the answer names a next page (nextCursor)",
        "no owner was given: replace the user \"REPLACE-ME\"",
        "1 tool without annotations about risk, treated as destructive and outward: \"odd name\"",
        "1 tool in the toolset \"read-only\" on the server's word alone; check before relying on it: \"reader\"",
        "1 tool with names beyond the 128 characters",
        "1 tool with arguments kept as JSON text, which policies can only compare or match with `like`: \
         \"reader\" \"filter\" and 1 more",
        "1 tool with members beyond those declared; typed calls that carry such members are refused: \
         \"reader\" $.inputSchema.anyOf and 1 more",
    ];
    assert_eq!(import.notes.len(), starts.len(), "{:#?}", import.notes);
    for (note, start) in import.notes.iter().zip(starts) {
        assert!(note.starts_with(start), "{note}\n{start}");
    }
    load(&import);
}

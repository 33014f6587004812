//! A list that is approved over an earlier one.

use serde_json::{Value, json};

use super::domain_for_tests::{load, options};
use super::{Import, ImportError, Options, Stored, Typed, approve, compare, import};

fn tool(name: &str, description: &str) -> Value {
    let input = json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]});
    json!({"name": name, "description": description, "inputSchema": input, "annotations": {"readOnlyHint": true}})
}

fn typed(names: &[&str]) -> Options {
    Options { typed: Typed::Named(names.iter().map(|name| (*name).to_owned()).collect()), ..options() }
}

/// An import of `keep`, `turn` and `gone`, of which `turn` and `gone` are typed.
fn first() -> Import {
    let list = json!([tool("keep", "one"), tool("turn", "one"), tool("gone", "one")]);
    import(&list.to_string(), &typed(&["turn", "gone"])).unwrap()
}

fn stored(import: &Import) -> Stored<'_> {
    Stored { entities: &import.entities, definitions: import.definitions.as_deref() }
}

/// `turn` destroys now, `gone` is gone, `new` is new.
fn second() -> String {
    let mut turned = tool("turn", "two");
    turned["annotations"] = json!({"readOnlyHint": false, "openWorldHint": false});
    turned["inputSchema"]["properties"]["path"]["type"] = json!("integer");
    json!([tool("keep", "one"), turned, tool("new", "one")]).to_string()
}

fn entity(import: &Import, id: &str) -> Value {
    let entities: Vec<Value> = serde_json::from_str(&import.entities).unwrap();
    entities
        .into_iter()
        .find(|entity| entity["uid"]["id"] == id && entity["uid"]["type"] == "Mandate::Tool")
        .unwrap()
}

fn toolsets(tool: &Value) -> Vec<&str> {
    let mut ids: Vec<_> =
        tool["parents"].as_array().unwrap().iter().map(|parent| parent["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn what_changed_is_told_and_where() {
    let first = first();
    let same = json!([tool("gone", "one"), tool("turn", "one"), tool("keep", "one")]).to_string();
    let none = compare(&same, &options(), stored(&first)).unwrap();
    assert!(none.is_none() && none.unchanged == 3, "{none:?}");
    let difference = compare(&second(), &options(), stored(&first)).unwrap();
    assert_eq!(
        (&*difference.added, &*difference.removed),
        (&["new".to_owned()][..], &["gone".to_owned()][..])
    );
    assert_eq!(difference.unchanged, 1);
    let [changed] = &*difference.changed else { panic!("{difference:?}") };
    let at = [
        "$.annotations.openWorldHint",
        "$.annotations.readOnlyHint",
        "$.description",
        "$.inputSchema.properties.path.type",
    ];
    let mut told = changed.at.clone();
    told.sort();
    assert_eq!((changed.tool.as_str(), &*told), ("turn", &at.map(str::to_owned)[..]));
    assert_ne!(changed.was, changed.is);
}

#[test]
fn an_approval_takes_the_new_and_keeps_what_people_decided() {
    let mut first = first();
    let mut entities: Vec<Value> = serde_json::from_str(&first.entities).unwrap();
    for entity in &mut entities {
        if entity["uid"]["type"] == "Mandate::Tool" {
            entity["attrs"]["level"] = json!(3);
            entity["parents"]
                .as_array_mut()
                .unwrap()
                .push(json!({"type": "Mandate::Toolset", "id": "unattended"}));
        }
    }
    first.entities = json!(entities).to_string();
    let (approved, difference) = approve(&second(), &typed(&[]), stored(&first)).unwrap();
    assert!(!difference.is_none());
    let turned = entity(&approved, "srv/turn");
    assert_eq!(turned["attrs"]["digest"], json!(difference.changed[0].is));
    assert_eq!(turned["attrs"]["level"], 3);
    assert_eq!(toolsets(&turned), ["changes", "destructive", "srv", "unattended"]);
    assert_eq!(
        entity(&approved, "srv/keep"),
        *entities.iter().find(|entity| entity["uid"]["id"] == "srv/keep").unwrap()
    );
    let gone = entity(&approved, "srv/gone");
    assert_eq!(gone["attrs"]["status"]["__entity"]["id"], "retired");
    assert_eq!(entity(&approved, "srv/new")["attrs"]["status"]["__entity"]["id"], "active");
    assert_eq!((approved.tools, approved.typed), (3, 2));
    assert!(approved.schema.as_ref().unwrap().contains("path: Long"), "its typed action follows");
    assert!(approved.schema.as_ref().unwrap().contains("\"srv/gone\""), "policies may name it still");
    let again = compare(&second(), &options(), stored(&approved)).unwrap();
    assert!(again.is_none(), "{again:?}");
    load(&approved);
}

#[test]
fn a_tool_that_returns_is_approved_again() {
    let (withdrawn, _) =
        approve(&json!([tool("keep", "one")]).to_string(), &options(), stored(&first())).unwrap();
    let back = json!([tool("keep", "one"), tool("turn", "one"), tool("gone", "one")]).to_string();
    let difference = compare(&back, &options(), stored(&withdrawn)).unwrap();
    assert_eq!(difference.returned, ["turn", "gone"]);
    let (approved, _) = approve(&back, &options(), stored(&withdrawn)).unwrap();
    assert_eq!(entity(&approved, "srv/gone")["attrs"]["status"]["__entity"]["id"], "active");
}

#[test]
fn tools_of_other_servers_are_nobodys_to_retire() {
    let mut first = first();
    let mut entities: Vec<Value> = serde_json::from_str(&first.entities).unwrap();
    let mut other = entity(&first, "srv/keep");
    other["uid"]["id"] = json!("srv2/keep");
    entities.push(other.clone());
    first.entities = json!(entities).to_string();
    let (approved, _) = approve("[]", &options(), stored(&first)).unwrap();
    assert_eq!(entity(&approved, "srv2/keep"), other);
}

#[test]
fn half_a_list_removes_nothing() {
    let page = json!({"tools": [tool("keep", "one")], "nextCursor": "2"}).to_string();
    assert_eq!(compare(&page, &options(), stored(&first())).unwrap_err(), ImportError::Incomplete);
    let odd = Stored { entities: "{}", definitions: None };
    assert!(matches!(compare("[]", &options(), odd), Err(ImportError::Stored { .. })));
}

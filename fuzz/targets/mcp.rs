//! What MCP's agents and servers send.

use mandate::engine::catalog::Domain;
use mandate::mcp::message::Message;
use mandate::mcp::methods::Asked;
use mandate::mcp::{Options, Stored, Typed, compare, import};

use super::text;

/// A message of an agent.
pub(super) fn message(bytes: &[u8]) {
    let Ok(message) = Message::read(bytes) else { return };
    if let Ok(asked) = Asked::of(message, "fuzz", &Domain::default()) {
        let of_server = asked.resource.id == "fuzz" || asked.resource.id.starts_with("fuzz/");
        assert!(of_server, "another server's: {:?}", asked.resource);
    }
}

/// A server's list of tools. What it becomes can be read, and nothing differs from it at once.
pub(super) fn tools_list(bytes: &[u8]) {
    let Some(list) = text(bytes) else { return };
    let options = Options {
        server: "fuzz".to_owned(),
        typed: Typed::All,
        owner: Some("ana".to_owned()),
        env: "dev".to_owned(),
        level: 1,
        reviewed: "2026-11-22".to_owned(),
        trusted: false,
        within: Vec::new(),
        namespace: "Mandate".to_owned(),
    };
    let Ok(imported) = import(list, &options) else { return };
    assert!(serde_json::from_str::<serde_json::Value>(&imported.entities).is_ok());
    if let Some(schema) = &imported.schema {
        let parsed = cedar_policy::SchemaFragment::from_cedarschema_str(schema);
        assert!(parsed.is_ok(), "{schema}");
    }
    let stored = Stored { entities: &imported.entities, definitions: imported.definitions.as_deref() };
    if let Ok(difference) = compare(list, &options, stored) {
        assert!(difference.is_none(), "{difference:?}");
    }
}

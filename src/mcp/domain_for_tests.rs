//! The agent domain's schema, and what an import must be to join it.

use cedar_policy::{Entities, Schema, SchemaFragment};
use serde_json::{Value, json};

use super::{Import, ImportError, Options, Typed, import};

pub(super) fn options() -> Options {
    Options {
        server: "srv".to_owned(),
        typed: Typed::All,
        owner: Some("ada".to_owned()),
        env: "prod".to_owned(),
        level: 2,
        reviewed: "2026-11-22".to_owned(),
        trusted: false,
        within: Vec::new(),
        namespace: "Mandate".to_owned(),
    }
}

/// A list of one tool with that schema.
pub(super) fn tool(input_schema: &Value) -> Value {
    json!([{ "name": "t", "inputSchema": input_schema }])
}

pub(super) fn import_value(list: &Value) -> Result<Import, ImportError> {
    import(&list.to_string(), &options())
}

/// Loads everything the import wrote beside the domain schema, strictly.
pub(super) fn load(import: &Import) -> (Schema, Entities) {
    let schema = load_schema(import.schema.as_deref().as_slice());
    let entities = Entities::from_json_str(&import.entities, Some(&schema));
    let entities = entities.unwrap_or_else(|e| panic!("{e:?}\n{}", import.entities));
    (schema, entities)
}

/// The domain schema and these fragments as one.
pub(super) fn load_schema(fragments: &[&str]) -> Schema {
    let texts = [DOMAIN].into_iter().chain(fragments.iter().copied());
    let fragments = texts.map(|text| match SchemaFragment::from_cedarschema_str(text) {
        Ok((fragment, _)) => fragment,
        Err(error) => panic!("{error:?}\n{text}"),
    });
    Schema::from_schema_fragments(fragments).unwrap_or_else(|e| panic!("{e:?}"))
}

const DOMAIN: &str = r#"
namespace Mandate {
  entity Env enum ["dev", "staging", "prod"];
  entity Status enum ["active", "quarantined", "retired"];
  type Level = Long;
  type Owned = { business: User, technical: User, reviewed: datetime };
  entity Team in [Team];
  entity User in [Team] = { active: Bool, clearance: Level };
  entity AgentGroup in [AgentGroup];
  entity Agent in [AgentGroup] = { owned: Owned, status: Status, env: Env, clearance: Level, expires: datetime, autonomous: Bool,
                                   workload?: String, publisher?: String, version?: String };
  entity ToolServer = { owned: Owned, env: Env, trusted: Bool };
  entity Toolset in [Toolset];
  entity Tool in [Toolset] = { server: ToolServer, owned: Owned, status: Status, env: Env, level: Level, digest: String };
  entity Data in [Data] = { owned: Owned, env: Env, level: Level };
  entity Delegation = { from_user?: User, from_agent?: Agent, to: Agent, parent?: Delegation,
                        actions: Set<Action>, tools: Set<Tool>, toolsets: Set<Toolset>, data: Set<Data>, agents: Set<Agent>, servers: Set<ToolServer>,
                        not_before: datetime, expires: datetime, max_depth: Long, purpose: String };
  entity Role enum ["self", "autonomous", "delegator", "actor"];
  type Chain = { role: Role, hop: Long, length: Long, user?: User, agents: Set<Agent>, grants: Set<Delegation>, purposes: Set<String> };
  type Token = { issuer: String, scopes: Set<String>, issued: datetime, bound: Bool };
  type Approval = { by: User, id: String };
  type Session = { id: String, purpose: String, attended: Bool, untrusted: Bool, read_level: Level, calls: Long, spent_cents: Long };
  type Ask = { now: datetime, delegation: Chain, token?: Token, approval?: Approval, session: Session };
  action call_tool appliesTo { principal: [User, Agent], resource: [Tool],
    context: { now: datetime, delegation: Chain, token?: Token, approval?: Approval, session: Session, digest: String, touches: Set<Data> } };
  action list_tools appliesTo { principal: [User, Agent], resource: [ToolServer], context: Ask };
  action read_data, write_data appliesTo { principal: [User, Agent], resource: [Data], context: Ask };
  action invoke_agent appliesTo { principal: [User, Agent], resource: [Agent], context: Ask };
  action delegate appliesTo { principal: [User, Agent], resource: [Agent], context: { now: datetime, delegation: Chain, token?: Token,
    grant: { actions: Set<Action>, tools: Set<Tool>, toolsets: Set<Toolset>, data: Set<Data>, agents: Set<Agent>, servers: Set<ToolServer>,
             not_before: datetime, expires: datetime, max_depth: Long, purpose: String } } };
}
"#;

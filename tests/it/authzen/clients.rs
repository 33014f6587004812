//! Clients that others publish, as they are, against the real server: whether they allow and deny as it does, and what they
//! tell of it.

use std::process::Command;

use serde_json::{Value, json};

use super::certification;
use crate::support::{Finished, Sources, TestServer, repository};

/// What a client made of the answers; none where it is not installed, which continuous integration does not accept.
fn run(client: &str, module: &str, server: &TestServer) -> Option<Value> {
    let python = repository().join("target/tools/py/bin/python");
    let installed = Command::new(&python).args(["-c", &format!("import {module}")]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "no {module} for {}: run `make authzen`", python.display());
        eprintln!("SKIPPED: no {module}; run `make authzen`");
        return None;
    }
    let script = repository().join("tests/it/authzen/clients.py");
    let output =
        Command::new(&python).arg(script).args([client, &server.http]).output().expect("python runs");
    let finished = Finished::from(output);
    finished.check_code(0);
    Some(finished.json())
}

#[test]
fn decern() {
    let Some(told) = run("decern", "decern", certification::server()) else { return };
    assert_eq!(told["healthy"], true);
    assert_eq!(told["read"], json!([true, ["read"], []]));
    assert_eq!(told["read_with_context"], told["read"]);
    assert_eq!(told["write"], json!([false, ["no_permit"], []]));
    assert_eq!(told["nobody"], json!([false, ["unknown_principal"], []]));
    assert_eq!(told["soft"], json!([true, ["delete-softly"], []]));
    assert_eq!(told["hard"], json!([false, ["no_permit"], []]));
    assert_eq!(told["mistake"], json!([400, "\"subject.id: is required\""]));
}

/// Agents and tools, as clients that guard agents name them.
fn shop() -> TestServer {
    let schema = r#"namespace Shop {
  entity Agent = { autonomous: Bool };
  entity Tool = { harmless: Bool };
  type Asserted = { subject: { bound_to_user_id?: String }, resource: { path?: String } };
  action call appliesTo { principal: [Agent], resource: [Tool], context: { asserted: Asserted, pdp_application?: String } };
  action search, "delete" in [call] appliesTo { principal: [Agent], resource: [Tool], context: { asserted: Asserted, pdp_application?: String } };
}
"#;
    let policies = r#"
@id("harmless") permit (principal, action in Shop::Action::"call", resource) when { resource.harmless };
@id("scratch") permit (principal, action in Shop::Action::"call", resource)
when { context.asserted.resource has path && context.asserted.resource.path like "/tmp/*" };
@id("not-delete") @reason("nothing is deleted for a user")
forbid (principal, action == Shop::Action::"delete", resource) when { context.asserted.subject has bound_to_user_id };
"#;
    let agent = |id: &str| json!({"uid": {"type": "Shop::Agent", "id": id}, "attrs": {"autonomous": true}, "parents": []});
    let tool = |id: &str, harmless: bool| json!({"uid": {"type": "Shop::Tool", "id": id}, "attrs": {"harmless": harmless}, "parents": []});
    let entities =
        json!([agent("bot"), agent("auth:agent:agentmesh:bot"), tool("search", true), tool("delete", false)]);
    let config = r#"
[domain]
namespace = "Shop"
call_tool = "call"
[authzen.subjects]
agent = "Shop::Agent"
ai_agent = "Shop::Agent"
[authzen.resources]
tool = "Shop::Tool"
mcp_tool = "Shop::Tool"
[authzen.actions]
"tool_call.execute" = 'Shop::Action::"call"'
"#;
    let sources = Sources::empty()
        .schema("shop.cedarschema", schema)
        .policy("shop.cedar", policies)
        .entities("shop.json", &entities);
    TestServer::with_config(&sources.config_written(config).unwrap())
}

#[test]
fn the_backend_of_the_agent_governance_toolkit() {
    let Some(told) = run("backend", "authzen_backend", &shop()) else { return };
    assert_eq!(told["bot search"][0], true, "{told}");
    assert_eq!(
        told["bot delete"],
        json!([false, "forbidden, by policy `not-delete`: nothing is deleted for a user", null])
    );
    assert_eq!(told["ghost search"][0], false, "{told}");
    assert_eq!(told["ghost search"][2], json!(null), "a denial, not an error");
}

#[test]
fn apparitor() {
    let Some(told) = run("apparitor", "apparitor", &shop()) else { return };
    assert_eq!(told["single"], json!([true, false, true, false]));
    assert_eq!(told["batches"], json!([[true, false, true], [true, false], [true]]));
    assert_eq!(told["mistake"], 400);
}

//! Who decides, and what happens where nobody does.

use std::net::TcpListener;

use serde_json::json;

use super::agent::{Agent, denial, text};
use super::world::{OPEN, World, tools};
use crate::support::{Process, TestServer, mandate};

#[test]
fn a_server_decides_as_the_proxy_would_itself() {
    let world = World::new(
        &tools(&["echo", "shut"]),
        &[],
        "@id(\"open\") permit (principal, action, resource) unless { resource == Mandate::Tool::\"rogue/shut\" };",
    );
    let server = TestServer::start(&world.sources);
    let (mut agent, _) = Agent::begin(&world.asking(&server.data, &[]));
    assert_eq!(agent.tools(), ["echo"]);
    assert_eq!(text(&agent.call("echo", json!({"a": 1}))), r#"{"a": 1}"#);
    assert_eq!(denial(&agent.call("shut", json!({}))).0, "no_permit");
    assert_eq!(agent.go().code, Some(0));
    assert_eq!(world.called(), ["echo"]);
    // Whether the server may be seen, for its hello and for each of two pages with one tool; two calls, and what became of them.
    let outcomes: Vec<_> = server
        .records(9)
        .into_iter()
        .filter(|record| record["kind"] == "outcome")
        .map(|record| record["outcome"].clone())
        .collect();
    assert!(outcomes.contains(&json!("executed")) && outcomes.contains(&json!("blocked")), "{outcomes:?}");
}

/// Tools that take a `to`, of which one may be called for the team only, and one not at all.
fn governed() -> World {
    let takes_to = |name: &str| {
        let schema = json!({"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]});
        json!({"name": name, "description": "A tool.", "inputSchema": schema})
    };
    World::new(
        &json!([takes_to("send"), takes_to("wipe")]),
        &["send", "wipe"],
        "@id(\"look\") permit (principal, action == Mandate::Action::\"list_tools\", resource);
         @id(\"team\") permit (principal, action == Mandate::Action::\"rogue/send\", resource)
             when { context.input.to == \"team\" };",
    )
}

#[test]
fn a_tool_is_shown_if_some_arguments_are_allowed_whoever_decides() {
    let world = governed();
    let mut agent = world.agent(&[]);
    assert_eq!(agent.tools(), ["send"]);
    drop(agent.go());
    let records = world.records();
    let about_tools = |kind: &str| {
        let of_kind = records.iter().filter(|record| record["kind"] == kind);
        of_kind.filter(|record| record["resource"]["type"] == "Mandate::Tool").count()
    };
    assert_eq!((about_tools("decision"), about_tools("search")), (0, 2), "a search for each of two pages");
    let log = world.data.join("log");
    let story = mandate(["log", "story", "--session", "s1", "--dir", log.to_str().unwrap()]);
    let searched = r#"search     resources Mandate::Agent::"bot" call_tool  1 of 1 found"#;
    assert!(story.stdout.contains(searched), "{}", story.stdout);

    let server = TestServer::start(&world.sources);
    let (mut agent, _) = Agent::begin(&world.asking(&server.data, &[]));
    assert_eq!(agent.tools(), ["send"]);
    assert_eq!(denial(&agent.call("send", json!({"to": "all"}))).0, "no_permit");
    agent.call("send", json!({"to": "team"}));
    assert_eq!(denial(&agent.call("wipe", json!({"to": "team"}))).0, "no_permit");
    assert_eq!(agent.go().code, Some(0));
    assert_eq!(world.called(), ["send"]);
}

#[test]
fn without_anybody_to_decide_nothing_is_done() {
    let world = World::new(&tools(&["echo"]), &[], OPEN);
    // Nobody listens there, since nobody else may bind it meanwhile.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    drop(taken);
    let (mut agent, _) = Agent::begin(&world.asking(&format!("http://{address}"), &[]));
    let listed = agent.ask("tools/list", json!({}));
    assert_eq!(listed["error"]["data"]["code"], "unavailable", "{listed}");
    let (code, why) = denial(&agent.call("echo", json!({})));
    assert_eq!(code, "unavailable", "{why}");
    assert!(!why.contains("127.0.0.1"), "where Mandate is, is not the agent's to know: {why}");
    drop(agent.go());
    assert!(world.called().is_empty());
}

#[test]
fn a_decision_that_takes_too_long_is_none() {
    let world = World::new(&tools(&["echo"]), &[], OPEN);
    // It takes connections, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", silent.local_addr().unwrap());
    let (mut agent, _) = Agent::begin(&world.asking(&server, &["--deadline", "200"]));
    assert_eq!(denial(&agent.call("echo", json!({}))).0, "unavailable");
    drop(agent.go());
    assert!(world.called().is_empty());
}

#[test]
fn a_server_that_is_killed_denies_from_then_on_and_allows_once_it_is_back() {
    let world = World::new(&tools(&["echo"]), &[], OPEN);
    let server = Process::start(&world.sources);
    let (mut agent, _) = Agent::begin(&world.asking(&server.data, &["--deadline", "5000"]));
    agent.call("echo", json!({}));
    drop(server);
    for _ in 0..3 {
        assert_eq!(denial(&agent.call("echo", json!({}))).0, "unavailable");
    }
    drop(agent.go());
    assert_eq!(world.called(), ["echo"]);
}

#[test]
fn an_allow_with_an_obligation_is_none_here() {
    let world = World::new(
        &tools(&["echo"]),
        &[],
        "@id(\"open\") @obligation(\"{\\\"id\\\": \\\"m\\\", \\\"type\\\": \\\"mask\\\"}\") permit (principal, action, resource);",
    );
    let mut agent = world.agent(&[]);
    let (code, why) = denial(&agent.call("echo", json!({})));
    assert_eq!(code, "obligation", "{why}");
    drop(agent.go());
    assert!(world.called().is_empty());
}

#[test]
fn advice_reaches_the_agent() {
    let world = World::new(
        &tools(&["echo"]),
        &[],
        "@id(\"open\") @reuse(\"30s\") permit (principal, action, resource);",
    );
    let mut agent = world.agent(&[]);
    let result = agent.call("echo", json!({}));
    assert!(result["_meta"]["mandate/decision"]["advice"].is_array(), "{result}");
}

#[test]
fn a_proxy_without_a_token_that_it_should_have_asks_nobody() {
    let world = World::new(&tools(&["echo"]), &[], OPEN);
    let server = TestServer::start(&world.sources);
    let file = tempfile::NamedTempFile::new().unwrap();
    let token = file.path().to_str().unwrap();
    let mut arguments = world.asking(&server.data, &["--token-file", token]);
    arguments.retain(|argument| argument != "--agent" && argument != "bot");
    let (mut agent, _) = Agent::begin(&arguments);
    assert_eq!(denial(&agent.call("echo", json!({}))).0, "no_token");
    std::fs::write(file.path(), "eyJhbGciOiJub25lIn0.e30.secret").unwrap();
    let (code, why) = denial(&agent.call("echo", json!({})));
    assert_eq!(code, "not_entitled");
    assert!(!why.contains("secret"), "{why}");
    let ended = agent.go();
    assert!(!ended.said.contains("secret"), "{}", ended.said);
    assert!(world.called().is_empty());
}

#[test]
fn broken_sources_start_no_proxy() {
    let world = World::new(&tools(&["echo"]), &[], OPEN);
    let sources = World::new(&tools(&["echo"]), &[], OPEN).sources.policy("bad.cedar", "permit (");
    let mut arguments = super::world::embedded(&sources, &world.sources.path("elsewhere"));
    arguments.extend(["--agent", "bot", "--name", "rogue", "--"].map(Into::into));
    arguments.extend(world.server());
    let ended = Agent::start(&arguments).go();
    assert_eq!(ended.code, Some(3), "{}", ended.said);
    assert!(world.reached().is_empty());
}

//! Of what MCP says, that which passes; and what becomes of agents and servers that keep to nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::agent::{Agent, text};
use super::world::{OPEN, World, tools};

fn world() -> World {
    World::new(&tools(&["echo", "die", "hang", "noise", "ask", "need", "big"]), &[], OPEN)
}

#[test]
fn what_the_proxy_does_not_know_does_not_pass() {
    let world = world();
    let (mut agent, hello) = Agent::begin(&world.arguments(&[]));
    let capabilities = &hello["result"]["capabilities"];
    assert!(capabilities.get("tools").is_some() && capabilities.get("resources").is_some(), "{hello}");
    assert!(capabilities.get("tasks").is_none() && capabilities.get("experimental").is_none(), "{hello}");
    assert!(hello["result"]["instructions"].is_string(), "whoever may see the tools is told: {hello}");
    for method in ["tasks/list", "tools/frobnicate", "sampling/createMessage", "subscriptions/listen"] {
        let answer = agent.ask(method, json!({}));
        assert_eq!(answer["error"]["code"], -32601, "{answer}");
    }
    let call = json!({"name": "echo", "arguments": {}, "task": {"ttl": 1000}});
    assert_eq!(
        agent.ask("tools/call", call)["error"]["code"],
        -32602,
        "nobody would learn what became of it"
    );
    for params in [json!({"arguments": {}}), json!({"name": "echo", "arguments": []}), json!({"name": 7})] {
        assert_eq!(agent.ask("tools/call", params.clone())["error"]["code"], -32602, "{params}");
    }
    for notification in ["notifications/roots/list_changed", "notifications/unheard_of"] {
        agent.say(&json!({"jsonrpc": "2.0", "method": notification}));
    }
    agent.say(&json!({"jsonrpc": "2.0", "id": "s9", "result": {"roots": [{"uri": "file:///"}]}}));
    assert_eq!(text(&agent.call("noise", json!({}))), "{}");
    assert!(agent.heard.is_empty(), "{:?}", agent.heard);
    drop(agent.go());
    let reached = world.reached();
    assert_eq!(reached[0]["params"]["capabilities"], json!({}), "{reached:?}");
    let methods: Vec<_> = reached.iter().filter_map(|message| message["method"].as_str()).collect();
    let expected = ["initialize", "notifications/initialized", "tools/list", "tools/list", "tools/call"];
    assert_eq!(methods, expected, "the lists are the proxy's own: the agent called without having looked");
    assert!(reached.iter().all(|message| message["id"] != "s9"), "{reached:?}");
}

#[test]
fn words_of_a_server_that_may_not_be_seen_do_not_reach_the_model() {
    let world = World::new(
        &tools(&["echo"]),
        &[],
        "@id(\"none\") permit (principal == Mandate::Agent::\"other\", action, resource);",
    );
    let (mut agent, hello) = Agent::begin(&world.arguments(&[]));
    assert!(
        hello["result"]["serverInfo"].is_object() && hello["result"].get("instructions").is_none(),
        "{hello}"
    );
    let listed = agent.ask("tools/list", json!({}));
    assert_eq!(listed["error"]["data"]["code"], "no_permit", "{listed}");
}

#[test]
fn a_server_asks_of_the_agent_only_what_its_operator_lets_it() {
    let world = world();
    let (mut agent, _) = Agent::begin(&world.arguments(&["--pass", "elicitation"]));
    for method in ["roots/list", "sampling/createMessage", "tasks/get"] {
        let told = agent.call("ask", json!({"method": method}));
        assert!(text(&told).contains("-32601"), "{told}");
        let answer = agent.ask("tools/call", json!({"name": "need", "arguments": {"method": method}}));
        assert_eq!(answer["error"]["code"], -32001, "{answer}");
    }
    let id = agent
        .begin_asking("tools/call", json!({"name": "ask", "arguments": {"method": "elicitation/create"}}));
    let asked = agent.hear();
    assert_eq!((&asked["method"], &asked["id"]), (&json!("elicitation/create"), &json!("s1")));
    agent.say(&json!({"jsonrpc": "2.0", "id": "s1", "result": {"action": "decline"}}));
    // An answer that is given twice reaches nobody twice.
    agent.say(&json!({"jsonrpc": "2.0", "id": "s1", "result": {"action": "accept"}}));
    let told = agent.answer(id)["result"].clone();
    assert!(text(&told).contains("decline"), "{told}");
    let needed = agent.call("need", json!({"method": "elicitation/create"}));
    assert_eq!(needed["resultType"], "input_required");
    drop(agent.go());
    let answers = world.reached().into_iter().filter(|message| message["id"] == "s1");
    let accepted = answers.filter(|answer| answer["result"]["action"] == "accept").count();
    assert_eq!(accepted, 0);
}

#[test]
fn what_is_no_message_is_answered_and_nothing_else_suffers() {
    let world = world();
    let (mut agent, _) = Agent::begin(&world.arguments(&[]));
    for (line, id, code) in [
        ("{", Value::Null, -32700),
        (
            r#"{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"echo","name":"die"}}"#,
            Value::Null,
            -32700,
        ),
        (r#"[{"jsonrpc":"2.0","id":8,"method":"ping"}]"#, Value::Null, -32600),
        (r#"{"jsonrpc":"1.0","id":8,"method":"ping"}"#, json!(8), -32600),
    ] {
        agent.write(line);
        let told = agent.hear();
        assert_eq!((&told["id"], &told["error"]["code"]), (&id, &json!(code)), "{line}: {told}");
    }
    let id = agent.begin_asking("tools/call", json!({"name": "hang"}));
    agent.say(&json!({"jsonrpc": "2.0", "id": id, "method": "ping"}));
    let told = agent.hear();
    assert_eq!(told["error"]["message"], "a request of this id is under way", "{told}");
    drop(agent.go());
    assert_eq!(world.called(), ["hang"]);
}

#[test]
fn messages_are_bounded_both_ways() {
    let world = world();
    let size = 8 * 1024 * 1024;
    let (mut agent, _) = Agent::begin(&world.arguments(&[]));
    assert_eq!(text(&agent.call("big", json!({"size": size}))).len(), size);
    let answer = agent.ask("tools/call", json!({"name": "big", "arguments": {"size": 17 * 1024 * 1024}}));
    assert_eq!(answer["error"]["code"], -32003, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("longer than"), "{answer}");
    assert_eq!(agent.go().code, Some(1));
    let (mut agent, _) = Agent::begin(&world.arguments(&[]));
    agent.write(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "x".repeat(17 * 1024 * 1024)));
    let told = agent.hear();
    assert_eq!(told["error"]["code"], -32700, "{told}");
    drop(agent.ended());
}

#[test]
fn a_server_that_is_killed_fails_what_is_under_way_and_all_that_follows() {
    let world = world();
    let (mut agent, _) = Agent::begin(&world.arguments(&[]));
    let waiting = agent.begin_asking("tools/call", json!({"name": "hang"}));
    let dying = agent.begin_asking("tools/call", json!({"name": "die"}));
    for id in [waiting, dying] {
        let answer = agent.answer(id);
        assert_eq!(answer["error"]["code"], -32003, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("signal: 9"), "{answer}");
    }
    let after = agent.ask("tools/call", json!({"name": "echo"}));
    assert_eq!(after["error"]["code"], -32003, "{after}");
    let ended = agent.go();
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    let outcomes = world.records().into_iter().filter(|record| record["kind"] == "outcome");
    let outcomes: Vec<_> = outcomes.map(|record| record["outcome"].clone()).collect();
    assert_eq!(outcomes, ["failed", "failed", "failed"], "what was allowed and not done is no success");
}

#[test]
fn what_is_cancelled_is_cancelled_at_the_server_by_the_name_it_has_there() {
    let world = world();
    let (mut agent, _) = Agent::begin(&world.arguments(&[]));
    let id = agent.begin_asking("tools/call", json!({"name": "hang"}));
    agent.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id, "reason": "late"}}));
    agent
        .say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 12345}}));
    agent.call("echo", json!({}));
    drop(agent.go());
    let reached = world.reached();
    let call = reached.iter().find(|message| message["params"]["name"] == "hang").unwrap();
    let cancelled: Vec<_> =
        reached.iter().filter(|message| message["method"] == "notifications/cancelled").collect();
    assert_eq!(cancelled.len(), 1, "{cancelled:?}");
    assert_eq!(cancelled[0]["params"], json!({"requestId": call["id"], "reason": "late"}));
}

#[test]
fn the_server_ends_with_the_proxy_and_the_proxy_when_it_is_told() {
    let world = world();
    let (mut agent, _) = Agent::begin(&world.arguments(&[]));
    agent.call("echo", json!({}));
    let servers = servers_of(&world);
    assert_eq!(servers.len(), 1, "{servers:?}");
    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.ended().code, Some(0));
    let begun = Instant::now();
    while !servers_of(&world).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the server outlived the proxy");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Processes that run this world's server.
fn servers_of(world: &World) -> Vec<String> {
    let list = world.list().display().to_string();
    let is_server = |id: &str| {
        let command = std::fs::read(Path::new("/proc").join(id).join("cmdline")).unwrap_or_default();
        let words: Vec<_> = command.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        words.first().is_some_and(|program| program.contains("python"))
            && words.iter().any(|word| *word == list)
    };
    let ids =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    ids.filter(|id| is_server(id)).collect()
}

//! What is watched becomes policies that allow it, and nothing else.

use serde_json::{Value, json};

use super::agent::{Agent, denial, text};
use super::world::{World, embedded, tool};
use crate::support::{TestServer, mandate};

/// No agent may do anything.
const NOTHING: &str = "@id(\"ana\") permit (principal == Mandate::User::\"ana\", action, resource);";

fn world() -> World {
    let properties = json!({"words": {"type": "string"}, "times": {"type": "integer"}, "to": {"type": "array", "items": {"type": "string"}}});
    let say = json!({"name": "say", "description": "Says words.", "inputSchema": {"type": "object", "properties": properties, "required": ["words"]},
        "annotations": {"readOnlyHint": true}});
    World::new(&json!([tool("echo"), tool("other"), say]), &["say"], NOTHING)
}

/// What the agent does while it is watched.
fn seen() -> [(&'static str, Value); 5] {
    [
        ("tools/call", json!({"name": "echo", "arguments": {"anything": "x"}})),
        ("tools/call", json!({"name": "say", "arguments": {"words": "hello", "times": 2}})),
        (
            "tools/call",
            json!({"name": "say", "arguments": {"words": "a \"quoted\"\nline", "to": ["b", "a"]}}),
        ),
        ("resources/read", json!({"uri": "file:///open/a"})),
        ("prompts/get", json!({"name": "open"})),
    ]
}

fn is_done(agent: &mut Agent, method: &str, params: &Value) -> bool {
    let answer = agent.ask(method, params.clone());
    answer.get("result").is_some_and(|result| result["isError"] != true)
}

#[test]
fn what_was_learned_loads_and_allows_exactly_what_was_seen() {
    let world = world();
    let file = world.sources.path("learned.cedar");
    let mut agent = world.agent(&["--observe", "--learn", file.to_str().unwrap()]);
    assert_eq!(agent.tools(), ["echo", "other", "say"]);
    for (method, params) in seen() {
        assert!(is_done(&mut agent, method, &params), "{method} {params}");
    }
    assert_eq!(agent.go().code, Some(0));
    let learned = std::fs::read_to_string(&file).unwrap();
    assert!(learned.starts_with("// Permits for exactly what"), "{learned}");
    let sources = world.sources.policy("learned.cedar", &learned);
    let flags = embedded(&sources, &sources.path("data"));
    let (folders, _) = flags.split_at(6);
    mandate(std::iter::once("validate".into()).chain(folders.iter().cloned())).check_code(0);
    let world = World { sources, ..world };
    let mut agent = world.agent(&[]);
    assert_eq!(agent.tools(), ["echo", "say"]);
    for (method, params) in seen() {
        assert!(is_done(&mut agent, method, &params), "{method} {params}\n{learned}");
    }
    for (method, params) in [
        ("tools/call", json!({"name": "other", "arguments": {}})),
        ("tools/call", json!({"name": "say", "arguments": {"words": "hello"}})),
        ("tools/call", json!({"name": "say", "arguments": {"words": "hello", "times": 3}})),
        ("tools/call", json!({"name": "say", "arguments": {"words": "hello", "times": 2, "to": ["a"]}})),
        ("tools/call", json!({"name": "say", "arguments": {"words": "other", "times": 2}})),
        ("resources/read", json!({"uri": "file:///open/b"})),
        ("prompts/get", json!({"name": "shut"})),
    ] {
        assert!(!is_done(&mut agent, method, &params), "{method} {params}\n{learned}");
    }
    drop(agent.go());
    let mut arguments = world.arguments(&[]);
    let bot = arguments.iter().position(|argument| argument == "bot").unwrap();
    arguments[bot] = "other".into();
    let (mut other, _) = Agent::begin(&arguments);
    assert_eq!(denial(&other.call("echo", json!({}))).0, "no_permit");
}

#[test]
fn it_is_learned_the_same_where_a_server_decides() {
    let world = world();
    let server = TestServer::start(&world.sources);
    let file = world.sources.path("learned.cedar");
    let (mut agent, _) =
        Agent::begin(&world.asking(&server.data, &["--observe", "--learn", file.to_str().unwrap()]));
    assert_eq!(text(&agent.call("say", json!({"words": "x"}))), r#"{"words": "x"}"#);
    drop(agent.go());
    let learned = std::fs::read_to_string(&file).unwrap();
    assert!(
        learned.contains("action in Mandate::Action::\"call_tool\""),
        "whether it is typed, the server does not say: {learned}"
    );
    let sources = world.sources.policy("learned.cedar", &learned);
    let world = World { sources, ..world };
    let mut agent = world.agent(&[]);
    agent.call("say", json!({"words": "x"}));
    assert_eq!(denial(&agent.call("echo", json!({}))).0, "no_permit");
}

#[test]
fn what_is_learned_is_not_loaded_by_itself_and_enforced_is_not_learned() {
    let world = world();
    let policies = world.sources.path("policies/learned.cedar");
    let ended = Agent::start(&world.arguments(&["--observe", "--learn", policies.to_str().unwrap()])).go();
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(ended.said.contains("name a file elsewhere") && !policies.exists(), "{}", ended.said);
    let file = world.sources.path("learned.cedar");
    let ended = Agent::start(&world.arguments(&["--learn", file.to_str().unwrap()])).go();
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(ended.said.contains("--observe") && !file.exists(), "{}", ended.said);
    assert!(world.reached().is_empty());
}

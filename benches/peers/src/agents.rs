//! The shipped scenario: people, and agents at the end of chains, who list servers' tools and call them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::Attempt;
use crate::world::{CerbosFile, Members, Name, Question, Told, World, members};

/// Questions of each kind.
const OF_A_KIND: usize = 200;
/// Active people, with their clearance and teams.
const PEOPLE: [(&str, i64, &[&str]); 3] = [
    ("ana", 3, &["engineering", "acme"]),
    ("bea", 2, &["support", "acme"]),
    ("cem", 1, &["support", "acme"]),
];
/// Sites that the policy `known-sites` lists, and one it does not.
const SITES: [&str; 3] = ["docs.rs", "docs.python.org", "docs.rs.evil.example"];
/// Files of servers, of which those have no typed actions that come last.
const FILES: [&str; 5] = ["fetch", "filesystem", "github", "git", "time"];
/// Those who act in a chain, in their order.
const CHAIN: [&str; 4] = ["ana", "planner", "worker", "triage-bot"];

/// What is stored of tools and servers.
struct Stored {
    servers: Vec<String>,
    tools: BTreeMap<String, Value>,
}

/// The scenario as a person meets it, whom every peer can be asked about.
///
/// # Errors
/// What is shipped lacks what is asked about.
pub(crate) fn people(repository: &Path) -> Attempt<World> {
    let stored = Stored::read(repository)?;
    let mut questions = Vec::new();
    for index in 0..OF_A_KIND {
        questions.extend([stored.list_tools(index)?, stored.fetch(index)?, stored.changed_tool(index)?]);
    }
    let cerbos = [
        ("server", include_str!("../worlds/agents-server.yaml")),
        ("tool", include_str!("../worlds/agents-tool.yaml")),
    ];
    let file =
        |(name, text): (&str, &str)| CerbosFile { name: format!("{name}.yaml"), text: text.to_owned() };
    Ok(World { cerbos: Ok(cerbos.map(file).into()), ..shipped("agents", repository, Vec::new(), questions) })
}

/// One tool call, by the last of so many grants.
///
/// # Errors
/// What is shipped lacks what is asked about.
pub(crate) fn chain(repository: &Path, grants: usize) -> Attempt<World> {
    let stored = Stored::read(repository)?;
    let tool = stored.tool("github/list_issues")?;
    let actor = CHAIN.get(grants).ok_or("the chain is shorter")?;
    let mut question = asked(0, "call_tool", Name::new("Tool", "github/list_issues"));
    question.principal = Name::new(if grants == 0 { "User" } else { "Agent" }, *actor);
    question.delegation = grants.checked_sub(1).map(|last| format!("bench-{last}"));
    question.context = call_context(0, &text_of(tool, "/attrs/digest"));
    question.arguments = Some(members([]));
    question.allowed = true;
    let entities = CHAIN.windows(2).enumerate().filter_map(|(place, pair)| grant(place, pair)).collect();
    Ok(shipped("chain", repository, entities, vec![question]))
}

fn shipped(name: &'static str, repository: &Path, entities: Vec<Value>, questions: Vec<Question>) -> World {
    World {
        name,
        schema: String::new(),
        policies: Vec::new(),
        entities,
        shipped: Some(repository.to_owned()),
        cerbos: Err("has no chains of delegation"),
        cedarling: Err("has no chains of delegation"),
        old_cedar: Err(
            "Cedar 2.4 has neither `is` nor datetimes nor enumerated types: it does not parse the policies",
        ),
        questions,
        never_twice: false,
    }
}

/// The grant from one to the next.
fn grant(place: usize, pair: &[&str]) -> Option<Value> {
    let [from, to] = pair else { return None };
    let mut attributes = members([
        ("to", Name::new("Agent", *to).reference()),
        ("actions", json!([Name::new("Action", "call_tool").reference()])),
        ("tools", json!([])),
        ("toolsets", json!([Name::new("Toolset", "github").reference()])),
        ("data", json!([])),
        ("agents", json!([])),
        ("servers", json!([])),
        ("not_before", json!("2026-09-01T00:00:00Z")),
        ("expires", json!("2099-01-01T00:00:00Z")),
        ("max_depth", json!(CHAIN.len())),
        ("purpose", json!("measure")),
    ]);
    match place.checked_sub(1) {
        None => attributes.insert("from_user".to_owned(), Name::new("User", *from).reference()),
        Some(before) => {
            let parent = Name::new("Delegation", format!("bench-{before}"));
            attributes.insert("parent".to_owned(), parent.reference());
            attributes.insert("from_agent".to_owned(), Name::new("Agent", *from).reference())
        }
    };
    Some(Name::new("Delegation", format!("bench-{place}")).entity(attributes.into(), &[]))
}

impl Stored {
    fn read(repository: &Path) -> Attempt<Self> {
        let mut stored = Self { servers: Vec::new(), tools: BTreeMap::new() };
        for file in FILES {
            let text = fs::read_to_string(repository.join("entities").join(file).with_extension("json"))?;
            for entity in serde_json::from_str::<Vec<Value>>(&text)? {
                let id = text_of(&entity, "/uid/id");
                match text_of(&entity, "/uid/type").as_str() {
                    "Mandate::ToolServer" => stored.servers.push(id),
                    "Mandate::Tool" => drop(stored.tools.insert(id, entity)),
                    _ => {}
                }
            }
        }
        Ok(stored)
    }

    fn tool(&self, id: &str) -> Attempt<&Value> {
        Ok(self.tools.get(id).ok_or_else(|| format!("{id} is not shipped"))?)
    }

    /// A person lists what a reviewed server offers: allowed.
    fn list_tools(&self, index: usize) -> Attempt<Question> {
        let server = nth(&self.servers, index / PEOPLE.len())?;
        let mut question = asked(index, "list_tools", Name::new("ToolServer", server));
        question.context = members([("session", session(index))]);
        question.allowed = true;
        question.told.kind = "tool_server".to_owned();
        question.told.resource = members([("trusted", json!(true))]);
        Ok(question)
    }

    /// A person fetches a page through a tool whose arguments are governed: allowed from listed sites.
    fn fetch(&self, index: usize) -> Attempt<Question> {
        let tool = self.tool("fetch/fetch")?;
        let site = nth(&SITES, index / PEOPLE.len())?;
        let arguments =
            members([("url", json!(format!("https://{site}/page/{index}"))), ("max_length", json!(5000))]);
        let digest = text_of(tool, "/attrs/digest");
        let mut question = asked(index, "call_tool", Name::new("Tool", "fetch/fetch"));
        question.allowed = !site.ends_with(".example");
        question.told.resource = told_of(tool, &digest, index);
        question.told.resource.insert("input".to_owned(), arguments.clone().into());
        question.context = call_context(index, &digest);
        question.arguments = Some(arguments);
        Ok(question)
    }

    /// A person calls a tool without a typed action that has changed since it was approved: denied.
    fn changed_tool(&self, index: usize) -> Attempt<Question> {
        let plain: Vec<_> =
            self.tools.iter().filter(|(id, _)| id.starts_with("git/") || id.starts_with("time/")).collect();
        let (id, tool) = nth(&plain, index)?;
        let mut question = asked(index, "call_tool", Name::new("Tool", id.as_str()));
        question.context = call_context(index, "sha256:changed");
        question.told.resource = told_of(tool, "sha256:changed", index);
        Ok(question)
    }
}

/// What a person asks, before more is known of it.
fn asked(index: usize, action: &str, resource: Name) -> Question {
    let (person, clearance, teams) = PEOPLE.get(index % PEOPLE.len()).copied().unwrap_or_default();
    Question {
        principal: Name::new("User", person),
        action: action.to_owned(),
        resource,
        context: members([]),
        arguments: None,
        delegation: None,
        allowed: false,
        told: Told {
            roles: vec!["user".to_owned()],
            principal: members([
                ("active", json!(true)),
                ("clearance", json!(clearance)),
                ("teams", json!(teams)),
            ]),
            kind: "tool".to_owned(),
            resource: members([]),
        },
    }
}

fn nth<T>(items: &[T], index: usize) -> Attempt<&T> {
    items.get(index % items.len().max(1)).ok_or_else(|| "what is asked about is not shipped".into())
}

fn text_of(entity: &Value, pointer: &str) -> String {
    entity.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What Cerbos is told of a tool and of the session that calls it.
fn told_of(tool: &Value, digest: &str, index: usize) -> Members {
    let parents = tool.pointer("/parents").and_then(Value::as_array).into_iter().flatten();
    let toolsets: Vec<_> = parents.map(|parent| text_of(parent, "/id")).collect();
    members([
        ("seen_digest", json!(digest)),
        ("digest", tool.pointer("/attrs/digest").cloned().unwrap_or_default()),
        ("level", tool.pointer("/attrs/level").cloned().unwrap_or_default()),
        ("status", json!("active")),
        ("server_trusted", json!(true)),
        ("toolsets", json!(toolsets)),
        ("session", session(index)),
    ])
}

fn call_context(index: usize, digest: &str) -> Members {
    members([("session", session(index)), ("digest", json!(digest)), ("touches", json!([]))])
}

fn session(index: usize) -> Value {
    json!({
        "id": format!("session-{index}"),
        "purpose": "triage of this week's issues",
        "attended": true,
        "untrusted": false,
        "read_level": 0,
        "calls": 3,
        "spent_cents": 0,
    })
}

//! What is asked: a fixed mix of distinct requests over the shipped entities, encoded once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mandate::server::pb::authorize_request::{ArgumentsForm, ContextForm};
use mandate::server::pb::{AuthorizeRequest, Decision, EntityRef};
use prost::Message as _;
use prost::bytes::Bytes;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use crate::Attempt;

/// Requests of each kind.
const OF_A_KIND: usize = 200;
/// Active people; each is cleared for what the fetching tool can show.
const PEOPLE: [&str; 3] = ["ana", "bea", "cem"];
/// Sites that the policy `known-sites` lists, and one it does not.
const LISTED: [&str; 3] = ["docs.rs", "docs.python.org", "developer.mozilla.org"];
const UNLISTED: &str = "docs.rs.evil.example";

/// One request, encoded, and what the server must say to it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) bytes: Bytes,
    pub(crate) id: String,
    pub(crate) expected: Decision,
}

/// All requests, the kinds in turn.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) requests: Vec<Asked>,
    /// How many differ in something that policies read.
    pub(crate) distinct_keys: usize,
}

impl Workload {
    /// The mix, over the entities in a folder: a third each of lists of tools, typed calls, plain calls.
    ///
    /// # Errors
    /// The entities lack what the mix is made of.
    pub(crate) fn over(entities: &Path) -> Attempt<Self> {
        let stored = Stored::read(entities)?;
        let mut keys = std::collections::BTreeSet::new();
        let mut requests = Vec::new();
        for index in 0..OF_A_KIND {
            for question in [stored.list_tools(index)?, stored.fetch(index)?, stored.plain_call(index)?] {
                keys.insert(question.key.clone());
                requests.push(question.encoded(requests.len()));
            }
        }
        Ok(Self { requests, distinct_keys: keys.len() })
    }

    /// The request whose turn it is: the mix again and again.
    #[expect(clippy::indexing_slicing, reason = "a remainder is below the length, which is never zero")]
    pub(crate) fn turn(&self, number: usize) -> &Asked {
        &self.requests[number % self.requests.len()]
    }

    /// The longest request that is allowed: a typed call.
    pub(crate) fn longest_allowed(&self) -> Option<&Asked> {
        let allowed = self.requests.iter().filter(|asked| asked.expected == Decision::Allow);
        allowed.max_by_key(|asked| asked.bytes.len())
    }
}

/// A request before it has its number.
struct Question {
    request: AuthorizeRequest,
    /// What of it policies read.
    key: String,
    expected: Decision,
}

impl Question {
    fn encoded(mut self, number: usize) -> Asked {
        let id = number.to_string();
        self.request.request_id.clone_from(&id);
        Asked { bytes: self.request.encode_to_vec().into(), id, expected: self.expected }
    }
}

/// The shipped entities that requests are about.
struct Stored {
    servers: Vec<String>,
    /// Tools without a typed action.
    plain_tools: Vec<String>,
    fetch_digest: String,
}

impl Stored {
    fn read(folder: &Path) -> Attempt<Self> {
        let mut stored = Self { servers: Vec::new(), plain_tools: Vec::new(), fetch_digest: String::new() };
        for file in ["fetch", "filesystem", "git", "github", "time"] {
            let text = fs::read_to_string(folder.join(format!("{file}.json")))?;
            for entity in serde_json::from_str::<Vec<serde_json::Value>>(&text)? {
                let member =
                    |pointer| entity.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default();
                let id = member("/uid/id").to_owned();
                match member("/uid/type") {
                    "Mandate::ToolServer" => stored.servers.push(id),
                    "Mandate::Tool" if id == "fetch/fetch" => {
                        member("/attrs/digest").clone_into(&mut stored.fetch_digest)
                    }
                    // The other typed actions are of these two servers.
                    "Mandate::Tool" if file == "git" || file == "time" || !is_typed(&id) => {
                        stored.plain_tools.push(id)
                    }
                    _ => {}
                }
            }
        }
        Ok(stored)
    }

    /// A person lists what a reviewed server offers: allowed. Sessions differ in what no policy reads.
    fn list_tools(&self, index: usize) -> Attempt<Question> {
        let (person, turn) = person(index)?;
        let server = nth(&self.servers, turn)?;
        let context = record([("session", session(index))]);
        let request = request(person, "list_tools", ("Mandate::ToolServer", server), context);
        Ok(Question { request, key: format!("list {person} {server}"), expected: Decision::Allow })
    }

    /// A person fetches a page through a tool whose arguments are governed: allowed from listed sites.
    fn fetch(&self, index: usize) -> Attempt<Question> {
        let (person, turn) = person(index)?;
        let (site, expected) = match turn % 3 {
            0 => (UNLISTED, Decision::Deny),
            _ => (*nth(&LISTED, turn / 3)?, Decision::Allow),
        };
        let url = format!("https://{site}/page/{index}");
        let context = call_context(index, &self.fetch_digest);
        let mut request = request(person, "call_tool", ("Mandate::Tool", "fetch/fetch"), context);
        let arguments = record([("url", text(&url)), ("max_length", Value::from(5000.0))]);
        request.arguments_form = Some(ArgumentsForm::Arguments(arguments));
        Ok(Question { request, key: format!("fetch {person} {url}"), expected })
    }

    /// A person calls a tool that has changed since it was approved: denied.
    fn plain_call(&self, index: usize) -> Attempt<Question> {
        let (person, _) = person(index)?;
        let tool = nth(&self.plain_tools, index)?;
        let context = call_context(index, "sha256:changed");
        let request = request(person, "call_tool", ("Mandate::Tool", tool), context);
        Ok(Question { request, key: format!("call {person} {tool}"), expected: Decision::Deny })
    }
}

/// Whether the tool has a typed action: `schemas/` governs the arguments of these.
fn is_typed(tool: &str) -> bool {
    const TYPED: [&str; 8] = [
        "filesystem/write_file",
        "filesystem/edit_file",
        "filesystem/create_directory",
        "filesystem/move_file",
        "github/create_or_update_file",
        "github/create_repository",
        "github/delete_file",
        "github/push_files",
    ];
    TYPED.contains(&tool)
}

/// The person whose turn it is, and how many turns there have been.
fn person(index: usize) -> Attempt<(&'static str, usize)> {
    Ok((nth(&PEOPLE, index)?, index / PEOPLE.len()))
}

fn nth<T>(items: &[T], index: usize) -> Attempt<&T> {
    items.get(index % items.len().max(1)).ok_or_else(|| "the entities lack what is asked about".into())
}

fn request(person: &str, action: &str, resource: (&str, &str), context: Struct) -> AuthorizeRequest {
    let entity = |kind: &str, id: &str| Some(EntityRef { r#type: kind.to_owned(), id: id.to_owned() });
    AuthorizeRequest {
        principal: entity("Mandate::User", person),
        action: entity("Mandate::Action", action),
        resource: entity(resource.0, resource.1),
        context_form: Some(ContextForm::Context(context)),
        ..AuthorizeRequest::default()
    }
}

fn call_context(index: usize, digest: &str) -> Struct {
    let touches = Value { kind: Some(Kind::ListValue(ListValue::default())) };
    record([("session", session(index)), ("digest", text(digest)), ("touches", touches)])
}

fn session(index: usize) -> Value {
    let fields = record([
        ("id", text(&format!("session-{index}"))),
        ("purpose", text("triage of this week's issues")),
        ("attended", Value::from(true)),
        ("untrusted", Value::from(false)),
        ("read_level", Value::from(0.0)),
        ("calls", Value::from(3.0)),
        ("spent_cents", Value::from(0.0)),
    ]);
    Value { kind: Some(Kind::StructValue(fields)) }
}

fn record<const N: usize>(members: [(&str, Value); N]) -> Struct {
    let fields: BTreeMap<_, _> = members.map(|(name, value)| (name.to_owned(), value)).into();
    Struct { fields }
}

fn text(text: &str) -> Value {
    Value::from(text)
}

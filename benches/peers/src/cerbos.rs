//! Cerbos: its server from npm, asked over gRPC. It keeps no entities: each question brings what is known of both sides.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use prost::Message;
use prost::bytes::Bytes;
use prost_types::Value;

use crate::Attempt;
use crate::caller::Caller;
use crate::load::{Ask, Source};
use crate::ours::value;
use crate::world::{CerbosFile, Members, Question, World};

/// The method under test.
pub(crate) const METHOD: &str = "/cerbos.svc.v1.CerbosService/CheckResources";

/// `cerbos.request.v1.CheckResourcesRequest`, as far as it is used.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, tag = "1")]
    request_id: String,
    #[prost(message, optional, tag = "3")]
    principal: Option<Principal>,
    #[prost(message, repeated, tag = "4")]
    resources: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, repeated, tag = "1")]
    actions: Vec<String>,
    #[prost(message, optional, tag = "2")]
    resource: Option<Resource>,
}

/// `cerbos.engine.v1.Principal`.
#[derive(Clone, PartialEq, Message)]
struct Principal {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, repeated, tag = "3")]
    roles: Vec<String>,
    #[prost(map = "string, message", tag = "4")]
    attr: HashMap<String, Value>,
}

/// `cerbos.engine.v1.Resource`.
#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "3")]
    id: String,
    #[prost(map = "string, message", tag = "4")]
    attr: HashMap<String, Value>,
}

/// `cerbos.response.v1.CheckResourcesResponse`, as far as it is checked.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(string, tag = "1")]
    request_id: String,
    #[prost(message, repeated, tag = "2")]
    results: Vec<ResultEntry>,
}

#[derive(Clone, PartialEq, Message)]
struct ResultEntry {
    #[prost(map = "string, enumeration(Effect)", tag = "2")]
    actions: HashMap<String, i32>,
}

/// `cerbos.effect.v1.Effect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum Effect {
    Unspecified = 0,
    Allow = 1,
    Deny = 2,
    NoMatch = 3,
}

/// Writes policies and configuration, and says how the server is started with them.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn command(
    binary: &Path,
    root: &Path,
    files: &[CerbosFile],
    logged: bool,
    address: (&str, &str),
) -> Attempt<Command> {
    let policies = root.join("cerbos");
    fs::create_dir_all(&policies)?;
    for file in files {
        rewrite(root, file)?;
    }
    let configuration = root.join("cerbos.json");
    let json = serde_json::json!({
        "server": {"grpcListenAddr": address.0, "httpListenAddr": address.1},
        "storage": {"driver": "disk", "disk": {"directory": policies, "watchForChanges": true}},
        "telemetry": {"disabled": true},
        "audit": {
            "enabled": logged, "accessLogsEnabled": false, "decisionLogsEnabled": logged,
            "backend": "file", "file": {"path": root.join("audit.log")},
        },
    });
    fs::write(&configuration, json.to_string())?;
    let mut command = Command::new(binary);
    command.args(["server", "--log-level=error", "--config"]).arg(configuration);
    Ok(command)
}

/// Writes one policy where the server looks.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn rewrite(root: &Path, file: &CerbosFile) -> Attempt<()> {
    Ok(fs::write(root.join("cerbos").join(&file.name), &file.text)?)
}

/// Questions as messages, by number.
#[derive(Debug)]
pub(crate) struct Encoded(Vec<(Bytes, String, Effect)>);

impl Encoded {
    /// All questions of a world.
    pub(crate) fn of(world: &World) -> Self {
        let encoded = |(number, question): (usize, &Question)| {
            let effect = if question.allowed { Effect::Allow } else { Effect::Deny };
            (request(question, number).encode_to_vec().into(), question.action.clone(), effect)
        };
        Self(world.questions.iter().enumerate().map(encoded).collect())
    }

    /// The message of a question.
    pub(crate) fn message(&self, number: usize) -> Option<&Bytes> {
        self.0.get(number).map(|(bytes, ..)| bytes)
    }
}

fn request(question: &Question, number: usize) -> Request {
    let attr =
        |members: &Members| members.iter().map(|(name, member)| (name.clone(), value(member))).collect();
    let told = &question.told;
    Request {
        request_id: number.to_string(),
        principal: Some(Principal {
            id: question.principal.id.clone(),
            roles: told.roles.clone(),
            attr: attr(&told.principal),
        }),
        resources: vec![Entry {
            actions: vec![question.action.clone()],
            resource: Some(Resource {
                kind: told.kind.clone(),
                id: question.resource.id.clone(),
                attr: attr(&told.resource),
            }),
        }],
    }
}

/// A connection to a server.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    caller: Caller,
    questions: Arc<Encoded>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub(crate) async fn open(url: &str, questions: &Arc<Encoded>) -> Attempt<Self> {
        Ok(Self { caller: Caller::connect(url).await?, questions: Arc::clone(questions) })
    }
}

impl Ask for Connection {
    async fn ask(&mut self, number: usize) -> Result<Source, String> {
        let questions = Arc::clone(&self.questions);
        let turn = number.checked_rem(questions.0.len()).ok_or("there is nothing to ask")?;
        let (bytes, action, expected) = questions.0.get(turn).ok_or("there is nothing to ask")?;
        let answer: Response = self.caller.call(METHOD, bytes).await.map_err(|error| error.to_string())?;
        let effect = answer.results.first().and_then(|result| result.actions.get(action));
        if answer.request_id.parse() == Ok(turn) && effect == Some(&(*expected as i32)) {
            return Ok(Source::Untold);
        }
        Err(format!("question {turn} is answered {answer:?}, not {expected:?}"))
    }
}

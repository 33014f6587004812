//! cedar-agent: its server from the registry, asked over HTTP/1.1, one question at a time on each connection.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use prost::bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::Attempt;
use crate::load::{Ask, Source};
use crate::world::{Policy, Question, World};

/// Where questions are asked.
pub(crate) const PATH: &str = "/v1/is_authorized";
/// How `h2load` asks there.
pub(crate) const FLAGS: &[&str] = &["--h1", "-H", "content-type: application/json"];

/// Writes policies and entities as the server reads them, and says how it is started with them.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn command(binary: &Path, root: &Path, world: &World, address: SocketAddr) -> Attempt<Command> {
    let (policies, entities) = (root.join("agent-policies.json"), root.join("agent-data.json"));
    fs::write(&policies, policies_json(&world.policies).to_string())?;
    fs::write(&entities, serde_json::to_vec(&world.entities)?)?;
    let mut command = Command::new(binary);
    command
        .args([
            "--addr",
            &address.ip().to_string(),
            "--port",
            &address.port().to_string(),
            "--log-level",
            "error",
        ])
        .arg("--policies")
        .arg(policies)
        .arg("--data")
        .arg(entities)
        // It takes a mebibyte of policies at once unless told otherwise: of 10,000 it says `413 Payload Too Large`.
        .env("ROCKET_LIMITS", "{json=\"256 MiB\"}");
    Ok(command)
}

fn policies_json(policies: &[Policy]) -> Value {
    policies.iter().map(|policy| json!({"id": policy.id, "content": policy.text})).collect()
}

/// Questions as bodies, by number.
#[derive(Debug)]
pub(crate) struct Encoded(Vec<(Bytes, bool)>);

impl Encoded {
    /// All questions of a world.
    pub(crate) fn of(world: &World) -> Self {
        let encoded =
            |question: &Question| (body(question).to_string().into_bytes().into(), question.allowed);
        Self(world.questions.iter().map(encoded).collect())
    }

    /// The body of a question.
    pub(crate) fn message(&self, number: usize) -> Option<&Bytes> {
        self.0.get(number).map(|(bytes, _)| bytes)
    }
}

fn body(question: &Question) -> Value {
    json!({
        "principal": question.principal.uid(),
        "action": format!("Mandate::Action::\"{}\"", question.action),
        "resource": question.resource.uid(),
        "context": question.context,
    })
}

#[derive(Debug, Deserialize)]
struct Answer {
    decision: String,
    diagnostics: Diagnostics,
}

#[derive(Debug, Deserialize)]
struct Diagnostics {
    errors: Vec<String>,
}

/// Connections to a server, of which each call takes one that is free.
#[derive(Clone)]
pub(crate) struct Connection {
    free: Arc<Mutex<Vec<SendRequest<Full<Bytes>>>>>,
    places: Arc<Semaphore>,
    address: Arc<str>,
    questions: Arc<Encoded>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Connection {
    /// Opens so many connections.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub(crate) async fn open(
        address: SocketAddr,
        connections: usize,
        questions: &Arc<Encoded>,
    ) -> Attempt<Self> {
        let mut free = Vec::with_capacity(connections);
        for _ in 0..connections {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            // It ends with the server.
            tokio::spawn(connection);
            free.push(sender);
        }
        Ok(Self {
            free: Arc::new(Mutex::new(free)),
            places: Arc::new(Semaphore::new(connections)),
            address: address.to_string().into(),
            questions: Arc::clone(questions),
        })
    }

    /// Puts other policies in the place of all there are.
    ///
    /// # Errors
    /// The server does not take them.
    pub(crate) async fn replace(&self, policies: &[Policy]) -> Attempt<()> {
        let (status, text) =
            self.send(Method::PUT, "/v1/policies", policies_json(policies).to_string().into()).await?;
        if status == StatusCode::OK {
            return Ok(());
        }
        Err(format!("{status}: {}", String::from_utf8_lossy(&text)).into())
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Attempt<(StatusCode, Bytes)> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &*self.address)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let _place = self.places.acquire().await?;
        let mut sender = self.lock().pop().ok_or("there are more places than connections")?;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let text = response.into_body().collect().await?.to_bytes();
        self.lock().push(sender);
        Ok((status, text))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SendRequest<Full<Bytes>>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ask for Connection {
    async fn ask(&mut self, number: usize) -> Result<Source, String> {
        let turn = number.checked_rem(self.questions.0.len()).ok_or("there is nothing to ask")?;
        let (body, allowed) = self.questions.0.get(turn).ok_or("there is nothing to ask")?;
        let (status, text) =
            self.send(Method::POST, PATH, body.clone()).await.map_err(|error| error.to_string())?;
        let expected = if *allowed { "Allow" } else { "Deny" };
        let answer: Option<Answer> = serde_json::from_slice(&text).ok();
        if let Some(answer) = answer
            && answer.decision == expected
            && answer.diagnostics.errors.is_empty()
        {
            return Ok(Source::Untold);
        }
        Err(format!(
            "question {turn} is answered {status} {}, not {expected}",
            String::from_utf8_lossy(&text)
        ))
    }
}

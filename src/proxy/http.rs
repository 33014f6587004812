//! A server at a URL: streamable HTTP by the official SDK, which keeps sessions, resumes streams and sets the headers of each
//! revision. It reads messages into its own types; answers are taken from what came instead (`tap.rs`).

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, Transport as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::http_client::HttpClient;
use super::message::{Id, MAX_MESSAGE_BYTES, Message, SERVER_GONE, error};
use super::tap::Tap;
use super::upstream::{Event, QUEUE, UpstreamError};
use crate::outbound;

/// How long ending a session may take.
const CLOSE: Duration = Duration::from_secs(3);

/// Where a server is, and what is shown to it.
#[derive(Debug, Clone)]
pub struct Address {
    uri: Uri,
    ca_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
}

impl Address {
    /// The address of an MCP endpoint. `token_file` holds a bearer token for the server, which is read for every request.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn new(url: &str, ca_file: Option<PathBuf>, token_file: Option<PathBuf>) -> Result<Self, String> {
        let uri = outbound::url(url).map_err(|wrong| format!("`{url}` {wrong}"))?;
        if token_file.is_some() && !outbound::is_private(&uri) {
            return Err(format!("`{url}` must be an https URL: a token would leave this host in the clear"));
        }
        Ok(Self { uri, ca_file, token_file })
    }
}

/// Connects once there is something to send.
pub(super) fn start(
    address: &Address,
    to_send: mpsc::Receiver<Message>,
    received: mpsc::Sender<Event>,
) -> Result<JoinHandle<()>, UpstreamError> {
    let tap = Tap::default();
    let client =
        HttpClient::new(&address.uri, address.ca_file.as_deref(), address.token_file.clone(), tap.clone());
    let client = client.map_err(|error| UpstreamError::Connect(error.to_string()))?;
    let mut config = StreamableHttpClientTransportConfig::with_uri(address.uri.to_string());
    config.max_json_response_size = MAX_MESSAGE_BYTES;
    config.max_sse_event_size = MAX_MESSAGE_BYTES;
    // What a lost session knew of the agent is lost: whether to begin again is for the agent to say.
    config.reinit_on_expired_session = false;
    let transport = StreamableHttpClientTransport::with_client(client, config);
    Ok(tokio::spawn(
        Pump { transport, tap, sending: FuturesUnordered::new(), waiting: VecDeque::new() }
            .run(to_send, received),
    ))
}

type Sent = (Option<Id>, Result<(), String>);

/// Moves messages between the queues and the transport.
struct Pump {
    transport: StreamableHttpClientTransport<HttpClient>,
    tap: Tap,
    sending: FuturesUnordered<BoxFuture<'static, Sent>>,
    /// What is to be told to the agent, in its order.
    waiting: VecDeque<Message>,
}

impl Pump {
    async fn run(mut self, mut to_send: mpsc::Receiver<Message>, received: mpsc::Sender<Event>) {
        loop {
            tokio::select! {
                message = to_send.recv(), if self.sending.len() < QUEUE => match message {
                    Some(message) => self.send(message),
                    None => break,
                },
                Some((id, sent)) = self.sending.next(), if !self.sending.is_empty() => self.sent(id, sent),
                message = self.transport.receive(), if self.waiting.len() < QUEUE => match message {
                    Some(message) => self.receive(message),
                    None => break,
                },
                permit = received.reserve(), if !self.waiting.is_empty() => match permit {
                    Ok(permit) => drop(self.waiting.pop_front().map(|message| permit.send(Event::Message(message)))),
                    Err(_nobody_listens) => break,
                },
            }
        }
        let _closed = timeout(CLOSE, self.transport.close()).await;
        for message in self.waiting {
            let _nobody_listens = received.send(Event::Message(message)).await;
        }
        let ended = "the MCP server cannot be reached any more".to_owned();
        let _nobody_listens = received.send(Event::Ended(ended)).await;
    }

    fn send(&mut self, message: Message) {
        let id = match &message {
            Message::Request { id, .. } => Some(id.clone()),
            Message::Notification { .. } | Message::Response { .. } => None,
        };
        let typed = serde_json::to_value(&message).and_then(serde_json::from_value::<ClientJsonRpcMessage>);
        match typed {
            Ok(typed) => {
                let sending = self.transport.send(typed);
                self.sending
                    .push(Box::pin(async move { (id, sending.await.map_err(|error| error.to_string())) }));
            }
            Err(_) => self.sent(id, Err("it is not what MCP says of its method".to_owned())),
        }
    }

    fn sent(&mut self, id: Option<Id>, sent: Result<(), String>) {
        let Err(problem) = sent else { return };
        tracing::warn!(problem, "a message could not be sent to the server");
        if let Some(id) = id {
            let told = error(SERVER_GONE, &format!("the MCP server did not take the request: {problem}"));
            self.waiting.push_back(Message::Response { id, outcome: Err(told) });
        }
    }

    /// An answer is passed on as it came; what the server says of its own accord as the SDK read it.
    fn receive(&mut self, message: ServerJsonRpcMessage) {
        let read = serde_json::to_value(message).map_err(|error| error.to_string());
        let read = read.and_then(|value| Message::from_json(value).map_err(|error| error.to_string()));
        match read {
            Ok(Message::Response { id, outcome }) => {
                let outcome = self.tap.take(&id).unwrap_or(outcome);
                self.waiting.push_back(Message::Response { id, outcome });
            }
            Ok(message) => self.waiting.push_back(message),
            Err(problem) => tracing::warn!(problem, "the server sent something that is no message"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_leave_this_host_in_the_clear() {
        let token = || Some(PathBuf::from("token"));
        assert!(Address::new("http://mcp.example/mcp", None, None).is_ok());
        assert!(Address::new("https://mcp.example/mcp", None, token()).is_ok());
        assert!(Address::new("http://127.0.0.1:1/mcp", None, token()).is_ok());
        let refused = Address::new("http://mcp.example/mcp", None, token()).unwrap_err();
        assert!(refused.contains("must be an https URL"), "{refused}");
        assert!(Address::new("mcp.example", None, None).is_err());
    }
}

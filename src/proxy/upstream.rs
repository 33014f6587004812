//! The server, and the way to it: two bounded queues, whatever stands behind them.

use std::ffi::OsString;
use std::io;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::message::Message;
use super::{child, http};

/// How many messages may wait, each way. Who sends more waits, so that pressure reaches whoever causes it.
pub(super) const QUEUE: usize = 16;

/// How to come to a server.
#[derive(Debug, Clone)]
pub enum Start {
    /// Start it, and speak over its standard input and output.
    Command {
        /// The program.
        program: OsString,
        /// Its arguments.
        arguments: Vec<OsString>,
    },
    /// Speak streamable HTTP to it.
    Url(http::Address),
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The program cannot be started.
    #[error("the server `{program}` cannot be started: {error}")]
    Spawn {
        /// The program.
        program: String,
        /// What the system says.
        error: io::Error,
    },
    /// Nobody can be trusted, or the address is none.
    #[error("the server cannot be reached: {0}")]
    Connect(String),
}

/// What comes from a server.
#[derive(Debug)]
pub(super) enum Event {
    Message(Message),
    /// It has ended, or cannot be reached any more; nothing follows.
    Ended(String),
}

/// A server that was reached.
#[derive(Debug)]
pub struct Upstream {
    pub(super) outgoing: mpsc::Sender<Message>,
    pub(super) incoming: mpsc::Receiver<Event>,
    /// Ends once the server has.
    pub(super) ending: JoinHandle<()>,
}

impl Upstream {
    /// Starts or connects.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub fn start(start: &Start) -> Result<Self, UpstreamError> {
        let (outgoing, to_send) = mpsc::channel(QUEUE);
        let (received, incoming) = mpsc::channel(QUEUE);
        let ending = match start {
            Start::Command { program, arguments } => child::start(program, arguments, to_send, received)?,
            Start::Url(address) => http::start(address, to_send, received)?,
        };
        Ok(Self { outgoing, incoming, ending })
    }
}

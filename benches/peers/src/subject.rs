//! Who is asked: servers as their users run them, on one processor each.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::time::sleep;

use crate::Attempt;
use crate::load::{Ask, Shape, Source};
use crate::ours::Setting;
use crate::process::{Server, announced};
use crate::scaling::Changed;
use crate::world::{self, World};
use crate::{caller, cedar_agent, cerbos, checked, h2load, ours};

/// Longest time until a server answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is tried whether a server answers, or answers otherwise.
const LOOK: Duration = Duration::from_millis(1);

/// A server under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A bare tonic server that repeats Mandate's answers.
    Echo,
    Mandate(Setting),
    Cerbos {
        logged: bool,
    },
    CedarAgent,
}

/// Where the binaries are.
#[derive(Debug, Clone)]
pub(crate) struct Binaries {
    pub(crate) mandate: PathBuf,
    pub(crate) cerbos: PathBuf,
    pub(crate) cedar_agent: PathBuf,
}

/// Questions as one of the servers takes them.
#[derive(Debug)]
enum Questions {
    Ours(Arc<ours::Encoded>),
    Cerbos(Arc<cerbos::Encoded>),
    CedarAgent(Arc<cedar_agent::Encoded>),
}

/// A connection to any of them.
#[derive(Debug, Clone)]
pub(crate) enum Line {
    Ours(ours::Connection),
    Cerbos(cerbos::Connection),
    CedarAgent(cedar_agent::Connection),
}

impl Ask for Line {
    async fn ask(&mut self, number: usize) -> Result<Source, String> {
        match self {
            Self::Ours(connection) => connection.ask(number).await,
            Self::Cerbos(connection) => connection.ask(number).await,
            Self::CedarAgent(connection) => connection.ask(number).await,
        }
    }
}

/// A server that answers.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) lines: Vec<Line>,
    /// Calls under way on each, under saturation.
    pub(crate) streams: usize,
    /// From the start of its process until its first answer, which was right.
    pub(crate) started: Duration,
}

impl Running {
    /// Hangs up, and stops the server.
    ///
    /// # Errors
    /// It does not stop in time, or not with success.
    pub(crate) async fn stop(self) -> Attempt<()> {
        drop(self.lines);
        self.server.stop().await
    }
}

impl Subject {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Echo => "bare tonic echo".to_owned(),
            Self::Mandate(setting) => setting.name(),
            Self::Cerbos { logged: false } => "Cerbos 0.55.0, no log".to_owned(),
            Self::Cerbos { logged: true } => "Cerbos 0.55.0, log to a file".to_owned(),
            Self::CedarAgent => "cedar-agent 0.2.0".to_owned(),
        }
    }

    /// Why this one cannot be asked about a world.
    pub(crate) fn obstacle(self, world: &World) -> Option<&'static str> {
        match self {
            Self::Echo | Self::Mandate(_) => None,
            Self::Cerbos { .. } => world.cerbos.as_ref().err().copied(),
            Self::CedarAgent => world.old_cedar.err(),
        }
    }

    fn questions(self, world: &World) -> Questions {
        match self {
            Self::Echo | Self::Mandate(_) => Questions::Ours(Arc::new(ours::Encoded::of(world))),
            Self::Cerbos { .. } => Questions::Cerbos(Arc::new(cerbos::Encoded::of(world))),
            Self::CedarAgent => Questions::CedarAgent(Arc::new(cedar_agent::Encoded::of(world))),
        }
    }

    /// Starts it over a world that was written to `root`, and waits for the first answer.
    ///
    /// # Errors
    /// It does not start, or its first answer is wrong.
    pub(crate) async fn start(
        self,
        world: &World,
        root: &Path,
        binaries: &Binaries,
        shape: Shape,
    ) -> Attempt<Running> {
        let questions = self.questions(world);
        let folder = tempfile::tempdir()?;
        let address = free_address()?;
        let command = self.command(world, root, binaries, &folder, address)?;
        let begun = Instant::now();
        let server = self.spawn(command, folder, address)?;
        let (lines, streams) = loop {
            match questions.open(&server.url, address, shape).await {
                Ok(opened) => break opened,
                Err(error) if begun.elapsed() > PATIENCE => {
                    server.stop().await?;
                    return Err(error);
                }
                Err(_) => sleep(LOOK).await,
            }
        };
        Ok(Running { server, lines, streams, started: begun.elapsed() })
    }

    fn command(
        self,
        world: &World,
        root: &Path,
        binaries: &Binaries,
        folder: &TempDir,
        address: SocketAddr,
    ) -> Attempt<Command> {
        Ok(match self {
            Self::Echo => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("echo").arg(root.join("answers.bin"));
                command
            }
            Self::Mandate(setting) => setting.command(&binaries.mandate, root, folder.path()),
            Self::Cerbos { logged } => {
                let files = world.cerbos.as_deref().map_err(|why| *why)?;
                let http = free_address()?.to_string();
                cerbos::command(&binaries.cerbos, root, files, logged, (&address.to_string(), &http))?
            }
            Self::CedarAgent => cedar_agent::command(&binaries.cedar_agent, root, world, address)?,
        })
    }

    /// Each has one thread or processor for its work.
    fn spawn(self, mut command: Command, folder: TempDir, address: SocketAddr) -> Attempt<Server> {
        command.envs([("TOKIO_WORKER_THREADS", "1"), ("GOMAXPROCS", "1"), ("ROCKET_WORKERS", "1")]);
        match self {
            Self::Echo | Self::Mandate(_) => Server::start(&mut command, folder, announced),
            Self::Cerbos { .. } | Self::CedarAgent => {
                Server::start(&mut command, folder, |_| Ok(format!("http://{address}")))
            }
        }
    }

    /// Puts policies in the place of others, in the way in which this server is told.
    ///
    /// # Errors
    /// A file cannot be written, or the server refuses.
    pub(crate) async fn put(self, policies: &Changed, root: &Path, line: &Line) -> Attempt<()> {
        match line {
            Line::CedarAgent(connection) => connection.replace(&policies.all).await,
            Line::Cerbos(_) => cerbos::rewrite(root, &policies.cerbos),
            Line::Ours(_) => world::write_groups(&root.join("policies"), &policies.group),
        }
    }

    /// What any HTTP client sends to ask the first question: path, flags for `h2load`, body.
    ///
    /// # Errors
    /// The world has no question.
    pub(crate) fn first_message(
        self,
        world: &World,
    ) -> Attempt<(&'static str, &'static [&'static str], Vec<u8>)> {
        let none = "there is nothing to ask";
        Ok(match self.questions(world) {
            Questions::Ours(questions) => {
                (checked::METHOD, h2load::GRPC, caller::framed(questions.turn(0)?.1)?)
            }
            Questions::Cerbos(questions) => {
                (cerbos::METHOD, h2load::GRPC, caller::framed(questions.message(0).ok_or(none)?)?)
            }
            Questions::CedarAgent(questions) => {
                (cedar_agent::PATH, cedar_agent::FLAGS, questions.message(0).ok_or(none)?.to_vec())
            }
        })
    }
}

impl Questions {
    /// Connects, and asks the first question.
    async fn open(&self, url: &str, address: SocketAddr, shape: Shape) -> Attempt<(Vec<Line>, usize)> {
        let mut lines = Vec::new();
        let mut streams = shape.streams;
        match self {
            Self::Ours(questions) => {
                for _ in 0..shape.connections {
                    lines.push(Line::Ours(ours::Connection::open(url, questions).await?));
                }
            }
            Self::Cerbos(questions) => {
                for _ in 0..shape.connections {
                    lines.push(Line::Cerbos(cerbos::Connection::open(url, questions).await?));
                }
            }
            Self::CedarAgent(questions) => {
                // HTTP/1.1 has one call under way on a connection: there are as many connections as calls elsewhere.
                streams *= shape.connections;
                lines.push(Line::CedarAgent(
                    cedar_agent::Connection::open(address, streams, questions).await?,
                ));
            }
        }
        let first = lines.first_mut().ok_or("there is no connection")?;
        first.ask(0).await?;
        Ok((lines, streams))
    }
}

/// An address on which nobody listens.
fn free_address() -> Attempt<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

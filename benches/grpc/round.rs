//! One round: a server, started three times, and what its requests cost.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::Attempt;
use crate::client::{Client, Tally};
use crate::configuration::{Configuration, Known};
use crate::cpu;
use crate::options::Options;
use crate::process::{Server, Sources};
use crate::workload::Workload;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject {
    /// The bare tonic server.
    Echo,
    /// Mandate, so configured.
    Mandate(&'static Configuration),
}

impl Subject {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Echo => "bare tonic echo".to_owned(),
            Self::Mandate(configuration) => format!("mandate, {}", configuration.name),
        }
    }
}

/// What every round of a benchmark has in common.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) options: Options,
    pub(crate) sources: Sources,
    pub(crate) known: Known,
    pub(crate) workload: Arc<Workload>,
    /// The file with the echo's answers.
    pub(crate) answers: PathBuf,
    /// Where the client runs: one thread.
    pub(crate) runtime: Runtime,
}

/// What one round found out about one subject.
#[derive(Debug)]
pub(crate) struct Round {
    /// CPU time of the server for each request: the whole process, less one that only started and warmed up.
    pub(crate) by_process: Duration,
    /// The same, from its threads' own accounts before and after the requests.
    pub(crate) by_threads: Duration,
    pub(crate) saturated: Tally,
    pub(crate) paced: Tally,
}

impl Bench {
    /// Starts a subject on a free port.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(&self, subject: Subject) -> Attempt<Server> {
        let folder = tempfile::tempdir()?;
        let mut command;
        match subject {
            Subject::Echo => {
                command = Command::new(std::env::current_exe()?);
                command.arg("echo").arg(&self.answers);
            }
            Subject::Mandate(configuration) => {
                command = Command::new(env!("CARGO_BIN_EXE_mandate"));
                command
                    .arg("serve")
                    .args(["--data", "127.0.0.1:0", "--http", "127.0.0.1:0"])
                    .args(self.sources.flags());
                command.envs(configuration.environment(&self.known, folder.path()));
            }
        }
        Server::start(&mut command, folder, self.options.workers)
    }

    /// Runs one round of a subject.
    ///
    /// # Errors
    /// A server does not start or stop, or the client fails. What a server answers wrongly is in the tallies.
    pub(crate) fn round(&self, subject: Subject) -> Attempt<Round> {
        let (warmed_up, ()) = self.served(subject, |_, _| Ok(()))?;
        let (measured, (by_threads, saturated)) = self.served(subject, |server, client| {
            let before = server.cpu()?;
            let saturated = self.runtime.block_on(client.saturate(self.options.requests))?;
            Ok((server.cpu()?.saturating_sub(before), saturated))
        })?;
        let time = Duration::from_secs(self.options.seconds);
        let (_, paced) =
            self.served(subject, |_, client| self.runtime.block_on(client.pace(self.options.rate, time)))?;
        let requests = u32::try_from(self.options.requests)?;
        let by_process = measured.saturating_sub(warmed_up) / requests;
        Ok(Round { by_process, by_threads: by_threads / requests, saturated, paced })
    }

    /// A whole life of a server: started, warmed up, used, stopped. Returns the CPU time of all of it.
    fn served<T>(
        &self,
        subject: Subject,
        used: impl FnOnce(&Server, &Client) -> Attempt<T>,
    ) -> Attempt<(Duration, T)> {
        let before = cpu::of_ended_children()?;
        let server = self.start(subject)?;
        let client = self.client(&server)?;
        let warmed_up = self.runtime.block_on(client.saturate(self.options.warm_up))?;
        if let Some(example) = warmed_up.example {
            return Err(format!("{}: {example}", subject.name()).into());
        }
        let outcome = used(&server, &client)?;
        drop(client);
        self.runtime.block_on(server.stop())?;
        Ok((cpu::of_ended_children()?.saturating_sub(before), outcome))
    }

    /// A client of a server.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub(crate) fn client(&self, server: &Server) -> Attempt<Client> {
        self.runtime.block_on(Client::connect(&server.url, self.options.shape(), &self.workload))
    }
}

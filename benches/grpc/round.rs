//! One round: a server, started three times, and what its requests cost.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::Attempt;
use crate::checked::METHOD;
use crate::client::Client;
use crate::configuration::{Configuration, Known};
use crate::load::Tally;
use crate::options::Options;
use crate::process::{Server, announced};
use crate::sources::Sources;
use crate::workload::Workload;
use crate::{caller, children, h2load};

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
    /// The same, from its clock before and after the requests.
    pub(crate) by_clock: Duration,
    /// Bytes of the server in memory, once they were answered.
    pub(crate) resident: u64,
    pub(crate) saturated: Tally,
    pub(crate) paced: Tally,
}

/// What `h2load` found.
#[derive(Debug)]
pub(crate) struct CrossCheck {
    pub(crate) subject: Subject,
    /// Requests a second.
    pub(crate) throughput: f64,
    /// The server's CPU time for each request, from its clock.
    pub(crate) cpu: Duration,
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
        command.env("TOKIO_WORKER_THREADS", self.options.workers.to_string());
        Server::start(&mut command, folder, announced)
    }

    /// Runs one round of a subject.
    ///
    /// # Errors
    /// A server does not start or stop, or the client fails. What a server answers wrongly is in the tallies.
    pub(crate) fn round(&self, subject: Subject) -> Attempt<Round> {
        let (warmed_up, ()) = self.served(subject, |_, _| Ok(()))?;
        let (measured, (by_clock, saturated, resident)) = self.served(subject, |server, client| {
            self.runtime.block_on(server.until_quiet())?;
            let before = server.cpu()?;
            let saturated = self.runtime.block_on(client.saturate(self.options.requests))?;
            Ok((server.cpu()?.saturating_sub(before), saturated, server.resident()?))
        })?;
        let time = Duration::from_secs(self.options.seconds);
        let (_, paced) =
            self.served(subject, |_, client| self.runtime.block_on(client.pace(self.options.rate, time)))?;
        let requests = u32::try_from(self.options.requests)?;
        let by_process = measured.saturating_sub(warmed_up) / requests;
        Ok(Round { by_process, by_clock: by_clock / requests, resident, saturated, paced })
    }

    /// Has `h2load` put one request, a typed call that is allowed, to a subject again and again.
    ///
    /// # Errors
    /// The subject does not start, or does not answer everything.
    pub(crate) fn cross_check(&self, subject: Subject) -> Attempt<CrossCheck> {
        let folder = tempfile::tempdir()?;
        let body = folder.path().join("body.bin");
        let asked = self.workload.longest_allowed().ok_or("no request is allowed")?;
        fs::write(&body, caller::framed(&asked.bytes)?)?;
        let server = self.start(subject)?;
        let url = format!("{}{METHOD}", server.url);
        let run = |requests| h2load::run(&url, h2load::GRPC, &body, self.options.shape(), requests);
        run(self.options.warm_up)?;
        self.runtime.block_on(server.until_quiet())?;
        let before = server.cpu()?;
        let throughput = run(self.options.requests)?;
        let cpu = server.cpu()?.saturating_sub(before) / u32::try_from(self.options.requests)?;
        self.runtime.block_on(server.stop())?;
        Ok(CrossCheck { subject, throughput, cpu })
    }

    /// A whole life of a server: started, warmed up, used, stopped. Returns the CPU time of all of it.
    fn served<T>(
        &self,
        subject: Subject,
        used: impl FnOnce(&Server, &Client) -> Attempt<T>,
    ) -> Attempt<(Duration, T)> {
        let before = children::of_ended()?;
        let server = self.start(subject)?;
        let client = self.client(&server)?;
        let warmed_up = self.runtime.block_on(client.saturate(self.options.warm_up))?;
        if let Some(example) = warmed_up.example {
            return Err(format!("{}: {example}", subject.name()).into());
        }
        let outcome = used(&server, &client)?;
        drop(client);
        self.runtime.block_on(server.stop())?;
        Ok((children::of_ended()?.saturating_sub(before), outcome))
    }

    /// A client of a server.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub(crate) fn client(&self, server: &Server) -> Attempt<Client> {
        self.runtime.block_on(Client::connect(&server.url, self.options.shape(), &self.workload))
    }
}

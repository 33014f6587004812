//! A server as a child process: started, announced, stopped, and what it cost.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::Attempt;
use crate::cpu;

/// Longest time a server may take to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Folders that a server reads.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) policies: PathBuf,
    pub(crate) schemas: PathBuf,
    pub(crate) entities: PathBuf,
}

impl Sources {
    /// The flags that name them.
    pub(crate) fn flags(&self) -> [OsString; 6] {
        let Self { policies, schemas, entities } = self;
        [
            "--policies".into(),
            policies.into(),
            "--schemas".into(),
            schemas.into(),
            "--entities".into(),
            entities.into(),
        ]
    }
}

/// `command` without the settings that the caller's environment has for a server of its own.
pub(crate) fn mandate(command: &mut Command) -> &mut Command {
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("MANDATE__") {
            command.env_remove(key);
        }
    }
    command
}

/// A running server. Killed when dropped, unless it was stopped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// What it wrote to standard error after it announced itself.
    rest: Option<JoinHandle<String>>,
    /// The URL of its gRPC listener.
    pub(crate) url: String,
    /// Its working directory, where it may write.
    _folder: TempDir,
}

impl Server {
    /// Starts a server, and returns once it has announced its gRPC address on standard error.
    ///
    /// # Errors
    /// It ends before it does: what it wrote.
    pub(crate) fn start(command: &mut Command, folder: TempDir, workers: usize) -> Attempt<Self> {
        let mut child = mandate(command)
            .current_dir(folder.path())
            .env("TOKIO_WORKER_THREADS", workers.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stderr = BufReader::new(child.stderr.take().ok_or("the server's standard error is no pipe")?);
        let url = match announced(&mut stderr) {
            Ok(url) => url,
            Err(error) => {
                child.wait()?;
                return Err(error);
            }
        };
        let rest = Some(std::thread::spawn(move || {
            let mut text = String::new();
            drop(stderr.read_to_string(&mut text));
            text
        }));
        Ok(Self { child, rest, url, _folder: folder })
    }

    /// CPU time that its living threads have used so far.
    ///
    /// # Errors
    /// The kernel does not account for it.
    pub(crate) fn cpu(&self) -> Attempt<Duration> {
        cpu::of_threads(self.child.id())
    }

    /// Asks it to stop, and waits until it has. The runtime of its clients must go on: they still have to say goodbye.
    ///
    /// # Errors
    /// It does not stop in time, or not with success.
    pub(crate) async fn stop(mut self) -> Attempt<()> {
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGTERM)?;
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None if Instant::now() > deadline => return Err("the server does not stop".into()),
                None => sleep(Duration::from_millis(5)).await,
            }
        };
        if status.success() {
            return Ok(());
        }
        let said = self.rest.take().and_then(|rest| rest.join().ok()).unwrap_or_default();
        Err(format!("the server ended with {status}: {said}").into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The gRPC listener's URL, from the line `gRPC ADDRESS …`. Every listener is bound before it is written.
fn announced(stderr: &mut BufReader<ChildStderr>) -> Attempt<String> {
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if stderr.read_line(&mut line)? == 0 {
            return Err(format!("the server did not start: {said}").into());
        }
        let mut words = line.split_whitespace();
        if let (Some("gRPC"), Some(address)) = (words.next(), words.next()) {
            return Ok(format!("http://{address}"));
        }
        said += &line;
    }
}

/// A copy of the shipped sources in `folder`, without the policies whose answers depend on the hour.
pub(crate) fn sources_without_clock(root: &Path, folder: &Path) -> Attempt<(Sources, Vec<String>)> {
    let policies = folder.join("policies");
    let left_out = crate::policies::copy_without(&root.join("policies"), &policies, "context.now")?;
    Ok((Sources { policies, schemas: root.join("schemas"), entities: root.join("entities") }, left_out))
}

//! A server as a child process: started, announced, stopped, and what it cost.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::Attempt;
use crate::cpu;

/// Longest time a server may take to stop, or to be quiet.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at whether a server is quiet.
const QUIET: Duration = Duration::from_millis(300);
/// What one that is quiet may use of a processor between them: a tick of the kernel's account.
const LITTLE: Duration = Duration::from_millis(10);

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
    /// The URL that it answers under.
    pub(crate) url: String,
    /// Its working directory, where it may write.
    _folder: TempDir,
}

impl Server {
    /// Starts a server, and returns once `found` has its URL, from what it writes to standard error or from elsewhere.
    ///
    /// # Errors
    /// It has none: then it is waited for, which ends.
    pub(crate) fn start(
        command: &mut Command,
        folder: TempDir,
        found: impl FnOnce(&mut BufReader<ChildStderr>) -> Attempt<String>,
    ) -> Attempt<Self> {
        let mut child = mandate(command)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stderr = BufReader::new(child.stderr.take().ok_or("the server's standard error is no pipe")?);
        match found(&mut stderr) {
            Ok(url) => Ok(Self { child, rest: Some(read_on(stderr)), url, _folder: folder }),
            Err(error) => {
                child.wait()?;
                Err(error)
            }
        }
    }

    /// Bytes of it that are in memory.
    ///
    /// # Errors
    /// The kernel does not say.
    pub(crate) fn resident(&self) -> Attempt<u64> {
        resident(&self.child.id().to_string())
    }

    /// CPU time that it has used so far.
    ///
    /// # Errors
    /// The kernel does not account for it.
    pub(crate) fn cpu(&self) -> Attempt<Duration> {
        cpu::of_process(self.child.id())
    }

    /// Waits until it has done what its start began: what a server keeps on disk of a set of many files, it writes beside the first
    /// answers, which would be counted for them.
    ///
    /// # Errors
    /// It is never quiet, or the kernel does not account for it.
    pub(crate) async fn until_quiet(&self) -> Attempt<()> {
        let deadline = Instant::now() + PATIENCE;
        let (mut before, mut quiet) = (self.cpu()?, 0);
        while quiet < 2 {
            sleep(QUIET).await;
            let now = self.cpu()?;
            quiet = if now.saturating_sub(before) <= LITTLE { quiet + 1 } else { 0 };
            before = now;
            if Instant::now() > deadline {
                return Err("the server is never quiet".into());
            }
        }
        Ok(())
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

/// Bytes in memory of a process: of this one, if it is called `self`.
///
/// # Errors
/// The kernel does not say: it has ended.
pub(crate) fn resident(process: &str) -> Attempt<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("the process has ended")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Reads to the end what a server writes, so that it never waits for a reader.
fn read_on(mut stderr: BufReader<ChildStderr>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        drop(stderr.read_to_string(&mut text));
        text
    })
}

/// The gRPC listener's URL, from the line `gRPC ADDRESS …`. Every listener is bound before it is written.
///
/// # Errors
/// The server ends before: what it wrote.
pub(crate) fn announced(stderr: &mut BufReader<ChildStderr>) -> Attempt<String> {
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

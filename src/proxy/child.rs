//! A server that the proxy starts and ends: MCP over its standard input and output; its standard error is the proxy's own.

use std::ffi::{OsStr, OsString};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::lines::{self, LineError, Lines};
use super::message::Message;
use super::upstream::{Event, UpstreamError};

/// How long a server may take to end once its input has, and once more after SIGTERM (MCP, "Lifecycle", "Shutdown").
const GRACE: Duration = Duration::from_secs(3);
/// How long what it wrote before its end may take to arrive: a process that it left behind may hold the pipe for good.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Starts a server, in a process group of its own: what it starts is ended with it.
pub(super) fn start(
    program: &OsStr,
    arguments: &[OsString],
    to_send: mpsc::Receiver<Message>,
    received: mpsc::Sender<Event>,
) -> Result<JoinHandle<()>, UpstreamError> {
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let failed = |error| UpstreamError::Spawn { program: program.to_string_lossy().into_owned(), error };
    let mut child = spawned.map_err(failed)?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(failed(std::io::Error::other("it has no pipes")));
    };
    let writing = tokio::spawn(write(input, to_send));
    let reading = tokio::spawn(read(output, received.clone()));
    Ok(tokio::spawn(attend(child, writing, reading, received)))
}

/// Sends what is queued; the server's input ends with the queue.
async fn write(mut input: ChildStdin, mut to_send: mpsc::Receiver<Message>) {
    while let Some(message) = to_send.recv().await {
        if let Err(error) = lines::write(&mut input, &message).await {
            tracing::warn!(%error, "the server takes no messages");
            return;
        }
    }
}

/// Reads until the end, or until nobody listens.
async fn read(output: ChildStdout, received: mpsc::Sender<Event>) -> Result<(), LineError> {
    let mut lines = Lines::new(output);
    while let Some(line) = lines.next().await? {
        let read = serde_json::from_str(&line).map_err(|error| error.to_string());
        let read = read.and_then(|value| Message::from_json(value).map_err(|error| error.to_string()));
        match read {
            Ok(message) => {
                if received.send(Event::Message(message)).await.is_err() {
                    break;
                }
            }
            // A word on standard output that is none of MCP's. Its text is not repeated.
            Err(error) => tracing::warn!(error, "the server wrote something that is no message"),
        }
    }
    Ok(())
}

/// Waits for the server's end, or brings it about once its input or output has ended, and tells of it.
async fn attend(
    mut child: Child,
    mut writing: JoinHandle<()>,
    mut reading: JoinHandle<Result<(), LineError>>,
    received: mpsc::Sender<Event>,
) {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let mut wrong = None;
    let mut is_read = false;
    tokio::select! {
        _exited = child.wait() => {}
        _ended = &mut writing => {}
        read = &mut reading => {
            is_read = true;
            wrong = read.ok().and_then(Result::err);
            writing.abort();
        }
    }
    let status = end(&mut child, group).await;
    writing.abort();
    if !is_read && let Ok(read) = timeout(LAST_WORDS, &mut reading).await {
        wrong = read.ok().and_then(Result::err);
    }
    reading.abort();
    let told = match wrong {
        Some(error) => format!("the MCP server was ended: {error}"),
        None => format!("the MCP server has ended ({status})"),
    };
    let _nobody_listens = received.send(Event::Ended(told)).await;
}

/// Waits for the end of a process that should end by itself, and ends it if it does not, with all that it started.
async fn end(child: &mut Child, group: Option<Pid>) -> String {
    for signal in [Signal::TERM, Signal::KILL] {
        if let Ok(exited) = timeout(GRACE, child.wait()).await {
            return shown(exited.ok());
        }
        // One that has just ended takes no signal.
        let _gone = group.map(|group| kill_process_group(group, signal));
    }
    shown(child.wait().await.ok())
}

fn shown(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "its exit status is unknown".to_owned(), |status| status.to_string())
}

//! `mandate serve` as a child process.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use super::command::{Finished, binary};
use super::server::Client;
use super::sources::Sources;

/// A running server process; killed by its own handle when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// What it writes to standard error after it announced itself.
    rest: Option<JoinHandle<String>>,
    pub(crate) data: String,
    pub(crate) http: String,
}

impl Process {
    /// Serves sources on free ports, and returns once both addresses are announced.
    pub(crate) fn start(sources: &Sources) -> Self {
        Self::try_start(sources).unwrap_or_else(|finished| panic!("the server did not start: {finished:?}"))
    }

    /// As [`Self::start`]; a server that ends before it announced itself is what it ended as.
    pub(crate) fn try_start(sources: &Sources) -> Result<Self, Finished> {
        let mut child = Command::new(binary())
            .arg("serve")
            .args(["--data", "127.0.0.1:0", "--http", "127.0.0.1:0"].map(OsString::from))
            .args(sources.flags())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut reader = BufReader::new(child.stderr.take().expect("a pipe"));
        let (mut data, mut http, mut said) = (None, None, String::new());
        while data.is_none() || http.is_none() {
            let mut line = String::new();
            if reader.read_line(&mut line).expect("text") == 0 {
                let mut finished = Finished::from(child.wait_with_output().expect("an end"));
                finished.stderr = said;
                return Err(finished);
            }
            let mut words = line.split_whitespace();
            match words.next() {
                Some("gRPC") => data = words.next().map(|address| format!("http://{address}")),
                Some("HTTP") => http = words.next().map(str::to_owned),
                _ => {}
            }
            said += &line;
        }
        let rest = std::thread::spawn(move || {
            let mut text = String::new();
            drop(reader.read_to_string(&mut text));
            text
        });
        let (data, http) = (data.expect("announced"), http.expect("announced"));
        Ok(Self { child, rest: Some(rest), data, http })
    }

    /// A client of its data listener.
    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.data)
    }

    /// Whether the process is still there.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    /// Asks it to stop, and returns how it ended.
    pub(crate) fn terminate(mut self) -> Finished {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill");
        let status = self.child.wait().expect("an end");
        let stderr = self.rest.take().expect("read once").join().expect("the reading thread");
        let output = std::process::Output { status, stdout: Vec::new(), stderr: stderr.into_bytes() };
        Finished::from(output)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

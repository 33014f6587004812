//! `mandate serve` as a child process.

use std::collections::HashMap;
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
    pub(crate) ops: String,
    pub(crate) control: String,
    /// What it said until then.
    pub(crate) announced: String,
}

const FREE: [&str; 8] =
    ["--data", "127.0.0.1:0", "--http", "127.0.0.1:0", "--ops", "127.0.0.1:0", "--control", "127.0.0.1:0"];

impl Process {
    /// Serves sources on free ports, and returns once both addresses are announced.
    pub(crate) fn start(sources: &Sources) -> Self {
        Self::try_start(sources).unwrap_or_else(|finished| panic!("the server did not start: {finished:?}"))
    }

    /// As [`Self::start`]; a server that ends before it announced itself is what it ended as.
    pub(crate) fn try_start(sources: &Sources) -> Result<Self, Finished> {
        Self::try_start_with(sources, &[])
    }

    /// As [`Self::try_start`], with more flags, and environment variables where they hold a `=`.
    pub(crate) fn try_start_with(sources: &Sources, more: &[&str]) -> Result<Self, Finished> {
        let (variables, more): (Vec<&str>, Vec<&str>) =
            more.iter().partition(|word| word.starts_with("MANDATE__"));
        let variables = variables.iter().filter_map(|variable| variable.split_once('='));
        let mut child = Command::new(binary())
            .arg("serve")
            .args(FREE.map(OsString::from))
            .arg("--data-dir")
            .arg(sources.path("data"))
            .arg("--emergency")
            .arg(sources.path("emergency"))
            .args(sources.flags())
            .args(more)
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut reader = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut addresses = HashMap::new();
        let mut said = String::new();
        while !addresses.contains_key("control") {
            let mut line = String::new();
            if reader.read_line(&mut line).expect("text") == 0 {
                let mut finished = Finished::from(child.wait_with_output().expect("an end"));
                finished.stderr = said;
                return Err(finished);
            }
            let mut words = line.split_whitespace();
            if let (Some(name @ ("gRPC" | "HTTP" | "ops" | "control")), Some(address)) =
                (words.next(), words.next())
            {
                let bare = address.trim_start_matches("http://");
                addresses.insert(name.to_owned(), format!("http://{bare}"));
            }
            said += &line;
        }
        let rest = std::thread::spawn(move || {
            let mut text = String::new();
            drop(reader.read_to_string(&mut text));
            text
        });
        let mut address = |name: &str| addresses.remove(name).expect("announced");
        Ok(Self {
            child,
            rest: Some(rest),
            data: address("gRPC"),
            http: address("HTTP"),
            ops: address("ops"),
            control: address("control"),
            announced: said,
        })
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

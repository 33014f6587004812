//! `mandate serve` as a child process.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::command::{Finished, binary, run_build};
use super::http::get;
use super::server::Client;
use super::sources::Sources;

/// A running server process; killed by its own handle when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// What it has written to standard error since it announced itself, and who reads that.
    said: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    /// Whether its standard error is to be read no more.
    unheard: Arc<AtomicBool>,
    data_directory: PathBuf,
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
        Self::launch(Command::new(binary()), sources, more, Stdio::null())
    }

    /// As [`Self::try_start_with`], another build of the server.
    pub(crate) fn try_start_build(build: &Path, sources: &Sources, more: &[&str]) -> Result<Self, Finished> {
        Self::launch(Command::new(build), sources, more, Stdio::null())
    }

    /// As [`Self::start`], on this processor alone: it is so when it counts its processors.
    pub(crate) fn start_on_processor(sources: &Sources, processor: &str) -> Self {
        let mut pinned = Command::new("taskset");
        pinned.args(["--cpu-list", processor]).arg(binary());
        Self::launch(pinned, sources, &[], Stdio::null()).expect("the server starts")
    }

    /// As [`Self::start`], with at most so many open files.
    pub(crate) fn start_with_files(sources: &Sources, files: u32) -> Self {
        Self::start_limited(sources, files, &[])
    }

    /// As [`Self::start_with_files`], with more flags.
    pub(crate) fn start_limited(sources: &Sources, files: u32, more: &[&str]) -> Self {
        let mut limited = Command::new("prlimit");
        limited.arg(format!("--nofile={files}")).arg(binary());
        Self::launch(limited, sources, more, Stdio::null()).expect("the server starts")
    }

    /// As [`Self::try_start_with`], in a control group from the start, if there is one.
    pub(crate) fn start_within(sources: &Sources, group: Option<&Path>, more: &[&str]) -> Self {
        let command = match group {
            None => Command::new(binary()),
            Some(group) => {
                let mut command = Command::new("sh");
                command
                    .args(["-c", "echo $$ >\"$0\" && exec \"$@\""])
                    .arg(group.join("cgroup.procs"))
                    .arg(binary());
                command
            }
        };
        Self::launch(command, sources, more, Stdio::null()).expect("the server starts")
    }

    /// As [`Self::try_start_with`], its standard output a pipe that is read only by whoever takes it.
    pub(crate) fn start_piped(sources: &Sources, more: &[&str]) -> (Self, ChildStdout) {
        let mut process =
            Self::launch(Command::new(binary()), sources, more, Stdio::piped()).expect("the server starts");
        let stdout = process.child.stdout.take().expect("a pipe");
        (process, stdout)
    }

    /// Follows a server at this URL that keeps its token there. `folder` has the data directory, and no sources.
    pub(crate) fn follow(folder: &Sources, primary: &str, token: &str, more: &[&str]) -> Self {
        let token = format!("MANDATE__FOLLOW__TOKEN_FILE={token}");
        let words: Vec<_> = ["--follow", primary, &token].into_iter().chain(more.iter().copied()).collect();
        let started = Self::begin(Command::new(binary()), folder, &[], &words, Stdio::null());
        started.unwrap_or_else(|finished| panic!("the follower did not start: {finished:?}"))
    }

    fn launch(command: Command, sources: &Sources, more: &[&str], stdout: Stdio) -> Result<Self, Finished> {
        let mut flags = vec!["--emergency".into(), sources.path("emergency").into_os_string()];
        flags.extend(sources.flags());
        Self::begin(command, sources, &flags, more, stdout)
    }

    fn begin(
        mut command: Command,
        sources: &Sources,
        flags: &[OsString],
        more: &[&str],
        stdout: Stdio,
    ) -> Result<Self, Finished> {
        let (variables, more): (Vec<&str>, Vec<&str>) =
            more.iter().partition(|word| word.starts_with("MANDATE__"));
        let variables = variables.iter().filter_map(|variable| variable.split_once('='));
        let mut child = command
            .arg("serve")
            .args(FREE.chunks(2).filter(|flag| !more.contains(&flag[0])).flatten())
            .arg("--data-dir")
            .arg(sources.path("data"))
            .args(flags)
            .args(more)
            .env("MANDATE__LOG__COUNTERS", sources.counters())
            // Builds with all checks are slow: nobody is turned away for having to wait.
            .envs(cfg!(debug_assertions).then_some(("MANDATE__LIMITS__QUEUE_DELAY", "60s")))
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(stdout)
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
                let bare = address.trim_start_matches("http://").trim_start_matches("https://");
                addresses.insert(name.to_owned(), format!("http://{bare}"));
            }
            said += &line;
        }
        let more = Arc::new(Mutex::new(String::new()));
        let (heard, unheard) = (Arc::clone(&more), Arc::new(AtomicBool::new(false)));
        let stop = Arc::clone(&unheard);
        let rest = std::thread::spawn(move || {
            let mut line = String::new();
            while !stop.load(Ordering::Relaxed) && reader.read_line(&mut line).is_ok_and(|length| length > 0)
            {
                heard.lock().expect("nobody panicked").push_str(&line);
                line.clear();
            }
        });
        let mut address = |name: &str| addresses.remove(name).expect("announced");
        Ok(Self {
            child,
            said: more,
            reader: Some(rest),
            unheard,
            data_directory: sources.path("data"),
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
    pub(crate) fn terminate(self) -> Finished {
        self.signal(Signal::SIGTERM);
        self.ended()
    }

    /// Ends it as a crash would.
    pub(crate) fn crash(self) {
        self.signal(Signal::SIGKILL);
        drop(self.ended());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the process is there");
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Waits for its end; one that does not come fails the test.
    pub(crate) fn ended(mut self) -> Finished {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                break status;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(2));
        };
        self.reader.take().expect("read once").join().expect("the reading thread");
        let output = std::process::Output { status, stdout: Vec::new(), stderr: self.said().into_bytes() };
        Finished::from(output)
    }

    /// Closes the pipe on its standard error, once it has written one more line.
    pub(crate) fn stop_listening(&self) {
        self.unheard.store(true, Ordering::Relaxed);
    }

    /// What it has written to standard error since it announced itself.
    pub(crate) fn said(&self) -> String {
        self.said.lock().expect("nobody panicked").clone()
    }

    /// Waits until what it has written from that byte on says all of this.
    #[track_caller]
    pub(crate) fn until_said(&self, from: usize, wanted: &[&str]) {
        let begun = Instant::now();
        while !wanted.iter().all(|text| self.said()[from..].contains(text)) {
            assert!(begun.elapsed() < Duration::from_secs(2), "no {wanted:?} in {}", &self.said()[from..]);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs a command that talks to it over the control listener.
    pub(crate) fn command(&self, words: &[&str]) -> Finished {
        self.command_of(&binary(), words)
    }

    /// The same, by another build's command.
    pub(crate) fn command_of(&self, build: &Path, words: &[&str]) -> Finished {
        let address = self.control.trim_start_matches("http://");
        let folder = self.data_directory.display().to_string();
        run_build(build, words.iter().copied().chain(["--control", address, "--data-dir", &folder]), "")
    }

    /// What `mandate status` says.
    pub(crate) fn status(&self) -> Value {
        let finished = self.command(&["status", "--format", "json"]);
        finished.check_code(0);
        finished.json()
    }

    /// What `/metrics` says of one series.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = get(&format!("{}/metrics", self.ops)).body;
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no `{series}` in\n{text}")).parse().expect("a number")
    }

    /// Resident memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.pid())).expect("Linux");
        let pages: u64 = statm.split(' ').nth(1).expect("resident pages").parse().expect("a number");
        pages * 4096
    }

    /// How many files and connections it has open.
    pub(crate) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("Linux").count()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

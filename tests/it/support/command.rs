//! Running the real `mandate` command to its end.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Longest any command may take; one that hangs fails its test.
const PATIENCE: Duration = Duration::from_secs(120);

/// The binary under test: this build's, or the one that `MANDATE_BIN` names.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("MANDATE_BIN").map_or_else(|| env!("CARGO_BIN_EXE_mandate").into(), PathBuf::from)
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// Standard output as the JSON document it must be.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Fails unless the command ended by itself with this code.
    #[track_caller]
    pub(crate) fn check_code(&self, expected: i32) {
        assert_eq!(self.signal, None, "ended by a signal: {self:?}");
        assert_eq!(self.code, Some(expected), "{self:?}");
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs `mandate` with these arguments.
pub(crate) fn mandate<I: IntoIterator<Item = A>, A: AsRef<OsStr>>(arguments: I) -> Finished {
    mandate_with_input(arguments, "")
}

/// Runs `mandate` with text on its standard input.
pub(crate) fn mandate_with_input<I: IntoIterator<Item = A>, A: AsRef<OsStr>>(
    arguments: I,
    input: &str,
) -> Finished {
    run_build(&binary(), arguments, input)
}

/// Runs another build of `mandate` with text on its standard input.
pub(crate) fn run_build<I: IntoIterator<Item = A>, A: AsRef<OsStr>>(
    build: &Path,
    arguments: I,
    input: &str,
) -> Finished {
    let mut child = Command::new(build)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let pid = child.id();
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // A command that does not read its input closes the pipe, which is no failure of the test.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let (done, waiting) = mpsc::channel();
    let waiter = std::thread::spawn(move || drop(done.send(child.wait_with_output())));
    let output = match waiting.recv_timeout(PATIENCE) {
        Ok(output) => output.expect("the command's output"),
        Err(_) => {
            kill(pid);
            waiter.join().expect("the waiting thread");
            panic!("the command did not end within {PATIENCE:?}");
        }
    };
    writer.join().expect("the writing thread");
    Finished::from(output)
}

fn kill(pid: u32) {
    Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill");
}

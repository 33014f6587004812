//! Unix sockets: who gets in, what of a server they leave behind, and that commands speak over them.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};

use tempfile::TempDir;

use super::view;
use crate::support::{Client, Finished, Process, Sources, evaluation, is_allow, mandate};

/// Where the listeners of a server are.
struct Sockets(TempDir);

impl Sockets {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn address(&self, listener: &str) -> String {
        format!("unix:{}", self.0.path().join(listener).display())
    }

    /// Serves over Unix sockets only.
    fn serve(&self, sources: &Sources) -> Result<Process, Finished> {
        let addresses = ["data", "http", "ops", "control"].map(|listener| self.address(listener));
        let [data, http, ops, control] = &addresses;
        let flags = ["--data", data, "--http", http, "--ops", ops, "--control", control];
        let mode = "MANDATE__LISTEN__SOCKET_MODE=\"0600\"";
        Process::try_start_with(sources, &[&flags[..], &[mode]].concat())
    }

    /// Asks over HTTP, and returns the whole answer.
    fn http(&self, listener: &str, request: &str) -> String {
        let mut stream = UnixStream::connect(self.0.path().join(listener)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

#[test]
fn everything_is_served_over_unix_sockets_and_commands_speak_over_them() {
    let (sources, sockets) = (Sources::small(), Sockets::new());
    let process = sockets.serve(&sources).unwrap();
    for listener in ["data", "http", "ops", "control"] {
        let made = std::fs::symlink_metadata(sockets.0.path().join(listener)).unwrap();
        assert!(made.file_type().is_socket());
        assert_eq!(made.permissions().mode() & 0o777, 0o600, "{listener}");
    }
    assert!(is_allow(&Client::connect(&sockets.address("data")).authorize(view()).unwrap()));
    let body = evaluation(("Mandate::User", "ana"), "view", ("Mandate::Doc", "plan")).to_string();
    let answer = sockets.http(
        "http",
        &format!(
            "POST /access/v1/evaluation HTTP/1.1\r\nhost: mandate\r\ncontent-type: application/json\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"decision\":true"), "{answer}");
    let ready = sockets.http("ops", "GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");

    let (data, control) = (sockets.address("data"), sockets.address("control"));
    let checked = mandate([
        "check",
        "--server",
        &data,
        "--principal",
        "Mandate::User::\"ana\"",
        "--action",
        "view",
        "--resource",
        "Mandate::Doc::\"plan\"",
    ]);
    checked.check_code(0);
    let folder = sources.path("data").display().to_string();
    let status = mandate(["status", "--control", &control, "--data-dir", &folder, "--format", "json"]);
    status.check_code(0);
    assert_eq!(status.json()["listeners"]["data"], data);
    process.terminate().check_code(0);
    assert_eq!(std::fs::read_dir(sockets.0.path()).unwrap().count(), 0, "they go with the server");
}

#[test]
fn a_stale_socket_makes_way_and_one_that_is_listened_on_does_not() {
    let (sources, sockets) = (Sources::small(), Sockets::new());
    sockets.serve(&sources).unwrap().crash();
    assert!(sockets.0.path().join("data").exists(), "a process that is killed leaves them");
    let process = sockets.serve(&sources).unwrap();
    assert!(is_allow(&Client::connect(&sockets.address("data")).authorize(view()).unwrap()));
    process.terminate().check_code(0);
    let held = UnixListener::bind(sockets.0.path().join("data")).unwrap();
    let refused = sockets.serve(&sources).unwrap_err();
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("another process listens there"), "{refused:?}");
    drop(held);
}

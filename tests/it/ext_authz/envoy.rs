//! The real Envoy, with the documentation's own configuration.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{get, repository};

/// Longest time for Envoy to start, to answer, or to write what it did.
const PATIENCE: Duration = Duration::from_secs(60);

/// Envoy, in front of one upstream. Killed when dropped.
#[derive(Debug)]
pub(super) struct Envoy {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
    admin: String,
}

/// Where Envoy is installed; none where it is not, which continuous integration does not accept.
pub(super) fn installed() -> Option<PathBuf> {
    let path = repository().join("target/tools/py/bin/envoy");
    if path.is_file() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "no {}: run `make envoy`", path.display());
    eprintln!("SKIPPED: no Envoy; run `make envoy`");
    None
}

/// The documentation's configuration, with ports of this test. Time is not short here: the machine may be busy.
fn configuration(pdp: SocketAddr, upstream: SocketAddr) -> String {
    let text = include_str!("../../../examples/envoy/envoy.yaml");
    let mut text = text.to_owned();
    for (written, meant) in [
        ("port_value: 9901", "port_value: 0".to_owned()),
        ("port_value: 8080", "port_value: 0".to_owned()),
        ("port_value: 4466", format!("port_value: {}", pdp.port())),
        ("port_value: 9000", format!("port_value: {}", upstream.port())),
        ("port_value: 9001", format!("port_value: {}", upstream.port())),
        ("timeout: 1s", "timeout: 30s".to_owned()),
    ] {
        assert!(text.contains(written), "the example says `{written}`");
        text = text.replace(written, &meant);
    }
    text
}

impl Envoy {
    /// Envoy between its clients and an upstream, asking this decision point.
    pub(super) fn start(program: &Path, pdp: SocketAddr, upstream: SocketAddr) -> Self {
        Self::start_changed(program, pdp, upstream, &[])
    }

    /// The same, where the documentation's configuration says something else.
    pub(super) fn start_changed(
        program: &Path,
        pdp: SocketAddr,
        upstream: SocketAddr,
        changes: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut text = configuration(pdp, upstream);
        for (written, meant) in changes {
            assert!(text.contains(written), "the configuration says `{written}`");
            text = text.replace(written, meant);
        }
        let file = folder.path().join("envoy.yaml");
        fs::write(&file, text).unwrap();
        let told = folder.path().join("admin");
        let child = Command::new(program)
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"])
            .arg("--admin-address-path")
            .arg(&told)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(File::create(folder.path().join("access.log")).unwrap())
            .stderr(File::create(folder.path().join("own.log")).unwrap())
            .spawn()
            .unwrap();
        let mut envoy = Self { child, folder, address: pdp, admin: String::new() };
        envoy.wait(&told);
        envoy
    }

    /// Waits until it serves, and learns where.
    fn wait(&mut self, told: &Path) {
        let begun = Instant::now();
        loop {
            let admin = fs::read_to_string(told).unwrap_or_default();
            if !admin.trim().is_empty() {
                self.admin = format!("http://{}", admin.trim());
                if get(&format!("{}/ready", self.admin)).status == 200 {
                    break;
                }
            }
            let ended = self.child.try_wait().unwrap();
            let late = begun.elapsed() > PATIENCE;
            assert!(ended.is_none() && !late, "Envoy does not start: {}", self.read("own.log"));
            std::thread::sleep(Duration::from_millis(20));
        }
        let listeners = get(&format!("{}/listeners?format=json", self.admin)).json();
        let address = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
        let port = address["port_value"].as_u64().expect("a port");
        self.address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()));
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// What it counts under a name.
    pub(super) fn count(&self, name: &str) -> u64 {
        let stats = get(&format!("{}/stats?filter={name}", self.admin)).body;
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no `{name}` in {stats}")).parse().unwrap()
    }

    /// The lines of its access log, once there are so many.
    pub(super) fn accesses(&self, expected: usize) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let text = self.read("access.log");
            let whole = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            let lines: Vec<Value> = whole.collect();
            if lines.len() >= expected {
                return lines;
            }
            assert!(begun.elapsed() < PATIENCE, "{expected} accesses in {text}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends a request as its bytes are, and reads the whole answer.
    pub(super) fn send(&self, request: &[u8]) -> Response {
        let mut connection = TcpStream::connect(self.address).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        connection.write_all(request).unwrap();
        let mut bytes = Vec::new();
        // A connection that is closed while something is still being sent is reset.
        let _reset = connection.read_to_end(&mut bytes);
        Response::of(&bytes)
    }

    /// Sends a request of one method.
    pub(super) fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut request =
            format!("{method} {target} HTTP/1.1\r\nhost: house.example\r\nconnection: close\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            request += &format!("content-length: {}\r\n", body.len());
        }
        self.send(format!("{request}\r\n{body}").as_bytes())
    }

    /// Posts a message of MCP.
    pub(super) fn post(&self, headers: &[(&str, &str)], message: &str) -> Response {
        let json = [("content-type", "application/json")];
        let headers: Vec<_> = json.iter().chain(headers).copied().collect();
        self.request("POST", "/fetch/mcp", &headers, message)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Response {
    fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("no answer: {text:?}")),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

//! Spans as a real OpenTelemetry collector, `rotel`, reads them.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::collector::PATIENCE;
use super::view;
use crate::support::{Sources, TestServer, is_allow, repository};

/// The collector's process.
struct Rotel {
    child: Child,
    _folder: TempDir,
}

impl Drop for Rotel {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where it is installed; none where it is not, which continuous integration does not accept.
fn installed() -> Option<PathBuf> {
    let libraries = repository().join("target/tools/py/lib");
    let versions = std::fs::read_dir(&libraries).into_iter().flatten().filter_map(Result::ok);
    let program = versions.map(|version| version.path().join("site-packages/rotel/rotel-agent"));
    let program = program.into_iter().find(|program| program.is_file());
    if program.is_none() {
        assert!(std::env::var_os("CI").is_none(), "no rotel under {}: run `make rotel`", libraries.display());
        eprintln!("SKIPPED: no OpenTelemetry collector; run `make rotel`");
    }
    program
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

/// What a line says behind this name, of every span in turn.
fn told<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix(name));
    lines.filter_map(|rest| rest.trim_start().strip_prefix(':')).map(str::trim).collect()
}

#[test]
fn a_real_collector_reads_a_call_and_the_decision_inside_it() {
    let Some(program) = installed() else { return };
    let (grpc, http, folder) = (free(), free(), tempfile::tempdir().unwrap());
    let said = folder.path().join("said");
    let output = File::create(&said).unwrap();
    let child = Command::new(program)
        .current_dir(folder.path())
        .env("NO_COLOR", "1")
        .args(["start", "--exporter", "blackhole", "--debug-log", "traces"])
        .args(["--debug-log-verbosity", "detailed"])
        .args(["--otlp-grpc-endpoint", &grpc.to_string(), "--otlp-http-endpoint", &http.to_string()])
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let _rotel = Rotel { child, _folder: folder };
    let begun = Instant::now();
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        while !holds() {
            assert!(begun.elapsed() < PATIENCE, "{what}: {}", fs::read_to_string(&said).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    until("it does not listen", &|| TcpStream::connect(grpc).is_ok());
    let config = format!("[telemetry.traces]\nurl = 'http://{grpc}'\nratio = 1.0\n");
    let server = TestServer::with_config(&Sources::small().config_written(&config).unwrap());
    assert!(is_allow(&server.authorize(view()).unwrap()));
    server.shutdown();
    let text = || fs::read_to_string(&said).unwrap();
    until("it has no spans", &|| told(&text(), "Kind").len() == 2);
    until("it has no attributes", &|| text().contains("mandate.generation"));
    let text = text();
    let place = |name: &str| told(&text, "Name").iter().position(|found| *found == name).expect("a span");
    let (call, decision) = (place("mandate.v1.AuthorizationService/Authorize"), place("decide"));
    assert_eq!(told(&text, "Kind")[call], "SPAN_KIND_SERVER");
    assert_eq!(told(&text, "Trace ID")[call], told(&text, "Trace ID")[decision]);
    assert_eq!(told(&text, "Parent ID")[decision], told(&text, "ID")[call]);
    assert!(text.contains("-> service.name: Str(mandate)"), "{text}");
}

//! Spans through a real OpenTelemetry collector, `rotel`, to the test's own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::collector::{Collector, Manner, PATIENCE};
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

#[test]
fn a_real_collector_takes_spans_and_passes_them_on() {
    let Some(program) = installed() else { return };
    let end = Collector::start(Manner::Take);
    let (grpc, http, folder) = (free(), free(), tempfile::tempdir().unwrap());
    let child = Command::new(program)
        .current_dir(folder.path())
        .args(["start", "--exporter", "otlp", "--otlp-exporter-traces-compression", "none"])
        .args(["--otlp-grpc-endpoint", &grpc.to_string(), "--otlp-http-endpoint", &http.to_string()])
        .args(["--otlp-exporter-endpoint", &format!("http://{}", end.address)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _rotel = Rotel { child, _folder: folder };
    let begun = Instant::now();
    while TcpStream::connect(grpc).is_err() {
        assert!(begun.elapsed() < PATIENCE, "the collector does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let config = format!("[telemetry.traces]\nurl = 'http://{grpc}'\nratio = 1.0\n");
    let server = TestServer::with_config(&Sources::small().config_written(&config).unwrap());
    assert!(is_allow(&server.authorize(view()).unwrap()));
    let spans = end.spans(2);
    let decision = spans.iter().find(|span| span.name == "decide").unwrap();
    let call = spans.iter().find(|span| span.name != "decide").unwrap();
    assert_eq!((&decision.trace_id, &decision.parent_span_id), (&call.trace_id, &call.span_id));
    assert_eq!(call.name, "mandate.v1.AuthorizationService/Authorize");
}

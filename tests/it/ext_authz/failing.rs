//! Mandate fails, is killed, or stands still: nothing passes Envoy.

use nix::sys::signal::Signal;

use super::EXAMPLE;
use super::envoy::{Envoy, installed};
use super::proxied::{GOOD, address, fetch};
use super::upstream::Upstream;
use crate::support::{Process, Sources, repository};

/// The shipped sources in folders of their own, and the example's configuration.
fn sources() -> Sources {
    let mut sources = Sources::empty().write("mandate.toml", EXAMPLE);
    for kind in ["policies", "schemas", "entities"] {
        for file in std::fs::read_dir(repository().join(kind)).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                let name = format!("{kind}/{}", path.file_name().unwrap().to_string_lossy());
                sources = sources.write(&name, std::fs::read(&path).unwrap());
            }
        }
    }
    sources
}

fn start(sources: &Sources, data: &str) -> Process {
    let config = sources.path("mandate.toml").display().to_string();
    Process::try_start_with(sources, &["--config", &config, "--data", data]).unwrap()
}

#[test]
fn nothing_passes_while_mandate_is_dead_and_what_may_passes_once_it_is_back() {
    let Some(program) = installed() else { return };
    let (sources, upstream) = (sources(), Upstream::start());
    let process = start(&sources, "127.0.0.1:0");
    let data = address(&process.data);
    let envoy = Envoy::start(&program, data, upstream.address);
    assert_eq!(envoy.post(&[], &fetch(GOOD)).status, 200);
    assert_eq!(envoy.request("GET", "/status", &[], "").status, 200);
    assert_eq!(upstream.arrived().len(), 2);
    process.crash();
    for _ in 0..3 {
        assert_eq!(envoy.post(&[], &fetch(GOOD)).status, 403);
        assert_eq!(envoy.request("GET", "/status", &[], "").status, 403);
    }
    assert!(upstream.arrived().is_empty(), "nothing passes");
    assert_eq!(envoy.count("http.agents.ext_authz.error"), 6);
    assert_eq!(envoy.count("http.agents.ext_authz.failure_mode_allowed"), 0);
    let _again = start(&sources, &data.to_string());
    // Envoy waits a while before it tries a connection again.
    let begun = std::time::Instant::now();
    while envoy.post(&[], &fetch(GOOD)).status != 200 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "Envoy finds it again");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(upstream.arrived().len(), 1);
}

#[test]
fn nothing_passes_while_mandate_stands_still() {
    let Some(program) = installed() else { return };
    let (sources, upstream) = (sources(), Upstream::start());
    let process = start(&sources, "127.0.0.1:0");
    let late = [("timeout: 30s", "timeout: 1s")];
    let envoy = Envoy::start_changed(&program, address(&process.data), upstream.address, &late);
    process.signal(Signal::SIGSTOP);
    assert_eq!(envoy.post(&[], &fetch(GOOD)).status, 403);
    process.signal(Signal::SIGCONT);
    assert!(upstream.arrived().is_empty(), "nothing passes");
    assert_eq!(envoy.count("http.agents.ext_authz.error"), 1);
}

#[test]
fn a_failure_of_mandates_is_one_to_envoy() {
    let Some(program) = installed() else { return };
    let (server, upstream) = (super::ask::example(""), Upstream::start());
    // Facts that no policy takes: nothing can be decided.
    let changes = [(
        "mandate.server: fetch",
        "mandate.context: '{\"session\": {}}'\n                                  mandate.server: fetch",
    )];
    let envoy = Envoy::start_changed(&program, address(&server.data), upstream.address, &changes);
    let failed = envoy.post(&[], &fetch(GOOD));
    assert_eq!(failed.status, 500, "{failed:?}");
    assert!(upstream.arrived().is_empty());
    assert_eq!(envoy.count("http.agents.ext_authz.error"), 1);
    assert_eq!(envoy.count("http.agents.ext_authz.denied"), 0);
}

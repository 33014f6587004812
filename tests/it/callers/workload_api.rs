//! A server whose certificate, and whose callers' authorities, come from a SPIFFE Workload API.

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mandate::config::Config;
use rcgen::{IsCa, SanType, date_time_ymd};
use tempfile::TempDir;

use super::{GATEWAY, OPEN, eventually, sources, view};
use crate::support::{
    Authority, Client, Given, Shown, Sources, TestServer, WorkloadApi, binary, get, is_allow, svid,
};

const SERVER: &str = "spiffe://example.org/mandate";

/// What the server is given that this authority vouches for, for so long.
fn certificate(authority: &Authority, holds: Duration) -> Shown {
    let mut params = svid(&[SERVER]);
    // As SPIRE has it: X.509-SVIDs say that they are no authority's.
    params.is_ca = IsCa::ExplicitNoCa;
    params.subject_alt_names.push(SanType::DnsName("localhost".try_into().unwrap()));
    let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + holds;
    params.not_after = date_time_ymd(1970, 1, 1) + end;
    authority.sign(&params)
}

fn given(authority: &Authority, holds: Duration) -> Given {
    Given::svid(SERVER, &certificate(authority, holds), &[&authority.pem])
}

fn written(sources: &Sources, endpoint: &str) -> String {
    format!(
        "[sources]\npep = '{}'\n[tls]\nworkload_api = '{endpoint}'\nworkload_api_timeout = '20s'\n\
         [[callers.spiffe]]\ntrust_domain = 'example.org'\n",
        sources.path("pep").display()
    )
}

fn config(sources: &Sources, written: &str) -> Config {
    sources.config_written(written).unwrap()
}

fn connect(
    server: &TestServer,
    trusted: &Authority,
    shown: &Shown,
) -> Result<Client, tonic::transport::Error> {
    Client::secured(&server.data, &trusted.pem, Some(shown))
}

/// Whether whoever trusts this authority, and shows what it signed, is answered over a new connection.
fn is_answered(server: &TestServer, authority: &Authority) -> bool {
    let client = connect(server, authority, &authority.svid(GATEWAY));
    client.is_ok_and(|client| client.authorize(view()).is_ok_and(|answer| is_allow(&answer)))
}

#[test]
fn certificate_and_bundles_follow_the_workload_api() {
    let (old, new) = (Authority::root("old"), Authority::root("new"));
    let minute = Duration::from_secs(60);
    let api = WorkloadApi::giving(Some(given(&old, minute)));
    let sources = sources(OPEN);
    let config = config(&sources, &written(&sources, &api.endpoint()));
    let server = TestServer::with_client(&config, |address| {
        Client::secured(address, &old.pem, Some(&old.svid(GATEWAY))).unwrap()
    });
    assert!(is_allow(&server.authorize(view()).unwrap()));
    assert!(!is_answered(&server, &new));
    // Another authority, for the server and for its callers. The open connection is held to it with its next call.
    api.give(given(&new, minute));
    eventually("the new authority counts", || is_answered(&server, &new));
    let old_caller = connect(&server, &new, &old.svid(GATEWAY)).map(|client| client.authorize(view()));
    assert!(!matches!(old_caller, Ok(Ok(_))), "{old_caller:?}");
    assert_eq!(server.authorize(view()).unwrap_err().code(), tonic::Code::Unauthenticated);
    // Its authorities and those of another trust domain: only the one that is configured may call.
    let other = Authority::root("other.org");
    api.give(given(&new, minute).federated("other.org", &[&other.pem]));
    eventually("it is taken", || {
        server.metrics().value("pdp_workload_api_updates_total{outcome=\"given\"}") >= 3.0
    });
    let stranger =
        connect(&server, &new, &other.svid("spiffe://other.org/a")).map(|client| client.authorize(view()));
    assert!(!matches!(stranger, Ok(Ok(_))), "{stranger:?}");
    assert!(is_answered(&server, &new));
}

#[test]
fn without_the_workload_api_what_is_held_serves_to_its_end_and_nothing_after() {
    let authority = Authority::root("example.org");
    let mut api = WorkloadApi::giving(Some(given(&authority, Duration::from_secs(15))));
    let sources = sources(OPEN);
    let config = config(&sources, &written(&sources, &api.endpoint()));
    let server = TestServer::with_client(&config, |address| {
        Client::secured(address, &authority.pem, Some(&authority.svid(GATEWAY))).unwrap()
    });
    let ready = || get(&format!("{}/readyz", server.ops));
    api.is_away();
    eventually("that it is away is told", || server.metrics().value("pdp_workload_api_failing") == 1.0);
    assert!(is_answered(&server, &authority));
    assert_eq!(ready().status, 200);
    eventually("its end is its end", || !is_answered(&server, &authority));
    let unready = ready();
    assert_eq!(unready.status, 503);
    assert!(unready.body.contains("the Workload API gives no other"), "{unready:?}");
    api.give(given(&authority, Duration::from_secs(60)));
    api.is_back();
    eventually("it is back", || is_answered(&server, &authority));
    assert_eq!(ready().status, 200);
    assert_eq!(server.metrics().value("pdp_workload_api_failing"), 0.0);
}

/// What a server says that does not start so.
fn refusal(sources: &Sources, folder: &TempDir, written: &str, endpoint: Option<&str>) -> String {
    let file = folder.path().join("mandate.toml");
    std::fs::write(&file, written).unwrap();
    let mut command = Command::new(binary());
    command.arg("serve").args(sources.flags()).arg("--data-dir").arg(sources.path("data"));
    command.arg("--config").arg(&file).env_remove("SPIFFE_ENDPOINT_SOCKET");
    if let Some(endpoint) = endpoint {
        command.env("SPIFFE_ENDPOINT_SOCKET", endpoint);
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_start_waits_for_the_workload_api_and_not_for_ever() {
    let (sources, folder) = (sources(OPEN), tempfile::tempdir().unwrap());
    let refusal = |written: &str, endpoint| refusal(&sources, &folder, written, endpoint);
    let nowhere = format!("unix://{}/agent.sock", folder.path().display());
    let soon = "[tls]\nworkload_api_timeout = '1s'\n";
    let said = refusal(soon, Some(&nowhere));
    assert!(said.contains(&nowhere) && said.contains("no X.509-SVID within 1s"), "{said}");
    let api = WorkloadApi::giving(None);
    let said = refusal(&format!("{soon}workload_api = '{}'\n", api.endpoint()), Some("unix:///elsewhere"));
    assert!(said.contains(&api.endpoint()) && said.contains("it does not answer"), "{said}");
    for (written, expected) in [
        ("[tls]\n", "names no certificate"),
        ("[tls]\ncertificate = 'a'\n", "needs both"),
        ("[tls]\ncertificate = 'a'\nkey = 'b'\nworkload_api = 'unix:///c'\n", "two certificates"),
        ("[tls]\nworkload_api = '/c'\n", "write unix:///run/spire/agent.sock"),
        ("[tls]\nworkload_api = 'tcp://192.0.2.1:80'\n", "on another host"),
        ("[tls]\nworkload_api = 'unix:///c'\nworkload_api_timeout = '1h'\n", "between 1 s and 10 minutes"),
        (
            "[tls]\ncertificate = 'a'\nkey = 'b'\n[[callers.spiffe]]\ntrust_domain = 'example.org'\n",
            "`example.org` has no `bundle`",
        ),
    ] {
        let said = refusal(written, None);
        assert!(said.contains(expected), "{written}\n{said}");
    }
}

//! Requests through the real Envoy: what reaches the upstream, and what does not.

use std::net::SocketAddr;

use serde_json::json;

use super::EXAMPLE;
use super::ask::example;
use super::envoy::{Envoy, installed};
use super::upstream::Upstream;
use crate::support::TestServer;

/// Envoy in the middle.
struct Proxied {
    envoy: Envoy,
    upstream: Upstream,
    server: TestServer,
}

impl Proxied {
    fn start() -> Option<Self> {
        Self::start_with("", &[])
    }

    /// With more of Mandate's configuration, and changes of Envoy's.
    fn start_with(more: &str, changes: &[(&str, &str)]) -> Option<Self> {
        let program = installed()?;
        let (server, upstream) = (example(more), Upstream::start());
        let envoy = Envoy::start_changed(&program, address(&server.data), upstream.address, changes);
        Some(Self { envoy, upstream, server })
    }

    /// Fails unless something was answered with this status and did not reach the upstream.
    #[track_caller]
    fn check_stopped(&self, status: u16, response: &super::envoy::Response) {
        assert_eq!(response.status, status, "{response:?}");
        assert!(self.upstream.arrived().is_empty(), "it is stopped before the upstream");
    }
}

pub(super) fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().unwrap()
}

pub(super) fn fetch(url: &str) -> String {
    let params = json!({"name": "fetch", "arguments": {"url": url}});
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}).to_string()
}

pub(super) const GOOD: &str = "https://docs.rs/tonic";
const BAD: &str = "https://evil.example/";

#[test]
fn a_tool_call_passes_or_not_by_its_arguments() {
    let Some(proxied) = Proxied::start() else { return };
    let (message, headers) = (fetch(GOOD), [("mcp-method", "tools/call"), ("mcp-name", "fetch")]);
    let allowed = proxied.envoy.post(&headers, &message);
    assert_eq!(allowed.status, 200, "{allowed:?}");
    let arrived = proxied.upstream.arrived();
    assert_eq!((arrived[0].target.as_str(), arrived[0].body.as_ref()), ("/mcp", message.as_bytes()));
    let denied = proxied.envoy.post(&headers, &fetch(BAD));
    proxied.check_stopped(403, &denied);
    let body = denied.json();
    assert_eq!((&body["id"], &body["error"]["data"]["reason"]), (&json!(7), &json!("forbidden")), "{body}");
    assert!(denied.head.contains("x-mandate-decision-id: "), "{denied:?}");
    // The log of each tells of the other's.
    let records = proxied.server.records(2);
    let accesses = proxied.envoy.accesses(2);
    for (record, access) in records.iter().zip(&accesses) {
        assert_eq!(record["decision_id"], access["decision_id"], "{access}");
        assert_eq!(record["decision"], access["decision"], "{access}");
    }
    assert_eq!(arrived[0].headers["x-mandate-decision-id"], records[0]["decision_id"].as_str().unwrap());
    assert_eq!(accesses[1]["policies"].to_string(), "[\"known-sites\"]");
    assert_eq!(records[0]["request_id"], arrived[0].headers["x-request-id"].to_str().unwrap());
    assert_eq!(proxied.envoy.count("http.agents.ext_authz.ok"), 1);
    assert_eq!(proxied.envoy.count("http.agents.ext_authz.denied"), 1);
    assert_eq!(proxied.envoy.count("http.agents.ext_authz.error"), 0);
}

#[test]
fn plain_requests_pass_or_not_by_method_and_path() {
    let Some(proxied) = Proxied::start() else { return };
    let allowed = proxied.envoy.request("GET", "/status?q=a%20b", &[], "");
    assert_eq!(allowed.status, 200, "{allowed:?}");
    assert_eq!(proxied.upstream.arrived()[0].target, "/status?q=a%20b");
    // A body that nobody looks at does not matter, however long it is.
    let posted = proxied.envoy.request("POST", "/status", &[], &"x".repeat(200_000));
    proxied.check_stopped(403, &posted);
    let agent = [(
        "mandate.server: house",
        "mandate.server: house\n                                  mandate.principal: fixed\n                                  mandate.principal_type: Mandate::Agent\n                                  mandate.principal_id: night-watch",
    )];
    let Some(agent) = Proxied::start_with("", &agent) else { return };
    assert_eq!(agent.envoy.request("GET", "/status", &[], "").status, 200);
    agent.upstream.arrived();
    for path in ["/admin", "/admin/jobs", "/%61dmin", "/adm%69n/"] {
        let denied = agent.envoy.request("GET", path, &[], "");
        agent.check_stopped(403, &denied);
        assert_eq!(denied.json()["error"]["reason"], "forbidden", "{denied:?}");
    }
}

#[test]
fn paths_that_upstreams_would_differ_over_stop_here() {
    let Some(proxied) = Proxied::start() else { return };
    for path in [
        "//status",
        "/a//b",
        "/a/../admin",
        "/./a",
        "/a/%2e%2e/admin",
        "/a%2fb",
        "/a%5cb",
        "/a\\b",
        "/%00",
        "/a%252fb",
        "/a;b",
        "/a%3Bb",
        "/a#b",
        "/a%",
        "/a%zz",
        "/\u{e9}",
        "/a|b",
        "/fetch/mcp/../../admin",
    ] {
        let stopped = proxied.envoy.request("GET", path, &[], "");
        proxied.check_stopped(400, &stopped);
    }
    for header in ["x-http-method-override", "x-original-url"] {
        let stopped = proxied.envoy.request("GET", "/status", &[(header, "/admin")], "");
        proxied.check_stopped(400, &stopped);
    }
    assert_eq!(proxied.envoy.count("http.agents.ext_authz.error"), 0, "a client cannot look like a failure");
}

#[test]
fn a_body_that_is_too_long_for_envoy_is_decided_by_nobody() {
    let long = fetch(&format!("{GOOD}/{}", "a".repeat(100_000)));
    let Some(proxied) = Proxied::start() else { return };
    proxied.check_stopped(413, &proxied.envoy.post(&[], &long));
    let partial = [("allow_partial_message: false", "allow_partial_message: true")];
    let Some(proxied) = Proxied::start_with("", &partial) else { return };
    let stopped = proxied.envoy.post(&[], &long);
    proxied.check_stopped(413, &stopped);
    assert!(stopped.body.contains("longer than Envoy sends"), "{stopped:?}");
    // The first part may be a whole message that is allowed; it is not what the upstream would have read.
    let hidden = format!("{}{}{}", fetch(GOOD), " ".repeat(65_536), fetch(BAD));
    proxied.check_stopped(413, &proxied.envoy.post(&[], &hidden));
    let forged = [("x-envoy-auth-partial-body", "false")];
    proxied.check_stopped(413, &proxied.envoy.post(&forged, &hidden));
    assert_eq!(proxied.envoy.post(&[], &fetch(GOOD)).status, 200, "a whole one passes");
    let none = [
        ("disable_request_body_buffering: true", "disable_request_body_buffering: false"),
        (
            "                      with_request_body:\n                        max_request_bytes: 65536\n                        allow_partial_message: false\n                        pack_as_bytes: true\n",
            "",
        ),
    ];
    let Some(proxied) = Proxied::start_with("", &none) else { return };
    let stopped = proxied.envoy.post(&[], &fetch(GOOD));
    proxied.check_stopped(400, &stopped);
    assert!(stopped.body.contains("with_request_body"), "{stopped:?}");
}

/// A request with header fields that stand twice.
fn doubled(name: &str, values: [&str; 2], message: &str) -> Vec<u8> {
    let [one, other] = values;
    format!(
        "POST /fetch/mcp HTTP/1.1\r\nhost: house.example\r\nconnection: close\r\ncontent-type: application/json\r\n\
         {name}: {one}\r\n{name}: {other}\r\ncontent-length: {}\r\n\r\n{message}",
        message.len()
    )
    .into_bytes()
}

#[test]
fn header_fields_that_stand_twice_stop_here_in_either_encoding() {
    let joined = [("encode_raw_headers: true", "encode_raw_headers: false")];
    for changes in [&[][..], &joined[..]] {
        let Some(proxied) = Proxied::start_with("", changes) else { return };
        assert_eq!(proxied.envoy.post(&[("mcp-method", "tools/call")], &fetch(GOOD)).status, 200);
        proxied.upstream.arrived();
        for (name, values) in [
            ("mcp-method", ["tools/call", "tools/list"]),
            ("mcp-method", ["tools/call", "tools/call"]),
            ("mcp-name", ["fetch", "time"]),
            ("mcp-session-id", ["a", "b"]),
            ("content-type", ["application/json", "text/plain"]),
        ] {
            let stopped = proxied.envoy.send(&doubled(name, values, &fetch(GOOD)));
            proxied.check_stopped(400, &stopped);
        }
        let mismatch = proxied.envoy.post(&[("mcp-name", "time")], &fetch(GOOD));
        proxied.check_stopped(400, &mismatch);
        assert_eq!(mismatch.json()["error"]["code"], -32020, "{mismatch:?}");
        assert_eq!(proxied.envoy.count("http.agents.ext_authz.error"), 0);
    }
}

#[test]
fn an_upstream_reads_nothing_in_mandates_name_that_mandate_did_not_write() {
    let Some(proxied) = Proxied::start() else { return };
    let forged =
        [("x-mandate-decision-id", "forged"), ("x-mandate-principal", "admin"), ("X-Mandate-Role", "admin")];
    assert_eq!(proxied.envoy.post(&forged, &fetch(GOOD)).status, 200);
    let arrived = proxied.upstream.arrived();
    let own: Vec<_> =
        arrived[0].headers.iter().filter(|(name, _)| name.as_str().starts_with("x-mandate")).collect();
    let [(name, value)] = own.as_slice() else { panic!("{own:?}") };
    assert_eq!(name.as_str(), "x-mandate-decision-id");
    assert_eq!(*value, proxied.server.records(1)[0]["decision_id"].as_str().unwrap());
}

#[test]
fn bytes_that_are_no_text_are_nobodys_message() {
    let raw = [("pack_as_bytes: true", "pack_as_bytes: false")];
    for changes in [&[][..], &raw[..]] {
        let Some(proxied) = Proxied::start_with("", changes) else { return };
        let message = fetch(&format!("{GOOD}/X"));
        let mut request = doubled("x-a", ["1", "2"], &message);
        let at = request.iter().rposition(|byte| *byte == b'X').unwrap();
        request[at] = 0xff;
        let stopped = proxied.envoy.send(&request);
        assert!([400, 403].contains(&stopped.status), "{stopped:?}");
        assert!(proxied.upstream.arrived().is_empty());
        assert_eq!(proxied.envoy.post(&[], &fetch(GOOD)).status, 200);
    }
}

#[test]
fn what_envoys_own_filter_for_mcp_read_is_held_to_the_message() {
    let filter = "http_filters:\n                  - name: envoy.filters.http.mcp\n                    typed_config:\n                      \"@type\": \
                  type.googleapis.com/envoy.extensions.filters.http.mcp.v3.Mcp\n";
    let told = "failure_mode_allow: false\n                      metadata_context_namespaces: [envoy.filters.http.mcp]";
    let changes = [("http_filters:\n", filter), ("failure_mode_allow: false", told)];
    let Some(proxied) = Proxied::start_with("", &changes) else { return };
    let accept = [("accept", "application/json, text/event-stream")];
    assert_eq!(proxied.envoy.post(&accept, &fetch(GOOD)).status, 200);
    proxied.upstream.arrived();
    proxied.check_stopped(403, &proxied.envoy.post(&accept, &fetch(BAD)));
    // Of two names each reader could take another.
    let double = fetch(GOOD).replace("\"name\"", "\"name\":\"time\",\"name\"");
    let stopped = proxied.envoy.post(&accept, &double);
    assert!([400, 403].contains(&stopped.status), "{stopped:?}");
    assert!(proxied.upstream.arrived().is_empty());
}

#[test]
fn the_example_is_the_one_that_is_tested() {
    assert!(EXAMPLE.contains("[ext_authz]"));
    let Some(program) = installed() else { return };
    let file = crate::support::repository().join("examples/envoy/envoy.yaml");
    let checked =
        std::process::Command::new(program).args(["--mode", "validate", "-c"]).arg(file).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

//! The control listener: who is let in, what it says, and that nothing else leads to it.

use mandate::server::pb;
use pb::admin_service_client::AdminServiceClient;
use serde_json::json;
use tonic::{Code, Request, Status};

use crate::support::{
    Client, Process, Sources, TestServer, bearer, get_status, post, question, raw_call, raw_call_with, token,
    try_post,
};

const METHODS: [&str; 4] = ["GetStatus", "Rollback", "Suspend", "Backup"];

fn view() -> pb::AuthorizeRequest {
    question(("User", "ana"), "view", ("Doc", "plan"))
}

/// A server, a client of its control listener, and its token.
fn server() -> (TestServer, Client, String) {
    let server = TestServer::start(&Sources::small());
    let client = Client::connect(&server.control);
    let token = token(&server.folder.path().join("data"));
    (server, client, token)
}

fn admin(client: &Client) -> AdminServiceClient<tonic::transport::Channel> {
    AdminServiceClient::new(client.channel())
}

#[test]
fn without_the_token_every_method_is_closed_known_or_not() {
    let (_server, client, token) = server();
    let near = format!("{}{}", &token[..63], if token.ends_with('0') { '1' } else { '0' });
    let shown = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        token.clone(),
        format!("bearer {token}"),
        format!("Basic {token}"),
        format!("Token {token}"),
        format!("Bearer  {token}"),
        format!("Bearer {token}x"),
        format!("Bearer {}", &token[..63]),
        format!("Bearer {near}"),
        format!("Bearer {}", token.to_uppercase()),
        format!("Bearer {token},Bearer {token}"),
    ];
    let known = METHODS.map(|method| format!("/mandate.v1.AdminService/{method}"));
    let unknown = [
        "/mandate.v1.AdminService/Nothing",
        "/mandate.v1.AuthorizationService/Authorize",
        "/mandate.v1.EntityService/PutEntities",
        "/grpc.health.v1.Health/Check",
        "/nothing",
    ];
    for method in known.iter().map(String::as_str).chain(unknown) {
        let refused = |answer: Result<_, Status>, how: &str| {
            let status = answer.expect_err(how);
            assert_eq!(status.code(), Code::Unauthenticated, "{method}, {how}: {status:?}");
            assert!(!status.message().contains(&token), "{status:?}");
        };
        refused(raw_call(&client, method, Vec::new()), "nothing shown");
        for authorization in &shown {
            let headers = [("authorization", authorization.as_str())];
            refused(raw_call_with(&client, method, Vec::new(), &headers), authorization);
        }
        let elsewhere =
            [("x-authorization", format!("Bearer {token}")), ("cookie", format!("token={token}"))];
        for (name, value) in &elsewhere {
            refused(raw_call_with(&client, method, Vec::new(), &[(*name, value.as_str())]), name);
        }
    }
    // The harness can succeed: the same call with the token is answered.
    let headers = [("authorization", format!("Bearer {token}"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    raw_call_with(&client, &known[0], Vec::new(), &headers).unwrap();
    let status = raw_call_with(&client, unknown[0], Vec::new(), &headers).unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[test]
fn a_rollback_says_where_to_or_ends_one() {
    let (server, client, token) = server();
    let authorization = format!("Bearer {token}");
    let mut admin = admin(&client);
    let mut rollback = |generation: &str, release: bool| {
        let request = pb::RollbackRequest { generation: generation.to_owned(), release };
        client
            .wait(admin.rollback(bearer(request, &authorization)))
            .map(|answer| answer.into_inner().generation)
    };
    for (generation, release, code) in [
        ("", false, Code::InvalidArgument),
        ("sha256:00", true, Code::InvalidArgument),
        ("nonsense", false, Code::InvalidArgument),
        ("sha256:0000000000", false, Code::NotFound),
        ("", true, Code::FailedPrecondition),
    ] {
        let status = rollback(generation, release).unwrap_err();
        assert_eq!(status.code(), code, "{generation:?}, {release}: {status:?}");
    }
    let served = server.generation();
    assert_eq!(rollback(&served, false).unwrap(), served);
    let status = get_status(&server.control, &server.folder.path().join("data"));
    assert_eq!(status["pinned"]["generation"], json!(served), "{status}");
    assert_eq!(rollback("", true).unwrap(), served);
}

#[test]
fn the_status_says_what_runs() {
    let (server, ..) = server();
    let answer = server.authorize(view()).unwrap();
    server.records(1);
    let status = get_status(&server.control, &server.folder.path().join("data"));
    let names: std::collections::BTreeSet<_> =
        status.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "callers",
        "cedar_version",
        "decision_log",
        "emergency",
        "entities",
        "entity_log",
        "generation",
        "insecure_unauthenticated_callers",
        "keep_error",
        "kept",
        "last_load",
        "listeners",
        "pinned",
        "policies",
        "published_at",
        "reloads",
        "revision",
        "revocations",
        "sequence",
        "serving_stale",
        "source",
        "version",
    ];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);
    let facts = [
        ("generation", json!(answer.generation)),
        ("revision", json!(answer.revision)),
        ("policies", json!(1)),
        ("entities", json!(2)),
        ("source", json!("files")),
        ("sequence", json!(1)),
        ("serving_stale", json!(false)),
        ("pinned", json!(null)),
        ("reloads", json!({"published": 0, "rejected": 0})),
        (
            "decision_log",
            json!({"mode": "async", "issued": 1, "written": 1, "queued": 0, "dropped": 0, "sinks": []}),
        ),
        ("version", json!(env!("CARGO_PKG_VERSION"))),
    ];
    for (name, value) in facts {
        assert_eq!(status[name], value, "{name}");
    }
    assert_eq!(status["last_load"]["outcome"], "published");
    let addresses = &status["listeners"];
    for (name, address) in
        [("data", &server.data), ("http", &server.http), ("ops", &server.ops), ("control", &server.control)]
    {
        assert_eq!(addresses[name], address.trim_start_matches("http://"));
    }
}

#[test]
fn each_listener_serves_its_own_and_nothing_of_the_others() {
    let (server, control, token) = server();
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str())];
    for method in METHODS {
        let method = format!("/mandate.v1.AdminService/{method}");
        let status = raw_call_with(server.client(), &method, Vec::new(), &headers).unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{method} on the data listener: {status:?}");
    }
    for method in [
        "mandate.v1.AuthorizationService/Authorize",
        "mandate.v1.AuthorizationService/AuthorizeBatch",
        "mandate.v1.AuthorizationService/GetServerInfo",
        "grpc.health.v1.Health/Check",
    ] {
        let status = raw_call_with(&control, &format!("/{method}"), Vec::new(), &headers).unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{method} on the control listener: {status:?}");
    }
    for path in ["/metrics", "/livez", "/access/v1/evaluation"] {
        let refused = try_post(&format!("{}{path}", server.control), &headers, "{}");
        assert!(refused.is_ok_and(|answer| answer.status == 505), "{path} on the control listener");
    }
    server.records(0);
}

#[test]
fn browsers_and_http_1_are_refused_before_anything_is_read() {
    let (server, ..) = server();
    let token = format!("Bearer {}", token(&server.folder.path().join("data")));
    for listener in [&server.control, &server.data] {
        for content_type in
            ["text/plain", "application/x-www-form-urlencoded", "application/json", "application/grpc"]
        {
            let headers = [("content-type", content_type), ("authorization", token.as_str())];
            let answer = post(&format!("{listener}/mandate.v1.AdminService/GetStatus"), &headers, "{}");
            assert_eq!(answer.status, 505, "{content_type}: {answer:?}");
        }
    }
}

#[test]
fn over_http_2_only_grpc_is_understood() {
    let (server, ..) = server();
    for listener in [&server.control, &server.data] {
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/json", ""] {
            let url = format!("{listener}/mandate.v1.AdminService/GetStatus");
            let mut command = std::process::Command::new("curl");
            command.args(["--silent", "--http2-prior-knowledge", "--output", "/dev/null"]);
            command.args(["--write-out", "%{http_code}", "--request", "POST"]);
            command.args(["--header", &format!("content-type: {content_type}"), &url]);
            let Ok(output) = command.output() else {
                assert!(std::env::var_os("CI").is_none(), "curl is not there");
                eprintln!("SKIPPED: curl is not there");
                return;
            };
            assert_eq!(String::from_utf8_lossy(&output.stdout), "415", "{content_type}");
        }
    }
}

#[test]
fn control_beyond_loopback_does_not_start() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:4469"] {
        for more in [vec![], vec!["--insecure-unauthenticated-callers"]] {
            let flags = [&["--control", address][..], &more].concat();
            let finished = Process::try_start_with(&Sources::small(), &flags).expect_err("it must not start");
            assert_ne!(finished.code, Some(0), "{finished:?}");
            assert!(finished.stderr.contains("listen.control"), "{finished:?}");
            assert!(finished.stderr.contains("loopback"), "{finished:?}");
        }
    }
}

#[test]
fn each_start_has_a_token_of_its_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let sources = Sources::small();
    let data = sources.path("data");
    let process = Process::start(&sources);
    let first = token(&data);
    process.terminate().check_code(0);
    let process = Process::start(&sources);
    assert_ne!(token(&data), first);
    let mode = std::fs::metadata(data.join("control.token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    process.terminate().check_code(0);
}

#[test]
fn what_cannot_be_read_is_the_callers_mistake() {
    let (_server, client, token) = server();
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str())];
    let rollback = "/mandate.v1.AdminService/Rollback";
    for bytes in [vec![0; 16 * 1024 + 1], vec![0x0a, 0x7f, 0x01], vec![0x0a, 0x02, 0xff, 0xfe]] {
        let length = bytes.len();
        let status = raw_call_with(&client, rollback, bytes, &headers).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{length} bytes: {status:?}");
    }
}

#[test]
fn a_second_token_does_not_make_up_for_the_first() {
    let (_server, client, token) = server();
    let mut request = Request::new(pb::GetStatusRequest {});
    for value in ["Bearer wrong".to_owned(), format!("Bearer {token}")] {
        request.metadata_mut().append("authorization", value.parse().unwrap());
    }
    let status = client.wait(admin(&client).get_status(request)).unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
}

//! Envoy is a caller like any other: it shows who it is, and asks what it is entitled to.

use tonic::Code;

use super::ask::Ask;
use crate::callers::{Guarded, OPEN};
use crate::support::{Sources, TestServer};

const ENVOY: &str = "spiffe://example.org/envoy";

/// The small sources' one action, for requests of plain HTTP.
const WRITTEN: &str = "[ext_authz]\nprotocol = 'http'\nprincipal = 'fixed'\nprincipal_type = 'Mandate::User'\nprincipal_id = 'ana'\n";

fn view() -> Ask {
    let ask = Ask::http("GET", "/plan").route("action", "view");
    ask.route("resource_type", "Mandate::Doc").route("resource_id", "plan")
}

#[test]
fn a_caller_that_shows_nothing_gets_no_answer() {
    let guarded = Guarded::with(OPEN, WRITTEN);
    let client = guarded.connect(None).unwrap();
    assert_eq!(view().sent(&client).unwrap_err().code(), Code::Unauthenticated);
    view().sent(&guarded.client(ENVOY)).unwrap().allowed();
    let records = guarded.server.records(2);
    assert_eq!(
        (&records[0]["surface"], &records[0]["reason"]),
        (&"ext_authz".into(), &"CALLER_UNAUTHENTICATED".into())
    );
    assert_eq!((&records[1]["surface"], &records[1]["caller"]), (&"ext_authz".into(), &ENVOY.into()));
}

#[test]
fn a_caller_asks_here_what_it_may_ask_here() {
    let pep = r#"
@id("ask") permit (principal == Mandate::Pep::Caller::"spiffe://example.org/envoy", action == Mandate::Pep::Action::"ask", resource)
when { context.surface == Mandate::Pep::Surface::"ext_authz" };
@id("other") permit (principal == Mandate::Pep::Caller::"spiffe://example.org/other", action, resource)
unless { context has surface && context.surface == Mandate::Pep::Surface::"ext_authz" };
"#;
    let guarded = Guarded::with(pep, WRITTEN);
    let envoy = guarded.client(ENVOY);
    view().sent(&envoy).unwrap().allowed();
    assert_eq!(envoy.authorize(crate::callers::view()).unwrap_err().code(), Code::PermissionDenied);
    let other = guarded.client("spiffe://example.org/other");
    assert!(crate::support::is_allow(&other.authorize(crate::callers::view()).unwrap()));
    // Whom it asks about may be a client's doing, so this is no failure, which Envoy might be told to let pass.
    let body = view().sent(&other).unwrap().denied(403);
    assert_eq!(body["error"]["reason"], "CALLER_NOT_ENTITLED", "{body}");
    // What it asserts is a right of its own.
    let asserting = view().route("context", r#"{"count": 1}"#).sent(&envoy).unwrap();
    assert_eq!(asserting.denied(403)["error"]["reason"], "CALLER_NOT_ENTITLED");
}

#[test]
fn what_envoy_cannot_do_it_may_not_let_through() {
    let policy = "@id(\"base\")\n@obligation(\"{\\\"id\\\": \\\"mask\\\", \\\"type\\\": \\\"redact\\\"}\")\npermit (principal, action, resource);\n";
    let sources = Sources::small().policy("base.cedar", policy);
    let server = TestServer::with_config(&sources.config_written(WRITTEN).unwrap());
    let verdict = view().to(&server);
    let body = verdict.denied(403);
    assert_eq!(body["error"]["reason"], "obligation", "{body}");
    assert_eq!(
        (verdict.metadata("decision"), verdict.metadata("policies")),
        ("deny".to_owned(), "base".to_owned())
    );
    // The decision stands in the log as it was, and beside it that nothing came of it.
    let records = server.records(2);
    let (decision, outcome) = (&records[0], &records[1]);
    assert_eq!(
        (&decision["decision"], &outcome["outcome"]),
        (&"allow".into(), &"blocked".into()),
        "{records:?}"
    );
    assert_eq!(outcome["of"], decision["decision_id"]);
}

#[test]
fn envoy_is_served_only_where_that_is_written() {
    let server = TestServer::start(&Sources::small());
    assert_eq!(view().sent(server.client()).unwrap_err().code(), Code::Unimplemented);
    let server = TestServer::with_config(&Sources::small().config_written(WRITTEN).unwrap());
    view().to(&server).allowed();
    let listed = crate::grpc::listed(server.client());
    assert!(listed.iter().any(|service| service == "envoy.service.auth.v3.Authorization"), "{listed:?}");
}

#[test]
fn a_method_whose_action_the_schema_does_not_have_is_denied_and_is_no_failure() {
    let server = TestServer::with_config(&Sources::small().config_written(WRITTEN).unwrap());
    for message in [
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#,
    ] {
        let body = Ask::bytes(message).to(&server).check_refused(403, "declares no action");
        assert_eq!(body["error"]["code"], -32601, "{body}");
    }
}

#[test]
fn what_says_nothing_is_no_configuration() {
    for (written, named) in [
        ("protocol = 'grpc'", "protocol"),
        ("principal = 'client'", "principal"),
        ("server = 'a/b'", "server"),
        ("server = ''", "server"),
        ("principal = 'fixed'", "principal_id"),
        ("principal = 'header'", "principal_header"),
        ("principal_header = 'x'", "principal_type"),
        ("principal_header = 'x y'\nprincipal_type = 'T'", "principal_header"),
        ("principal_type = 'T'", "principal_type"),
        ("principal_id = 'i'", "principal_type"),
        ("token_header = ''", "token_header"),
        ("digest = 'sha256:0'", "digest"),
        ("colour = 'red'", "colour"),
        ("[[ext_authz.peers]]\npeer = 'spiffe://*/a'\nprincipal_type = 'T'", "peers"),
    ] {
        let refused =
            Sources::small().config_written(&format!("[ext_authz]\n{written}\n")).unwrap_err().to_string();
        assert!(refused.contains(named), "{written}: `{refused}` does not name `{named}`");
    }
}

//! Who acts: from where the operator says, and from nowhere else.

use serde_json::json;

use super::ask::{Ask, config, header};
use crate::support::{Draft, SigningKey, TestServer, seconds};

const ISSUER: &str = "https://issuer.example";
const URL: &str = "https://docs.rs/tonic";

/// Facts, as bad as they may be.
const FACTS: &str = "digest = 'approved'\n[ext_authz.context]\ntouches = []\nsession = { id = 'e', purpose = '', attended = false, \
                     untrusted = true, read_level = 1, calls = 0, spent_cents = 0 }\n";

/// A server whose subjects show tokens of one key.
struct Issued {
    server: TestServer,
    key: SigningKey,
    _folder: tempfile::TempDir,
}

impl Issued {
    fn new(more: &str) -> Self {
        let (key, folder) = (SigningKey::p256(), tempfile::tempdir().unwrap());
        let keys = folder.path().join("keys.json");
        std::fs::write(&keys, json!({"keys": [key.jwk("k1")]}).to_string()).unwrap();
        let written = format!(
            "[ext_authz]\nprincipal = 'token'\n{more}{FACTS}\n[[issuers]]\nissuer = '{ISSUER}'\naudience = 'mandate'\n\
             profile = 'rfc8693'\nid_prefix = ''\njwks_file = '{}'\n",
            keys.display()
        );
        Self { server: TestServer::with_config(&config(&written)), key, _folder: folder }
    }

    fn token(&self, subject: &str) -> String {
        let now = seconds();
        let claims = json!({"iss": ISSUER, "aud": "mandate", "sub": subject, "client_id": "console", "jti": "1",
            "iat": now - 10, "nbf": now - 10, "exp": now + 600});
        Draft::new(&json!({"typ": "at+jwt", "alg": "ES256", "kid": "k1"}), &claims).sign(&self.key)
    }
}

#[track_caller]
fn check_unauthenticated(ask: Ask, server: &TestServer, saying: &str) {
    let verdict = ask.to(server);
    let body = verdict.check_refused(401, saying);
    assert_eq!(body["error"]["data"]["reason"], "SUBJECT_TOKEN_INVALID", "{body}");
    let Some(mandate::server::envoy::auth::check_response::HttpResponse::DeniedResponse(denied)) =
        &verdict.0.http_response
    else {
        panic!("{verdict:?}")
    };
    let challenge = header(&denied.headers, "www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Bearer "), "{challenge}");
}

#[test]
fn a_token_says_who_acts() {
    let issued = Issued::new("");
    let fetch = |token: &str| Ask::fetch(URL).header("authorization", &format!("Bearer {token}"));
    let verdict = fetch(&issued.token("ana")).to(&issued.server);
    verdict.allowed();
    assert_eq!(verdict.metadata("principal"), "Mandate::User::\"ana\"");
    fetch(&issued.token("nobody")).to(&issued.server).check_denied("unknown_principal");
    // What else the client says of itself is not heard.
    let verdict = fetch(&issued.token("ana")).header("x-agent", "night-watch").to(&issued.server);
    assert_eq!(verdict.metadata("principal"), "Mandate::User::\"ana\"");
}

#[test]
fn without_a_token_that_is_believed_nothing_is_decided() {
    let issued = Issued::new("");
    let token = issued.token("ana");
    let shown = |value: &str| Ask::fetch(URL).header("authorization", value);
    check_unauthenticated(Ask::fetch(URL), &issued.server, "is missing");
    for (value, saying) in [
        ("", "Bearer"),
        ("Basic YTpi", "Bearer"),
        ("Bearer", "Bearer"),
        ("Bearer ", "Bearer"),
        ("Bearer x", "not accepted"),
        ("Bearer a.b.c", "not accepted"),
    ] {
        check_unauthenticated(shown(value), &issued.server, saying);
    }
    check_unauthenticated(shown(&format!("Bearer {token},Bearer {token}")), &issued.server, "once");
    let bearer = format!("Bearer {token}");
    let twice = [("authorization", bearer.as_bytes()), ("authorization", bearer.as_bytes())];
    check_unauthenticated(Ask::fetch(URL).raw(&twice), &issued.server, "once");
    let other = SigningKey::p256();
    let forged = Draft::new(&json!({"typ": "at+jwt", "alg": "ES256", "kid": "k1"}), &json!({"iss": ISSUER}));
    check_unauthenticated(shown(&format!("Bearer {}", forged.sign(&other))), &issued.server, "not accepted");
    for record in issued.server.records(10) {
        assert_eq!(record["code"], "UNAUTHENTICATED", "{record}");
        assert!(!record.to_string().contains(&token), "no token is recorded");
    }
}

#[test]
fn the_token_may_stand_in_a_header_of_its_own() {
    let issued = Issued::new("token_header = 'Mandate-Subject-Token'\n");
    let shown = format!("Bearer {}", issued.token("ana"));
    Ask::fetch(URL).header("mandate-subject-token", &shown).to(&issued.server).allowed();
    check_unauthenticated(Ask::fetch(URL).header("authorization", &shown), &issued.server, "is missing");
}

fn server(written: &str) -> TestServer {
    TestServer::with_config(&config(&format!("[ext_authz]\n{written}{FACTS}")))
}

#[test]
fn a_certificate_says_who_acts_where_the_configuration_says_whose_it_is() {
    let peers = "[[ext_authz.peers]]\npeer = 'spiffe://example.org/agents/*'\nprincipal_type = 'Mandate::Agent'\n\
                 [[ext_authz.peers]]\npeer = 'spiffe://example.org/ana'\nprincipal_type = 'Mandate::User'\nprincipal_id = 'ana'\n";
    let written = format!("[ext_authz]\nprincipal = 'peer'\n{FACTS}\n{peers}");
    let server = TestServer::with_config(&config(&written));
    let verdict = Ask::http("GET", "/").peer("spiffe://example.org/agents/night-watch").to(&server);
    verdict.allowed();
    assert_eq!(verdict.metadata("principal"), "Mandate::Agent::\"night-watch\"");
    Ask::fetch(URL).peer("spiffe://example.org/ana").to(&server).allowed();
    for peer in ["", "spiffe://example.org/agents/", "spiffe://other.example/agents/night-watch", "CN=ana"] {
        check_unauthenticated(Ask::fetch(URL).peer(peer), &server, "names no principal");
    }
}

#[test]
fn a_header_says_who_acts_only_where_it_is_trusted_by_name() {
    let trusting = server(
        "principal = 'header'\nprincipal_header = 'X-Verified-User'\nprincipal_type = 'Mandate::User'\n",
    );
    let verdict = Ask::fetch(URL).header("x-verified-user", "ana").to(&trusting);
    verdict.allowed();
    assert_eq!(verdict.metadata("principal"), "Mandate::User::\"ana\"");
    check_unauthenticated(Ask::fetch(URL), &trusting, "names nobody");
    check_unauthenticated(Ask::fetch(URL).header("x-verified-user", ""), &trusting, "names nobody");
    for two in ["ana,bea", "!na"] {
        Ask::fetch(URL).header("x-verified-user", two).to(&trusting).check_refused(400, "x-verified-user");
    }
    let long = Ask::fetch(URL).header("x-verified-user", &"a".repeat(1025)).to(&trusting);
    long.check_refused(400, "the limit is 1024");
    // Where nobody trusts it, a route cannot either.
    let fixed = server("principal = 'fixed'\nprincipal_type = 'Mandate::User'\nprincipal_id = 'cem'\n");
    let verdict = Ask::fetch(URL).header("x-verified-user", "ana").to(&fixed);
    assert_eq!(verdict.metadata("principal"), "Mandate::User::\"cem\"");
    Ask::fetch(URL).header("x-verified-user", "ana").route("principal", "header").to(&fixed).failed(500);
}

#[test]
fn an_agent_acts_by_the_delegation_that_is_shown() {
    let code_bot = "principal = 'fixed'\nprincipal_type = 'Mandate::Agent'\nprincipal_id = 'code-bot'\n";
    let status = || Ask::call("git_status", &json!({"repo_path": "/workspace"})).route("server", "git");
    let bare = server(code_bot);
    status().to(&bare).check_denied("chain_required");
    status().header("x-delegation", "ana-code-bot").to(&bare).check_denied("chain_required");
    status().route("delegation", "ana-code-bot").to(&bare).allowed();
    let shown = server(&format!("{code_bot}delegation_header = 'x-delegation'\n"));
    status().header("x-delegation", "ana-code-bot").to(&shown).allowed();
    // Somebody else's, one that is not stored, and two.
    status().header("x-delegation", "ana-planner").to(&shown).check_denied("grant_delegate");
    status().header("x-delegation", "none").to(&shown).check_denied("grant_unknown");
    let long = status().header("x-delegation", &"a".repeat(1025)).to(&shown);
    long.check_refused(400, "the limit is 1024");
    status()
        .header("x-delegation", "ana-code-bot,ana-planner")
        .to(&shown)
        .check_refused(400, "more than once");
}

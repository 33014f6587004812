//! Whatever goes wrong, no door says Allow: every failure, through every door, and the code that it is told by (C12).

mod doors;

use std::path::Path;
use std::time::Duration;

use mandate::config::{Config, Overrides};
use serde_json::json;
use tempfile::TempDir;

use self::doors::{DOORS, Door, Look, Site};
use crate::entity_log::Admin;
use crate::follow::{is_ready, token_of, until, until_current};
use crate::support::{Draft, Link, Process, SigningKey, Sources, TestServer, seconds};

const SCHEMA: &str = r#"namespace Mandate {
  type Token = { issuer: String, scopes: Set<String>, issued: datetime, bound: Bool };
  entity User;
  entity ToolServer;
  action http_request appliesTo { principal: [User], resource: [ToolServer],
    context: { method: String, path: String, count?: Long, evidence?: Bool, token?: Token } };
}
"#;

const POLICIES: &str = r#"
@id("look") permit (principal, action, resource) unless { context has evidence && context.evidence };
@id("proven") @audit("required") permit (principal, action, resource) when { context has evidence && context.evidence };
@id("counted") forbid (principal, action, resource) when { context has count && context.count * 1000000 < 0 };
@id("not-eve") forbid (principal == Mandate::User::"eve", action, resource);
"#;

const ISSUER: &str = "https://issuer.example";

/// The sources of every server here, and the issuer of its subjects' tokens.
struct House {
    sources: Sources,
    key: SigningKey,
}

impl House {
    fn new() -> Self {
        let uid = |kind: &str, id: &str| json!({"uid": {"type": format!("Mandate::{kind}"), "id": id}, "attrs": {}, "parents": []});
        let entities = json!([uid("User", "ana"), uid("User", "eve"), uid("ToolServer", "house")]);
        let sources = Sources::empty()
            .schema("house.cedarschema", SCHEMA)
            .policy("house.cedar", POLICIES)
            .entities("house.json", &entities);
        let key = SigningKey::p256();
        sources.put("keys.json", json!({"keys": [key.jwk("k1")]}).to_string());
        Self { sources, key }
    }

    fn written(&self, more: &str) -> String {
        let keys = self.sources.path("keys.json").display().to_string();
        format!(
            "[ext_authz]\nprotocol = 'http'\n{more}\n[[issuers]]\nissuer = '{ISSUER}'\naudience = 'mandate'\n\
             profile = 'rfc8693'\nid_prefix = ''\njwks_file = '{keys}'\n"
        )
    }

    /// Its configuration, with more of it.
    fn config(&self, more: &str) -> Config {
        self.sources.config_written(&self.written(more)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, of a follower of whoever has this URL and this token: policies, schemas and entities are its primary's.
    fn config_of_follower(&self, primary: &str, token: &Path) -> Config {
        let followed = format!("[follow]\nprimary = '{primary}'\ntoken_file = '{}'", token.display());
        let file = self.sources.path("follower.toml");
        std::fs::write(&file, self.written(&followed)).expect("written");
        Config::load(Some(&file), Overrides::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A server of it, with more of the configuration.
    fn serve(&self, more: &str) -> TestServer {
        TestServer::with_config(&self.config(more))
    }

    /// A token of ana's that ends so many seconds from now.
    fn token(&self, seconds_left: i64) -> String {
        let now = seconds();
        let claims = json!({"iss": ISSUER, "aud": "mandate", "sub": "ana", "client_id": "console", "jti": "1",
            "iat": now - 7200, "nbf": now - 7200, "exp": now + seconds_left});
        Draft::new(&json!({"typ": "at+jwt", "alg": "ES256", "kid": "k1"}), &claims).sign(&self.key)
    }
}

/// Fails unless every door says what is expected of it, in their order; a single expectation is all of theirs.
#[track_caller]
fn check(server: &TestServer, failure: &str, look: &Look, expected: &[&str]) {
    let site = Site { client: server.client(), http: &server.http };
    let said: Vec<_> = DOORS.iter().map(|door| door.ask(&site, look)).collect();
    let expected: Vec<_> = match expected {
        [all] => vec![*all; DOORS.len()],
        each => each.to_vec(),
    };
    assert_eq!(said, expected, "{failure}, through {DOORS:?}");
}

#[test]
fn what_nothing_is_wrong_with_is_allowed_and_a_denial_is_one_everywhere() {
    let house = House::new();
    let server = house.serve("");
    check(&server, "nothing", &Look::of("ana"), &["allow"]);
    check(&server, "nothing", &Look::of("ana").shown(house.token(600)), &["allow"]);
    check(&server, "a forbid", &Look::of("eve"), &["deny forbidden"]);
}

#[test]
fn what_cannot_be_decided_on_is_denied_or_refused() {
    let house = House::new();
    let server = house.serve("");
    let look = Look::of("ana");
    check(&server, "nobody knows who asks", &Look::of("nobody"), &["deny unknown_principal"]);
    check(
        &server,
        "a forbid cannot be evaluated",
        &look.clone().with("count", (1_i64 << 53) - 1),
        &["deny policy_error"],
    );
    check(&server, "a permit's evidence, with a log", &look.clone().with("evidence", true), &["allow"]);
    let bad_input =
        ["InvalidArgument", "InvalidArgument", "InvalidArgument", "HTTP 400", "item 400", "HTTP 500"];
    check(&server, "a fact is of another type", &look.clone().with("count", "many"), &bad_input);
    let not_shown =
        ["Unauthenticated", "Unauthenticated", "Unauthenticated", "HTTP 401", "HTTP 401", "HTTP 401"];
    check(&server, "a token has expired", &look.clone().shown(house.token(-3600)), &not_shown);
    check(&server, "a token is none", &look.clone().shown("eyJ.e.e".to_owned()), &not_shown);
    check(&server, "still nothing", &look, &["allow"]);
}

#[test]
fn without_the_evidence_that_a_permit_requires_nothing_is_allowed() {
    let server = House::new().serve("[log]\nmode = 'off'");
    check(&server, "nothing", &Look::of("ana"), &["allow"]);
    let unavailable = ["Unavailable", "Unavailable", "Unavailable", "HTTP 503", "item 503", "HTTP 503"];
    check(&server, "no log", &Look::of("ana").with("evidence", true), &unavailable);
}

#[test]
fn with_too_much_to_do_nothing_is_allowed() {
    // This process uses more.
    let server = House::new().serve("[limits]\nmemory_bytes = 33554432");
    until("memory is used up", || server.metrics().value("pdp_memory_pressure") == 2.0);
    let exhausted = "ResourceExhausted";
    let shed = [exhausted, exhausted, exhausted, "HTTP 429", "HTTP 429", "HTTP 503"];
    check(&server, "memory is used up", &Look::of("ana"), &shed);
}

#[test]
fn whoever_cannot_prove_to_be_current_allows_nothing() {
    let house = House::new();
    let mut leading = house.config("");
    leading.lease = Duration::from_secs(1);
    let primary = TestServer::with_config(&leading);
    let link = Link::to(&primary.control);
    let follower = TestServer::with_config(&house.config_of_follower(&link.url(), &token_of(&primary)));
    until_current(&follower);
    check(&follower, "nothing", &Look::of("ana"), &["allow"]);
    link.cut();
    until("the end of the lease", || !is_ready(&follower));
    let unavailable = ["Unavailable", "Unavailable", "Unavailable", "HTTP 503", "item 503", "HTTP 503"];
    check(&follower, "the lease is over", &Look::of("ana"), &unavailable);
}

#[test]
fn a_deadline_that_has_passed_ends_every_call_that_has_one() {
    let server = House::new().serve("");
    for door in DOORS {
        if let Some(said) = door.ask_too_late(&server.data, &Look::of("ana")) {
            let expected = if door == Door::Envoy { "HTTP 500" } else { "DeadlineExceeded" };
            assert_eq!(said, expected, "{door:?}");
        }
    }
}

#[test]
fn a_freeze_and_a_suspension_deny_everywhere() {
    let server = House::new().serve("");
    let admin = Admin::of(&server);
    let ana = || Some(crate::support::reference("Mandate::User", "ana"));
    for (principal, denied) in [(None, "deny frozen"), (ana(), "deny suspended")] {
        check(&server, "nothing", &Look::of("ana"), &["allow"]);
        admin.suspend(principal.clone(), false).expect("suspended");
        check(&server, "a suspension", &Look::of("ana"), &[denied]);
        admin.suspend(principal, true).expect("lifted");
    }
}

#[test]
fn nothing_is_served_of_sources_that_are_not_there() {
    for missing in ["schemas/house.cedarschema", "policies/house.cedar"] {
        let sources = House::new().sources.without(missing);
        match Process::try_start(&sources) {
            Err(ended) => assert_ne!(ended.code, Some(0), "{missing}: {ended:?}"),
            // A set without policies is one: it permits nothing.
            Ok(process) => {
                let (client, http) = (process.client(), process.http.clone());
                let site = Site { client: &client, http: &http };
                for door in [Door::Authorize, Door::Batch, Door::Stream, Door::Evaluation, Door::Evaluations]
                {
                    assert_eq!(door.ask(&site, &Look::of("ana")), "deny no_permit", "{missing}: {door:?}");
                }
            }
        }
    }
}

#[test]
fn a_server_that_has_stopped_or_was_killed_answers_nobody() {
    let house = House::new();
    let file: TempDir = tempfile::tempdir().expect("a folder");
    let path = file.path().join("mandate.toml");
    std::fs::write(&path, house.written("")).expect("written");
    let path = path.display().to_string();
    let start = || {
        let flags = ["--config", path.as_str(), "MANDATE__SHUTDOWN__GRACE=0s"];
        Process::try_start_with(&house.sources, &flags).expect("it starts")
    };
    for ending in [Process::crash, |process: Process| process.terminate().check_code(0)] {
        let process = start();
        let (client, http) = (process.client(), process.http.clone());
        let site = Site { client: &client, http: &http };
        for door in DOORS {
            assert_eq!(door.ask(&site, &Look::of("ana")), "allow", "{door:?}");
        }
        ending(process);
        for door in DOORS {
            let expected =
                if matches!(door, Door::Evaluation | Door::Evaluations) { "gone" } else { "Unavailable" };
            assert_eq!(door.ask(&site, &Look::of("ana")), expected, "{door:?}");
        }
    }
}

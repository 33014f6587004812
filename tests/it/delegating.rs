//! `Delegate` on the control listener: who may hand on what, decided by the policies on action `delegate` (D9).

use std::collections::HashMap;

use mandate::config::{Config, Overrides};
use mandate::server::pb;
use mandate::server::pb::entity_service_client::EntityServiceClient;
use mandate::server::pb::value::Kind;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::support::{Client, Draft, SigningKey, TestServer, bearer, reference, repository, seconds, token};

const ISSUER: &str = "https://issuer.example";

/// The shipped world, whose people show tokens.
struct Desk {
    server: TestServer,
    key: SigningKey,
    _folder: tempfile::TempDir,
}

impl Desk {
    fn open() -> Self {
        let (folder, key) = (tempfile::tempdir().unwrap(), SigningKey::p256());
        let keys = folder.path().join("keys.json");
        std::fs::write(&keys, json!({"keys": [key.jwk("k1")]}).to_string()).unwrap();
        let file = folder.path().join("mandate.toml");
        let written = format!(
            "[[issuers]]\nissuer = '{ISSUER}'\naudience = 'mandate'\nprofile = 'rfc8693'\nid_prefix = ''\njwks_file = '{}'\n",
            keys.display()
        );
        std::fs::write(&file, written).unwrap();
        let within = |name: &str| Some(repository().join(name));
        let overrides = Overrides {
            policies: within("policies"),
            schemas: within("schemas"),
            entities: within("entities"),
            emergency: within("emergency"),
            ..Overrides::default()
        };
        let server = TestServer::with_config(&Config::load(Some(&file), overrides).unwrap());
        Self { server, key, _folder: folder }
    }

    fn token(&self, claims: &Value) -> String {
        let now = seconds();
        let mut all = json!({"iss": ISSUER, "aud": "mandate", "client_id": "console", "jti": "1", "scope": "",
            "iat": now - 10, "nbf": now - 10, "exp": now + 600});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        Draft::new(&json!({"typ": "at+jwt", "alg": "ES256", "kid": "k1"}), &all).sign(&self.key)
    }

    fn delegate(&self, request: pb::DelegateRequest) -> Status {
        self.try_delegate(request).expect_err("it must be refused")
    }

    fn try_delegate(&self, request: pb::DelegateRequest) -> Result<pb::DelegateResponse, Status> {
        let client = Client::connect(&self.server.control);
        let mut service = EntityServiceClient::new(client.channel());
        let shown = format!("Bearer {}", token(&self.server.folder.path().join("data")));
        client.wait(service.delegate(bearer(request, &shown))).map(|cut| cut.into_inner())
    }
}

fn value(kind: Kind) -> pb::Value {
    pb::Value { kind: Some(kind) }
}

fn entity(type_name: &str, id: &str) -> pb::Value {
    value(Kind::Entity(reference(&format!("Mandate::{type_name}"), id)))
}

/// A grant of so many days, from somebody to the triage bot.
fn grant(from: (&str, pb::Value), days: i64) -> pb::Entity {
    let set = |elements: Vec<pb::Value>| value(Kind::Set(pb::Set { elements }));
    let at = |seconds| value(Kind::Datetime(prost_types::Timestamp { seconds, nanos: 0 }));
    let mut attributes = HashMap::from([
        ("to".to_owned(), entity("Agent", "triage-bot")),
        ("actions".to_owned(), set(vec![entity("Action", "call_tool")])),
        ("toolsets".to_owned(), set(vec![entity("Toolset", "github")])),
        ("not_before".to_owned(), at(seconds())),
        ("expires".to_owned(), at(seconds() + days * 86_400)),
        ("max_depth".to_owned(), value(Kind::Long(0))),
        ("purpose".to_owned(), value(Kind::String("sort what came in".to_owned()))),
        (from.0.to_owned(), from.1),
    ]);
    for empty in ["tools", "data", "agents", "servers"] {
        attributes.insert(empty.to_owned(), set(Vec::new()));
    }
    pb::Entity {
        uid: Some(reference("Mandate::Delegation", "new")),
        attributes: Some(pb::Record { attributes }),
        ..pb::Entity::default()
    }
}

#[track_caller]
fn check(status: &Status, code: Code, saying: &str) {
    assert_eq!(status.code(), code, "{status:?}");
    assert!(status.message().contains(saying), "`{}` does not say `{saying}`", status.message());
}

#[test]
fn a_delegator_cuts_what_policies_allow_once() {
    let desk = Desk::open();
    let ana = desk.token(&json!({"sub": "ana"}));
    let from_ana = |days, credentials: &str| pb::DelegateRequest {
        grant: Some(grant(("from_user", entity("User", "ana")), days)),
        credentials: credentials.to_owned(),
        parent: None,
    };
    let cut = desk.try_delegate(from_ana(7, &ana)).unwrap();
    assert_eq!(cut.grant, Some(reference("Mandate::Delegation", "new")));
    // Its id is never given to another.
    check(&desk.delegate(from_ana(7, &ana)), Code::AlreadyExists, "was the name of a delegation before");
    // `grant-ceiling`: 30 days at most.
    check(&desk.delegate(from_ana(60, &ana)), Code::PermissionDenied, "at most 30 days");
    // Whoever administers is nobody's delegator.
    check(&desk.delegate(from_ana(7, "")), Code::PermissionDenied, "the delegator's token");
    let bea = desk.token(&json!({"sub": "bea"}));
    check(&desk.delegate(from_ana(7, &bea)), Code::InvalidArgument, "principal");
    let records = desk.server.records(7);
    let decided: Vec<_> =
        records.iter().filter(|line| line["type"] == "decision" || line["kind"] == "decision").collect();
    assert_eq!(decided.len(), 3, "{records:?}");
    let cuts = records.iter().filter(|line| line["change"] == "cut");
    assert_eq!(cuts.count(), 1, "{records:?}");
    assert!(records.iter().all(|line| line["surface"] == "control"), "{records:?}");
}

#[test]
fn a_grant_below_another_is_decided_along_the_whole_chain() {
    let desk = Desk::open();
    let planner = desk.token(&json!({"sub": "ana", "act": {"sub": "planner"}}));
    let below = |parent: &str| pb::DelegateRequest {
        grant: Some(grant(("from_agent", entity("Agent", "planner")), 7)),
        parent: Some(reference("Mandate::Delegation", parent)),
        credentials: planner.clone(),
    };
    // The planner was handed calls of tools, not the right to hand them on to this agent.
    check(&desk.delegate(below("ana-planner")), Code::PermissionDenied, "ana-planner");
    check(&desk.delegate(below("nothing")), Code::PermissionDenied, "no delegation that is known");
}

#[test]
fn what_is_no_grant_is_refused_and_named() {
    let desk = Desk::open();
    let ana = desk.token(&json!({"sub": "ana"}));
    let refused = |change: fn(&mut pb::DelegateRequest), saying: &str| {
        let mut request = pb::DelegateRequest {
            grant: Some(grant(("from_user", entity("User", "ana")), 7)),
            credentials: ana.clone(),
            parent: None,
        };
        change(&mut request);
        check(&desk.delegate(request), Code::InvalidArgument, saying);
    };
    fn attributes(request: &mut pb::DelegateRequest) -> &mut HashMap<String, pb::Value> {
        &mut request.grant.as_mut().unwrap().attributes.as_mut().unwrap().attributes
    }
    refused(|request| request.grant = None, "grant: is required");
    refused(|request| request.grant.as_mut().unwrap().uid = None, "grant.uid");
    refused(
        |request| request.grant.as_mut().unwrap().uid = Some(reference("Mandate::User", "new")),
        "must be a Mandate::Delegation",
    );
    refused(|request| drop(attributes(request).remove("from_user")), "exactly one of from_user, from_agent");
    refused(
        |request| drop(attributes(request).insert("from_agent".to_owned(), entity("Agent", "planner"))),
        "exactly one of from_user, from_agent",
    );
    refused(|request| drop(attributes(request).remove("to")), "grant.attributes.to");
    refused(
        |request| drop(attributes(request).insert("parent".to_owned(), entity("Delegation", "ana-planner"))),
        "not the message's `parent`",
    );
    refused(|request| drop(attributes(request).remove("expires")), "expires");
    refused(|request| drop(attributes(request).insert("colour".to_owned(), value(Kind::Long(1)))), "colour");
}

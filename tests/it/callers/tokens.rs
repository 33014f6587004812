//! Callers that show bearer tokens, alone or beside a certificate.

use std::time::Duration;

use mandate::server::pb;
use pb::decision_log_service_client::DecisionLogServiceClient;
use pb::entity_service_client::EntityServiceClient;
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::{Code, Status};

use super::{GATEWAY, Guarded, OPEN, eventually, view};
use crate::support::{Client, Conversation, Draft, Question as _, SigningKey, bearer, is_allow, seconds};

const ISSUER: &str = "https://idp.example";

/// A server that believes an issuer's tokens and a trust domain's, besides certificates.
struct Bearers {
    guarded: Guarded,
    keys: TempDir,
    issuer: SigningKey,
    workloads: SigningKey,
}

impl Bearers {
    fn new(pep: &str) -> Self {
        Self::believing(pep, "", true)
    }

    /// With the trust domain's tokens or without: one whose `sub` is a workload of it and whose `iss` is the issuer names two.
    fn believing(pep: &str, more: &str, trust_domain: bool) -> Self {
        let (issuer, workloads) = (SigningKey::p256(), SigningKey::p256());
        let keys = tempfile::tempdir().unwrap();
        let write = |name: &str, key: Value| {
            let path = keys.path().join(name);
            std::fs::write(&path, json!({"keys": [key]}).to_string()).unwrap();
            path.display().to_string()
        };
        let mut svid = workloads.jwk("td");
        svid["use"] = json!("jwt-svid");
        let mut configuration = format!(
            "{more}[[callers.issuers]]\nissuer = '{ISSUER}'\naudience = 'mandate'\nprofile = 'rfc8693'\njwks_file = '{}'\n",
            write("issuer.json", issuer.jwk("one")),
        );
        if trust_domain {
            configuration += &format!(
                "[[callers.issuers]]\nissuer = 'spiffe://example.org'\naudience = 'mandate'\nprofile = 'jwt-svid'\n\
                 jwks_file = '{}'\n",
                write("workloads.json", svid),
            );
        }
        Self { guarded: Guarded::with(pep, &configuration), keys, issuer, workloads }
    }

    /// Connects without a certificate.
    fn client(&self) -> Client {
        self.guarded.connect(None).unwrap()
    }

    /// A token of the issuer, these claims changed.
    fn token(&self, changed: &Value) -> String {
        let mut claims = json!({"iss": ISSUER, "aud": "mandate", "sub": "gateway", "exp": seconds() + 600, "iat": seconds(), "nbf": seconds(),
            "jti": "t1", "client_id": "gateway", "scope": "ask read"});
        for (name, value) in changed.as_object().unwrap() {
            claims[name] = value.clone();
        }
        Draft::new(&json!({"alg": "ES256", "typ": "at+jwt", "kid": "one"}), &claims).sign(&self.issuer)
    }

    fn svid(&self, sub: &str) -> String {
        let claims = json!({"aud": "mandate", "sub": sub, "exp": seconds() + 600, "iat": seconds()});
        Draft::new(&json!({"alg": "ES256", "typ": "JWT", "kid": "td"}), &claims).sign(&self.workloads)
    }
}

fn ask(client: &Client, authorization: &str) -> Result<pb::AuthorizeResponse, Status> {
    let mut request = tonic::Request::new(view());
    request.metadata_mut().insert("authorization", authorization.parse().unwrap());
    client.authorize(request)
}

#[track_caller]
fn check_refused(outcome: Result<pb::AuthorizeResponse, Status>, saying: &str) {
    let refused = outcome.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
    assert!(refused.message().contains(saying), "`{}` does not say `{saying}`", refused.message());
}

#[test]
fn whoever_shows_a_token_of_a_trusted_issuer_is_answered_and_named() {
    let bearers = Bearers::new(OPEN);
    let client = bearers.client();
    let token = bearers.token(&json!({}));
    for scheme in ["Bearer", "bearer"] {
        assert!(is_allow(&ask(&client, &format!("{scheme} {token}")).unwrap()));
    }
    let workload = bearers.svid("spiffe://example.org/jobs/nightly");
    assert!(is_allow(&ask(&client, &format!("Bearer {workload}")).unwrap()));
    let records = bearers.guarded.server.records(3);
    assert_eq!(records[0]["caller"], "https://idp.example#gateway");
    assert_eq!(records[2]["caller"], "spiffe://example.org/jobs/nightly");
    let log = records.iter().map(Value::to_string).collect::<String>();
    assert!(!log.contains(&token) && !log.contains(&workload));
}

#[test]
fn what_a_token_says_is_what_rights_read() {
    let pep = format!(
        "@id(\"ask\") permit (principal in Mandate::Pep::Issuer::\"{ISSUER}\", action, resource) when {{ \
         principal has token && principal.token.scopes.contains(\"ask\") && principal.token.subject == \"gateway\" }};\n\
         @id(\"jobs\") permit (principal in Mandate::Pep::Place::\"spiffe://example.org/jobs\", action, resource);\n"
    );
    let bearers = Bearers::new(&pep);
    let client = bearers.client();
    let allowed = |changed: Value| ask(&client, &format!("Bearer {}", bearers.token(&changed)));
    assert!(allowed(json!({})).is_ok());
    assert_eq!(allowed(json!({"scope": "read"})).unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(allowed(json!({"scope": "askread"})).unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(allowed(json!({"sub": "other"})).unwrap_err().code(), Code::PermissionDenied);
    let workload = |id: &str| ask(&client, &format!("Bearer {}", bearers.svid(id)));
    assert!(workload("spiffe://example.org/jobs/nightly").is_ok());
    assert_eq!(workload("spiffe://example.org/jobsnightly").unwrap_err().code(), Code::PermissionDenied);
}

#[test]
fn a_token_that_is_not_believed_is_no_caller() {
    let bearers = Bearers::new(OPEN);
    let client = bearers.client();
    let good = bearers.token(&json!({}));
    let forged = Draft::new(
        &json!({"alg": "ES256", "typ": "at+jwt", "kid": "one"}),
        &json!({"iss": ISSUER, "aud": "mandate", "sub": "gateway", "exp": seconds() + 600, "iat": seconds(), "nbf": seconds(), "jti": "t",
            "client_id": "gateway"}),
    )
    .sign(&SigningKey::p256());
    let bearer = |token: &str| format!("Bearer {token}");
    for (authorization, saying) in [
        (bearer(&forged), "signature"),
        (bearer(&bearers.token(&json!({"exp": seconds() - 100}))), "expired"),
        (bearer(&bearers.token(&json!({"aud": "another"}))), "aud"),
        (bearer(&bearers.token(&json!({"iss": "https://other.example"}))), "no issuer"),
        (bearer(&bearers.token(&json!({"act": {"sub": "somebody"}}))), "act"),
        (
            bearer(
                &bearers.token(&json!({"cnf": {"x5t#S256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}})),
            ),
            "certificate",
        ),
        (bearer(&bearers.svid("spiffe://other.org/a")), "no issuer"),
        (bearer(&bearers.svid("spiffe://example.org/a/../b")), "SPIFFE ID"),
        (bearer(&bearers.svid("spiffe://example.org/")), ""),
        (bearer("e30.e30."), ""),
        (bearer(""), "Bearer"),
        (format!("Basic {good}"), "Bearer"),
        (good.clone(), "Bearer"),
    ] {
        check_refused(ask(&client, &authorization), saying);
    }
    // Two of them could name two callers.
    let mut request = tonic::Request::new(view());
    for _ in 0..2 {
        request.metadata_mut().append("authorization", bearer(&good).parse().unwrap());
    }
    check_refused(client.authorize(request), "more than one");
    assert!(is_allow(&ask(&client, &bearer(&good)).unwrap()));
}

#[test]
fn a_certificate_and_a_token_must_name_the_same_caller() {
    let bearers = Bearers::new(OPEN);
    let client = bearers.guarded.server.client();
    let bearer = |token: String| format!("Bearer {token}");
    assert!(is_allow(&ask(client, &bearer(bearers.svid(GATEWAY))).unwrap()));
    check_refused(
        ask(client, &bearer(bearers.svid("spiffe://example.org/gateways/other"))),
        "different callers",
    );
    check_refused(ask(client, &bearer(bearers.token(&json!({})))), "different callers");
    assert_eq!(bearers.guarded.server.records(3)[0]["caller"], GATEWAY);
    check_refused(ask(client, &bearer(bearers.token(&json!({"sub": GATEWAY})))), "two issuers");
    let bearers = Bearers::believing(OPEN, "", false);
    let token = bearer(bearers.token(&json!({"sub": GATEWAY})));
    assert!(is_allow(&ask(bearers.guarded.server.client(), &token).unwrap()));
    assert_eq!(bearers.guarded.server.records(1)[0]["caller"], GATEWAY);
}

#[test]
fn a_token_that_is_bound_is_worth_nothing_without_its_certificate() {
    let bearers = Bearers::believing(OPEN, "", false);
    let shown = bearers.guarded.papers.authority.svid(GATEWAY);
    let bound = bearers.token(&json!({"sub": GATEWAY, "cnf": {"x5t#S256": shown.x5t()}}));
    let authorization = format!("Bearer {bound}");
    let holder = bearers.guarded.connect(Some(&shown)).unwrap();
    assert!(is_allow(&ask(&holder, &authorization).unwrap()));
    // What is remembered of a token is not what its caller shows.
    check_refused(ask(&bearers.client(), &authorization), "certificate");
    let another = bearers.guarded.client(GATEWAY);
    check_refused(ask(&another, &authorization), "certificate");
    assert!(is_allow(&ask(&holder, &authorization).unwrap()));
}

#[test]
fn a_stream_ends_with_its_callers_token() {
    let bearers = Bearers::new(OPEN);
    let client = bearers.client();
    let token = format!("Bearer {}", bearers.token(&json!({"exp": seconds() + 3})));
    let mut asked = Conversation::open(&client, &[("authorization", &token)]);
    asked.decide(&view().named("before"));
    let ended = asked.next().unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated, "{ended:?}");
    check_refused(ask(&client, &token), "");
}

/// Reads until it ends, which it does within a minute.
fn end_of<T>(client: &Client, followed: &mut tonic::Streaming<T>) -> Option<Status> {
    let end = async {
        loop {
            match followed.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(status) => return Some(status),
            }
        }
    };
    client.wait(async { tokio::time::timeout(Duration::from_secs(60), end).await.expect("an end in time") })
}

#[test]
fn whoever_follows_entities_or_the_log_does_so_no_longer_than_its_token_holds() {
    let bearers = Bearers::believing(OPEN, "[control]\ncallers = true\n", true);
    let control = &bearers.guarded.server.control;
    let client = Client::secured(control, &bearers.guarded.papers.authority.pem, None).unwrap();
    let token = format!("Bearer {}", bearers.token(&json!({"exp": seconds() + 3})));
    let mut log = DecisionLogServiceClient::new(client.channel());
    let mut tailed = client.wait(log.tail(bearer(pb::TailRequest::default(), &token))).unwrap().into_inner();
    let mut entities = EntityServiceClient::new(client.channel());
    let watch = bearer(pb::WatchRequest::default(), &token);
    let mut watched = client.wait(entities.watch(watch)).unwrap().into_inner();
    let ends = [end_of(&client, &mut tailed), end_of(&client, &mut watched)];
    for end in ends {
        assert_eq!(end.as_ref().map(Status::code), Some(Code::Unauthenticated), "{end:?}");
    }
    let again = client.wait(entities.watch(bearer(pb::WatchRequest::default(), &token))).unwrap_err();
    assert_eq!(again.code(), Code::Unauthenticated, "{again:?}");
}

#[test]
fn tokens_alone_authenticate_where_nobody_else_listens() {
    // On loopback, without TLS: nothing crosses a network.
    let key = SigningKey::p256();
    let sources = super::sources(OPEN);
    std::fs::write(sources.path("keys.json"), json!({"keys": [key.jwk("one")]}).to_string()).unwrap();
    let file = sources.path("mandate.toml");
    let written = format!(
        "[sources]\npep = '{}'\n[[callers.issuers]]\nissuer = '{ISSUER}'\naudience = 'mandate'\nprofile = 'rfc8693'\n\
         jwks_file = '{}'\n",
        sources.path("pep").display(),
        sources.path("keys.json").display()
    );
    std::fs::write(&file, &written).unwrap();
    let process =
        crate::support::Process::try_start_with(&sources, &["--config", &file.display().to_string()])
            .unwrap();
    let client = process.client();
    check_refused(client.authorize(view()), "show");
    let claims = json!({"iss": ISSUER, "aud": "mandate", "sub": "gateway", "exp": seconds() + 60, "iat": seconds(), "nbf": seconds(), "jti": "t",
        "client_id": "gateway"});
    let token = Draft::new(&json!({"alg": "ES256", "typ": "at+jwt", "kid": "one"}), &claims).sign(&key);
    assert!(is_allow(&ask(&client, &format!("Bearer {token}")).unwrap()));
    process.terminate().check_code(0);
    // Elsewhere a token would be read on the way.
    let exposed = super::written(&format!("{written}[listen]\ndata = '0.0.0.0:4466'\n"));
    assert!(exposed.contains("`[tls]`"), "{exposed}");
    for key in ["grants = true", "id_prefix = 'a'"] {
        let wrong = super::written(&format!("{written}{key}\n"));
        assert!(wrong.contains("callers.issuers[0]"), "{wrong}");
    }
}

#[test]
fn a_key_that_its_issuer_takes_back_vouches_for_nobody() {
    let bearers = Bearers::new(OPEN);
    let client = bearers.client();
    let token = format!("Bearer {}", bearers.token(&json!({})));
    assert!(is_allow(&ask(&client, &token).unwrap()));
    let mut stream = Conversation::open(&client, &[("authorization", &token)]);
    stream.decide(&view().named("believed"));
    std::fs::write(
        bearers.keys.path().join("issuer.json"),
        json!({"keys": [SigningKey::p256().jwk("one")]}).to_string(),
    )
    .unwrap();
    eventually("the key is gone", || ask(&client, &token).is_err());
    check_refused(ask(&client, &token), "");
    stream.send(&view().named("not believed"));
    let ended = stream.next().unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated, "{ended:?}");
}

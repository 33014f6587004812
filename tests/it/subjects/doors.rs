//! A token through every door: who it says acts, what policies see, and how a bad one is refused.

use mandate::server::pb;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::issuer::{ISSUER, Issuer, ask, claims, draft, header};
use crate::support::{
    Conversation, Draft, Question as _, SigningKey, TestServer, check_field, evaluation, is_allow, post,
    question, reason, reference, seconds,
};

/// Fails unless a call was refused for its subject's token, saying this.
#[track_caller]
pub(super) fn check_refused<T: std::fmt::Debug>(answer: Result<T, Status>, saying: &str) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("SUBJECT_TOKEN_INVALID", "mandate"));
    assert!(status.message().contains(saying), "`{}` does not say `{saying}`", status.message());
}

#[test]
fn a_token_says_who_acts_and_what_policies_see() {
    let issuer = Issuer::new(SigningKey::p256());
    let server = TestServer::with_config(&issuer.config(""));
    let token = issuer.token();
    for action in ["view", "scoped"] {
        let answer = server.authorize(ask(action, &token)).unwrap();
        assert!(is_allow(&answer), "{action}: {answer:?}");
        assert_eq!(answer.principal, Some(reference("Mandate::User", &format!("{ISSUER}#ana"))));
        assert_eq!(answer.cache(), pb::CacheStatus::Miss);
        let again = server.authorize(ask(action, &token)).unwrap();
        assert_eq!(
            again.cache(),
            pb::CacheStatus::Hit,
            "what policies see of the token is part of the question"
        );
        assert_eq!(again.valid_until, answer.valid_until, "the token is looked at every time");
        let expires = answer.valid_until.expect("a token expires").seconds;
        assert!((500..=600).contains(&(expires - seconds())), "{expires}");
    }
    assert_eq!(reason(&server.authorize(ask("bare", &token)).unwrap()), "no_permit");
    let without = question(("User", &format!("{ISSUER}#ana")), "bare", ("Doc", "plan"));
    assert!(is_allow(&server.authorize(without).unwrap()), "no token, no `context.token`");
    assert_eq!(server.metrics().value(r#"pdp_token_verifications_total{outcome="accepted"}"#), 1.0);
    assert_eq!(server.metrics().value(r#"pdp_token_verifications_total{outcome="known"}"#), 4.0);
}

#[test]
fn the_principal_is_left_empty_or_is_the_tokens_actor() {
    let issuer = Issuer::new(SigningKey::ed25519());
    let server = TestServer::with_config(&issuer.config(""));
    let token = Draft::new(&json!({"typ": "application/at+jwt", "alg": "EdDSA", "kid": "k1"}), &claims());
    let token = token.sign(&issuer.key);
    let named = |type_name: &str, id: &str| pb::AuthorizeRequest {
        principal: Some(reference(type_name, id)),
        ..ask("view", &token)
    };
    assert!(is_allow(&server.authorize(named("Mandate::User", &format!("{ISSUER}#ana"))).unwrap()));
    assert!(is_allow(&server.authorize(named("", "")).unwrap()));
    for (type_name, id) in
        [("Mandate::User", "ana"), ("Mandate::Agent", "bot"), ("Mandate::User", ""), ("", "ana")]
    {
        check_field(
            server.authorize(named(type_name, id)),
            Code::InvalidArgument,
            "principal",
            "acts by the token",
        );
    }
}

#[test]
fn an_agent_acts_for_the_person_of_its_token() {
    let issuer = Issuer::new(SigningKey::p384());
    let server = TestServer::with_config(&issuer.config(""));
    let mut claims = claims();
    claims["act"] = json!({"sub": "bot"});
    let header = json!({"typ": "at+jwt", "alg": "ES384", "kid": "k1"});
    let answer = server.authorize(ask("view", Draft::new(&header, &claims).sign(&issuer.key))).unwrap();
    assert_eq!(answer.principal, Some(reference("Mandate::Agent", &format!("{ISSUER}#bot"))));
}

#[test]
fn nobody_is_believed_where_no_issuer_is_configured() {
    let issuer = Issuer::new(SigningKey::p256());
    let server = TestServer::with_config(&issuer.config_of(""));
    check_refused(server.authorize(ask("view", issuer.token())), "no issuer is configured");
}

#[test]
fn a_batch_is_about_one_subject() {
    let issuer = Issuer::new(SigningKey::p256());
    let server = TestServer::with_config(&issuer.config(""));
    let batch = |token: String| {
        let defaults = Some(pb::AuthorizeRequest { credentials: token, ..Default::default() });
        let other = question(("User", "ana"), "view", ("Doc", "plan"));
        pb::AuthorizeBatchRequest { defaults, requests: vec![ask("view", ""), ask("scoped", ""), other] }
    };
    let results = server.client().batch(batch(issuer.token())).unwrap();
    let allows = |result: &pb::AuthorizeResult| match &result.outcome {
        Some(pb::authorize_result::Outcome::Response(answer)) => is_allow(answer),
        _ => false,
    };
    assert!(allows(&results[0]) && allows(&results[1]), "{results:?}");
    assert!(!allows(&results[2]), "an item may not be about another: {results:?}");
    assert_eq!(server.metrics().value(r#"pdp_token_verifications_total{outcome="accepted"}"#), 1.0);
    assert_eq!(server.metrics().sum("pdp_token_verifications_total"), 1.0, "verified once");
    let stale = draft_of(|claims| claims["exp"] = json!(1)).sign(&issuer.key);
    check_refused(server.client().batch(batch(stale)), "expiry: the token has expired");
}

#[test]
fn a_stream_verifies_each_message_and_goes_on() {
    let issuer = Issuer::new(SigningKey::p256());
    let server = TestServer::with_config(&issuer.config(""));
    let mut stream = Conversation::open(server.client(), &[]);
    for round in 0..2 {
        let bad = draft_of(|claims| claims["aud"] = json!("another")).sign(&issuer.key);
        let refused = stream.ask(&ask("view", bad).named(&format!("bad {round}")));
        let pb::authorize_stream_response::Outcome::Status(status) = refused else {
            panic!("answered: {refused:?}")
        };
        assert_eq!(status.code, i32::from(Code::Unauthenticated));
        assert!(status.message.contains("audience"), "{status:?}");
        let good = stream.ask(&ask("view", issuer.token()).named(&format!("good {round}")));
        let pb::authorize_stream_response::Outcome::Response(answer) = good else {
            panic!("refused: {good:?}")
        };
        assert!(is_allow(&answer));
    }
}

#[test]
fn authzen_takes_the_subjects_token_in_a_header_of_its_own() {
    let issuer = Issuer::new(SigningKey::p256());
    let server = TestServer::with_config(&issuer.config(""));
    let url = format!("{}/access/v1/evaluation", server.http);
    let token = issuer.token();
    let ana = format!("{ISSUER}#ana");
    let send = |subject: &str, action: &str, headers: &[(&str, &str)]| {
        let body = evaluation(("Mandate::User", subject), action, ("Mandate::Doc", "plan"));
        let headers = [&[("content-type", "application/json")], headers].concat();
        post(&url, &headers, body.to_string())
    };
    assert!(send(&ana, "scoped", &[("mandate-subject-token", &token)]).decision());
    assert!(!send(&ana, "scoped", &[]).decision());
    assert!(
        !send(&ana, "scoped", &[("authorization", &format!("Bearer {token}"))]).decision(),
        "the caller's own"
    );
    send("ana", "scoped", &[("mandate-subject-token", &token)]).check_error(400, "acts by the token");
    send(&ana, "scoped", &[("mandate-subject-token", "")]).check_error(401, "empty");
    send(&ana, "scoped", &[("mandate-subject-token", "x.y.z")]).check_error(401, "form");
    let twice = [("mandate-subject-token", token.as_str()), ("mandate-subject-token", token.as_str())];
    send(&ana, "scoped", &twice).check_error(401, "twice");
}

/// A good token with one thing about its claims changed.
pub(super) fn draft_of(change: impl FnOnce(&mut serde_json::Value)) -> Draft {
    let mut claims = claims();
    change(&mut claims);
    Draft::new(&header(), &claims)
}

#[test]
fn a_good_draft_is_good() {
    assert_eq!(draft_of(|_| {}).header, draft().header);
}

#[test]
fn the_decision_log_names_a_token_by_its_digest_and_says_nothing_of_it() {
    let issuer = Issuer::new(SigningKey::p256());
    let server = TestServer::with_config(&issuer.config(""));
    let token = issuer.token();
    server.authorize(ask("view", &token)).unwrap();
    let record = &server.records(1)[0];
    let digest = record["token_digest"].as_str().unwrap();
    let expected: String = Sha256::digest(&token).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, format!("sha256:{expected}"));
    assert_eq!(record["principal"]["id"], format!("{ISSUER}#ana"));
    assert!(!record.to_string().contains(&token[..40]), "{record}");
}

#[test]
fn a_workload_shows_a_jwt_svid_and_a_trust_domain_names_a_transaction_token() {
    let issuer = Issuer::new(SigningKey::p256());
    let keys = issuer.sources.path("keys.json").display().to_string();
    let of = |issuer: &str, audience: &str, profile: &str| {
        format!(
            "[[issuers]]\nissuer = '{issuer}'\naudience = '{audience}'\nprofile = '{profile}'\njwks_file = '{keys}'\n"
        )
    };
    let config = of("spiffe://example.org", "mandate", "jwt-svid")
        + &of("https://tts.example", "trust.example", "transaction-token")
        + &of(ISSUER, "mandate", "rfc8693");
    let server = TestServer::with_config(&issuer.config_of(&config));
    let now = seconds();
    let send = |header: serde_json::Value, claims: serde_json::Value| {
        server.authorize(ask("view", Draft::new(&header, &claims).sign(&issuer.key)))
    };
    let svid =
        json!({"sub": "spiffe://example.org/writer", "aud": ["mandate"], "exp": now + 300, "iat": now});
    for header in [json!({"alg": "ES256"}), json!({"alg": "ES256", "typ": "JOSE", "kid": "k1"})] {
        let answer = send(header, svid.clone()).unwrap();
        assert_eq!(answer.principal, Some(reference("Mandate::Agent", "spiffe://example.org/writer")));
    }
    let mut foreign = svid.clone();
    foreign["sub"] = json!("spiffe://example.net/writer");
    check_refused(send(json!({"alg": "ES256"}), foreign), "issuer: the token names no issuer");
    let mut both = svid;
    both["iss"] = json!(ISSUER);
    check_refused(send(json!({"alg": "ES256"}), both), "issuer: the token names two issuers");
    let header = json!({"alg": "ES256", "typ": "txntoken+jwt", "kid": "k1"});
    let transaction = json!({
        "aud": "trust.example", "exp": now + 60, "iat": now, "txn": "1", "sub": "ana", "scope": "pay", "req_wl": "gateway",
    });
    let answer = send(header.clone(), transaction.clone()).unwrap();
    assert_eq!(answer.principal, Some(reference("Mandate::Agent", "https://tts.example#gateway")));
    check_refused(send(json!({"alg": "ES256", "typ": "at+jwt", "kid": "k1"}), transaction.clone()), "typ");
    let mut elsewhere = transaction;
    elsewhere["aud"] = json!("another.example");
    check_refused(send(header, elsewhere), "issuer");
}

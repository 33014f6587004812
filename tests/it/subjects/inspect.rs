//! `mandate token inspect`: what is made of a token, check by check.

use serde_json::json;

use super::doors::draft_of;
use super::fetching::{Answer, KeyServer, fetched};
use super::issuer::{ISSUER, Issuer};
use crate::support::{Finished, SigningKey, mandate, mandate_with_input};

/// Inspects what stands in `token` beside the configuration.
fn inspect(issuer: &Issuer, token: &str, more: &[&str]) -> Finished {
    issuer.sources.put("token", format!("{token}\n"));
    let path = |name: &str| issuer.sources.path(name).display().to_string();
    let (token, config) = (path("token"), path("mandate.toml"));
    mandate([&["token", "inspect", &token, "--config", &config], more].concat())
}

#[test]
fn a_good_token_is_shown_check_by_check_and_what_it_means() {
    let issuer = Issuer::new(SigningKey::p256());
    issuer.config("grants = true");
    let token = draft_of(|claims| {
        claims["act"] = json!({"sub": "bot"});
        claims["scope"] = json!("docs tool:time/now");
    });
    let token = token.sign(&issuer.key);
    let finished = inspect(&issuer, &token, &["--format", "json"]);
    finished.check_code(0);
    let told = finished.json();
    let checks: Vec<_> =
        told["passed"].as_array().unwrap().iter().map(|step| step["check"].clone()).collect();
    let expected = ["typ", "algorithm", "claims", "audience", "expiry", "key", "signature", "confirmation"];
    assert_eq!(checks[..8], expected);
    assert_eq!(told["issuer"], ISSUER);
    assert_eq!(told["subject"]["root"], format!("Mandate::User::\"{ISSUER}#ana\""));
    assert_eq!(told["subject"]["actors"], json!([format!("Mandate::Agent::\"{ISSUER}#bot\"")]));
    assert_eq!(told["subject"]["grant"]["resources"], json!(["Mandate::Tool::\"time/now\""]));
    assert_eq!(told["subject"]["context"]["token"]["scopes"], json!(["docs", "tool:time/now"]));
    let rows: Vec<_> =
        told["passed"].as_array().unwrap()[8..].iter().map(|step| step["found"].clone()).collect();
    assert_eq!(rows[0], format!("root: row 3, `sub` → Mandate::User::\"{ISSUER}#ana\""));
    let text = inspect(&issuer, &token, &[]);
    text.check_code(0);
    for said in
        ["accepted", "\"sub\": \"ana\"", "context.token.bound = false", "Mandate::Action::\"call_tool\""]
    {
        assert!(text.stdout.contains(said), "no `{said}` in\n{}", text.stdout);
    }
    assert!(!finished.stdout.contains(&token) && !text.stdout.contains(&token), "never the token itself");
}

#[test]
fn a_bad_token_is_shown_up_to_the_check_that_fails() {
    let issuer = Issuer::new(SigningKey::p256());
    issuer.config("");
    let foreign = draft_of(|claims| claims["aud"] = json!("another")).sign(&issuer.key);
    let finished = inspect(&issuer, &foreign, &["--format", "json"]);
    finished.check_code(3);
    let told = finished.json();
    assert_eq!((&told["accepted"], &told["failed"]["check"]), (&json!(false), &json!("audience")));
    assert_eq!(told["claims"]["aud"], "another");
    assert_eq!(told["passed"].as_array().unwrap().last().unwrap()["check"], "claims");
    for (token, check) in [("a.b", "form"), ("", "form"), (&issuer.token()[1..], "form")] {
        let finished = inspect(&issuer, token, &[]);
        finished.check_code(3);
        assert!(finished.stdout.contains(check) && finished.stdout.contains("not accepted"), "{finished:?}");
    }
}

#[test]
fn a_token_comes_from_standard_input_and_keys_from_their_address() {
    let issuer = Issuer::new(SigningKey::p256());
    let keys = KeyServer::start(Answer::Keys(vec![issuer.key.jwk("k1")]));
    fetched(&issuer, &keys.url);
    let config = issuer.sources.path("mandate.toml").display().to_string();
    let words = ["token", "inspect", "--config", &config];
    mandate_with_input(words, &issuer.token()).check_code(0);
    keys.answer(Answer::Status(503));
    let finished = mandate_with_input(words, &issuer.token());
    finished.check_code(3);
    assert!(finished.stdout.contains("keys cannot be had"), "{finished:?}");
    mandate(["token", "inspect", "/nonexistent", "--config", &config]).check_code(1);
    let finished = mandate_with_input(["token", "inspect"], &issuer.token());
    finished.check_code(1);
    assert!(finished.stderr.contains("no issuer is configured"), "{finished:?}");
}

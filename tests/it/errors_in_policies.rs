//! Policies that cannot be evaluated (C14).

use mandate::engine::generation::OnPolicyError;
use mandate::server::pb;
use serde_json::json;

use crate::support::{Question as _, Sources, TestServer, determining, is_allow, question, reason};

/// `errs` names the policies that overflow when the count is the largest there is.
fn server(mode: OnPolicyError, permit: &str, forbid: &str) -> TestServer {
    let overflows = "when { context has count && context.count + 1 > 0 }";
    let text = |name: &str, effect: &str, how: &str| {
        let condition = match how {
            "errs" => overflows,
            "applies" => "",
            other => panic!("{other}"),
        };
        format!("@id(\"{name}\")\n{effect} (principal, action, resource)\n{condition};\n")
    };
    let mut policies = text("permit-errs", "permit", "errs");
    if permit == "applies" {
        policies += &text("permit-applies", "permit", "applies");
    }
    match forbid {
        "none" => {}
        "both" => {
            policies += &text("forbid-applies", "forbid", "applies");
            policies += &text("forbid-errs", "forbid", "errs");
        }
        how => policies += &text(&format!("forbid-{how}"), "forbid", how),
    }
    let mut config = Sources::small();
    config = config.policy("base.cedar", policies);
    let mut settings = config.config();
    settings.options.on_policy_error = mode;
    TestServer::with_config(&settings)
}

fn ask(server: &TestServer, count: i64) -> pb::AuthorizeResponse {
    let asked = question(("User", "ana"), "view", ("Doc", "plan"));
    server.authorize(asked.json_context(json!({ "count": count }).to_string())).unwrap()
}

fn errors(answer: &pb::AuthorizeResponse) -> Vec<&str> {
    let mut ids: Vec<_> = answer.errors.iter().map(|error| error.policy_id.as_str()).collect();
    ids.sort_unstable();
    ids
}

#[track_caller]
fn check_policy_error(answer: &pb::AuthorizeResponse, policy: &str) {
    assert_eq!(answer.decision(), pb::Decision::Deny, "{answer:?}");
    assert!(answer.determining_policies.is_empty(), "{answer:?}");
    assert_eq!(reason(answer), "policy_error");
    let denied_by = answer.denied_by.as_ref().unwrap();
    assert_eq!((denied_by.rule.as_str(), denied_by.policy_id.as_str()), ("policy_error", policy));
}

#[test]
fn without_an_error_the_modes_agree() {
    for mode in [OnPolicyError::Deny, OnPolicyError::Strict, OnPolicyError::Cedar] {
        let answer = ask(&server(mode, "applies", "none"), 1);
        assert!(is_allow(&answer) && answer.errors.is_empty());
        assert_eq!(determining(&answer), ["permit-applies", "permit-errs"]);
        let forbidden = ask(&server(mode, "applies", "errs"), 1);
        assert_eq!(determining(&forbidden), ["forbid-errs"]);
    }
}

#[test]
fn an_erring_forbid_denies_unless_the_language_is_asked_for() {
    for mode in [OnPolicyError::Deny, OnPolicyError::Strict] {
        let answer = ask(&server(mode, "applies", "errs"), i64::MAX);
        assert_eq!(errors(&answer), ["forbid-errs", "permit-errs"]);
        check_policy_error(&answer, if mode == OnPolicyError::Deny { "forbid-errs" } else { "permit-errs" });
    }
    let answer = ask(&server(OnPolicyError::Cedar, "applies", "errs"), i64::MAX);
    assert!(is_allow(&answer));
    assert_eq!(determining(&answer), ["permit-applies"]);
    assert_eq!(errors(&answer), ["forbid-errs", "permit-errs"]);
}

#[test]
fn an_erring_permit_grants_nothing_and_is_listed() {
    for mode in [OnPolicyError::Deny, OnPolicyError::Cedar] {
        let alone = ask(&server(mode, "errs", "none"), i64::MAX);
        assert_eq!((alone.decision(), reason(&alone)), (pb::Decision::Deny, "no_permit"));
        assert_eq!(errors(&alone), ["permit-errs"]);
        let beside = ask(&server(mode, "applies", "none"), i64::MAX);
        assert!(is_allow(&beside));
        assert_eq!(determining(&beside), ["permit-applies"]);
        assert_eq!(errors(&beside), ["permit-errs"]);
    }
    check_policy_error(&ask(&server(OnPolicyError::Strict, "applies", "none"), i64::MAX), "permit-errs");
}

#[test]
fn a_forbid_that_applies_beside_one_that_errs_still_denies() {
    let answer = ask(&server(OnPolicyError::Deny, "applies", "both"), i64::MAX);
    check_policy_error(&answer, "forbid-errs");
    let answer = ask(&server(OnPolicyError::Cedar, "applies", "both"), i64::MAX);
    assert_eq!(determining(&answer), ["forbid-applies"]);
    assert_eq!(reason(&answer), "forbidden");
}

#[test]
fn a_message_names_the_failure_and_an_explanation_agrees() {
    let server = server(OnPolicyError::Deny, "applies", "errs");
    let asked = question(("User", "ana"), "view", ("Doc", "plan"))
        .json_context(json!({ "count": i64::MAX }).to_string());
    let answer = server.authorize(asked.explained()).unwrap();
    check_policy_error(&answer, "forbid-errs");
    assert!(answer.errors.iter().all(|error| error.message.contains("overflow")), "{:?}", answer.errors);
    let explanation = answer.explanation.unwrap();
    let outcome = explanation.hops[0].policies.iter().find(|policy| policy.policy_id == "forbid-errs");
    assert_eq!(outcome.unwrap().outcome, "error");
}

#[test]
fn authzen_answers_a_policy_error_with_false() {
    let server = server(OnPolicyError::Deny, "applies", "errs");
    let body = r#"{"subject": {"type": "Mandate::User", "id": "ana"}, "action": {"name": "view"},
        "resource": {"type": "Mandate::Doc", "id": "plan"}, "context": {"count": 9007199254740991}}"#;
    let answer = server.evaluate_bytes(body);
    // No overflow this far below 2^63: the forbid simply applies.
    assert!(!answer.decision());
    assert_eq!(answer.json()["context"]["reason"]["code"], "forbidden");
}

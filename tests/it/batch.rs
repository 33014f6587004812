//! Batches: order, defaults, limits, an item's own failure.

use std::collections::HashSet;

use mandate::server::pb;
use pb::authorize_result::Outcome;
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{
    Question as _, Sources, TestServer, check_field, determining, is_allow, question, reference,
};

/// Policies that tell which context they saw.
fn server() -> TestServer {
    let sources = Sources::small().policy(
        "count.cedar",
        r#"@id("counted")
permit (principal, action, resource) when { context has count && context.count == 1 };
@id("about")
permit (principal, action, resource) when { context has about };
@id("no-nobody")
forbid (principal == Mandate::User::"bob", action, resource);
"#,
    );
    let bob = json!([{"uid": {"type": "Mandate::User", "id": "bob"}, "attrs": {"level": 1}, "parents": []}]);
    TestServer::start(&sources.entities("bob.json", &bob))
}

fn view(user: &str) -> pb::AuthorizeRequest {
    question(("User", user), "view", ("Doc", "plan"))
}

fn ask(
    server: &TestServer,
    defaults: pb::AuthorizeRequest,
    requests: Vec<pb::AuthorizeRequest>,
) -> Vec<Outcome> {
    let batch = pb::AuthorizeBatchRequest { defaults: Some(defaults), requests };
    let results = server.client().batch(batch).unwrap();
    results.into_iter().map(|result| result.outcome.expect("every item has an outcome")).collect()
}

#[track_caller]
fn response(outcome: &Outcome) -> &pb::AuthorizeResponse {
    match outcome {
        Outcome::Response(response) => response,
        Outcome::Status(status) => panic!("{status:?}"),
    }
}

/// Fails unless the item was refused with this code, naming this field in its details.
#[track_caller]
fn check_item(outcome: &Outcome, code: Code, field: &str) {
    let Outcome::Status(status) = outcome else { panic!("it must be refused: {outcome:?}") };
    assert_eq!(Code::from(status.code), code, "{status:?}");
    let bytes = prost::Message::encode_to_vec(status);
    let status = tonic::Status::with_details(code, status.message.clone(), bytes.into());
    let details = status.get_details_bad_request().expect("an item's status says which field");
    assert_eq!(details.field_violations[0].field, field);
}

#[test]
fn answers_keep_the_order_of_the_items_and_their_ids() {
    let server = server();
    let users = ["ana", "bob", "ana", "eve", "bob", "ana"];
    let items = users.iter().enumerate().map(|(index, user)| view(user).named(&format!("i{index}")));
    let answers = ask(&server, pb::AuthorizeRequest::default(), items.collect());
    for (index, (user, answer)) in users.iter().zip(&answers).enumerate() {
        let answer = response(answer);
        assert_eq!(answer.request_id, format!("i{index}"));
        assert_eq!(answer.principal, Some(reference("Mandate::User", user)));
        assert_eq!(is_allow(answer), *user == "ana", "{user}");
    }
}

#[test]
fn an_item_inherits_what_it_leaves_unset() {
    let server = server();
    let defaults = view("ana").struct_context(&json!({"count": 1})).named("all").explained();
    let answers = ask(&server, defaults, vec![pb::AuthorizeRequest::default()]);
    let answer = response(&answers[0]);
    assert_eq!(determining(answer), ["base", "counted"]);
    assert_eq!(answer.request_id, "all");
    assert!(answer.explanation.is_some());
}

#[test]
fn an_items_field_replaces_the_default_whole() {
    let server = server();
    let defaults = view("ana").struct_context(&json!({
        "count": 1,
        "about": {"type": "Mandate::Doc", "id": "plan"},
    }));
    let nothing = pb::AuthorizeRequest::default;
    let items = vec![
        nothing(),
        nothing().struct_context(&json!({"count": 2})),
        nothing().struct_context(&json!({})),
        // Another form of the same field replaces it too.
        nothing().json_context("{}"),
        pb::AuthorizeRequest { principal: Some(reference("Mandate::User", "bob")), ..nothing() },
    ];
    let answers = ask(&server, defaults, items);
    let seen: Vec<_> = answers.iter().map(|answer| determining(response(answer))).collect();
    let (about, base) = (vec!["about", "base", "counted"], vec!["base"]);
    assert_eq!(seen, [about, base.clone(), base.clone(), base, vec!["no-nobody"]]);
}

#[test]
fn a_part_of_a_reference_is_not_merged_with_the_default() {
    let server = server();
    let id_only = pb::AuthorizeRequest { principal: Some(reference("", "ana")), ..Default::default() };
    let answers = ask(&server, view("ana"), vec![id_only]);
    check_item(&answers[0], Code::InvalidArgument, "principal.type");
}

#[test]
fn one_bad_item_is_that_items_status_alone() {
    let server = server();
    let items = vec![
        view("ana"),
        pb::AuthorizeRequest { resource: None, ..view("ana") },
        view("ana").struct_context(&json!({"count": "one"})),
        pb::AuthorizeRequest { delegations: vec![reference("Mandate::Delegation", "g"); 6], ..view("ana") },
        view("ana"),
    ];
    let answers = ask(&server, pb::AuthorizeRequest::default(), items);
    assert!(is_allow(response(&answers[0])));
    check_item(&answers[1], Code::InvalidArgument, "resource");
    check_item(&answers[2], Code::InvalidArgument, "context.count");
    check_item(&answers[3], Code::InvalidArgument, "delegations");
    assert!(is_allow(response(&answers[4])));
}

#[test]
fn credentials_and_consistency_are_the_batchs_alone() {
    let server = server();
    let items = vec![
        pb::AuthorizeRequest { credentials: "t".to_owned(), ..view("ana") },
        pb::AuthorizeRequest { consistency: Some(pb::Consistency::default()), ..view("ana") },
        view("ana"),
    ];
    let answers = ask(&server, pb::AuthorizeRequest::default(), items);
    check_item(&answers[0], Code::InvalidArgument, "credentials");
    check_item(&answers[1], Code::InvalidArgument, "consistency");
    assert!(is_allow(response(&answers[2])));
}

#[test]
fn a_hundred_items_are_answered_and_one_more_fails_as_one() {
    let server = server();
    let batch = |items: usize| pb::AuthorizeBatchRequest {
        defaults: Some(view("ana")),
        requests: vec![pb::AuthorizeRequest::default(); items],
    };
    assert_eq!(server.client().batch(batch(0)).unwrap().len(), 0);
    let answers = server.client().batch(batch(100)).unwrap();
    assert_eq!(answers.len(), 100);
    let refused = server.client().batch(batch(101));
    check_field(refused, Code::InvalidArgument, "requests", "has 101 items; the limit is 100");
    let refused = server.client().batch(batch(60_000));
    check_field(refused, Code::InvalidArgument, "requests", "has 60000 items; the limit is 100");
}

#[test]
fn every_item_is_decided_in_one_generation_and_has_an_id_of_its_own() {
    let server = server();
    let answers = ask(&server, view("ana"), vec![pb::AuthorizeRequest::default(); 100]);
    let generations: HashSet<_> = answers.iter().map(|answer| response(answer).generation.clone()).collect();
    let ids: HashSet<_> = answers.iter().map(|answer| response(answer).decision_id.clone()).collect();
    assert_eq!((generations.len(), ids.len()), (1, 100));
}

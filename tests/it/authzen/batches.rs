//! Many questions at once: three semantics, defaults, limits, an item's own failure.

use serde_json::{Value, json};

use crate::support::{HttpAnswer, Sources, TestServer, doc, evaluation, post, user};

/// Everybody views; eve does not.
fn server() -> TestServer {
    let policy = "@id(\"not-eve\")\nforbid (principal == Mandate::User::\"eve\", action, resource);\n\
                  @id(\"counted\")\nforbid (principal, action, resource) when { context has count && context.count > 9 };\n";
    let more = json!([user("eve"), doc("memo", &[])]);
    TestServer::start(&Sources::small().policy("no.cedar", policy).entities("more.json", &more))
}

fn ask(server: &TestServer, body: &Value) -> HttpAnswer {
    let url = format!("{}/access/v1/evaluations", server.http);
    post(&url, &[("content-type", "application/json"), ("x-request-id", "b-1")], body.to_string())
}

/// A batch about a view of the plan, with these items.
fn batch(items: &Value) -> Value {
    let mut body = evaluation(("User", "ana"), "view", ("Doc", "plan"));
    body["evaluations"] = items.clone();
    body
}

fn by(id: &str) -> Value {
    json!({"subject": {"type": "User", "id": id}})
}

#[track_caller]
fn items(answer: &HttpAnswer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["evaluations"].as_array().expect("a list").clone()
}

#[track_caller]
fn decisions(answer: &HttpAnswer) -> Vec<bool> {
    items(answer).iter().map(|item| item["decision"].as_bool().expect("a boolean")).collect()
}

#[test]
fn a_semantic_says_which_item_is_the_last() {
    let server = server();
    let (yes, no, broken) = (json!({}), by("eve"), json!({"subject": 1}));
    let cases = [
        (None, json!([no, yes, broken, yes]), vec![false, true, false, true]),
        (Some("execute_all"), json!([no, yes, broken, yes]), vec![false, true, false, true]),
        (Some("deny_on_first_deny"), json!([yes, yes, no, yes]), vec![true, true, false]),
        (Some("deny_on_first_deny"), json!([yes, broken, yes]), vec![true, false]),
        (Some("deny_on_first_deny"), json!([yes, yes]), vec![true, true]),
        (Some("permit_on_first_permit"), json!([no, broken, yes, no]), vec![false, false, true]),
        (Some("permit_on_first_permit"), json!([yes, no]), vec![true]),
        (Some("permit_on_first_permit"), json!([no, no]), vec![false, false]),
    ];
    let mut records = 0;
    for (semantic, evaluations, expected) in cases {
        let mut body = batch(&evaluations);
        if let Some(semantic) = semantic {
            body["options"] = json!({"evaluations_semantic": semantic, "another": 1});
        }
        let answer = ask(&server, &body);
        assert_eq!(decisions(&answer), expected, "{semantic:?} {evaluations}");
        assert_eq!(answer.request_id.as_deref(), Some("b-1"));
        records += expected.len();
    }
    // What is not decided is not recorded.
    let records = server.records(records);
    assert!(records.iter().all(|record| record["surface"] == "authzen" && record["request_id"] == "b-1"));
}

#[test]
fn items_see_one_world_and_have_ids_of_their_own() {
    let server = server();
    let items = items(&ask(&server, &batch(&json!([{}, {}, by("eve")]))));
    let told = |name: &str| items.iter().map(|item| item["context"][name].clone()).collect::<Vec<_>>();
    assert!(told("revision").windows(2).all(|pair| pair[0] == pair[1]));
    let ids = told("decision_id");
    assert!(ids[0] != ids[1] && ids[1] != ids[2]);
    let records = server.records(3);
    assert_eq!(records.iter().map(|record| record["decision_id"].clone()).collect::<Vec<_>>(), ids);
}

#[test]
fn an_item_replaces_a_default_whole() {
    let server = server();
    let mut body = batch(&json!([
        {},
        {"context": {"count": 1}},
        {"context": {}},
        {"context": null, "resource": null},
        {"resource": {"id": "memo"}},
        {"resource": {"type": null, "id": "memo"}},
        {"resource": {"type": "User"}},
        {"action": {}},
    ]));
    body["context"] = json!({"count": 10});
    body["resource"]["properties"] = json!({"level": 1});
    let answer = ask(&server, &body);
    assert_eq!(decisions(&answer), [false, true, true, false, false, false, false, false]);
    let items = items(&answer);
    let reason = |at: usize| items[at]["context"]["reason"]["code"].clone();
    // The context is inherited whole or not at all; a part's name where it lacks one, but never its properties.
    assert_eq!(
        (reason(0), reason(3), reason(4), reason(5)),
        (json!("forbidden"), json!("forbidden"), json!("forbidden"), json!("forbidden"))
    );
    assert_eq!(items[0]["context"]["ignored"], json!(["resource.properties.level"]));
    assert_eq!(items[4]["context"].get("ignored"), None);
    assert_eq!(reason(6), "unknown_resource", "the id is the default's, as the type is its own");
    assert_eq!(reason(7), "forbidden", "the name is the default's");
}

#[test]
fn defaults_may_be_missing() {
    let server = server();
    let whole = evaluation(("User", "ana"), "view", ("Doc", "plan"));
    let body = json!({"evaluations": [whole, {}, {"subject": {"type": "User", "id": "ana"}}]});
    let answer = ask(&server, &body);
    assert_eq!(decisions(&answer), [true, false, false]);
    let items = items(&answer);
    for item in &items[1..] {
        assert_eq!(item["context"]["error"]["status"], 400);
    }
    assert_eq!(items[1]["context"]["error"]["message"], "subject: is required");
    assert_eq!(items[2]["context"]["error"]["message"], "action: is required");
    assert_eq!(items[2]["context"]["errors"], json!(["action: is required"]));
}

#[test]
fn an_item_that_cannot_be_understood_fails_alone() {
    let server = server();
    let wrong = json!([
        {"subject": "ana"}, {"action": {"name": 1}}, {"resource": []}, {"context": 1}, {"context": {"count": "many"}},
        {"context": {"now": 1}}, {"action": {"name": "fly"}}, {"subject": {"type": "not a type", "id": "x"}},
        {"subject": {"properties": []}}, 1, "x", null, [], true,
    ]);
    let count = wrong.as_array().unwrap().len();
    let mut all = wrong.clone();
    all.as_array_mut().unwrap().push(json!({}));
    let answer = ask(&server, &batch(&all));
    let decided = decisions(&answer);
    assert!(decided[..count].iter().all(|decision| !decision) && decided[count], "{answer:?}");
    for item in &items(&answer)[..count] {
        assert_eq!(item["context"]["error"]["status"], 400, "{item}");
        assert!(!item["context"]["error"]["message"].as_str().unwrap().is_empty());
    }
    let records = server.records(count + 1);
    assert_eq!(records.iter().filter(|record| record["kind"] == "refusal").count(), count);
}

#[test]
fn a_batch_that_is_none_fails_as_one() {
    let server = server();
    for (key, wrong, saying) in [
        ("evaluations", json!({}), "evaluations: must be a list"),
        ("evaluations", json!("x"), "evaluations: must be a list"),
        ("options", json!([]), "options: must be an object"),
        (
            "options",
            json!({"evaluations_semantic": "all"}),
            "execute_all, deny_on_first_deny or permit_on_first_permit",
        ),
        ("options", json!({"evaluations_semantic": "EXECUTE_ALL"}), "evaluations_semantic"),
        ("options", json!({"evaluations_semantic": 1}), "must be a string"),
        ("subject", json!("ana"), "subject: must be an object"),
        ("context", json!([]), "context: must be an object"),
    ] {
        let mut body = batch(&json!([{}]));
        body[key] = wrong;
        ask(&server, &body).check_error(400, saying);
    }
    for options in [json!(null), json!({}), json!({"evaluations_semantic": null})] {
        let mut body = batch(&json!([{}, by("eve")]));
        body["options"] = options;
        assert_eq!(decisions(&ask(&server, &body)), [true, false]);
    }
    let mut alone = batch(&json!(null));
    assert!(ask(&server, &alone).decision(), "no evaluations: one answer");
    alone["subject"] = json!(null);
    ask(&server, &alone).check_error(400, "subject: is required");
}

#[test]
fn a_batch_has_limits() {
    let server = server();
    let many = |count: usize| batch(&json!(vec![json!({}); count]));
    assert_eq!(decisions(&ask(&server, &many(100))).len(), 100);
    ask(&server, &many(101)).check_error(400, "has 101 items; the limit is 100");
    ask(&server, &many(50_000)).check_error(400, "the limit is 100");
    let mut large = many(100);
    large["subject"]["properties"] = json!({"text": "x".repeat(50_000)});
    ask(&server, &large).check_error(400, "the limit is 4194304");
    assert_eq!(server.records(103).len(), 103);
}

#[test]
fn a_subjects_token_is_the_whole_batchs() {
    let server = server();
    let url = format!("{}/access/v1/evaluations", server.http);
    let headers = [("content-type", "application/json"), ("mandate-subject-token", "nobody's")];
    post(&url, &headers, batch(&json!([{}, {}])).to_string()).check_error(401, "token");
    assert_eq!(server.records(1)[0]["reason"], "SUBJECT_TOKEN_INVALID");
}

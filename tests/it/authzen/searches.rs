//! Searches: what they find is what is allowed; pages, names, properties, arguments that nobody knows, records.

use serde_json::{Value, json};

use super::properties;
use crate::support::{HttpAnswer, Sources, TestServer, doc, evaluation, post, shipped_server, user};

fn ask(server: &TestServer, part: &str, body: &Value) -> HttpAnswer {
    let url = format!("{}/access/v1/search/{part}", server.http);
    post(&url, &[("content-type", "application/json"), ("x-request-id", "s-1")], body.to_string())
}

#[track_caller]
fn found(answer: &HttpAnswer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    let results = answer["results"].as_array().expect("a list");
    let name = |result: &Value| result.get("id").or(result.get("name")).unwrap().as_str().unwrap().to_owned();
    results.iter().map(name).collect()
}

/// Ana, and so many documents beside the plan; eve views none.
fn server(documents: usize) -> TestServer {
    let policy = "@id(\"not-eve\")\nforbid (principal == Mandate::User::\"eve\", action, resource);\n";
    let documents = (0..documents).map(|at| doc(&format!("d{at:04}"), &[]));
    let more: Vec<_> = documents.chain([user("eve")]).collect();
    TestServer::start(&Sources::small().policy("no.cedar", policy).entities("more.json", &json!(more)))
}

fn documents_of(id: &str) -> Value {
    json!({"subject": {"type": "User", "id": id}, "action": {"name": "view"}, "resource": {"type": "Doc"}})
}

#[test]
fn pages_come_to_the_whole_whatever_their_size() {
    let server = server(24);
    let whole = found(&ask(&server, "resource", &documents_of("ana")));
    assert_eq!(whole.len(), 25);
    for limit in [1, 7, 24, 25, 26, 1000] {
        let mut body = documents_of("ana");
        body["page"] = json!({ "limit": limit });
        let mut pages = Vec::new();
        loop {
            let answer = ask(&server, "resource", &body);
            let (page, results) = (answer.json()["page"].clone(), found(&answer));
            assert!(results.len() <= limit, "{limit}: {results:?}");
            assert_eq!(page["count"], json!(results.len()));
            pages.extend(results);
            match page["next_token"].as_str().expect("a text") {
                "" => break,
                // The limit is the first page's, said again or not.
                token if pages.len() % 2 == 0 => body["page"] = json!({ "token": token }),
                token => body["page"] = json!({"token": token, "limit": limit}),
            }
        }
        assert_eq!(pages, whole, "{limit}");
    }
}

#[test]
fn nobody_who_asks_for_no_page_is_given_part_of_it_unawares() {
    let server = server(1200);
    let answer = ask(&server, "resource", &documents_of("ana")).json();
    assert_eq!(answer["results"].as_array().unwrap().len(), 1000);
    let mut next = documents_of("ana");
    next["page"] = json!({"token": answer["page"]["next_token"]});
    let rest = ask(&server, "resource", &next);
    assert_eq!(found(&rest).len(), 201);
    assert_eq!(rest.json()["page"]["next_token"], "");
    assert_eq!(answer.as_object().unwrap().keys().next().unwrap(), "page", "it comes first");
}

#[test]
fn a_token_is_of_its_own_search() {
    let server = server(3);
    let paged = |body: &Value, page: Value| {
        let mut body = body.clone();
        body["page"] = page;
        ask(&server, "resource", &body)
    };
    let mut body = documents_of("ana");
    let first = paged(&body, json!({"limit": 2})).json();
    let token = first["page"]["next_token"].as_str().unwrap().to_owned();
    paged(&body, json!({"token": token, "limit": 3})).check_error(400, "page.limit: must be 2");
    let other = if &token[20..21] == "x" { "y" } else { "x" };
    let altered = format!("{}{other}{}", &token[..20], &token[21..]);
    for wrong in ["x", "2.", "2.x", "-1.x", altered.as_str(), &token[2..]] {
        paged(&body, json!({"token": wrong})).check_error(400, "page.token");
    }
    for (page, saying) in [
        (json!({"limit": -1}), "page.limit"),
        (json!({"limit": 1.5}), "page.limit"),
        (json!({"limit": "1"}), "page.limit"),
        (json!({"token": 1}), "page.token"),
        (json!([]), "page: must be an object"),
    ] {
        paged(&body, page).check_error(400, saying);
    }
    for page in [
        json!({}),
        json!({"limit": 0}),
        json!({"limit": 1e9, "token": ""}),
        json!({"properties": {"x": 1}, "limit": null}),
    ] {
        assert_eq!(found(&paged(&body, page)).len(), 4);
    }
    body["subject"]["id"] = json!("eve");
    paged(&body, json!({ "token": token })).check_error(400, "page.token");
    body["subject"]["id"] = json!("ana");
    body["context"] = json!({"count": 1});
    paged(&body, json!({ "token": token })).check_error(400, "page.token");
}

#[test]
fn what_is_found_is_what_is_allowed() {
    let server = TestServer::start(&properties::sources());
    for level in [json!(null), json!({"level": 9}), json!({"level": 1, "none": 2})] {
        for resource in ["open", "shut"] {
            for status in [json!(null), json!({"status": "open"}), json!({"status": "shut", "none": 1})] {
                let mut body = evaluation(("User", "ana"), "view", ("Doc", resource));
                body["subject"]["properties"] = level.clone();
                body["resource"]["properties"] = status.clone();
                let allowed = |action: &str| {
                    let mut body = body.clone();
                    body["action"]["name"] = json!(action);
                    server.evaluate(&body).decision()
                };
                let expected: Vec<_> =
                    ["odd", "plain", "view"].into_iter().filter(|action| allowed(action)).collect();
                assert_eq!(found(&ask(&server, "action", &body)), expected, "{body}");
                // Of whoever is searched for, properties are not asserted.
                let of_anybody = without_properties(&body, "subject");
                let expected = if server.evaluate(&of_anybody).decision() { vec!["ana"] } else { vec![] };
                assert_eq!(found(&ask(&server, "subject", &body)), expected, "{body}");
            }
        }
    }
}

/// The same, less what one part says of itself.
fn without_properties(body: &Value, part: &str) -> Value {
    let mut body = body.clone();
    body[part].as_object_mut().unwrap().remove("properties");
    body
}

#[test]
fn a_property_counts_where_an_action_declares_it() {
    let server = TestServer::start(&properties::sources());
    let mut body =
        json!({"subject": {"type": "User", "id": "ana"}, "resource": {"type": "Doc", "id": "open"}});
    assert_eq!(found(&ask(&server, "action", &body)), ["odd", "plain", "view"]);
    body["resource"]["properties"] = json!({"status": "shut"});
    assert_eq!(found(&ask(&server, "action", &body)), ["odd", "plain"]);
    // Where it is declared, and is none, that action is not asked about; if none can be, the search is refused.
    body["resource"]["properties"] = json!({"status": 1});
    assert_eq!(found(&ask(&server, "action", &body)), ["odd", "plain"]);
    let mut subjects =
        json!({"subject": {"type": "User"}, "action": {"name": "view"}, "resource": body["resource"]});
    ask(&server, "subject", &subjects).check_error(400, "resource.properties.status: must be String");
    // A resource that the request supplies.
    subjects["resource"] = json!({"type": "Note", "id": "new", "properties": {"owner": "ana"}});
    assert_eq!(found(&ask(&server, "subject", &subjects)), ["ana"]);
    subjects["resource"] = json!({"type": "Note", "id": "new"});
    assert_eq!(found(&ask(&server, "subject", &subjects)), Vec::<String>::new());
}

#[test]
fn actions_are_found_by_the_names_they_are_asked_by() {
    let sources = Sources::small();
    let config = "[authzen.actions]\nlook = 'Mandate::Action::\"view\"'\nread = 'Mandate::Action::\"view\"'\nview = 'Mandate::Action::\"fly\"'\n";
    let server = TestServer::with_config(&sources.config_written(config).unwrap());
    let body = json!({"subject": {"type": "User", "id": "ana"}, "resource": {"type": "Doc", "id": "plan"}});
    assert_eq!(found(&ask(&server, "action", &body)), ["look", "read"], "`view` means another");
    let elsewhere = "[authzen]\nnamespace = 'Elsewhere'\n[authzen.subjects]\nuser = 'Mandate::User'\n";
    let server = TestServer::with_config(&sources.config_written(elsewhere).unwrap());
    let body =
        json!({"subject": {"type": "user", "id": "ana"}, "resource": {"type": "Mandate::Doc", "id": "plan"}});
    assert_eq!(found(&ask(&server, "action", &body)), Vec::<String>::new(), "it has no name here");
}

#[test]
fn what_hangs_on_arguments_is_told_apart() {
    let context = crate::typed_tools::context("fetch/fetch", &[]);
    let body = json!({"subject": {"type": "User", "id": "ana"}, "resource": {"type": "Tool", "id": "fetch/fetch"},
                      "context": context});
    let answer = ask(shipped_server(), "action", &body);
    let names = found(&answer);
    assert!(names.contains(&"call_tool".to_owned()), "{answer:?}");
    assert_eq!(
        answer.json()["context"]["possible"],
        answer.json()["results"],
        "some sites are allowed, others not"
    );
}

#[test]
fn a_search_is_one_record_and_so_is_one_that_is_refused() {
    let server = server(2);
    let mut body = documents_of("ana");
    body["subject"]["properties"] = json!({"department": "canary"});
    assert_eq!(found(&ask(&server, "resource", &body)).len(), 3);
    body["subject"]["id"] = json!(1);
    ask(&server, "resource", &body).check_error(400, "subject.id");
    let nothing = json!({"subject": {"type": "Ship"}, "action": {"name": "view"}, "resource": {"type": "Doc", "id": "plan"}});
    assert_eq!(ask(&server, "subject", &nothing).request_id.as_deref(), Some("s-1"));
    let records = server.records(3);
    let kinds: Vec<_> = records.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["search", "refusal", "search"]);
    assert_eq!((&records[0]["found"], &records[2]["found"]), (&json!(3), &json!(0)));
    assert!(records.iter().all(|record| record["surface"] == "authzen" && record["request_id"] == "s-1"));
    assert!(!records[0].to_string().contains("canary"), "{}", records[0]);
}

#[test]
fn the_record_of_a_search_tells_of_what_is_asserted_what_the_schema_lists() {
    let server = TestServer::start(&properties::sources());
    let body = json!({
        "subject": {"type": "User"},
        "action": {"name": "view", "properties": {"soft": true}},
        "resource": {"type": "Doc", "id": "open"},
    });
    assert_eq!(found(&ask(&server, "subject", &body)), ["ana"]);
    let record = &server.records(1)[0];
    assert_eq!(record["context"]["asserted"]["action"]["soft"], json!(true), "{record}");
}

//! Properties: where they may be read, and where they change nothing.

use serde_json::{Value, json};

use crate::support::{
    HttpAnswer, Question as _, Sources, TestServer, evaluation, is_allow, mandate, question,
};

const SCHEMA: &str = r#"namespace Mandate {
  entity User = { level: Long };
  entity Doc = { status: String };
  @request_scoped
  entity Note = { owner: String, about?: Doc, size?: Long };
  @request_scoped
  entity Page;
  type Asserted = {
    subject: { role?: String, level?: Long },
    action?: { @log("clear") soft?: Bool, of?: Doc },
    resource?: { status: String, size?: Long },
  };
  action view appliesTo { principal: [User], resource: [Doc, Note, Page], context: { asserted: Asserted, count?: Long } };
  action plain appliesTo { principal: [User], resource: [Doc, Note, Page], context: {} };
  action odd appliesTo { principal: [User], resource: [Doc], context: { asserted?: String } };
}
"#;

/// Each policy tells of one thing that it saw.
const POLICIES: &str = r#"
@id("any") permit (principal, action, resource);
@id("open") permit (principal, action, resource is Mandate::Doc) when { resource.status == "open" };
@id("shut") forbid (principal, action, resource is Mandate::Doc) when { resource.status == "shut" };
@id("senior") permit (principal, action, resource) when { principal.level > 5 };
@id("says-senior") permit (principal, action == Mandate::Action::"view", resource)
when { context.asserted.subject has level && context.asserted.subject.level > 5 };
@id("says-shut") forbid (principal, action == Mandate::Action::"view", resource)
when { context.asserted has resource && context.asserted.resource.status == "shut" };
@id("softly") permit (principal, action == Mandate::Action::"view", resource)
when { context.asserted has action && context.asserted.action has soft && context.asserted.action.soft };
@id("own") permit (principal, action, resource is Mandate::Note) when { resource.owner == "ana" };
@id("about-open") permit (principal, action, resource is Mandate::Note)
when { resource has about && resource.about.status == "open" };
"#;

pub(crate) fn sources() -> Sources {
    let stored = |type_name: &str, id: &str, attrs: Value| json!({"uid": {"type": format!("Mandate::{type_name}"), "id": id}, "attrs": attrs, "parents": []});
    Sources::empty().schema("s.cedarschema", SCHEMA).policy("p.cedar", POLICIES).entities(
        "e.json",
        &json!([
            stored("User", "ana", json!({"level": 1})),
            stored("Doc", "open", json!({"status": "open"})),
            stored("Doc", "shut", json!({"status": "shut"})),
            stored("Note", "kept", json!({"owner": "eve"})),
        ]),
    )
}

fn server() -> TestServer {
    TestServer::start(&sources())
}

/// A question with properties of its three parts.
fn ask(action: &str, resource: (&str, &str), properties: [Value; 3]) -> Value {
    let mut body = evaluation(("User", "ana"), action, resource);
    for (part, properties) in ["subject", "action", "resource"].into_iter().zip(properties) {
        if !properties.is_null() {
            body[part]["properties"] = properties;
        }
    }
    body
}

const NONE: Value = Value::Null;

#[track_caller]
fn policies(answer: &HttpAnswer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    let policies = answer["context"]["policies"].as_array().expect("a list");
    let mut policies: Vec<_> = policies.iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    policies.sort();
    policies
}

#[test]
fn what_is_stored_is_never_altered() {
    let server = server();
    let subject = json!({"level": 9, "role": "admin"});
    for action in ["view", "plain"] {
        let shut = ask(action, ("Doc", "shut"), [subject.clone(), NONE, json!({"status": "open"})]);
        let answer = server.evaluate(&shut);
        assert!(!answer.decision());
        assert_eq!(policies(&answer), ["shut"]);
        let open = ask(action, ("Doc", "open"), [subject.clone(), NONE, json!({"status": "ajar"})]);
        let seen = policies(&server.evaluate(&open));
        assert!(!seen.contains(&"senior".to_owned()), "a level is stored: {seen:?}");
        assert!(seen.contains(&"open".to_owned()), "{seen:?}");
        // One that a request might have supplied, but that is stored.
        let kept = ask(action, ("Note", "kept"), [NONE, NONE, json!({"owner": "ana"})]);
        let seen = policies(&server.evaluate(&kept));
        assert!(!seen.contains(&"own".to_owned()), "{seen:?}");
    }
}

#[test]
fn what_is_asserted_is_read_where_the_schema_says_so() {
    let server = server();
    let open = |properties| policies(&server.evaluate(&ask("view", ("Doc", "open"), properties)));
    assert_eq!(open([NONE, NONE, NONE]), ["any", "open"]);
    assert_eq!(open([json!({"level": 9}), NONE, NONE]), ["any", "open", "says-senior"]);
    assert_eq!(open([json!({"level": 1}), json!({"soft": true}), NONE]), ["any", "open", "softly"]);
    assert_eq!(open([NONE, NONE, json!({"status": "shut"})]), ["says-shut"]);
    assert_eq!(open([NONE, NONE, json!({"status": "open"})]), ["any", "open"], "not the answer before");
    // No part of another action's context, and so nothing that a policy reads.
    let plain = ask("plain", ("Doc", "open"), [json!({"level": 9}), NONE, json!({"status": "shut"})]);
    let answer = server.evaluate(&plain);
    assert_eq!(policies(&answer), ["any", "open"]);
    assert_eq!(
        answer.json()["context"]["ignored"],
        json!(["subject.properties.level", "resource.properties.status"])
    );
    let odd = ask("odd", ("Doc", "open"), [json!({"level": 9}), NONE, NONE]);
    assert_eq!(server.evaluate(&odd).json()["context"]["ignored"], json!(["subject.properties.level"]));
}

#[test]
fn http_and_grpc_assert_alike() {
    let server = server();
    let asserted = json!({"asserted": {"subject": {"level": 9}, "resource": {"status": "shut"}}});
    let grpc = server.authorize(question(("User", "ana"), "view", ("Doc", "open")).struct_context(&asserted));
    assert_eq!(crate::support::determining(&grpc.clone().unwrap()), ["says-shut"]);
    assert!(!is_allow(&grpc.unwrap()));
    let body = ask("view", ("Doc", "open"), [json!({"level": 9}), NONE, json!({"status": "shut"})]);
    assert_eq!(policies(&server.evaluate(&body)), ["says-shut"]);
}

#[test]
fn what_the_schema_declares_nowhere_is_left_out_and_told_of() {
    let server = server();
    let mut body = ask(
        "view",
        ("Doc", "open"),
        [
            json!({"department": "Sales", "level": null, "none": null}),
            json!({"method": "GET"}),
            json!({"size": 1, "status": "open", "x": {"deep": [1]}}),
        ],
    );
    body["context"] = json!({"time": "now", "count": 1, "nothing": null});
    let answer = server.evaluate(&body);
    assert!(answer.decision());
    let expected = json!([
        "context.time",
        "subject.properties.department",
        "action.properties.method",
        "resource.properties.x"
    ]);
    assert_eq!(answer.json()["context"]["ignored"], expected);
    let members: serde_json::Map<_, _> = (0..1000).map(|at| (format!("m{at}"), json!(at))).collect();
    body["context"] = Value::Object(members);
    let answer = server.evaluate(&body);
    assert!(answer.decision());
    assert_eq!(answer.json()["context"]["ignored"].as_array().unwrap().len(), 32, "what is told has an end");
}

#[test]
fn or_refused_where_that_is_configured() {
    let sources = sources();
    let server =
        TestServer::with_config(&sources.config_written("[authzen]\nundeclared = 'refuse'\n").unwrap());
    let refused = |properties, path: &str| {
        server.evaluate(&ask("view", ("Doc", "open"), properties)).check_error(400, path);
    };
    refused(
        [json!({"department": "Sales"}), NONE, NONE],
        "subject.properties.department: is declared neither",
    );
    refused([NONE, json!({"method": "GET"}), NONE], "action.properties.method");
    refused([NONE, NONE, json!({"status": "open", "x": 1})], "resource.properties.x");
    let mut body = ask("view", ("Doc", "open"), [NONE, NONE, NONE]);
    body["context"] = json!({"time": "now"});
    server.evaluate(&body).check_error(400, "context.time");
    body["context"] = json!({"time": null, "count": 1});
    body["foo"] = json!("AuthZEN has its own rule for these");
    assert!(server.evaluate(&body).decision());
}

#[test]
fn a_declared_property_of_another_type_is_refused_at_its_own_path() {
    let server = server();
    for (action, resource, properties, path) in [
        ("view", "open", [json!({"level": "9"}), NONE, NONE], "subject.properties.level: must be Long"),
        ("view", "open", [NONE, json!({"soft": 1}), NONE], "action.properties.soft: must be Bool"),
        ("view", "open", [NONE, NONE, json!({"status": 1})], "resource.properties.status: must be String"),
        ("view", "open", [NONE, NONE, json!({"size": 1})], "resource.properties.status: is required"),
        ("view", "open", [json!({"level": {"__extn": 1}}), NONE, NONE], "subject.properties.level.__extn"),
        ("view", "open", [NONE, json!({"of": "open"}), NONE], "action.properties.of: must be a reference"),
    ] {
        server.evaluate(&ask(action, ("Doc", resource), properties)).check_error(400, path);
    }
    for wrong in [json!([]), json!("x"), json!(1), json!(true)] {
        for part in ["subject", "action", "resource"] {
            let mut body = ask("view", ("Doc", "open"), [NONE, NONE, NONE]);
            body[part]["properties"] = wrong.clone();
            server.evaluate(&body).check_error(400, &format!("{part}.properties: must be an object"));
        }
    }
}

#[test]
fn what_a_property_refers_to_must_exist() {
    let server = server();
    let of = |id: &str| {
        let reference = json!({"of": {"type": "Mandate::Doc", "id": id}});
        server.evaluate(&ask("view", ("Doc", "open"), [NONE, reference, NONE]))
    };
    assert!(of("shut").decision());
    assert_eq!(of("gone").json()["context"]["reason"]["code"], "unknown_entity");
}

#[test]
fn a_context_must_not_say_what_properties_do() {
    let server = server();
    let mut body = ask("view", ("Doc", "open"), [json!({"level": 1}), NONE, NONE]);
    for asserted in [json!({"subject": {"level": 9}}), json!({}), json!(1)] {
        body["context"] = json!({ "asserted": asserted });
        server.evaluate(&body).check_error(400, "context.asserted: is made of the properties");
    }
    body["context"] = json!({"asserted": null});
    assert_eq!(policies(&server.evaluate(&body)), ["any", "open"]);
    // Where it is declared as something else, it is a member like any other.
    let mut odd = ask("odd", ("Doc", "open"), [NONE, NONE, NONE]);
    odd["context"] = json!({"asserted": "text"});
    assert!(server.evaluate(&odd).decision());
}

#[test]
fn a_resource_of_a_type_that_requests_supply_is_what_they_say() {
    let server = server();
    let note = |properties: Value| server.evaluate(&ask("plain", ("Note", "new"), [NONE, NONE, properties]));
    assert_eq!(policies(&note(json!({"owner": "ana", "more": 1}))), ["any", "own"]);
    assert_eq!(policies(&note(json!({"owner": "eve"}))), ["any"]);
    let about = |id: &str| json!({"owner": "eve", "about": {"type": "Mandate::Doc", "id": id}});
    assert_eq!(policies(&note(about("open"))), ["about-open", "any"]);
    assert_eq!(note(about("gone")).json()["context"]["reason"]["code"], "unknown_entity");
    // Too little of it is a mistake, nothing of it a resource that nobody knows.
    note(json!({"size": 1})).check_error(400, "resource.properties.owner: is required");
    note(json!({"owner": 1})).check_error(400, "resource.properties.owner: must be String");
    for nothing in [NONE, json!({}), json!({"owner": null}), json!({"more": 1})] {
        assert_eq!(note(nothing).json()["context"]["reason"]["code"], "unknown_resource");
    }
    // Where nothing is to be said of one, its name is enough.
    assert!(server.evaluate(&ask("plain", ("Page", "any"), [NONE, NONE, NONE])).decision());
    // A property may be both asserted and an attribute.
    let both =
        ask("view", ("Note", "new"), [NONE, NONE, json!({"owner": "ana", "status": "shut", "size": 1})]);
    assert_eq!(policies(&server.evaluate(&both)), ["says-shut"]);
}

#[test]
fn no_other_type_is_supplied() {
    let server = server();
    let doc = ask("plain", ("Doc", "new"), [NONE, NONE, json!({"status": "open"})]);
    assert_eq!(server.evaluate(&doc).json()["context"]["reason"]["code"], "unknown_resource");
    let mut page = ask("plain", ("Page", "any"), [json!({"level": 9}), NONE, NONE]);
    page["subject"]["id"] = json!("nobody");
    assert_eq!(server.evaluate(&page).json()["context"]["reason"]["code"], "unknown_principal");
}

#[test]
fn the_log_tells_of_what_is_asserted_what_the_schema_lists() {
    let server = server();
    let body = ask("view", ("Doc", "open"), [json!({"role": "canary-role"}), json!({"soft": true}), NONE]);
    assert!(server.evaluate(&body).decision());
    let record = &server.records(1)[0];
    assert_eq!(record["context"]["asserted"]["action"]["soft"], json!(true), "{record}");
    assert!(!record.to_string().contains("canary-role"), "{record}");
    assert!(record["masked"].to_string().contains("context.asserted.subject"), "{record}");
}

#[test]
fn an_example_says_as_properties_what_is_asserted() {
    let sources = sources();
    let server = TestServer::start(&sources);
    for action in ["view", "plain"] {
        let arguments = ["example", action, "--authzen"].map(std::ffi::OsString::from);
        let example = mandate(arguments.into_iter().chain(sources.flags()));
        example.check_code(0);
        let example = example.json();
        assert_eq!(example["context"].get("asserted"), None, "{example}");
        let answer = server.evaluate(&example);
        assert_eq!((answer.status, answer.json()["context"].get("ignored")), (200, None), "{answer:?}");
    }
}

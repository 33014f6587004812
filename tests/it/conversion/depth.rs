//! How deep a value may be, in every form and every place.

use mandate::server::pb;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{
    Question as _, Sources, TestServer, evaluation, is_allow, question, record, record_value, reference,
    set_value,
};

/// Deepest value that is accepted: lists or objects in one another, the member of the context being the first.
pub(crate) const LIMIT: usize = 32;
/// Deep enough that depth, and not the schema, is what stops a value.
const DECLARED: usize = 45;

fn server() -> TestServer {
    TestServer::start(&sources())
}

/// Deep types in every place a value can come in, and a policy that permits everything.
pub(crate) fn sources() -> Sources {
    let lists = format!("{}Long{}", "Set<".repeat(DECLARED), ">".repeat(DECLARED));
    let records = format!("{}a?: Long{}", "a?: {".repeat(DECLARED), "}".repeat(DECLARED));
    let schema = format!(
        r#"namespace Mandate {{
  entity User;
  entity Tool;
  @request_scoped("")
  entity Doc = {{ lists?: {lists}, records?: {{ {records} }} }};
  action probe appliesTo {{ principal: [User], resource: [Doc], context: {{ lists?: {lists}, records?: {{ {records} }} }} }};
  action call_tool appliesTo {{ principal: [User], resource: [Tool], context: {{}} }};
  @tool("lab/typed")
  action "lab/typed" in [call_tool] appliesTo {{ principal: [User], resource: [Tool], context: {{ input: {{ lists?: {lists}, records?: {{ {records} }} }} }} }};
}}"#
    );
    let named =
        |type_name: &str, id: &str| json!({"uid": {"type": type_name, "id": id}, "attrs": {}, "parents": []});
    let stored = json!([
        named("Mandate::User", "ana"),
        named("Mandate::Doc", "plan"),
        named("Mandate::Tool", "lab/typed"),
        named("Mandate::Tool", "lab/plain"),
    ]);
    let permit = "@id(\"all\")\npermit (principal, action, resource);\n";
    let sources = Sources::empty().schema("deep.cedarschema", schema).policy("all.cedar", permit);
    sources.entities("deep.json", &stored)
}

/// `[[…[]…]]`
pub(crate) fn lists(levels: usize) -> Value {
    (1..levels).fold(json!([]), |inner, _| json!([inner]))
}

/// `{"a": {"a": … {}}}`
pub(crate) fn records(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
}

fn typed_lists(levels: usize) -> pb::Value {
    (1..levels).fold(set_value(Vec::new()), |inner, _| set_value(vec![inner]))
}

fn typed_records(levels: usize) -> pb::Value {
    (1..levels).fold(record_value(Vec::new()), |inner, _| record_value(vec![("a", inner)]))
}

pub(crate) fn probe() -> pb::AuthorizeRequest {
    question(("User", "ana"), "probe", ("Doc", "plan"))
}

fn call(tool: &str) -> pb::AuthorizeRequest {
    question(("User", "ana"), "call_tool", ("Tool", tool))
}

fn with_entity(member: &str, value: pb::Value) -> pb::AuthorizeRequest {
    let entity = pb::Entity {
        uid: Some(reference("Mandate::Doc", "supplied")),
        attributes: Some(record(vec![(member, value)])),
        ..pb::Entity::default()
    };
    pb::AuthorizeRequest { entities: vec![entity], ..probe() }
}

/// Every way a deep value can come in.
pub(crate) fn questions(levels: usize) -> Vec<(&'static str, pb::AuthorizeRequest)> {
    let (list, object) = (json!({ "lists": lists(levels) }), json!({ "records": records(levels) }));
    vec![
        ("struct lists", probe().struct_context(&list)),
        ("struct records", probe().struct_context(&object)),
        ("json lists", probe().json_context(list.to_string())),
        ("json records", probe().json_context(object.to_string())),
        ("typed lists", probe().typed_context(record(vec![("lists", typed_lists(levels))]))),
        ("typed records", probe().typed_context(record(vec![("records", typed_records(levels))]))),
        ("arguments lists", call("lab/typed").struct_arguments(&list)),
        ("arguments records", call("lab/typed").struct_arguments(&object)),
        ("arguments json lists", call("lab/typed").json_arguments(list.to_string())),
        ("arguments json records", call("lab/typed").json_arguments(object.to_string())),
        ("untyped arguments lists", call("lab/plain").struct_arguments(&list)),
        ("untyped arguments json", call("lab/plain").json_arguments(object.to_string())),
        ("entity lists", with_entity("lists", typed_lists(levels))),
        ("entity records", with_entity("records", typed_records(levels))),
    ]
}

#[test]
fn values_are_accepted_to_the_limit_and_refused_beyond_it() {
    let server = server();
    for levels in [1, LIMIT - 1, LIMIT] {
        for (form, asked) in questions(levels) {
            let answer = server.authorize(asked);
            assert!(is_allow(&answer.unwrap_or_else(|status| panic!("{form}, {levels}: {status:?}"))));
        }
    }
    for levels in [LIMIT + 1, LIMIT + 2, DECLARED, 60, 90, 127, 128, 129, 1_000] {
        for (form, asked) in questions(levels) {
            let status = server.authorize(asked).expect_err(form);
            assert_eq!(status.code(), Code::InvalidArgument, "{form}, {levels}: {status:?}");
        }
    }
    server.shutdown();
}

#[test]
fn one_level_too_deep_is_called_that() {
    let server = server();
    for (form, asked) in questions(LIMIT + 1) {
        // In messages, records are deep enough for the decoder to stop first.
        if form.ends_with("records") && !form.contains("json") {
            continue;
        }
        let status = server.authorize(asked).expect_err(form);
        assert!(status.message().contains("nested deeper than 32 levels"), "{form}: {}", status.message());
    }
}

#[test]
fn authzen_has_the_same_limit() {
    let server = server();
    let evaluate = |context: Value| {
        let mut body = evaluation(("Mandate::User", "ana"), "probe", ("Mandate::Doc", "plan"));
        body["context"] = context;
        server.evaluate(&body)
    };
    for (name, value) in [("lists", lists as fn(usize) -> Value), ("records", records)] {
        assert!(evaluate(json!({ name: value(LIMIT) })).decision());
        evaluate(json!({ name: value(LIMIT + 1) })).check_error(400, "nested deeper than 32 levels");
        for levels in [100, 127, 128, 1_000] {
            evaluate(json!({ name: value(levels) })).check_error(400, "");
        }
    }
}

//! Request entities (C4): who may be supplied, and what is refused.

use mandate::server::pb;
use serde_json::json;
use tonic::Code;

use crate::support::{
    Sources, TestServer, check_field, determining, entity_value, is_allow, long_value, question, reason,
    record, reference, text_value,
};

const SCHEMA: &str = r#"namespace Mandate {
  entity User = { level: Long };
  entity Doc;
  @request_scoped("")
  entity Folder in [Folder];
  @request_scoped("")
  entity Note in [Folder] = { level: Long, about?: Doc } tags String;
  action view appliesTo { principal: [User], resource: [Doc, Note, Folder], context: { note?: Note, folder?: Folder } };
}
"#;

const POLICIES: &str = r#"@id("low")
permit (principal, action, resource is Mandate::Note) when { resource.level <= principal.level };
@id("in-folder")
permit (principal, action, resource) when { context has folder && resource in context.folder };
@id("marked")
permit (principal, action, resource is Mandate::Note)
when { resource.hasTag("mark") && resource.getTag("mark") == "x" };
@id("about-note")
permit (principal, action, resource is Mandate::Doc) when { context has note && context.note.level == 7 };
@id("any-doc-without")
permit (principal, action, resource is Mandate::Doc) unless { context has note };
"#;

fn server() -> TestServer {
    let stored =
        |type_name: &str, id: &str| json!({"uid": {"type": type_name, "id": id}, "attrs": {}, "parents": []});
    let mut ana = stored("Mandate::User", "ana");
    ana["attrs"] = json!({"level": 3});
    let entities = json!([ana, stored("Mandate::Doc", "plan"), stored("Mandate::Folder", "kept")]);
    let sources = Sources::empty().schema("s.cedarschema", SCHEMA).policy("p.cedar", POLICIES);
    TestServer::start(&sources.entities("e.json", &entities))
}

fn folder(id: &str, parents: &[&str]) -> pb::Entity {
    let parents = parents.iter().map(|id| reference("Mandate::Folder", id)).collect();
    pb::Entity { uid: Some(reference("Mandate::Folder", id)), parents, ..pb::Entity::default() }
}

fn note(id: &str, level: i64, parents: &[&str]) -> pb::Entity {
    pb::Entity {
        uid: Some(reference("Mandate::Note", id)),
        attributes: Some(record(vec![("level", long_value(level))])),
        ..folder(id, parents)
    }
}

fn view_with(resource: (&str, &str), entities: Vec<pb::Entity>) -> pb::AuthorizeRequest {
    pb::AuthorizeRequest { entities, ..question(("User", "ana"), "view", resource) }
}

#[track_caller]
fn check(server: &TestServer, entities: Vec<pb::Entity>, field: &str, saying: &str) {
    let asked = view_with(("Doc", "plan"), entities);
    check_field(server.authorize(asked), Code::InvalidArgument, field, saying);
}

#[test]
fn a_supplied_entity_is_decided_by_its_attributes_tags_and_parents() {
    let server = server();
    let ask = |note_: pb::Entity, more: Vec<pb::Entity>| {
        let entities = [vec![note_], more].concat();
        let mut asked = view_with(("Note", "n"), entities);
        if asked.entities.len() > 1 {
            let inbox = record(vec![("folder", entity_value("Mandate::Folder", "inbox"))]);
            asked.context_form = Some(pb::authorize_request::ContextForm::TypedContext(inbox));
        }
        server.authorize(asked).unwrap()
    };
    assert_eq!(determining(&ask(note("n", 3, &[]), vec![])), ["low"]);
    assert_eq!(reason(&ask(note("n", 4, &[]), vec![])), "no_permit");
    let high_but_in = |parents| note("n", 4, parents);
    assert_eq!(determining(&ask(high_but_in(&["inbox"]), vec![folder("inbox", &[])])), ["in-folder"]);
    let nested = vec![folder("deep", &["deeper"]), folder("deeper", &["inbox"]), folder("inbox", &[])];
    assert_eq!(determining(&ask(high_but_in(&["deep"]), nested)), ["in-folder"]);
    let mut marked = note("n", 4, &[]);
    marked.tags = Some(record(vec![("mark", text_value("x"))]));
    assert_eq!(determining(&ask(marked, vec![])), ["marked"]);
}

#[test]
fn a_supplied_entity_may_be_what_the_context_refers_to() {
    let server = server();
    let mut asked = view_with(("Doc", "plan"), vec![note("n", 7, &[])]);
    let context = || record(vec![("note", entity_value("Mandate::Note", "n"))]);
    asked.context_form = Some(pb::authorize_request::ContextForm::TypedContext(context()));
    assert_eq!(determining(&server.authorize(asked.clone()).unwrap()), ["about-note"]);
    asked.entities.clear();
    assert_eq!(reason(&server.authorize(asked).unwrap()), "unknown_entity");
}

#[test]
fn it_is_gone_with_its_request() {
    let server = server();
    assert!(is_allow(&server.authorize(view_with(("Note", "n"), vec![note("n", 1, &[])])).unwrap()));
    assert_eq!(reason(&server.authorize(view_with(("Note", "n"), vec![])).unwrap()), "unknown_resource");
}

#[test]
fn only_marked_types_may_be_supplied_and_never_a_principal() {
    let server = server();
    for type_name in ["Mandate::Doc", "Mandate::User", "Mandate::Action", "Mandate::Nothing"] {
        let entity = pb::Entity { uid: Some(reference(type_name, "new")), ..pb::Entity::default() };
        check(&server, vec![entity], "entities[0].uid", "does not mark its type `@request_scoped`");
    }
}

#[test]
fn nothing_stored_or_given_twice_may_be_supplied() {
    let server = server();
    check(&server, vec![folder("kept", &[])], "entities[0].uid", "is stored");
    check(&server, vec![folder("a", &[]), folder("a", &[])], "entities[1].uid", "is given twice");
    check(&server, vec![pb::Entity::default()], "entities[0].uid", "required");
}

#[test]
fn parents_must_be_supplied_too_and_of_a_type_that_may_be_one() {
    let server = server();
    let saying = "is not supplied";
    check(&server, vec![folder("a", &["kept"])], "entities[0].parents[0]", saying);
    check(&server, vec![folder("a", &[]), folder("b", &["a", "c"])], "entities[1].parents[1]", saying);
    let mut odd = folder("a", &[]);
    odd.parents = vec![reference("Mandate::Note", "n")];
    check(&server, vec![odd, note("n", 1, &[])], "entities[0].parents[0]", "lets no");
    let mut user = folder("a", &[]);
    user.parents = vec![reference("Mandate::User", "ana")];
    check(&server, vec![user], "entities[0].parents[0]", saying);
}

#[test]
fn a_cycle_is_refused() {
    let server = server();
    check(&server, vec![folder("a", &["a"])], "entities[0].parents", "is in itself");
    let two = vec![folder("a", &["b"]), folder("b", &["a"])];
    check(&server, two, "entities[0].parents", "is in itself");
    let below = vec![folder("a", &["b"]), folder("b", &["c"]), folder("c", &["b"])];
    let status = server.authorize(view_with(("Doc", "plan"), below)).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[test]
fn a_chain_is_accepted_to_its_limit_and_refused_beyond_it() {
    let server = server();
    let chain = |levels: usize| -> Vec<pb::Entity> {
        let names: Vec<_> = (0..=levels).map(|level| format!("f{level}")).collect();
        let at = |level: usize| match names.get(level + 1) {
            Some(above) => folder(&names[level], &[above]),
            None => folder(&names[level], &[]),
        };
        (0..=levels).map(at).collect()
    };
    assert!(is_allow(&server.authorize(view_with(("Doc", "plan"), chain(32))).unwrap()));
    for levels in [33, 34, 100, 900] {
        check(&server, chain(levels), "entities[0].parents", "32 levels deep");
    }
}

#[test]
fn attributes_and_tags_are_those_of_the_type() {
    let server = server();
    let with = |members| {
        let mut entity = note("n", 1, &[]);
        entity.attributes = Some(record(members));
        vec![entity]
    };
    check(&server, with(vec![]), "entities[0].attributes.level", "required");
    check(&server, with(vec![("level", text_value("1"))]), "entities[0].attributes.level", "must be Long");
    let more = vec![("level", long_value(1)), ("colour", text_value("red"))];
    check(&server, with(more), "entities[0].attributes.colour", "not declared");
    let mut tagged = note("n", 1, &[]);
    tagged.tags = Some(record(vec![("mark", long_value(1))]));
    check(&server, vec![tagged], "entities[0].tags", "must be String");
    let mut untaggable = folder("a", &[]);
    untaggable.tags = Some(record(vec![("mark", text_value("x"))]));
    check(&server, vec![untaggable], "entities[0].tags", "no tags");
}

#[test]
fn a_reference_to_nothing_in_a_supplied_entity_is_a_deny() {
    let server = server();
    let about = |id: &str| {
        let mut entity = note("n", 1, &[]);
        let members = vec![("level", long_value(1)), ("about", entity_value("Mandate::Doc", id))];
        entity.attributes = Some(record(members));
        server.authorize(view_with(("Note", "n"), vec![entity])).unwrap()
    };
    assert!(is_allow(&about("plan")));
    assert_eq!(reason(&about("gone")), "unknown_entity");
}

#[test]
fn a_thousand_are_accepted_and_one_more_is_not() {
    let server = server();
    let folders = |count: usize| (0..count).map(|at| folder(&at.to_string(), &[])).collect::<Vec<_>>();
    assert!(is_allow(&server.authorize(view_with(("Doc", "plan"), folders(1_000))).unwrap()));
    check(&server, folders(1_001), "entities", "has 1001 entities; the limit is 1000");
}

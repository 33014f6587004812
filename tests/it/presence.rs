//! What must exist before policies are asked (C3), and who needs somebody behind them (D7).

use mandate::server::pb;
use serde_json::{Value, json};

use crate::support::{
    Question as _, Sources, TestServer, determining, entity_value, is_allow, question, reason, record,
    reference, set_value,
};

const SCHEMA: &str = r#"namespace Mandate {
  entity Role enum ["self", "autonomous", "delegator", "actor"];
  entity User = { level: Long };
  entity Agent = { autonomous?: Bool };
  entity Doc in [Doc] = { owner?: User, next?: Doc, seen?: User, info?: { by?: User } } tags User;
  action view appliesTo {
    principal: [User, Agent], resource: [Doc],
    context: { delegation: { role: Role }, about?: Doc, abouts?: Set<Doc>, more?: { who: User } },
  };
}
"#;

/// Follows `owner`, `next` and `info.by`; reads `seen`, and does not follow it.
const POLICIES: &str = r#"@id("as-self")
permit (principal, action, resource) when { context.delegation.role == Mandate::Role::"self" };
@id("as-autonomous")
permit (principal, action, resource) when { context.delegation.role == Mandate::Role::"autonomous" };
@id("owned-above")
forbid (principal, action, resource) when { resource has owner && resource.owner.level > 5 };
@id("next-owned-above")
forbid (principal, action, resource)
when { resource has next.owner && resource.next.owner.level > 5 };
@id("informed")
forbid (principal, action, resource) when { resource has info.by && resource.info.by has level && resource.info.by.level > 5 };
@id("seen-by-oneself")
forbid (principal is Mandate::User, action, resource) when { resource has seen && resource.seen == principal };
"#;

/// What is missing is no caller's business.
const NOWHERE: &str = "a stored reference that policies follow leads nowhere";

fn user(id: &str, level: i64) -> Value {
    json!({"uid": {"type": "Mandate::User", "id": id}, "attrs": {"level": level}, "parents": []})
}

fn agent(id: &str, attributes: Value) -> Value {
    json!({"uid": {"type": "Mandate::Agent", "id": id}, "attrs": attributes, "parents": []})
}

fn doc(id: &str, attributes: Value) -> Value {
    json!({"uid": {"type": "Mandate::Doc", "id": id}, "attrs": attributes, "parents": []})
}

fn to(type_name: &str, id: &str) -> Value {
    json!({"type": format!("Mandate::{type_name}"), "id": id})
}

fn server() -> TestServer {
    TestServer::start(&sources(POLICIES))
}

fn sources(policies: &str) -> Sources {
    let stored = json!([
        user("ana", 1),
        user("boss", 9),
        agent("helper", json!({"autonomous": false})),
        agent("unsaid", json!({})),
        agent("watch", json!({"autonomous": true})),
        doc("plan", json!({"owner": to("User", "ana")})),
        doc("secret", json!({"owner": to("User", "boss")})),
        doc("orphan", json!({"owner": to("User", "gone")})),
        doc("unfollowed", json!({"seen": to("User", "gone")})),
        doc("informed-by-nobody", json!({"info": {"by": to("User", "gone")}})),
        doc("before-orphan", json!({"next": to("Doc", "orphan")})),
        doc("before-nothing", json!({"next": to("Doc", "gone")})),
    ]);
    let sources = Sources::empty().schema("s.cedarschema", SCHEMA).policy("p.cedar", policies);
    sources.entities("e.json", &stored)
}

fn view(doc: &str) -> pb::AuthorizeRequest {
    question(("User", "ana"), "view", ("Doc", doc))
}

#[track_caller]
fn check_denied(server: &TestServer, asked: pb::AuthorizeRequest, code: &str, saying: &str) {
    let answer = server.authorize(asked).unwrap();
    assert_eq!((answer.decision(), reason(&answer)), (pb::Decision::Deny, code));
    assert!(answer.determining_policies.is_empty(), "{answer:?}");
    assert_eq!(answer.denied_by.unwrap().rule, code);
    let message = answer.reason.unwrap().message;
    assert!(message.contains(saying), "`{message}` does not say `{saying}`");
}

#[test]
fn whoever_asks_and_whatever_is_asked_about_must_be_known() {
    let server = server();
    assert!(is_allow(&server.authorize(view("plan")).unwrap()));
    let eve = question(("User", "eve"), "view", ("Doc", "plan"));
    check_denied(&server, eve, "unknown_principal", "Mandate::User::\"eve\"");
    check_denied(&server, view("gone"), "unknown_resource", "Mandate::Doc::\"gone\"");
    let neither = question(("User", "eve"), "view", ("Doc", "gone"));
    check_denied(&server, neither, "unknown_principal", "eve");
    let undeclared =
        pb::AuthorizeRequest { principal: Some(reference("Other::Thing", "ana")), ..view("plan") };
    check_denied(&server, undeclared, "unknown_principal", "Other::Thing");
    let role = pb::AuthorizeRequest { principal: Some(reference("Mandate::Role", "self")), ..view("plan") };
    check_denied(&server, role, "unknown_principal", "Role");
}

#[test]
fn whatever_the_context_refers_to_must_be_known() {
    let server = server();
    let known = view("plan").struct_context(&json!({
        "about": to("Doc", "secret"), "abouts": [to("Doc", "plan")], "more": {"who": to("User", "boss")},
    }));
    assert!(is_allow(&server.authorize(known).unwrap()));
    for context in [
        json!({"about": to("Doc", "gone")}),
        json!({"abouts": [to("Doc", "plan"), to("Doc", "gone")]}),
        json!({"more": {"who": to("User", "gone")}}),
    ] {
        check_denied(&server, view("plan").struct_context(&context), "unknown_entity", "\"gone\"");
        check_denied(&server, view("plan").json_context(context.to_string()), "unknown_entity", "\"gone\"");
    }
    let gone = entity_value("Mandate::Doc", "gone");
    let typed = view("plan").typed_context(record(vec![("abouts", set_value(vec![gone]))]));
    check_denied(&server, typed, "unknown_entity", "\"gone\"");
}

#[test]
fn a_stored_reference_that_policies_follow_must_lead_somewhere() {
    let server = server();
    assert_eq!(determining(&server.authorize(view("secret")).unwrap()), ["owned-above"]);
    check_denied(&server, view("orphan"), "unknown_entity", NOWHERE);
    check_denied(&server, view("informed-by-nobody"), "unknown_entity", NOWHERE);
    check_denied(&server, view("before-nothing"), "unknown_entity", NOWHERE);
}

#[test]
fn so_must_one_that_is_reached_through_another() {
    check_denied(&server(), view("before-orphan"), "unknown_entity", NOWHERE);
    let through = || view("plan").struct_context(&json!({"about": to("Doc", "orphan")}));
    assert!(is_allow(&server().authorize(through()).unwrap()), "nobody follows what the context refers to");
    let policy = "@id(\"about-owned-above\")\nforbid (principal, action, resource)\n\
                  when { context has about && context.about has owner.level && context.about.owner.level > 5 };\n";
    let following = TestServer::start(&sources(&format!("{POLICIES}{policy}")));
    check_denied(&following, through(), "unknown_entity", NOWHERE);
}

#[test]
fn a_stored_reference_that_no_policy_follows_may_lead_nowhere() {
    assert!(is_allow(&server().authorize(view("unfollowed")).unwrap()));
}

#[test]
fn a_tag_that_policies_follow_must_lead_somewhere() {
    let policy = "@id(\"tagged\")\nforbid (principal, action, resource)\n\
                  when { resource.hasTag(\"by\") && resource.getTag(\"by\") has level && resource.getTag(\"by\").level > 5 };\n";
    let mut tagged = doc("tagged", json!({}));
    tagged["tags"] = json!({"by": to("User", "gone")});
    let sources = Sources::empty()
        .schema("s.cedarschema", SCHEMA)
        .policy("p.cedar", format!("{POLICIES}{policy}"))
        .entities("e.json", &json!([user("ana", 1), tagged]));
    check_denied(&TestServer::start(&sources), view("tagged"), "unknown_entity", NOWHERE);
}

#[test]
fn an_agent_without_a_chain_acts_only_if_it_is_stored_as_autonomous() {
    let server = server();
    let ask = |agent: &str| server.authorize(question(("Agent", agent), "view", ("Doc", "plan"))).unwrap();
    for agent in ["helper", "unsaid"] {
        let answer = ask(agent);
        assert_eq!((answer.decision(), reason(&answer)), (pb::Decision::Deny, "chain_required"), "{agent}");
        assert_eq!(answer.denied_by.unwrap().rule, "chain_required");
    }
    assert_eq!(determining(&ask("watch")), ["as-autonomous"]);
    assert_eq!(determining(&server.authorize(view("plan")).unwrap()), ["as-self"]);
    assert_eq!(reason(&ask("nobody")), "unknown_principal");
}

#[test]
fn the_shipped_agents_need_a_chain_too() {
    let context = json!({"session": {"id": "s", "purpose": "p", "attended": true, "untrusted": false,
                         "read_level": 0, "calls": 0, "spent_cents": 0}});
    let list = |agent: &str| {
        let asked = question(("Agent", agent), "list_tools", ("ToolServer", "github"));
        crate::support::shipped_server().authorize(asked.struct_context(&context)).unwrap()
    };
    assert_eq!(reason(&list("code-bot")), "chain_required");
    assert_eq!(determining(&list("night-watch")), ["list-known-servers"]);
}

//! Searches over gRPC and from the command line: what is found is what `Authorize` allows, for callers that may ask it.

mod commands;

use std::collections::BTreeSet;

use mandate::server::pb;
use pb::search_service_client::SearchServiceClient;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::callers::{Guarded, OPEN, eventually};
use crate::entity_log::Admin;
use crate::support::{
    Client, Question as _, Sources, TestServer, check_field, doc, is_allow, question, reference, repository,
    repository_config, shipped_server,
};

/// Every stored tool of the shipped sources, with the digest of its definition.
fn stored_tools() -> Vec<(String, String)> {
    let mut tools = Vec::new();
    for file in ["fetch", "filesystem", "git", "github", "time"] {
        let text = std::fs::read_to_string(repository().join(format!("entities/{file}.json"))).unwrap();
        let entities: Vec<Value> = serde_json::from_str(&text).unwrap();
        let of_type = entities.iter().filter(|entity| entity["uid"]["type"] == "Mandate::Tool");
        tools.extend(of_type.map(|entity| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&entity["uid"]["id"]), text(&entity["attrs"]["digest"]))
        }));
    }
    assert!(tools.len() > 100);
    tools
}

fn session() -> Value {
    json!({"id": "s", "purpose": "p", "attended": true, "untrusted": false, "read_level": 0, "calls": 1, "spent_cents": 0})
}

fn context() -> Value {
    json!({"session": session(), "touches": []})
}

/// Which tools a principal may call.
fn tools(principal: (&str, &str), delegations: &[&str]) -> pb::SearchRequest {
    let mut question = question(principal, "call_tool", ("Tool", "")).struct_context(&context());
    question.delegations = delegations.iter().map(|id| reference("Mandate::Delegation", id)).collect();
    pb::SearchRequest { question: Some(question), ..pb::SearchRequest::default() }
}

/// The same among all stored tools, each as it was approved.
fn approved(search: pb::SearchRequest) -> pb::SearchRequest {
    let candidates = stored_tools().into_iter().map(|(id, digest)| {
        let digest = prost_types::Value { kind: Some(prost_types::value::Kind::StringValue(digest)) };
        let context = prost_types::Struct { fields: [("digest".to_owned(), digest)].into() };
        pb::Candidate { id, context: Some(context) }
    });
    pb::SearchRequest { candidates: candidates.collect(), page_size: 1_000, ..search }
}

fn resources(client: &Client, request: pb::SearchRequest) -> Result<pb::SearchResponse, Status> {
    let mut service = SearchServiceClient::new(client.channel());
    client.wait(service.search_resources(request)).map(tonic::Response::into_inner)
}

/// All pages of a search of the shipped tools: on a machine that is busy a page ends before them.
fn whole(request: &pb::SearchRequest) -> pb::SearchResponse {
    let mut whole = pb::SearchResponse::default();
    loop {
        let page_token = std::mem::take(&mut whole.next_page_token);
        let request = pb::SearchRequest { page_token, ..request.clone() };
        let page = resources(shipped_server().client(), request).unwrap();
        whole.found.extend(page.found);
        whole.examined += page.examined;
        whole.next_page_token = page.next_page_token;
        if whole.next_page_token.is_empty() {
            return whole;
        }
    }
}

fn actions(client: &Client, request: pb::SearchRequest) -> Result<pb::SearchResponse, Status> {
    let mut service = SearchServiceClient::new(client.channel());
    client.wait(service.search_actions(request)).map(tonic::Response::into_inner)
}

fn principals(client: &Client, request: pb::SearchRequest) -> Result<pb::SearchResponse, Status> {
    let mut service = SearchServiceClient::new(client.channel());
    client.wait(service.search_principals(request)).map(tonic::Response::into_inner)
}

fn ids(response: &pb::SearchResponse) -> Vec<&str> {
    response.found.iter().map(|found| found.uid.as_ref().unwrap().id.as_str()).collect()
}

/// What `Authorize` says of each stored tool, where it does without arguments: those that it allows, and those it asks of.
fn asked_one_by_one(principal: (&str, &str), delegations: &[&str]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut allowed, mut asked) = (BTreeSet::new(), BTreeSet::new());
    for (id, digest) in stored_tools() {
        let context = json!({"session": session(), "touches": [], "digest": digest});
        let mut asking = question(principal, "call_tool", ("Tool", &id)).struct_context(&context);
        asking.delegations = delegations.iter().map(|id| reference("Mandate::Delegation", id)).collect();
        match shipped_server().authorize(asking) {
            Ok(answer) => {
                if is_allow(&answer) {
                    allowed.insert(id.clone());
                }
                asked.insert(id);
            }
            Err(status) => check_field::<()>(Err(status), Code::InvalidArgument, "arguments", "required"),
        }
    }
    (allowed, asked)
}

#[test]
fn tools_are_those_that_authorize_allows() {
    for (principal, delegations) in [
        (("User", "ana"), &[][..]),
        (("User", "cem"), &[]),
        (("User", "dov"), &[]),
        (("Agent", "worker"), &["planner-worker"]),
        (("Agent", "worker"), &["planner-worker-spring"]),
        (("Agent", "worker"), &[]),
        (("Agent", "nobody"), &[]),
    ] {
        let page = whole(&approved(tools(principal, delegations)));
        let (allowed, asked) = asked_one_by_one(principal, delegations);
        let found: BTreeSet<_> = ids(&page).into_iter().map(str::to_owned).collect();
        let certain: BTreeSet<_> = found.intersection(&asked).cloned().collect();
        assert_eq!(certain, allowed, "{principal:?} by {delegations:?}");
        assert_eq!(usize::try_from(page.examined).unwrap(), stored_tools().len());
        // Ana may; whoever left, who has no delegation that holds, and who is unknown, may nothing.
        let may = !matches!(principal.1, "dov" | "nobody") && delegations != ["planner-worker-spring"];
        let may = may && (principal.0 == "User" || !delegations.is_empty());
        assert_eq!(!found.is_empty(), may, "{principal:?} by {delegations:?}: {found:?}");
    }
}

#[test]
fn a_tool_that_some_arguments_may_be_allowed_for_is_possible() {
    let page = whole(&approved(tools(("User", "ana"), &[])));
    let of = |id: &str| page.found.iter().find(|found| found.uid.as_ref().unwrap().id == id);
    let fetch = of("fetch/fetch").expect("it fetches known sites");
    assert_eq!(fetch.certainty(), pb::Certainty::Possible);
    assert_eq!(fetch.action.as_ref().unwrap().id, "fetch/fetch", "it is decided by its own action");
    assert_eq!(of("github/list_issues").unwrap().certainty(), pb::Certainty::Certain);
    // With arguments nothing is unknown.
    let with = |arguments: &Value| {
        let mut search = approved(tools(("User", "ana"), &[]));
        search.candidates.retain(|candidate| candidate.id == "fetch/fetch");
        search.question = search.question.map(|question| question.struct_arguments(arguments));
        resources(shipped_server().client(), search).unwrap().found
    };
    assert_eq!(with(&json!({"url": "https://docs.rs/a"}))[0].certainty(), pb::Certainty::Certain);
    assert!(with(&json!({"url": "https://evil.example/"})).is_empty());
}

#[test]
fn a_definition_that_changed_hides_its_tool_and_one_that_is_unknown_does_not() {
    let with = |candidates: Vec<pb::Candidate>, unknown: &[&str]| {
        let unknown = unknown.iter().map(|name| (*name).to_owned()).collect();
        let search = tools(("Agent", "worker"), &["planner-worker"]);
        resources(shipped_server().client(), pb::SearchRequest { candidates, unknown, ..search })
    };
    let mut changed = approved(pb::SearchRequest::default()).candidates;
    changed.retain(|candidate| candidate.id == "github/list_issues");
    assert_eq!(with(changed.clone(), &[]).unwrap().found.len(), 1);
    let digest =
        prost_types::Value { kind: Some(prost_types::value::Kind::StringValue("sha256:other".into())) };
    changed[0].context.as_mut().unwrap().fields.insert("digest".to_owned(), digest);
    assert!(with(changed.clone(), &[]).unwrap().found.is_empty());
    changed[0].context = None;
    let found = with(changed.clone(), &["digest"]).unwrap().found;
    assert_eq!(found[0].certainty(), pb::Certainty::Possible);
    check_field(with(changed, &[]), Code::InvalidArgument, "context.digest", "required");
}

#[test]
fn what_an_agent_may_do_and_through_whom() {
    let mut search = approved(tools(("Agent", "worker"), &[]));
    search.any_delegation = true;
    let page = whole(&search);
    let (allowed, _) = asked_one_by_one(("Agent", "worker"), &["planner-worker"]);
    let listed =
        page.found.iter().find(|found| found.uid.as_ref().unwrap().id == "github/list_issues").unwrap();
    assert!(!allowed.is_empty() && allowed.iter().all(|id| ids(&page).contains(&id.as_str())));
    let narrow =
        listed.through.iter().find(|through| through.delegation.as_ref().unwrap().id == "planner-worker");
    let chain: Vec<_> = narrow.unwrap().chain.iter().map(|uid| uid.id.as_str()).collect();
    assert_eq!(chain, ["ana", "planner", "worker"]);
    search.question.as_mut().unwrap().delegations = vec![reference("Mandate::Delegation", "planner-worker")];
    check_field(
        resources(shipped_server().client(), search),
        Code::InvalidArgument,
        "any_delegation",
        "show none",
    );
}

#[test]
fn actions_and_principals_are_found_too() {
    let client = shipped_server().client();
    let mut asking = question(("User", "ana"), "", ("ToolServer", "github"));
    asking.action = None;
    let asking = asking.struct_context(&json!({"session": session()}));
    let search = pb::SearchRequest { question: Some(asking), ..pb::SearchRequest::default() };
    assert_eq!(ids(&actions(client, search).unwrap()), ["list_tools"]);
    let asking = question(("User", ""), "list_tools", ("ToolServer", "github"));
    let asking = asking.struct_context(&json!({"session": session()}));
    let search = pb::SearchRequest { question: Some(asking), ..pb::SearchRequest::default() };
    assert_eq!(ids(&principals(client, search).unwrap()), ["ana", "bea", "cem"], "dov has left");
}

/// The small sources with so many documents beside the plan.
fn documents(count: usize) -> Sources {
    let docs: Vec<_> = (0..count).map(|at| doc(&format!("d{at:02}"), &[])).collect();
    Sources::small().entities("many.json", &Value::Array(docs))
}

fn views(page_size: u32, page_token: &str) -> pb::SearchRequest {
    let question = Some(question(("User", "ana"), "view", ("Doc", "")));
    pb::SearchRequest {
        question,
        page_size,
        page_token: page_token.to_owned(),
        ..pb::SearchRequest::default()
    }
}

#[test]
fn pages_follow_each_other_and_each_is_recorded() {
    let server = TestServer::start(&documents(25));
    let (mut found, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = resources(server.client(), views(10, &token)).unwrap();
        assert!(!page.revision.is_empty() && !page.decision_id.is_empty());
        found.extend(ids(&page).into_iter().map(str::to_owned));
        token = page.next_page_token;
        pages += 1;
        if token.is_empty() {
            break;
        }
    }
    let mut expected: Vec<_> = (0..25).map(|at| format!("d{at:02}")).chain(["plan".to_owned()]).collect();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(pages, 3);
    let records = server.records(3);
    assert!(records.iter().all(|record| record["kind"] == "search" && record["sought"] == "resources"));
    assert_eq!(records[0]["found"], 10);
    assert_eq!((&records[0]["more"], &records[2]["more"]), (&json!(true), &json!(false)));
    assert!(records.iter().all(|record| record["found_digest"].as_str().unwrap().starts_with("sha256:")));
    assert_eq!(server.metrics().sum("pdp_search_candidates_total"), 26.0);
}

#[test]
fn a_page_goes_on_behind_its_last_name_whatever_became_of_it() {
    let sources = documents(4);
    let server = TestServer::with_config(&sources.restless_config());
    let first = resources(server.client(), views(2, "")).unwrap();
    assert_eq!(ids(&first), ["d00", "d01"]);
    // The last one is gone, one before it came, and one behind it.
    let docs: Vec<_> = ["d00", "d005", "d02", "d025", "d03"].iter().map(|id| doc(id, &[])).collect();
    sources.put("entities/many.json", Value::Array(docs).to_string());
    eventually("what was written is served", || {
        ids(&resources(server.client(), views(0, "")).unwrap()).contains(&"d005")
    });
    let second = resources(server.client(), views(9, &first.next_page_token)).unwrap();
    assert_eq!(ids(&second), ["d02", "d025", "d03", "plan"]);
    assert_ne!(second.revision, first.revision, "each page says which world it is of");
}

#[test]
fn what_is_no_search_is_refused_and_recorded() {
    let server = TestServer::start(&documents(3));
    let client = server.client();
    let token = resources(client, views(1, "")).unwrap().next_page_token;
    let refuse = |request, field: &str, saying: &str| {
        check_field(resources(client, request), Code::InvalidArgument, field, saying);
    };
    refuse(views(1_001, ""), "page_size", "the limit is 1000");
    refuse(views(1, "made-up"), "page_token", "no token that this server gave out");
    refuse(views(1, &format!("{token}A")), "page_token", "no token");
    refuse(views(1, &"A".repeat(5_000)), "page_token", "the limit is 4096");
    let other = pb::SearchRequest {
        question: Some(question(("User", "eve"), "view", ("Doc", ""))),
        ..views(1, &token)
    };
    refuse(other, "page_token", "of another search");
    let asking = |question| pb::SearchRequest { question, ..views(0, "") };
    refuse(asking(None), "question", "required");
    refuse(
        asking(Some(question(("User", "ana"), "view", ("Doc", "plan")))),
        "question.resource.id",
        "the type only",
    );
    refuse(
        asking(Some(question(("User", "ana"), "view", ("Nothing", "")))),
        "resource.type",
        "no entity type",
    );
    refuse(asking(Some(question(("User", "ana"), "vieww", ("Doc", "")))), "action", "declares no action");
    refuse(
        asking(Some(question(("User", "ana"), "view", ("Doc", "")).explained())),
        "question.explain",
        "searches",
    );
    let unknown = |unknown: Vec<String>| pb::SearchRequest { unknown, ..views(0, "") };
    refuse(unknown(vec!["now".into()]), "unknown", "Mandate's to fill");
    refuse(unknown(vec!["a".into(); 65]), "unknown", "the limit is 64");
    let among = |candidates: Vec<pb::Candidate>| pb::SearchRequest { candidates, ..views(0, "") };
    let named = |id: &str| pb::Candidate { id: id.to_owned(), context: None };
    refuse(among((0..10_001).map(|at| named(&at.to_string())).collect()), "candidates", "the limit is 10000");
    refuse(among(vec![named("plan"), named("plan")]), "candidates[1].id", "named before");
    refuse(among(vec![named(&"x".repeat(1_025))]), "candidates[0].id", "the limit is 1024");
    let mut asking = views(0, "");
    asking.question.as_mut().unwrap().credentials = "x.y.z".into();
    let refused = resources(client, asking.clone()).unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    asking.question.as_mut().unwrap().principal = Some(reference("Mandate::User", ""));
    check_field(principals(client, asking), Code::InvalidArgument, "credentials", "name who acts");
    let action = views(0, "");
    check_field(actions(client, action), Code::InvalidArgument, "question.action", "leave it out");
    let records = server.records(19);
    assert!(records[1..].iter().all(|record| record["kind"] == "refusal"));
}

#[test]
fn a_revocation_and_a_suspension_count_at_once() {
    let server = TestServer::with_config(&repository_config());
    let admin = Admin::of(&server);
    let search = || approved(tools(("Agent", "worker"), &["planner-worker"]));
    assert!(!resources(server.client(), search()).unwrap().found.is_empty());
    admin.suspend(Some(reference("Mandate::Agent", "planner")), false).unwrap();
    assert!(
        resources(server.client(), search()).unwrap().found.is_empty(),
        "somebody of its chain is suspended"
    );
    admin.suspend(Some(reference("Mandate::Agent", "planner")), true).unwrap();
    assert!(!resources(server.client(), search()).unwrap().found.is_empty());
    admin.suspend(Some(reference("Mandate::Tool", "github/list_issues")), false).unwrap();
    assert!(!ids(&resources(server.client(), search()).unwrap()).contains(&"github/list_issues"));
    admin.revoke("ana-planner").unwrap();
    assert!(
        resources(server.client(), search()).unwrap().found.is_empty(),
        "the chain's first grant is revoked"
    );
}

#[test]
fn a_caller_finds_what_it_may_ask_about() {
    let pep = r#"
@id("ask") permit (principal, action == Mandate::Pep::Action::"ask", resource in Mandate::Pep::Type::"Mandate::User");
"#;
    let guarded = Guarded::new(pep);
    let client = guarded.server.client();
    assert_eq!(ids(&resources(client, views(0, "")).unwrap()), ["plan"]);
    let asking = question(("Doc", "plan"), "view", ("Doc", ""));
    let search = pb::SearchRequest { question: Some(asking), ..pb::SearchRequest::default() };
    for request in [
        search,
        pb::SearchRequest { question: Some(question(("Robot", "r"), "view", ("Doc", ""))), ..views(0, "") },
    ] {
        let refused = resources(client, request).unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
    }
    let asserting = views(0, "").question.map(|question| question.struct_context(&json!({"count": 1})));
    let refused = resources(client, pb::SearchRequest { question: asserting, ..views(0, "") }).unwrap_err();
    assert!(refused.message().contains("context.count"), "{refused:?}");
}

#[test]
fn principals_of_whom_a_caller_may_not_ask_are_not_told() {
    let whoever = |forbidden: &str| {
        let pep = format!(
            "{OPEN}@id(\"not\") forbid (principal, action == Mandate::Pep::Action::\"ask\", {forbidden});"
        );
        let guarded = Guarded::new(&pep);
        let asking = question(("User", ""), "view", ("Doc", "plan"));
        let search = pb::SearchRequest { question: Some(asking), ..pb::SearchRequest::default() };
        principals(guarded.server.client(), search).map(|page| ids(&page).join(" "))
    };
    let other = r#"resource == Mandate::Pep::Subject::"Mandate::User::\"other\"""#;
    assert_eq!(whoever(other).unwrap(), "ana");
    let ana = r#"resource == Mandate::Pep::Subject::"Mandate::User::\"ana\"""#;
    assert_eq!(whoever(ana).unwrap_err().code(), Code::PermissionDenied, "there is nobody else");
}

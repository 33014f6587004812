//! Chains of delegations through every door: what they answer, explain and record.

use std::ffi::OsString;

use mandate::server::pb;
use pb::authorize_result::Outcome;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{
    Conversation, Finished, Question as _, TestServer, check_field, determining, is_allow, mandate,
    mandate_with_input, reason, reference, repository, repository_config, shipped_server,
};

fn grant(id: &str) -> pb::EntityRef {
    reference("Mandate::Delegation", id)
}

/// The definition of a tool as it was approved.
fn approved(tool: &str) -> String {
    let text = std::fs::read_to_string(repository().join("entities/github.json")).unwrap();
    let entities: Vec<Value> = serde_json::from_str(&text).unwrap();
    let entity = entities.iter().find(|entity| entity["uid"]["id"] == tool).expect("the tool is stored");
    entity["attrs"]["digest"].as_str().unwrap().to_owned()
}

fn context() -> Value {
    json!({
        "session": {"id": "s", "purpose": "release", "attended": true, "untrusted": false,
            "read_level": 0, "calls": 1, "spent_cents": 0},
        "digest": approved("github/list_issues"),
        "touches": [{"type": "Mandate::Data", "id": "repositories/website"}],
    })
}

/// The worker lists the website's issues, sent by the planner, whom Ana sent.
pub(crate) fn list_issues(delegations: &[&str]) -> pb::AuthorizeRequest {
    let request = pb::AuthorizeRequest {
        principal: Some(reference("Mandate::Agent", "worker")),
        action: Some(reference("", "call_tool")),
        resource: Some(reference("Mandate::Tool", "github/list_issues")),
        delegations: delegations.iter().map(|id| grant(id)).collect(),
        ..pb::AuthorizeRequest::default()
    };
    request.struct_context(&context())
}

/// A chain as an answer tells it: who, as what, by which grant, and whether that is allowed.
fn told(answer: &pb::AuthorizeResponse) -> Vec<(String, String, String, bool)> {
    let hops = answer.chain.iter().map(|hop| {
        let id = |uid: &Option<pb::EntityRef>| uid.clone().unwrap_or_default().id;
        let allowed = hop.decision() == pb::Decision::Allow;
        (id(&hop.principal), hop.role.clone(), id(&hop.grant), allowed)
    });
    hops.collect()
}

fn hop(principal: &str, role: &str, grant: &str, allowed: bool) -> (String, String, String, bool) {
    (principal.to_owned(), role.to_owned(), grant.to_owned(), allowed)
}

#[test]
fn an_allow_names_everybody_on_whose_authority_it_is() {
    let answer = shipped_server().authorize(list_issues(&["planner-worker"])).unwrap();
    assert!(is_allow(&answer), "{answer:?}");
    assert_eq!(determining(&answer), ["read-wide"], "one policy for three hops is told once");
    let expected = [
        hop("ana", "delegator", "", true),
        hop("planner", "delegator", "ana-planner", true),
        hop("worker", "actor", "planner-worker", true),
    ];
    assert_eq!(told(&answer), expected);
    assert_eq!(answer.principal, Some(reference("Mandate::Agent", "worker")));
    assert_eq!(answer.denied_by, None);
    let again = shipped_server().authorize(list_issues(&["planner-worker"])).unwrap();
    assert_eq!(again.cache(), pb::CacheStatus::Hit, "every hop of it is remembered, and no grant");
    assert_eq!((told(&again), determining(&again)), (told(&answer), determining(&answer)));
}

#[test]
fn a_deny_names_the_first_that_denied_and_its_grant() {
    let answer = shipped_server().authorize(list_issues(&["planner-worker-spring"])).unwrap();
    assert_eq!(reason(&answer), "grant_expired");
    let denied = answer.denied_by.clone().unwrap();
    assert_eq!(
        denied,
        pb::DeniedBy {
            hop: 1,
            principal: Some(reference("Mandate::Agent", "planner")),
            rule: "grant_expired".to_owned(),
            grant: Some(grant("ana-planner-spring")),
            policy_id: String::new(),
        }
    );
    let expected = [
        hop("ana", "delegator", "", true),
        hop("planner", "delegator", "ana-planner-spring", false),
        hop("worker", "actor", "planner-worker-spring", true),
    ];
    assert_eq!(told(&answer), expected, "what comes after is decided too");
    assert!(answer.determining_policies.is_empty());
}

#[test]
fn a_policy_that_denies_in_the_middle_is_named_with_its_hop() {
    let answer = shipped_server().authorize(list_issues(&["scraper-bot-worker"])).unwrap();
    assert_eq!((reason(&answer), determining(&answer)), ("forbidden", vec!["agent-in-good-standing"]));
    let denied = answer.denied_by.unwrap();
    assert_eq!((denied.hop, denied.policy_id.as_str()), (1, "agent-in-good-standing"));
    assert_eq!((denied.principal, denied.grant), (Some(reference("Mandate::Agent", "scraper-bot")), None));
}

#[test]
fn an_explanation_has_every_hop() {
    let asked = pb::AuthorizeRequest { explain: true, ..list_issues(&["planner-worker-spring"]) };
    let answer = shipped_server().authorize(asked).unwrap();
    let hops = answer.explanation.unwrap().hops;
    let ids: Vec<_> = hops.iter().map(|hop| hop.principal.clone().unwrap().id).collect();
    assert_eq!(ids, ["ana", "planner", "worker"]);
    assert!(hops[0].policies.iter().any(|policy| policy.policy_id == "read-wide"));
    assert_eq!(hops[1].reason.clone().unwrap().code, "grant_expired");
    assert!(hops[1].policies.is_empty(), "no policy was asked about a grant that does not hold");
    assert_eq!(hops[2].role, "actor");
    assert!(hops[2].policies.iter().any(|policy| policy.policy_id == "tool-as-approved"));
}

#[test]
fn what_is_shown_is_limited_and_held_to_the_walk() {
    let server = shipped_server();
    let six = server.authorize(list_issues(&["planner-worker"; 6]));
    check_field(six, Code::InvalidArgument, "delegations", "6 delegations; the limit is 5");
    assert!(is_allow(&server.authorize(list_issues(&["ana-planner", "planner-worker"])).unwrap()));
    for shown in [&["planner-worker", "planner-worker"][..], &["planner-worker", "ana-planner"]] {
        let answer = server.authorize(list_issues(shown)).unwrap();
        assert!(["chain_mismatch", "grant_delegate"].contains(&reason(&answer)), "{answer:?}");
    }
    let mut nameless = list_issues(&["planner-worker"]);
    nameless.delegations[0].r#type = String::new();
    check_field(server.authorize(nameless), Code::InvalidArgument, "delegations[0].type", "is empty");
    let dropped = server.authorize(list_issues(&[])).unwrap();
    assert_eq!(reason(&dropped), "chain_required");
    assert!(dropped.chain.is_empty());
}

#[test]
fn a_batchs_item_inherits_delegations_unless_it_has_its_own() {
    let own =
        pb::AuthorizeRequest { delegations: vec![grant("planner-worker-spring")], ..Default::default() };
    let batch = pb::AuthorizeBatchRequest {
        defaults: Some(list_issues(&["planner-worker"])),
        requests: vec![pb::AuthorizeRequest::default(), own],
    };
    let answers: Vec<_> = shipped_server().client().batch(batch).unwrap();
    let answers: Vec<_> = answers
        .into_iter()
        .map(|answer| match answer.outcome.unwrap() {
            Outcome::Response(answer) => answer,
            Outcome::Status(status) => panic!("{status:?}"),
        })
        .collect();
    assert!(is_allow(&answers[0]), "{:?}", answers[0]);
    assert_eq!(reason(&answers[1]), "grant_expired");
}

#[test]
fn a_streams_message_shows_its_own_chain() {
    let mut stream = Conversation::open(shipped_server().client(), &[]);
    assert!(is_allow(&stream.decide(&list_issues(&["planner-worker"]).named("a"))));
    let stolen = pb::AuthorizeRequest {
        principal: Some(reference("Mandate::Agent", "code-bot")),
        ..list_issues(&["planner-worker"]).named("b")
    };
    assert_eq!(reason(&stream.decide(&stolen)), "grant_delegate");
}

#[test]
fn authzen_has_delegations_among_the_subjects_properties() {
    let server = shipped_server();
    let body = |delegations: Value| {
        json!({
            "subject": {"type": "Mandate::Agent", "id": "worker", "properties": {"delegations": delegations}},
            "action": {"name": "call_tool"},
            "resource": {"type": "Mandate::Tool", "id": "github/list_issues"},
            "context": context(),
        })
    };
    let named = |id: &str| json!({"type": "Mandate::Delegation", "id": id});
    let answer = server.evaluate(&body(json!([named("planner-worker")])));
    assert!(answer.decision(), "{answer:?}");
    let chain = &answer.json()["context"]["chain"];
    assert_eq!(
        chain[1],
        json!({"principal": {"type": "Mandate::Agent", "id": "planner"}, "role": "delegator",
        "grant": named("ana-planner"), "decision": true})
    );
    assert!(!server.evaluate(&body(json!([named("planner-worker-spring")]))).decision());
    assert!(!server.evaluate(&body(json!([]))).decision());
    assert!(!server.evaluate(&body(Value::Null)).decision());
    for wrong in
        [json!({}), json!("g"), json!([named("a"), null]), json!([{"id": "a"}]), json!(vec![named("a"); 6])]
    {
        server.evaluate(&body(wrong)).check_error(400, "delegations");
    }
    let mut other = body(json!([named("planner-worker")]));
    other["subject"]["properties"]["role"] = json!("admin");
    let answer = server.evaluate(&other);
    assert!(answer.decision(), "what else a subject says of itself changes nothing");
    assert_eq!(answer.json()["context"]["ignored"], json!(["subject.properties.role"]));
}

#[test]
fn the_record_holds_the_whole_chain() {
    let server = TestServer::with_config(&repository_config());
    server.authorize(list_issues(&["planner-worker"])).unwrap();
    server.authorize(list_issues(&["planner-worker-spring"])).unwrap();
    server.authorize(list_issues(&["nobodys"])).unwrap();
    let records = server.records(3);
    let agent = |id: &str| json!({"type": "Mandate::Agent", "id": id});
    let named = |id: &str| json!({"type": "Mandate::Delegation", "id": id});
    let ana = json!({"type": "Mandate::User", "id": "ana"});
    assert_eq!(records[0]["chain"], json!([ana, agent("planner"), agent("worker")]));
    assert_eq!(
        records[0]["hops"],
        json!([
            {"hop": 0, "principal": ana, "role": "delegator", "decision": "allow", "determining": ["read-wide"]},
            {"hop": 1, "principal": agent("planner"), "role": "delegator", "grant": named("ana-planner"),
                "decision": "allow", "determining": ["read-wide"]},
            {"hop": 2, "principal": agent("worker"), "role": "actor", "grant": named("planner-worker"),
                "decision": "allow", "determining": ["read-wide"]},
        ])
    );
    assert_eq!(records[0]["denied_by"], Value::Null);
    let denied = json!({"hop": 1, "principal": agent("planner"), "rule": "grant_expired",
        "grant": named("ana-planner-spring")});
    assert_eq!(records[1]["denied_by"], denied);
    assert_eq!(records[1]["hops"][1]["reason"]["code"], "grant_expired");
    assert_eq!(records[1]["hops"][2]["decision"], "allow");
    assert_eq!(records[2]["chain"], json!([agent("worker")]));
    assert_eq!(records[2]["denied_by"]["grant"], named("nobodys"));
}

/// Runs a command on the shipped sources.
fn run(command: &str, delegations: &[&str], more: &[&str]) -> Finished {
    let kinds = ["policies", "schemas", "entities"];
    let flags =
        kinds.iter().flat_map(|kind| [OsString::from(format!("--{kind}")), repository().join(kind).into()]);
    let context = context().to_string();
    let mut words = vec![command, "--principal", r#"Mandate::Agent::"worker""#, "--action", "call_tool"];
    words.extend(["--resource", r#"Mandate::Tool::"github/list_issues""#, "--context", &context]);
    let names: Vec<_> = delegations.iter().map(|id| format!("Mandate::Delegation::\"{id}\"")).collect();
    words.extend(names.iter().flat_map(|name| ["--delegation", name]));
    words.extend(more);
    mandate(words.iter().map(OsString::from).chain(flags))
}

#[test]
fn the_command_line_checks_a_chain() {
    let allowed = run("check", &["planner-worker"], &[]);
    allowed.check_code(0);
    let chain = r#"Mandate::User::"ana" → Mandate::Agent::"planner" → Mandate::Agent::"worker""#;
    assert!(allowed.stdout.contains(chain), "{allowed:?}");
    let whole = run("check", &["ana-planner", "planner-worker"], &["--format", "json"]);
    whole.check_code(0);
    assert_eq!(whole.json()["chain"][2]["grant"]["id"], "planner-worker");
    let denied = run("check", &["planner-worker-spring"], &["--format", "json"]);
    denied.check_code(2);
    assert_eq!(
        (&denied.json()["denied_by"]["hop"], &denied.json()["denied_by"]["rule"]),
        (&json!(1), &json!("grant_expired"))
    );
}

#[test]
fn the_command_line_draws_a_chain_hop_by_hop() {
    let explained = run("explain", &["planner-worker-spring"], &[]);
    explained.check_code(2);
    let lines: Vec<_> = explained.stdout.lines().collect();
    let at = |text: &str| {
        lines
            .iter()
            .position(|line| line.contains(text))
            .unwrap_or_else(|| panic!("no {text} in {explained:?}"))
    };
    let ana = at(r#"Mandate::User::"ana"  delegator  ALLOW"#);
    let grant = at(r#"by Mandate::Delegation::"ana-planner-spring""#);
    let planner = at(r#"Mandate::Agent::"planner"  delegator  DENY  grant_expired"#);
    let worker = at(r#"Mandate::Agent::"worker"  actor  ALLOW"#);
    assert!(ana < grant && grant < planner && planner < worker, "{explained:?}");
    let json = run("explain", &["planner-worker-spring"], &["--format", "json"]).json();
    assert_eq!(json["hops"][1]["reason"]["code"], "grant_expired");
    assert_eq!(json["hops"][2]["role"], "actor");
}

#[test]
fn an_example_by_an_agent_is_allowed_under_a_chain() {
    let kinds = ["policies", "schemas", "entities"];
    let flags = || {
        kinds.iter().flat_map(|kind| [OsString::from(format!("--{kind}")), repository().join(kind).into()])
    };
    let example =
        mandate(["example", "call_tool", "--delegated"].map(OsString::from).into_iter().chain(flags()));
    example.check_code(0);
    assert_eq!(example.json()["delegations"][0]["type"], "Mandate::Delegation");
    let checked = mandate_with_input(
        ["check", "--request", "-", "--format", "json"].map(OsString::from).into_iter().chain(flags()),
        &example.stdout,
    );
    checked.check_code(0);
    assert_eq!(checked.json()["chain"].as_array().unwrap().len(), 3, "the longest chains are tried first");
    let authzen = mandate(
        ["example", "call_tool", "--delegated", "--authzen"].map(OsString::from).into_iter().chain(flags()),
    );
    assert!(shipped_server().evaluate(&authzen.json()).decision());
}

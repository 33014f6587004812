//! What an Allow asks and permits of whoever acts on it: obligations, reuse, and until when it holds.

use std::time::{Duration, SystemTime};

use mandate::server::pb;
use serde_json::{Value, json};

use crate::support::{Sources, TestServer, determining, evaluation, is_allow, mandate, question};

const SCHEMA: &str = r#"namespace Mandate {
  entity User = { expires: datetime };
  entity Doc;
  type Ask = { now: datetime };
  action read, write, list, watch, mark appliesTo { principal: [User], resource: [Doc], context: Ask };
}
"#;

/// `read` is permitted twice and obliges twice; the others differ in one thing each.
const POLICIES: &str = r#"
@id("reads")
@obligation("[{\"id\": \"mask\", \"type\": \"redact\", \"properties\": {\"fields\": [\"iban\"], \"keep\": 4}},
              {\"id\": \"tell\", \"type\": \"notify\"}]")
@reuse("5m")
permit (principal, action == Mandate::Action::"read", resource)
when { context.now < principal.expires };

@id("reads-too")
@obligation("{\"id\": \"mask\", \"type\": \"redact\"}")
@reuse("1m")
permit (principal == Mandate::User::"bo", action in [Mandate::Action::"read"], resource);

@id("lists")
@reuse("30s")
permit (principal, action == Mandate::Action::"list", resource);

@id("writes")
permit (principal, action in [Mandate::Action::"write", Mandate::Action::"mark"], resource);

@id("marks")
@reuse("30s")
permit (principal, action == Mandate::Action::"mark", resource);

@id("no-writes-after-hours")
@reason("The books are closed.")
forbid (principal == Mandate::User::"bo", action == Mandate::Action::"write", resource)
when { context.now >= datetime("2026-01-01") };

@id("watches")
@reuse("30s")
permit (principal, action == Mandate::Action::"watch", resource)
unless { [context.now].contains(principal.expires) };
"#;

/// An instant so many seconds from now, to the second.
fn in_seconds(seconds: u64) -> SystemTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs() + seconds)
}

fn text(instant: SystemTime) -> String {
    jiff::Timestamp::try_from(instant).unwrap().to_string()
}

/// Ana's account ends at `expires`; bo's ended long ago.
fn sources(expires: SystemTime) -> Sources {
    let user = |id: &str, expires: &str| json!({"uid": {"type": "Mandate::User", "id": id}, "attrs": {"expires": expires}, "parents": []});
    let entities = json!([
        user("ana", &text(expires)),
        user("bo", "2020-01-01T00:00:00Z"),
        {"uid": {"type": "Mandate::Doc", "id": "plan"}, "attrs": {}, "parents": []},
    ]);
    Sources::empty()
        .schema("small.cedarschema", SCHEMA)
        .policy("terms.cedar", POLICIES)
        .entities("base.json", &entities)
}

fn ask(server: &TestServer, user: &str, action: &str) -> pb::AuthorizeResponse {
    server.authorize(question(("User", user), action, ("Doc", "plan"))).unwrap()
}

fn seconds(answer: &pb::AuthorizeResponse) -> Option<f64> {
    let [advice] = answer.advice.as_slice() else { return None };
    assert_eq!(advice.r#type, "mandate.reuse");
    match advice.properties.as_ref().unwrap().fields["seconds"].kind {
        Some(prost_types::value::Kind::NumberValue(seconds)) => Some(seconds),
        _ => panic!("{advice:?}"),
    }
}

fn obligations(answer: &pb::AuthorizeResponse) -> Vec<(&str, &str)> {
    answer.obligations.iter().map(|one| (one.id.as_str(), one.r#type.as_str())).collect()
}

#[test]
fn an_allow_carries_the_obligations_of_every_permit_it_rests_on() {
    let server = TestServer::start(&sources(in_seconds(3600)));
    let answer = ask(&server, "ana", "read");
    assert!(is_allow(&answer));
    assert_eq!(obligations(&answer), [("mask", "redact"), ("tell", "notify")]);
    let properties = answer.obligations[0].properties.as_ref().unwrap();
    assert_eq!(properties.fields["keep"].kind, Some(prost_types::value::Kind::NumberValue(4.0)));
    assert_eq!(properties.fields.len(), 2);
    assert_eq!(obligations(&ask(&server, "bo", "read")), [("mask", "redact")], "of another policy");
    assert_eq!(obligations(&ask(&server, "ana", "list")), []);
    // A deny asks nothing.
    let denied = ask(&server, "bo", "write");
    assert_eq!((is_allow(&denied), determining(&denied).len()), (false, 1));
    assert!(denied.obligations.is_empty() && denied.advice.is_empty());
}

#[test]
fn it_is_reused_for_the_least_that_every_permit_grants() {
    let server = TestServer::start(&sources(in_seconds(3600)));
    assert_eq!(seconds(&ask(&server, "ana", "read")), Some(300.0));
    assert_eq!(seconds(&ask(&server, "ana", "list")), Some(30.0));
    assert_eq!(seconds(&ask(&server, "ana", "write")), None, "nobody grants it");
    assert_eq!(seconds(&ask(&server, "ana", "mark")), None, "one of two grants it");
    assert_eq!(seconds(&ask(&server, "ana", "watch")), None, "nobody foresees until when it holds");
    // From the cache, too.
    let again = ask(&server, "ana", "list");
    assert_eq!((again.cache(), seconds(&again)), (pb::CacheStatus::Hit, Some(30.0)));
}

#[test]
fn nothing_is_promised_past_the_instant_at_which_a_policy_changes_its_mind() {
    let expires = in_seconds(100);
    let server = TestServer::start(&sources(expires));
    let answer = ask(&server, "ana", "read");
    assert_eq!(answer.valid_until, Some(prost_types::Timestamp::from(expires)));
    let reusable = seconds(&answer).unwrap();
    assert!((60.0..=100.0).contains(&reusable) && reusable.fract() == 0.0, "{reusable}");
    // No time, one that is past, one that nobody foresees.
    for (user, action) in [("ana", "list"), ("bo", "read"), ("bo", "write"), ("ana", "watch")] {
        assert_eq!(ask(&server, user, action).valid_until, None, "{user} {action}");
    }
    // What will be denied once it is past is, and was allowed before.
    let short = TestServer::start(&sources(in_seconds(2)));
    let answer = ask(&short, "ana", "read");
    let Some(until) = answer.valid_until.filter(|_| is_allow(&answer)) else { panic!("{answer:?}") };
    let until = SystemTime::try_from(until).unwrap();
    std::thread::sleep(until.duration_since(SystemTime::now()).unwrap_or_default());
    assert!(!is_allow(&ask(&short, "ana", "read")));
}

#[test]
fn authzen_and_the_log_say_the_same() {
    let expires = in_seconds(1000);
    let server = TestServer::start(&sources(expires));
    let evaluate = |user: &str, action: &str| {
        server.evaluate(&evaluation(("Mandate::User", user), action, ("Mandate::Doc", "plan"))).json()
    };
    let context = evaluate("ana", "read")["context"].clone();
    let mask = json!({"id": "mask", "type": "redact", "properties": {"fields": ["iban"], "keep": 4}});
    let tell = json!({"id": "tell", "type": "notify", "properties": {}});
    assert_eq!(context["obligations"], json!([mask, tell]));
    assert_eq!(context["advice"], json!([{"type": "mandate.reuse", "properties": {"seconds": 300}}]));
    let until = text(expires).replace('Z', ".000Z");
    assert_eq!(context["valid_until"], json!(until));
    let plain = evaluate("ana", "write");
    assert_eq!(plain["decision"], json!(true));
    for absent in ["obligations", "advice", "valid_until"] {
        assert_eq!(plain["context"].get(absent), None, "{absent}");
    }
    let [read, write]: [Value; 2] = server.records(2).try_into().unwrap();
    let told = [("mask", "redact"), ("tell", "notify")]
        .map(|(id, kind)| json!({"id": id, "type": kind, "policy": "reads"}));
    assert_eq!(read["obligations"], json!(told));
    assert_eq!((&read["valid_until"], &read["reuse_seconds"]), (&json!(until), &json!(300)));
    for absent in ["obligations", "valid_until", "reuse_seconds"] {
        assert_eq!(write.get(absent), None, "{absent}");
    }
}

#[test]
fn the_command_line_says_it_too_and_cases_hold_to_it() {
    let sources = sources(in_seconds(1000)).write(
        "cases.yaml",
        r#"
defaults: {now: 2026-11-22T10:00:00Z, principal: 'Mandate::User::"bo"', resource: 'Mandate::Doc::"plan"'}
cases:
  - {name: asks, action: 'Mandate::Action::"read"', expect: {decision: allow, obligations: [mask]}}
  - {name: asks nothing, action: 'Mandate::Action::"list"', expect: {decision: allow, obligations: []}}
  - {name: wrong, action: 'Mandate::Action::"read"', expect: {decision: allow, obligations: [tell]}}
"#,
    );
    let run =
        |arguments: &[&str]| mandate(arguments.iter().map(std::ffi::OsString::from).chain(sources.flags()));
    let ask =
        ["--principal", "Mandate::User::\"ana\"", "--action", "read", "--resource", "Mandate::Doc::\"plan\""];
    let told = run(&[&["check"], &ask[..]].concat());
    told.check_code(0);
    for said in
        ["obliged to redact (mask) {\"fields\":[\"iban\"],\"keep\":4}", "obliged to notify", "holds until"]
    {
        assert!(told.stdout.contains(said), "{said}: {told:?}");
    }
    let explained = run(&[&["explain", "--format", "json"], &ask[..]].concat()).json();
    assert_eq!(explained["obligations"][1], json!({"id": "tell", "type": "notify", "properties": {}}));
    assert_eq!(explained["advice"][0]["properties"]["seconds"], json!(300));
    assert!(explained["valid_until"].is_string());
    let cases = sources.path("cases.yaml").display().to_string();
    let tested = run(&["test", "--format", "json", &cases]);
    tested.check_code(4);
    let failures: Vec<_> =
        tested.json()["cases"].as_array().unwrap().iter().map(|case| case["failures"].clone()).collect();
    assert_eq!(failures, [json!([]), json!([]), json!(["obligations: expected [tell], got [mask]"])]);
}

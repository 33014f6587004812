//! The cache is invisible except for speed (K4, K6, K8): asked twice where answers are remembered, once where they are not,
//! and once past the memory, every question has one answer.

mod workload;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use mandate::server::pb;
use pb::CacheStatus;
use pb::authorize_result::Outcome;
use serde_json::json;
use tonic::Code;

use crate::support::{
    Client, Question as _, Sources, StopOnDrop, TestServer, check_field, is_allow, long_value, question,
    reason, record, reference, repository_config,
};

/// Questions asked at once.
const BATCH: usize = 50;

fn without_cache(mut config: mandate::config::Config) -> mandate::config::Config {
    config.cache_bytes = None;
    config
}

/// What must be the same however an answer came about.
fn essence(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Response(answer) => {
            let determining: Vec<_> =
                answer.determining_policies.iter().map(|policy| (&policy.policy_id, policy.effect)).collect();
            let (reason, denied_by) = (&answer.reason, &answer.denied_by);
            let rest = (&answer.principal, &answer.errors, reason, denied_by);
            format!("{:?} {determining:?} {rest:?} {}", answer.decision(), answer.generation)
        }
        Outcome::Status(status) => format!("{} {}", status.code, status.message),
    }
}

fn cached(outcome: &Outcome) -> Option<CacheStatus> {
    match outcome {
        Outcome::Response(answer) => Some(answer.cache()),
        Outcome::Status(_) => None,
    }
}

fn ask(client: &Client, requests: &[pb::AuthorizeRequest], bypass_cache: bool) -> Vec<Outcome> {
    let consistency = Some(pb::Consistency { minimum_revision: String::new(), bypass_cache });
    let defaults = Some(pb::AuthorizeRequest { consistency, ..pb::AuthorizeRequest::default() });
    let answered = requests.chunks(BATCH).flat_map(|requests| {
        let batch = pb::AuthorizeBatchRequest { defaults: defaults.clone(), requests: requests.to_vec() };
        client.batch(batch).unwrap()
    });
    answered.map(|result| result.outcome.unwrap()).collect()
}

#[test]
fn every_example_and_its_neighbours_get_one_answer_however_they_are_asked() {
    let remembering = TestServer::with_config(&repository_config());
    let forgetful = TestServer::with_config(&without_cache(repository_config()));
    let requests = workload::requests();
    assert!(requests.len() > 1000, "{}", requests.len());
    let first = ask(remembering.client(), &requests, false);
    let second = ask(remembering.client(), &requests, false);
    let anew = ask(remembering.client(), &requests, true);
    let plain = ask(forgetful.client(), &requests, false);
    let (mut hits, mut allows) = (0, 0);
    for (index, request) in requests.iter().enumerate() {
        let expected = essence(&plain[index]);
        for (how, outcome) in [("first", &first), ("second", &second), ("anew", &anew)] {
            assert_eq!(essence(&outcome[index]), expected, "{how}: {request:?}");
        }
        let (one, two) = (cached(&first[index]), cached(&second[index]));
        match one {
            // Two of the neighbours may be one question.
            Some(CacheStatus::Miss | CacheStatus::Hit) => {
                assert_eq!(two, Some(CacheStatus::Hit), "{request:?}")
            }
            other => assert_eq!(two, other, "{request:?}"),
        }
        let bypassed = two.map(|_| CacheStatus::Bypass);
        assert_eq!((cached(&anew[index]), cached(&plain[index])), (bypassed, bypassed), "{request:?}");
        hits += usize::from(two == Some(CacheStatus::Hit));
        allows += usize::from(matches!(&plain[index], Outcome::Response(answer) if is_allow(answer)));
    }
    assert!(hits * 10 > requests.len() * 3, "{hits} hits of {}", requests.len());
    assert!(allows * 10 > requests.len(), "{allows} allows of {}: most say nothing", requests.len());
}

fn view(user: &str) -> pb::AuthorizeRequest {
    question(("User", user), "view", ("Doc", "plan"))
}

/// A question and the cache's part in each of two answers, which must be alike.
#[track_caller]
fn twice(server: &TestServer, request: &pb::AuthorizeRequest) -> (CacheStatus, CacheStatus) {
    let answers = [1, 2].map(|_| server.authorize(request.clone()).unwrap());
    let [one, two] = answers.map(|answer| {
        let status = answer.cache();
        (status, essence(&Outcome::Response(answer)))
    });
    assert_eq!(one.1, two.1);
    (one.0, two.0)
}

const REMEMBERED: (CacheStatus, CacheStatus) = (CacheStatus::Miss, CacheStatus::Hit);
const DECIDED_ANEW: (CacheStatus, CacheStatus) = (CacheStatus::Bypass, CacheStatus::Bypass);

#[test]
fn an_explanation_is_told_anew_and_an_answer_past_the_cache_is_not_remembered() {
    let server = TestServer::start(&Sources::small());
    let bypass = Some(pb::Consistency { minimum_revision: String::new(), bypass_cache: true });
    let past = pb::AuthorizeRequest { consistency: bypass, ..view("ana") };
    assert_eq!(twice(&server, &past), DECIDED_ANEW);
    assert_eq!(twice(&server, &view("ana").explained()), DECIDED_ANEW);
    assert_eq!(twice(&server, &view("ana")), REMEMBERED, "neither of those was");
    let explained = server.authorize(view("ana").explained()).unwrap();
    let plain = server.authorize(view("ana")).unwrap();
    assert_eq!((explained.cache(), plain.cache()), (CacheStatus::Bypass, CacheStatus::Hit));
    assert!(explained.explanation.is_some() && plain.explanation.is_none());
    assert_eq!(essence(&Outcome::Response(explained)), essence(&Outcome::Response(plain)));
}

#[test]
fn terms_of_asking_are_no_part_of_the_question() {
    let server = TestServer::start(&Sources::small());
    let first = server.authorize(view("ana").named("one")).unwrap();
    assert_eq!((first.cache(), first.request_id.as_str()), (CacheStatus::Miss, "one"));
    let evidence = Some(pb::Evidence { session_id: "s".to_owned(), ..pb::Evidence::default() });
    let mode = pb::Mode::Observe.into();
    let other = pb::AuthorizeRequest { evidence, mode, ..view("ana").named("two") };
    let second = server.authorize(other).unwrap();
    assert_eq!((second.cache(), second.request_id.as_str()), (CacheStatus::Hit, "two"));
    assert_ne!(first.decision_id, second.decision_id, "each answer has an id of its own");
}

#[test]
fn a_question_too_long_to_remember_is_decided_anew() {
    let sources = Sources::small().schema(
        "text.cedarschema",
        "namespace Mandate { action note appliesTo { principal: [User], resource: [Doc], context: { text: String } }; }",
    ).policy("text.cedar", "@id(\"text\")\npermit (principal, action == Mandate::Action::\"note\", resource) when { context.text like \"a*\" };\n");
    let server = TestServer::start(&sources);
    let note = |length: usize| {
        let text = "a".repeat(length);
        question(("User", "ana"), "note", ("Doc", "plan")).struct_context(&json!({ "text": text }))
    };
    assert_eq!(twice(&server, &note(15 * 1024)), REMEMBERED);
    assert_eq!(twice(&server, &note(17 * 1024)), DECIDED_ANEW);
}

#[test]
fn an_invalid_question_is_refused_as_often_as_it_is_asked() {
    let server = TestServer::start(&Sources::small());
    let good = view("ana").struct_context(&json!({"count": 1}));
    let bad = view("ana").struct_context(&json!({"count": "1"}));
    for _ in 0..3 {
        assert!(is_allow(&server.authorize(good.clone()).unwrap()));
        check_field(server.authorize(bad.clone()), Code::InvalidArgument, "context.count", "");
    }
    let unbelieved = pb::AuthorizeRequest { credentials: "t".to_owned(), ..good };
    check_field(server.authorize(unbelieved), Code::Unauthenticated, "credentials", "");
    let refused = server.metrics().value(r#"pdp_refusals_total{code="INVALID_ARGUMENT",surface="grpc"}"#);
    assert_eq!(refused, 3.0);
}

/// A policy set whose one policy is this.
fn only(policy: &str) -> Sources {
    Sources::small().policy("base.cedar", format!("@id(\"base\")\n{policy}\n"))
}

#[test]
fn what_one_server_remembers_no_other_answers() {
    let (allowing, denying) = (
        TestServer::start(&only("permit (principal, action, resource);")),
        TestServer::start(&only("forbid (principal, action, resource);")),
    );
    for _ in 0..3 {
        assert!(is_allow(&allowing.authorize(view("ana")).unwrap()));
        assert!(!is_allow(&denying.authorize(view("ana")).unwrap()));
    }
}

#[test]
fn after_a_reload_nothing_is_answered_from_the_world_before() {
    let sources = only("permit (principal, action, resource);");
    let server = TestServer::with_config(&sources.restless_config());
    let mut generation = server.generation();
    for round in 0..6 {
        let allows = round % 2 == 0;
        assert_eq!(twice(&server, &view("ana")), REMEMBERED, "each world begins with nothing");
        assert_eq!(is_allow(&server.authorize(view("ana")).unwrap()), allows);
        let effect = if allows { "forbid" } else { "permit" };
        sources.replace(
            "policies/base.cedar",
            format!("@id(\"base\")\n{effect} (principal, action, resource);\n"),
        );
        generation = server.reloaded(&generation);
    }
}

#[test]
fn under_reloads_every_answer_is_the_one_of_its_own_world() {
    let sources = only("permit (principal, action, resource);");
    let server = TestServer::with_config(&sources.restless_config());
    let mut generation = server.generation();
    let mut verdicts = HashMap::from([(generation.clone(), true)]);
    let stop = AtomicBool::new(false);
    let asking = || {
        let client = Client::connect(&server.data);
        let mut seen = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let answer = client.authorize(view("ana")).unwrap();
            seen.push((answer.generation.clone(), is_allow(&answer), answer.cache()));
        }
        seen
    };
    let seen: Vec<_> = std::thread::scope(|threads| {
        let stopping = StopOnDrop(&stop);
        let asked: Vec<_> = (0..4).map(|_| threads.spawn(asking)).collect();
        for round in 0..8 {
            let effect = ["forbid", "permit"][round % 2];
            let text = format!("@id(\"base\")\n{effect} (principal, action, resource);\n");
            sources.replace("policies/base.cedar", text);
            generation = server.reloaded(&generation);
            verdicts.insert(generation.clone(), effect == "permit");
            // A request received after the reload is seen never gets the answer of before.
            let answer = server.authorize(view("ana")).unwrap();
            assert_eq!(
                (answer.generation.as_str(), is_allow(&answer)),
                (generation.as_str(), effect == "permit")
            );
        }
        drop(stopping);
        asked.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for (generation, allowed, cache) in &seen {
        assert_eq!(verdicts.get(generation), Some(allowed), "{cache:?} in {generation}");
    }
    let hits = seen.iter().filter(|(_, _, cache)| *cache == CacheStatus::Hit).count();
    assert!(hits > seen.len() / 3, "{hits} hits of {}", seen.len());
}

/// Sources with an action whose context has the time, and this policy beside one that permits everything.
fn timed(policy: &str) -> Sources {
    Sources::small()
        .schema(
            "timed.cedarschema",
            "namespace Mandate { action wait appliesTo { principal: [User], resource: [Doc], context: { now: datetime, count?: Long } }; }",
        )
        .policy("timed.cedar", format!("@id(\"timed\")\n{policy}\n"))
}

#[test]
fn a_policy_that_reads_the_time_is_remembered_where_it_is_foreseen_and_nowhere_else() {
    let wait = question(("User", "ana"), "wait", ("Doc", "plan"));
    let twice = |condition: &str| {
        let scope = r#"permit (principal, action == Mandate::Action::"wait", resource)"#;
        let server = TestServer::start(&timed(&format!("{scope} when {{ {condition} }};")));
        twice(&server, &wait)
    };
    for condition in [
        r#"context.now > datetime("2020-01-01")"#,
        r#"context["now"] > datetime("2020-01-01")"#,
        r#"(if context.now > datetime("2020-01-01") then 1 else 2) == 1"#,
        r#"context.now.toDate() > datetime("2020-01-01")"#,
        r#"principal.level == 1 && !(context.now <= datetime("2020-01-01"))"#,
    ] {
        assert_eq!(twice(condition), REMEMBERED, "{condition}");
    }
    for condition in [
        r#"(if principal.level == 1 then context.now else datetime("2020-01-01")) > datetime("2020-01-01")"#,
        r#"{instant: context.now}.instant > datetime("2020-01-01")"#,
        r#"[context.now].contains(context.now)"#,
        r#"context == context"#,
        r#"(if principal.level == 1 then context else context).now > datetime("2020-01-01")"#,
    ] {
        assert_eq!(twice(condition), DECIDED_ANEW, "{condition}");
    }
}

#[test]
fn a_policy_that_reads_the_time_of_others_spoils_nothing() {
    let wait = question(("User", "ana"), "wait", ("Doc", "plan"));
    for policy in [
        r#"forbid (principal == Mandate::User::"bob", action == Mandate::Action::"wait", resource) when { context.now > datetime("2020-01-01") };"#,
        r#"permit (principal, action == Mandate::Action::"wait", resource) when { context has count && context.count == 1 };"#,
    ] {
        let server = TestServer::start(&timed(policy));
        assert_eq!(twice(&server, &wait), REMEMBERED, "{policy}");
        assert_eq!(twice(&server, &view("ana")), REMEMBERED, "{policy}");
    }
}

#[test]
fn an_answer_that_a_passing_hour_changes_changes_with_it() {
    // Shut for some seconds from now: the same question is denied before and allowed after.
    let opens = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(4);
    let instant = opens.strftime("%Y-%m-%dT%H:%M:%SZ");
    let policy = format!(
        "forbid (principal, action == Mandate::Action::\"wait\", resource) when {{ context.now < datetime(\"{instant}\") }};"
    );
    let server = TestServer::start(&timed(&policy));
    let wait = question(("User", "ana"), "wait", ("Doc", "plan"));
    let (before, asked) = (server.authorize(wait.clone()).unwrap(), jiff::Timestamp::now());
    assert!(asked >= opens || !is_allow(&before), "it is shut");
    if asked < opens {
        assert_eq!(
            server.authorize(wait.clone()).unwrap().cache(),
            CacheStatus::Hit,
            "and stays so until then"
        );
    }
    std::thread::sleep(
        std::time::Duration::try_from(opens - asked).unwrap_or_default() + std::time::Duration::from_secs(1),
    );
    assert!(is_allow(&server.authorize(wait).unwrap()), "it is open");
    assert!(asked >= opens || server.metrics().value(r#"pdp_cache_stale_total{stamp="time"}"#) > 0.0);
}

#[test]
fn what_a_request_brings_is_part_of_the_question() {
    let sources = Sources::small()
        .schema(
            "note.cedarschema",
            "namespace Mandate { @request_scoped entity Note = { level: Long } tags Long;
             action read appliesTo { principal: [User], resource: [Note], context: {} }; }",
        )
        .policy(
            "base.cedar",
            "@id(\"base\")\npermit (principal, action == Mandate::Action::\"read\", resource) when {
             resource.level == 1 && resource.hasTag(\"open\") };\n",
        );
    let server = TestServer::start(&sources);
    let read = |level: i64, tag: &str, id: &str| {
        let members = |name: &str, value| Some(record(vec![(name, long_value(value))]));
        let note = pb::Entity {
            uid: Some(reference("Mandate::Note", id)),
            attributes: members("level", level),
            tags: members(tag, 1),
            parents: Vec::new(),
        };
        pb::AuthorizeRequest { entities: vec![note], ..question(("User", "ana"), "read", ("Note", "n1")) }
    };
    for _ in 0..2 {
        assert!(is_allow(&server.authorize(read(1, "open", "n1")).unwrap()));
        assert!(!is_allow(&server.authorize(read(2, "open", "n1")).unwrap()), "another attribute");
        assert!(!is_allow(&server.authorize(read(1, "shut", "n1")).unwrap()), "another tag");
        let absent = server.authorize(read(1, "open", "n3")).unwrap();
        assert_eq!(reason(&absent), "unknown_resource", "another name");
    }
}

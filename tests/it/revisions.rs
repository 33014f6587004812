//! Names of published worlds, which callers hand back.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use mandate::server::pb;
use sha2::Sha256;
use tonic::{Code, Status};

use crate::reload::{PATIENCE, PERMIT, Pair, QUICK, hide, hiding, pause, questions, start};
use crate::support::{Process, check_field};

/// A question that must be answered from this revision or a later one.
fn since(revision: &str) -> pb::AuthorizeRequest {
    let consistency = pb::Consistency { minimum_revision: revision.to_owned(), bypass_cache: false };
    pb::AuthorizeRequest { consistency: Some(consistency), ..questions().remove(1) }
}

fn ask(process: &Process, revision: &str) -> Result<pb::AuthorizeResponse, Status> {
    process.client().authorize(since(revision))
}

#[test]
fn every_publication_has_a_name_of_its_own_that_callers_can_ask_for() {
    let pair = Pair::learn();
    let sources = hiding("plan");
    let (process, load) = start(&sources, &QUICK);
    load.until(PATIENCE, |call| call.is_of(&pair.plan_hidden));
    let mut earlier = Vec::new();
    for round in 0..6 {
        let now = ask(&process, "").unwrap().revision;
        earlier.push(now);
        for revision in &earlier {
            assert_eq!(ask(&process, revision).unwrap().revision, *earlier.last().unwrap());
        }
        let (hidden, expected) =
            if round % 2 == 0 { ("notes", &pair.notes_hidden) } else { ("plan", &pair.plan_hidden) };
        sources.put("policies/base.cedar", PERMIT.to_owned() + &hide(hidden));
        load.until(PATIENCE, |call| call.is_of(expected));
    }
    let calls = load.finish();
    pair.truth().check(&calls);
    // One generation was published several times, each under another name.
    let mut generations: HashMap<&str, &str> = HashMap::new();
    for answer in calls.iter().map(|call| call.outcome.as_ref().unwrap()) {
        let generation = generations.entry(&answer.revision).or_insert(&answer.generation);
        assert_eq!(*generation, answer.generation, "one name for two worlds");
    }
    let names: HashSet<_> = earlier.iter().map(String::as_str).collect();
    assert_eq!(names.len(), earlier.len(), "{earlier:?}");
    assert!(generations.len() >= 7, "{generations:?}");
}

#[test]
fn names_that_were_never_given_out_are_refused() {
    let sources = hiding("plan");
    let process = Process::start(&sources);
    let genuine = ask(&process, "").unwrap().revision;
    let field = "consistency.minimum_revision";
    for at in [0, 10, 45, 60, 80, genuine.len() - 1] {
        let mut forged = genuine.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        check_field(ask(&process, &forged), Code::InvalidArgument, field, "no revision");
    }
    let long = "A".repeat(10_000);
    check_field(ask(&process, &long), Code::InvalidArgument, field, "10000 bytes long");
    for forged in ["x", "AAAA", " ", &genuine[1..], &format!("{genuine}AAAA"), &format!("{genuine}=")] {
        check_field(ask(&process, forged), Code::InvalidArgument, field, "no revision");
    }
    // Each may sit in a stream or batch as well; here it is the cache that must not answer for it.
    let mut cached = since(&genuine);
    assert!(process.client().authorize(cached.clone()).is_ok());
    cached.consistency.as_mut().unwrap().minimum_revision = "forged".to_owned();
    assert_eq!(process.client().authorize(cached).unwrap_err().code(), Code::InvalidArgument);
    process.crash();
    // Key and log outlive the process.
    let process = Process::start(&sources);
    assert!(ask(&process, &genuine).is_ok());
    process.crash();
    // Another log under the same key: it is genuine, and names nothing here.
    for file in ["data/entities.redb", "data/format"] {
        std::fs::remove_file(sources.path(file)).unwrap();
    }
    let process = Process::start(&sources);
    let refused = ask(&process, &genuine);
    check_field(refused, Code::FailedPrecondition, field, "another entity log");
}

/// Another server with the same key gave it out: what tells the two apart is the log, not the key.
#[test]
fn a_name_from_another_server_is_refused() {
    let sources = hiding("plan");
    let one = Process::start(&sources);
    let genuine = ask(&one, "").unwrap().revision;
    let other_sources = hiding("plan");
    let other = Process::start(&other_sources);
    assert_eq!(ask(&other, &genuine).unwrap_err().code(), Code::InvalidArgument);
    pause(1);
    std::fs::copy(sources.path("data/revision.key"), other_sources.path("data/revision.key")).unwrap();
    other.crash();
    let other = Process::start(&other_sources);
    assert_eq!(ask(&other, &genuine).unwrap_err().code(), Code::FailedPrecondition);
}

/// Made with the server's own key, for a world that is not published yet: such a name comes of a restored backup.
#[test]
fn a_name_from_the_future_is_refused() {
    let sources = hiding("plan");
    let process = Process::start(&sources);
    let genuine = URL_SAFE_NO_PAD.decode(ask(&process, "").unwrap().revision).unwrap();
    let key = std::fs::read(sources.path("data/revision.key")).unwrap();
    let name = |later: u64| {
        let (body, _tag) = genuine.split_at(genuine.len() - 16);
        let (rest, sequence) = body.split_last_chunk().unwrap();
        let sequence = u64::from_be_bytes(*sequence) + later;
        let body = [rest, sequence.to_be_bytes().as_slice()].concat();
        let tag = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(&body).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&body, &tag[..16]].concat())
    };
    assert!(ask(&process, &name(0)).is_ok(), "made as the server makes them");
    let field = "consistency.minimum_revision";
    for later in [1, 1000, u64::MAX / 2] {
        check_field(ask(&process, &name(later)), Code::InvalidArgument, field, "later revision");
    }
}

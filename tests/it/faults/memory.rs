//! F11 and F20: more to remember than there is room for, and less memory than that takes.

use std::time::{Duration, Instant};

use mandate::server::pb;
use pb::authorize_result::Outcome;
use serde_json::json;
use tonic::Code;

use super::group::ControlGroup;
use super::{Finding, Usage};
use crate::support::{Client, Numbers, Process, Question as _, Sources, get, question};

const MIB: u64 = 1 << 20;
/// Questions that are asked again and again among those that are asked once.
const HOT: u64 = 1_000;
/// Of each batch.
const HOT_IN_BATCH: u64 = 10;
const BATCH: u64 = 100;

/// Decisions rest on the number that is asked about: each is a key of its own.
fn sources() -> Sources {
    Sources::small().policy(
        "numbers.cedar",
        "@id(\"numbers\")\nforbid (principal, action, resource) when { context has count && context.count < 0 };\n",
    )
}

/// A batch of which some are asked often, and the others never again.
fn batch(number: u64) -> pb::AuthorizeBatchRequest {
    let view = question(("User", "ana"), "view", ("Doc", "plan"));
    let hot = (0..HOT_IN_BATCH).map(|place| (number * HOT_IN_BATCH + place) % HOT);
    let cold = (HOT_IN_BATCH..BATCH).map(|place| HOT + number * BATCH + place);
    let requests = hot
        .chain(cold)
        .map(|count| pb::AuthorizeRequest::default().struct_context(&json!({ "count": count })));
    pb::AuthorizeBatchRequest { defaults: Some(view), requests: requests.collect() }
}

/// How many of the hot questions were answered from memory. Fails if anything was answered wrongly.
fn hits(results: &[pb::AuthorizeResult]) -> u64 {
    let hit = |result: &&pb::AuthorizeResult| match &result.outcome {
        Some(Outcome::Response(answer)) => {
            assert_eq!(answer.decision(), pb::Decision::Allow, "{answer:?}");
            answer.cache() == pb::CacheStatus::Hit
        }
        other => panic!("{other:?}"),
    };
    results.iter().take(usize::try_from(HOT_IN_BATCH).expect("few")).filter(hit).count() as u64
}

#[test]
#[ignore = "make faults"]
fn a_million_keys_take_no_more_than_is_configured_and_push_nothing_out_that_is_asked_often() {
    let process = Process::try_start_with(&sources(), &["MANDATE__CACHE__MAX_BYTES=67108864"]).unwrap();
    let client = process.client();
    // The hot ones are known, and everything else is as large as it gets without more of them.
    for number in 0..(HOT / HOT_IN_BATCH) * 4 {
        client.batch(batch(number)).unwrap();
    }
    let before = Usage::of(process.pid()).resident;
    let batches = 1_000_000 / BATCH;
    let mut hit = 0;
    for number in 0..batches {
        hit += hits(&client.batch(batch(1_000_000 + number)).unwrap());
    }
    let resident = Usage::of(process.pid()).resident;
    let (grown, ratio) =
        (resident.saturating_sub(before) / MIB, hit as f64 / (batches * HOT_IN_BATCH) as f64);
    let numbers = Numbers::read(&process.ops);
    let kept = numbers.value("pdp_cache_bytes") / MIB as f64;
    let met = grown <= 64 * 12 / 10 && ratio >= 0.95 && kept <= 64.0 * 1.05;
    Finding::of(
        "F11 a million keys",
        "memory grows by at most 64 MiB and a fifth, 95 % of hot questions hit",
    )
    .figure("hot_hit_ratio", ratio)
    .figure("grown_mib", grown)
    .seen(met, format!("grew by {grown} MiB to {} MiB, {kept:.1} MiB kept, {ratio:.4} hit", resident / MIB));
}

/// Asks until so long has passed; returns how many batches were answered, and how many turned away.
fn ask(client: &Client, lasting: Duration) -> (u64, u64) {
    let (begun, mut answered, mut refused) = (Instant::now(), 0, 0);
    while begun.elapsed() < lasting {
        match client.batch(batch(answered + refused)) {
            Ok(results) => {
                hits(&results);
                answered += 1;
            }
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                refused += 1;
            }
        }
    }
    (answered, refused)
}

#[test]
#[ignore = "make faults"]
fn a_process_that_wants_more_memory_than_it_may_have_is_not_killed() {
    const LIMIT: u64 = 160 * MIB;
    let sources = sources();
    // A cache that the limit has no room for.
    let mut more = vec!["MANDATE__CACHE__MAX_BYTES=1073741824".to_owned()];
    let bytes = LIMIT.to_string();
    let group = ControlGroup::with("memory", &[("memory.limit_in_bytes", &bytes)], &[("memory.max", &bytes)]);
    if group.is_none() {
        more.push(format!("MANDATE__LIMITS__MEMORY_BYTES={LIMIT}"));
    }
    let more: Vec<_> = more.iter().map(String::as_str).collect();
    let mut process = Process::start_within(&sources, group.as_ref().map(ControlGroup::folder), &more);
    let client = process.client();
    let (answered, refused) = ask(&client, Duration::from_secs(60));
    let alive = process.is_alive() && get(&format!("{}/readyz", process.ops)).status == 200;
    let usage = Usage::of(process.pid());
    let numbers = Numbers::read(&process.ops);
    let limit = numbers.value(r#"pdp_memory_bytes{kind="limit"}"#);
    // Forgetting must have been needed, and have helped: decisions are made to the end. Requests are turned away for up to five seconds in a row.
    let (late, _) = ask(&client, Duration::from_secs(10));
    let met = alive
        && usage.anonymous <= LIMIT
        && limit == LIMIT as f64
        && late > 0
        && process.said().contains("fewer decisions are kept");
    drop(process);
    Finding::of("F20 less memory than the cache may have", "not killed, within the limit, still answers")
        .figure("anonymous_mib", usage.anonymous / MIB)
        .figure("limit_mib", LIMIT / MIB)
        .seen(
            met,
            format!(
                "{} ({} MiB): {answered} batches answered, {refused} turned away, {} MiB in use, {late} answered at the end",
                if group.is_some() { "control group" } else { "soft limit" },
                LIMIT / MIB,
                usage.anonymous / MIB,
            ),
        );
}

//! What one decision costs, in process, over the shipped world.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot start should say so at once"
)]
#![allow(clippy::print_stdout, reason = "what it found")]

use std::time::Instant;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use mandate::engine::authorize::authorize;
use mandate::engine::datum::{Datum, Reference};
use mandate::engine::decision::Effect;
use mandate::engine::request::AuthzRequest;

#[path = "shipped/chain.rs"]
mod chain;
#[path = "shipped/world.rs"]
mod shipped;

use chain::{AUTONOMOUS, CHAIN};
use shipped::{NOW, WORLD};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
    // `cargo bench` says so; whoever only lists or tests does not wait.
    if std::env::args().any(|argument| argument == "--bench") {
        compare_chains();
    }
}

fn request(action: &str, resource: (&str, &str), context: &str, arguments: Option<&str>) -> AuthzRequest {
    let mut request = AuthzRequest::new(
        Reference::new("Mandate::User", "ana"),
        Reference::new("Mandate::Action", action),
        Reference::new(resource.0, resource.1),
    );
    let Datum::Record(members) = serde_json::from_str(context).unwrap() else { return request };
    request.context = members;
    request.arguments = arguments.map(|text| serde_json::from_str(text).unwrap());
    request
}

const SESSION: &str = r#""session":{"id":"s","purpose":"p","attended":true,"untrusted":false,"read_level":0,"calls":1,"spent_cents":0}"#;

fn call(tool: &str, digest: &str, arguments: &str) -> AuthzRequest {
    let context = format!(r#"{{{SESSION},"digest":"{digest}","touches":[]}}"#);
    request("call_tool", ("Mandate::Tool", tool), &context, Some(arguments))
}

fn decide(bencher: Bencher<'_, '_>, request: &AuthzRequest, expected: Effect) {
    assert_eq!(authorize(&WORLD, request, NOW).unwrap().effect, expected);
    bencher.counter(ItemsCount::new(1_usize)).bench(|| authorize(&WORLD, black_box(request), NOW));
}

#[divan::bench]
fn list_tools_allowed(bencher: Bencher<'_, '_>) {
    let context = format!("{{{SESSION}}}");
    decide(bencher, &request("list_tools", ("Mandate::ToolServer", "github"), &context, None), Effect::Allow);
}

#[divan::bench]
fn plain_tool_call_denied(bencher: Bencher<'_, '_>) {
    decide(bencher, &call("github/get_me", "sha256:other", "{}"), Effect::Deny);
}

#[divan::bench]
fn typed_tool_call_allowed(bencher: Bencher<'_, '_>) {
    let digest = "sha256:b42e97944eb73d00dde73513506acd37155857b094a7030af64c702a116fa93c";
    decide(bencher, &call("fetch/fetch", digest, r#"{"url":"https://docs.rs/mandate"}"#), Effect::Allow);
}

/// Has one of them list the website's issues: the one behind so many grants, alone or at the end of them.
fn list_issues(grants: usize, alone: bool) -> AuthzRequest {
    let digest = "sha256:b602e5e96aa6d2677ed07ca875ae38986e658d94c671645024b205d9f04320a1";
    let mut request = call("github/list_issues", digest, "{}");
    let (kind, id) = CHAIN[grants];
    request.principal = Reference::new(format!("Mandate::{kind}"), id);
    if let Some(leaf) = grants.checked_sub(1).filter(|_| !alone) {
        request.delegations = vec![Reference::new("Mandate::Delegation", format!("bench-{leaf}"))];
    }
    assert_eq!(authorize(&AUTONOMOUS, &request, NOW).unwrap().effect, Effect::Allow);
    request
}

/// With n grants n + 1 hops are decided.
#[divan::bench(args = [0, 1, 2, 3])]
fn grants(bencher: Bencher<'_, '_>, grants: usize) {
    let request = list_issues(grants, false);
    bencher.counter(ItemsCount::new(1_usize)).bench(|| authorize(&AUTONOMOUS, black_box(&request), NOW));
}

/// Each principal of those chains by itself: a plain decision.
#[divan::bench(args = [0, 1, 2, 3])]
fn grants_alone(bencher: Bencher<'_, '_>, place: usize) {
    let request = list_issues(place, true);
    bencher.counter(ItemsCount::new(1_usize)).bench(|| authorize(&AUTONOMOUS, black_box(&request), NOW));
}

/// What a chain costs beside the plain decisions of its principals, in turn, so that what else the machine does changes both.
fn compare_chains() {
    const ROUNDS: usize = 400;
    const TIMES: u32 = 50;
    let time = |request: &AuthzRequest| {
        let begun = Instant::now();
        (0..TIMES).for_each(|_| drop(black_box(authorize(&AUTONOMOUS, black_box(request), NOW))));
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
    };
    let alone: Vec<_> = (0..CHAIN.len()).map(|place| list_issues(place, true)).collect();
    println!("\ngrants  each alone, µs            together  chain, µs  ratio");
    for grants in 1..CHAIN.len() {
        let chain = list_issues(grants, false);
        let mut times = vec![Vec::with_capacity(ROUNDS); grants + 2];
        for _ in 0..ROUNDS {
            let requests = alone.iter().take(grants + 1).chain([&chain]);
            times.iter_mut().zip(requests).for_each(|(times, request)| times.push(time(request)));
        }
        let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
        let (chain, plain) = medians.split_last().unwrap();
        let together: f64 = plain.iter().sum();
        let each: Vec<_> = plain.iter().map(|each| format!("{each:.2}")).collect();
        let each = each.join("  ");
        println!("{grants:<7} {each:<25} {together:>8.2} {chain:>10.2} {:>6.2}", chain / together);
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[divan::bench]
fn unknown_principal(bencher: Bencher<'_, '_>) {
    let mut asked = request("list_tools", ("Mandate::ToolServer", "github"), &format!("{{{SESSION}}}"), None);
    "nobody".clone_into(&mut asked.principal.id);
    decide(bencher, &asked, Effect::Deny);
}

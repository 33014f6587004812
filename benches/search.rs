//! What it costs to filter a list of a thousand tools, in process: for people and along chains, arguments known and not.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot start should say so at once"
)]
#![allow(clippy::print_stdout, reason = "what it found")]

use std::time::Instant;

use mandate::engine::datum::{Datum, Reference};
use mandate::engine::entities::StoredEntity;
use mandate::engine::request::AuthzRequest;
use mandate::engine::search::{Among, Bounds, MAX_EXAMINED, Named, Search, Sought, search};
use mandate::engine::unknown::Unknown;
use mandate::engine::world::World;

#[path = "shipped/chain.rs"]
mod chain;
#[path = "shipped/world.rs"]
mod shipped;

use chain::{AUTONOMOUS, CHAIN, uid};
use shipped::NOW;

/// Tools of the list.
const TOOLS: usize = 1_000;
/// How often each search is made; the median counts.
const ROUNDS: usize = 51;
const DIGEST: &str = "sha256:b602e5e96aa6d2677ed07ca875ae38986e658d94c671645024b205d9f04320a1";
const SESSION: &str = r#"{"session":{"id":"s","purpose":"p","attended":true,"untrusted":false,"read_level":0,"calls":1,"spent_cents":0},"touches":[]}"#;

/// Everybody of the chain, and as many tools as the list has, all like one that they may call.
fn world() -> World {
    let mut entities = AUTONOMOUS.entities.clone();
    let model = entities.get(&uid("Tool", "github/list_issues")).unwrap().clone();
    for at in 0..TOOLS {
        let tool = StoredEntity::new(
            model.parents().iter().cloned(),
            model.attributes().iter().cloned(),
            model.tags().iter().cloned(),
        );
        entities.put(uid("Tool", &tool_id(at)), tool).unwrap();
    }
    AUTONOMOUS.with_entities(entities)
}

fn tool_id(at: usize) -> String {
    format!("bench/tool-{at:04}")
}

/// The tools that one of them may call: the one behind so many grants. With digests the gateway says which definition of each
/// tool it has; without, nobody knows.
fn tools(grants: usize, digests: bool) -> Search {
    let (kind, id) = CHAIN[grants];
    let mut question = AuthzRequest::new(
        Reference::new(format!("Mandate::{kind}"), id),
        Reference::new("Mandate::Action", "call_tool"),
        Reference::new("Mandate::Tool", ""),
    );
    let context: Datum = serde_json::from_str(SESSION).unwrap();
    question.context = context.members().unwrap().to_vec();
    let leaf = grants.checked_sub(1);
    question
        .delegations
        .extend(leaf.map(|leaf| Reference::new("Mandate::Delegation", format!("bench-{leaf}"))));
    let context =
        || digests.then(|| ("digest".to_owned(), Datum::String(DIGEST.to_owned()))).into_iter().collect();
    let named = (0..TOOLS).map(|at| Named { id: tool_id(at), context: context() });
    let unknown = if digests { vec![] } else { vec!["digest".to_owned()] };
    Search {
        question,
        sought: Sought::Resources(Among::Named(named.collect())),
        unknown: Unknown::arguments_and(&unknown).unwrap(),
        properties: None,
        any_delegation: false,
    }
}

fn median(world: &World, asked: &Search) -> f64 {
    let bounds = Bounds { after: None, size: MAX_EXAMINED, examined: MAX_EXAMINED };
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            let page = search(world, asked, &bounds, NOW, &mut |_question| true, &mut || true).unwrap();
            let took = begun.elapsed();
            assert_eq!(page.found.len(), TOOLS, "{:?}", page.refusal);
            took.as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

fn main() {
    // Whoever only lists or tests does not wait.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let world = world();
    println!(
        "{TOOLS} tools, median of {ROUNDS} searches\n\nhops  digests known, ms  unknown, ms  target, ms"
    );
    for grants in 0..CHAIN.len() {
        let hops = grants + 1;
        let [known, unknown] = [true, false].map(|digests| median(&world, &tools(grants, digests)));
        println!("{hops:<5} {known:>17.1} {unknown:>12.1} {:>11}", 25 * hops);
    }
}

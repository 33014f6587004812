//! What it costs to hold a caller to its rights, with the example's policies.
#![expect(clippy::expect_used, reason = "a benchmark that cannot begin says so")]

use std::sync::atomic::{AtomicUsize, Ordering};

use divan::{Bencher, black_box};
use mandate::engine::authorize::Now;
use mandate::engine::datum::Reference;
use mandate::identity::caller::{Caller, Thumbprint, Workload};
use mandate::identity::rights::{Asking, Right, RightSet, Rights};
use mandate::store::follow::read_policies;

fn main() {
    divan::main();
}

fn rights() -> Rights {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("pep");
    let files = read_policies(&folder).expect("the example");
    Rights::new(RightSet::compile(files).expect("the example compiles"))
}

fn gateway() -> Caller {
    let workload = Workload {
        id: "spiffe://example.org/gateways/mcp".to_owned(),
        trust_domain: "example.org".to_owned(),
        path: "/gateways/mcp".to_owned(),
    };
    Caller::workload(workload, Thumbprint::of(b"a certificate"), Now(i64::MAX))
}

/// The usual question: a tool call by an agent, with three facts.
fn asking<'a>(principal: &'a Reference, action: &'a Reference) -> Asking<'a> {
    Asking {
        principal,
        own: false,
        action,
        resource_type: "Mandate::Tool",
        surface: "grpc",
        observe: false,
        bypass_cache: false,
        with_token: false,
        with_delegations: true,
        explain: false,
        entity_types: Vec::new(),
        facts: vec!["session", "digest", "touches"],
    }
}

/// A question whose like was asked before.
#[divan::bench]
fn remembered(bencher: Bencher) {
    let (rights, caller) = (rights(), gateway());
    let (principal, action) =
        (Reference::new("Mandate::Agent", "a"), Reference::new("Mandate::Action", "call_tool"));
    bencher.bench(|| black_box(rights.may_ask(&caller, &asking(&principal, &action))));
}

/// One whose like was not: another action each time.
#[divan::bench]
fn evaluated(bencher: Bencher) {
    let (rights, caller, count) = (rights(), gateway(), AtomicUsize::new(0));
    let principal = Reference::new("Mandate::Agent", "a");
    bencher
        .with_inputs(|| Reference::new("Mandate::Action", count.fetch_add(1, Ordering::Relaxed).to_string()))
        .bench_refs(|action| black_box(rights.may_ask(&caller, &asking(&principal, action))));
}

/// A command.
#[divan::bench]
fn command(bencher: Bencher) {
    let (rights, caller) = (rights(), gateway());
    bencher.bench(|| black_box(rights.may(&caller, &Right::ReadInfo)));
}

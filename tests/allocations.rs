//! How often the hottest path takes memory: an answer's cost as a number that no other load of the machine changes.
//!
//! A number that is higher than it was is a copy, a text or a box more for every answer. If it is meant, write the new number
//! here and say in the commit what it buys; if it is lower, write that, so that it stays so. `cargo bench --bench authorize` and
//! `--bench cache` tell what it costs in time.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot start should say so at once"
)]

use allocation_counter::measure;
use mandate::app::Embedded;
use mandate::audit::record::CacheUse;
use mandate::engine::decision::Effect;
use mandate::pdp::{Answer, Asked};
use tokio::runtime::{Builder, Runtime};

#[path = "../benches/shipped/questions.rs"]
mod questions;
#[path = "../benches/shipped/embedded.rs"]
mod shipped;

use questions::question;
use shipped::{call, embedded};

/// Answers that are counted, one by one; the median counts, for now and then one has room made for others after it.
const ANSWERS: usize = 101;

/// An answer, and how often it takes memory.
struct Pinned {
    what: &'static str,
    /// Whether it is asked by an agent under one grant, so that two hops are decided, or by a person.
    chain: bool,
    cache: CacheUse,
    log: bool,
    /// The least and the most: where they differ, the order in which sets are gone through decides, which is another in every
    /// process.
    allocations: (u64, u64),
}

const PINNED: [Pinned; 6] = [
    Pinned { what: "decided anew", chain: false, cache: CacheUse::Bypass, log: false, allocations: (17, 17) },
    Pinned { what: "from memory", chain: false, cache: CacheUse::Hit, log: false, allocations: (12, 12) },
    Pinned {
        what: "from memory, recorded",
        chain: false,
        cache: CacheUse::Hit,
        log: true,
        allocations: (19, 19),
    },
    Pinned {
        what: "a chain, decided anew",
        chain: true,
        cache: CacheUse::Bypass,
        log: false,
        allocations: (71, 77),
    },
    Pinned {
        what: "a chain, from memory",
        chain: true,
        cache: CacheUse::Hit,
        log: false,
        allocations: (58, 58),
    },
    Pinned { what: "a chain, recorded", chain: true, cache: CacheUse::Hit, log: true, allocations: (72, 72) },
];

#[test]
fn an_answer_takes_memory_as_often_as_it_is_known_to() {
    let counted = PINNED.map(|pinned| (counted(&pinned), pinned));
    let changed = counted
        .iter()
        .filter(|(counted, Pinned { allocations: (least, most), .. })| !(least..=most).contains(&counted));
    let changed: Vec<_> = changed
        .map(|(counted, pinned)| {
            let (least, most) = pinned.allocations;
            format!("{}: {counted} allocations, pinned are {least} to {most}", pinned.what)
        })
        .collect();
    assert!(
        changed.is_empty(),
        "an answer takes memory more or less often than it did. If that is meant, write the new numbers into `PINNED` in \
         tests/allocations.rs, and say in the commit why:\n{}",
        changed.join("\n")
    );
}

/// What the thread that answers takes; the one that writes the log down is not counted.
fn counted(pinned: &Pinned) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let log = pinned.log.then(|| folder.path().join("decisions"));
    let embedded = embedded(folder.path(), log.as_deref());
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    // What is made once, and what memory knows from then on.
    answer(&embedded, &runtime, pinned);
    let mut seen: Vec<_> = (0..ANSWERS)
        .map(|_| {
            let (answer, allocations) = answer(&embedded, &runtime, pinned);
            assert_eq!((answer.decision.effect, answer.cache), (Effect::Allow, pinned.cache));
            allocations
        })
        .collect();
    runtime.block_on(embedded.close()).unwrap();
    seen.sort_unstable();
    seen[ANSWERS / 2]
}

fn answer(embedded: &Embedded, runtime: &Runtime, pinned: &Pinned) -> (Answer, u64) {
    let bypass_cache = pinned.cache == CacheUse::Bypass;
    let (call, asked) = (call(), Asked { bypass_cache, ..question(pinned.chain).into() });
    let mut answer = None;
    let taken = measure(|| answer = Some(runtime.block_on(embedded.pdp.authorize(&call, Ok(asked)))));
    (answer.unwrap().unwrap(), taken.count_total)
}

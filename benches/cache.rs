//! What an answer from memory costs, in process, over the shipped world.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot start should say so at once")]

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use mandate::engine::authorize::{authorize, authorize_by};
use mandate::engine::decision::{Decision, Effect};
use mandate::engine::hop_question::HopQuestion;
use mandate::engine::request::InvalidRequest;
use mandate::store::cache::DecisionCache;

#[path = "shipped/questions.rs"]
mod questions;
#[path = "shipped/world.rs"]
mod shipped;

use questions::question;
use shipped::{NOW, WORLD};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn cache() -> DecisionCache {
    DecisionCache::new(64 * 1024 * 1024, Arc::default())
}

/// As the decision point does.
fn remembering(cache: &DecisionCache, hop: &mut HopQuestion<'_>) -> Result<Decision, InvalidRequest> {
    let key = hop.key().unwrap();
    if let Some(found) = cache.find(&key)
        && hop.check(&found).is_ok()
        && let Some(decision) = hop.recall(&found)
    {
        return Ok(decision);
    }
    let (decision, kept) = hop.decide_and_keep()?;
    if let Ok(remembered) = kept {
        cache.insert(key, remembered);
    }
    Ok(decision)
}

/// The question is there already; its key is made, or not.
fn hop(bencher: Bencher<'_, '_>, with_key: bool) {
    let (cache, request) = (cache(), question(false));
    let mut bencher = Some(bencher.counter(ItemsCount::new(1_usize)));
    let decided = authorize_by(&WORLD, &request, NOW, &mut |hop| {
        let decision = remembering(&cache, hop)?;
        let key = hop.key().unwrap();
        let hop = &*hop;
        let recall = |key: &_| {
            let found = cache.find(black_box(key)).unwrap();
            hop.check(&found).unwrap();
            hop.recall(&found).unwrap()
        };
        match (bencher.take().unwrap(), with_key) {
            (bencher, true) => bencher.bench_local(|| recall(&hop.key().unwrap())),
            (bencher, false) => bencher.bench_local(|| recall(&key)),
        }
        Ok(decision)
    });
    assert_eq!(decided.unwrap().effect, Effect::Allow);
}

#[divan::bench]
fn hit_from_key(bencher: Bencher<'_, '_>) {
    hop(bencher, false);
}

#[divan::bench]
fn hit_and_key(bencher: Bencher<'_, '_>) {
    hop(bencher, true);
}

/// From the request; through one grant there are two hops.
#[divan::bench(args = [false, true])]
fn hit_from_request(bencher: Bencher<'_, '_>, chain: bool) {
    let (cache, request) = (cache(), question(chain));
    let ask = || authorize_by(&WORLD, black_box(&request), NOW, &mut |hop| remembering(&cache, hop)).unwrap();
    assert_eq!(ask().effect, Effect::Allow);
    bencher.counter(ItemsCount::new(1_usize)).bench(ask);
}

#[divan::bench(args = [false, true])]
fn decided_without_memory(bencher: Bencher<'_, '_>, chain: bool) {
    let request = question(chain);
    let ask = || authorize(&WORLD, black_box(&request), NOW).unwrap();
    bencher.counter(ItemsCount::new(1_usize)).bench(ask);
}

/// What a miss costs besides: the key, the stamps, putting both away.
#[divan::bench(args = [false, true])]
fn miss_from_request(bencher: Bencher<'_, '_>, chain: bool) {
    let (cache, request) = (cache(), question(chain));
    let miss = |hop: &mut HopQuestion<'_>| {
        let key = hop.key().unwrap();
        let (decision, kept) = hop.decide_and_keep()?;
        cache.insert(key, kept.unwrap());
        Ok(decision)
    };
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench(|| authorize_by(&WORLD, black_box(&request), NOW, &mut |hop| miss(hop)).unwrap());
}

//! The protocol under every order of events that a scheduler comes up with.
//!
//! `shuttle` runs what is real here (worlds, keys, stamps, policies) on one thread, and chooses at each look at what is shared who
//! goes on: at random, and by the least change of priorities that shows a bug. `loom` would try all orders, and every atomic of the
//! engine would have to be its own for that.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use cedar_policy::EntityUid;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::{Config, Runner, thread};

use super::*;
use crate::engine::authorize::{Now, authorize_by};
use crate::engine::cedar::CedarValue;
use crate::engine::decision::Effect;
use crate::engine::delegation::scene_for_tests::{NOW, Scene, uid};
use crate::engine::entities::StoredEntity;
use crate::engine::mutants::{self, Mutant};
use crate::engine::world::World;

/// The worlds that are published one after the other: Ana's account is shut, opened, and shut again.
static WORLDS: LazyLock<Vec<World>> = LazyLock::new(|| {
    let open = Scene::allowed().world();
    let ana: EntityUid = uid("User", "ana");
    let mut worlds = vec![open.clone()];
    for active in [false, true, false] {
        let mut entities = open.entities.clone();
        let clearance = ("clearance".into(), CedarValue::long(3));
        let attributes = [("active".into(), CedarValue::boolean(active)), clearance];
        entities.put(ana.clone(), StoredEntity::new([], attributes, [])).unwrap();
        worlds.push(open.with_entities(entities));
    }
    worlds
});

/// What is shared: the world that is served, how many were acknowledged, and where decisions are kept.
struct Shared {
    current: Mutex<usize>,
    acknowledged: AtomicUsize,
    kept: Mutex<HashMap<Key, Arc<Remembered>>>,
    hits: AtomicUsize,
}

/// One request: the world it loads is no older than what was acknowledged before it came, and it decides as that world does.
fn request(shared: &Shared) {
    let acknowledged = shared.acknowledged.load(Ordering::SeqCst);
    let loaded = *shared.current.lock().unwrap();
    assert!(loaded >= acknowledged);
    let decision = authorize_by(&WORLDS[loaded], &Scene::allowed().request(), Now(NOW), &mut |hop| {
        let (decision, part) = decide(
            hop,
            |key| shared.kept.lock().unwrap().get(key).cloned(),
            |key, remembered| drop(shared.kept.lock().unwrap().insert(key, Arc::new(remembered))),
        )?;
        shared.hits.fetch_add(usize::from(part == Part::Hit), Ordering::SeqCst);
        Ok(decision)
    });
    let expected = if loaded.is_multiple_of(2) { Effect::Allow } else { Effect::Deny };
    assert_eq!(decision.unwrap().effect, expected, "in world {loaded}");
}

/// Two who ask and one who writes.
fn model(hits: &std::sync::atomic::AtomicUsize) {
    let shared = Arc::new(Shared {
        current: Mutex::new(0),
        acknowledged: AtomicUsize::new(0),
        kept: Mutex::new(HashMap::new()),
        hits: AtomicUsize::new(0),
    });
    let asking = (0..2).map(|_| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || (0..3).for_each(|_| request(&shared)))
    });
    let asking: Vec<_> = asking.collect();
    for written in 1..WORLDS.len() {
        *shared.current.lock().unwrap() = written;
        shared.acknowledged.store(written, Ordering::SeqCst);
    }
    asking.into_iter().for_each(|thread| thread.join().unwrap());
    hits.fetch_add(shared.hits.load(Ordering::SeqCst), std::sync::atomic::Ordering::Relaxed);
}

fn run(scheduler: impl Scheduler + 'static) -> usize {
    let hits = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&hits);
    let mut config = Config::new();
    // Evaluation in a debug build needs more than coroutines usually have.
    config.stack_size = 4 * 1024 * 1024;
    Runner::new(scheduler, config).run(move || model(&counted));
    hits.load(std::sync::atomic::Ordering::Relaxed)
}

const ORDERS: usize = if cfg!(debug_assertions) { 300 } else { 5_000 };

#[test]
fn in_every_order_every_request_is_decided_as_its_own_world_does() {
    LazyLock::force(&WORLDS);
    let hits = run(RandomScheduler::new(ORDERS)) + run(PctScheduler::new(3, ORDERS));
    assert!(hits > 2 * ORDERS, "{hits} hits: it was the memory that answered");
}

#[test]
fn stamps_that_are_not_held_to_the_world_of_the_request_are_noticed() {
    LazyLock::force(&WORLDS);
    let found = mutants::with(Mutant::CheckedWhereTaken, || {
        catch_unwind(AssertUnwindSafe(|| run(RandomScheduler::new(ORDERS))))
    });
    assert!(found.is_err());
}

//! Putting one entity into a world that has many.

use std::time::{Duration, Instant};

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use hdrhistogram::Histogram;
use mandate::engine::cedar::CedarValue;
use mandate::engine::entities::StoredEntity;
use mandate::store::Store;
use serde::{Deserialize, Serialize};

use crate::Attempt;
use crate::measure::{micros, nanos};
use crate::options::Effort;
use crate::requests::Draw;
use crate::workload::{Scopes, Workload};

/// Policies beside the entities.
const POLICIES: usize = 100;

/// How long a put takes, in microseconds, until a request would see it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Put {
    pub(crate) entities: usize,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) puts: u64,
}

/// Puts people among so many entities, each with another clearance than before, and publishes each.
///
/// # Errors
/// The workload does not load, or what was put is not what is served.
pub(crate) fn put(entities: usize, effort: Effort) -> Attempt<Put> {
    let mut workload = Workload::new(POLICIES, entities, Scopes::Mixed)?;
    let store = Store::new(workload.world()?);
    let user: EntityTypeName = "Mandate::User".parse()?;
    let mut times = Histogram::<u64>::new(3)?;
    // The first half warms up.
    for number in 0..effort.decisions {
        let name = workload.ask(Draw::Uniform)?.principal;
        let uid = EntityUid::from_type_name_and_id(user.clone(), EntityId::new(name.id));
        let took = put_one(&store, uid, number)?;
        if number >= effort.decisions / 2 {
            times.record(nanos(took))?;
        }
    }
    Ok(Put {
        entities: workload.population.len(),
        p50: micros(times.value_at_quantile(0.5)),
        p99: micros(times.value_at_quantile(0.99)),
        puts: times.len(),
    })
}

/// The time of making the world that has the person's new clearance, of publishing it, and of dropping the one before.
fn put_one(store: &Store, uid: EntityUid, clearance: usize) -> Attempt<Duration> {
    let published = store.current();
    let before = published.world.entities.get(&uid).ok_or("somebody is not stored")?;
    let clearance = CedarValue::long(clearance.try_into()?);
    let others = before.attributes().iter().filter(|(name, _)| name != "clearance").cloned();
    let attributes: Vec<_> = others.chain([("clearance".into(), clearance)]).collect();
    let entity = StoredEntity::new(before.parents().iter().cloned(), attributes, []);
    let put = entity.clone();
    drop(published);
    let named = uid.clone();
    let start = Instant::now();
    let published = store.current();
    let mut entities = published.world.entities.clone();
    entities.put(uid, entity)?;
    drop(store.publish(published.world.with_entities(entities)));
    drop(published);
    let took = start.elapsed();
    match store.current().world.entities.get(&named) {
        Some(served) if served.holds_same(&put) => Ok(took),
        _ => Err("what was put is not what is served".into()),
    }
}

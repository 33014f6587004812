//! A chain of delegations, in a world where each of its principals may do alone what the chain may.

use std::sync::LazyLock;

use cedar_policy::EntityUid;
use mandate::engine::cedar::CedarValue;
use mandate::engine::entities::{EntityStore, StoredEntity};
use mandate::engine::world::World;
use smol_str::SmolStr;

use crate::shipped::WORLD;

/// Those who act, in the order of their chain.
pub(crate) const CHAIN: [(&str, &str); 4] =
    [("User", "ana"), ("Agent", "planner"), ("Agent", "worker"), ("Agent", "triage-bot")];

/// A world in which each of them may list the website's issues alone, so that it is the same policies which allow it: the agents
/// are autonomous, and the tool is one for those. Grants lead from one to the next.
pub(crate) static AUTONOMOUS: LazyLock<World> = LazyLock::new(|| {
    let mut entities = WORLD.entities.clone();
    for (kind, id) in CHAIN.into_iter().filter(|(kind, _)| *kind == "Agent") {
        let autonomous = [("autonomous".into(), CedarValue::boolean(true))];
        change(&mut entities, &uid(kind, id), autonomous, []);
    }
    change(&mut entities, &uid("Tool", "github/list_issues"), [], [uid("Toolset", "unattended")]);
    let model = entities.get(&uid("Delegation", "ana-planner")).unwrap().clone();
    for (place, step) in CHAIN.windows(2).enumerate() {
        let [(kind, giver), (_, taker)] = step else { continue };
        let parents = ["from_user", "from_agent", "to", "parent", "max_depth"];
        let kept = model.attributes().iter().filter(|(name, _)| !parents.contains(&name.as_str())).cloned();
        let named = |name: &str, kind: &str, id: &str| (name.into(), CedarValue::entity(&uid(kind, id)));
        let from = if *kind == "User" { "from_user" } else { "from_agent" };
        let mut attributes = vec![named(from, kind, giver), named("to", "Agent", taker)];
        attributes.push(("max_depth".into(), CedarValue::long(5)));
        attributes.extend(
            place.checked_sub(1).map(|before| named("parent", "Delegation", &format!("bench-{before}"))),
        );
        let grant = StoredEntity::new([], kept.chain(attributes), []);
        entities.put(uid("Delegation", &format!("bench-{place}")), grant).unwrap();
    }
    WORLD.with_entities(entities)
});

/// Stores an entity anew, with these attributes and parents besides its others.
fn change<const N: usize, const M: usize>(
    entities: &mut EntityStore,
    uid: &EntityUid,
    attributes: [(SmolStr, CedarValue); N],
    parents: [EntityUid; M],
) {
    let stored = entities.get(uid).unwrap().clone();
    // Of two of a name the first is kept.
    let attributes = attributes.into_iter().chain(stored.attributes().iter().cloned());
    let parents = parents.into_iter().chain(stored.parents().iter().cloned());
    let changed = StoredEntity::new(parents, attributes, stored.tags().iter().cloned());
    entities.put(uid.clone(), changed).unwrap();
}

/// An entity's name.
pub(crate) fn uid(kind: &str, id: &str) -> EntityUid {
    format!("Mandate::{kind}::\"{id}\"").parse().unwrap()
}

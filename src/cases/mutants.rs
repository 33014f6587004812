//! Whether the cases would notice if a policy were gone.

use std::sync::Arc;

use super::Case;
use super::run::{CaseOutcome, run};
use crate::engine::world::World;

/// Policies whose removal no case notices.
#[must_use]
pub fn survivors(world: &World, cases: &[Case]) -> Vec<String> {
    let ids = world.generation.policies.iter().map(|policy| policy.id.to_string());
    ids.filter(|id| survives(world, cases, id)).collect()
}

fn survives(world: &World, cases: &[Case], id: &str) -> bool {
    let without = World::new(Arc::new(world.generation.without(id)), world.entities.clone());
    cases.iter().all(|case| run(&without, case) == CaseOutcome::Passed)
}

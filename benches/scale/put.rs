//! Putting one entity into a world that has many.

use serde::{Deserialize, Serialize};

use crate::Attempt;
use crate::options::Effort;

/// How long a put takes, in microseconds, until a request would see it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Put {
    pub(crate) entities: usize,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) puts: u64,
}

/// Puts one entity after another among so many. None: this build cannot put one.
///
/// TO FILL IN when a world takes a single entity: load a [`crate::workload::Workload`] of so many entities, put existing
/// people with another clearance one after another (drawn by [`crate::requests::Draw::Zipf`]), publish each through the
/// store, ask once whether a decision sees it, and record how long each took in a histogram.
///
/// # Errors
/// The workload does not load.
pub(crate) fn put(_entities: usize, _effort: Effort) -> Attempt<Option<Put>> {
    Ok(None)
}

//! The one door: every transport asks here, and nothing else decides.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::engine::authorize::{Now, authorize};
use crate::engine::decision::Decision;
use crate::engine::request::{AuthzRequest, InvalidRequest};
use crate::engine::world::World;
use crate::store::{Published, Store};

/// Most questions in one batch.
pub const MAX_BATCH: usize = 100;

/// The policy decision point.
#[derive(Debug)]
pub struct Pdp {
    store: Store,
}

/// A decision, and what names it.
#[derive(Debug)]
pub struct Answer {
    /// What was decided.
    pub decision: Decision,
    /// UUIDv7 of this answer.
    pub id: Uuid,
    /// Hash of the generation that decided.
    pub generation: String,
}

impl Pdp {
    /// A decision point that serves `world`.
    pub fn new(world: World) -> Self {
        Self { store: Store::new(world) }
    }

    /// The world that is served now, and since when.
    pub fn current(&self) -> Arc<Published> {
        self.store.current()
    }

    /// Decides one question.
    ///
    /// # Errors
    /// [`InvalidRequest`] if the question cannot be understood. A denial is an answer.
    pub fn authorize(&self, request: &AuthzRequest) -> Result<Answer, InvalidRequest> {
        answer(&self.store.current().world, request, now())
    }

    /// Decides many questions in one world, at one instant. One that cannot be understood fails alone.
    pub fn authorize_batch(
        &self,
        requests: impl IntoIterator<Item = Result<AuthzRequest, InvalidRequest>>,
    ) -> Vec<Result<Answer, InvalidRequest>> {
        let published = self.store.current();
        let now = now();
        requests.into_iter().map(|request| answer(&published.world, &request?, now)).collect()
    }
}

fn answer(world: &World, request: &AuthzRequest, now: Now) -> Result<Answer, InvalidRequest> {
    let decision = authorize(world, request, now)?;
    Ok(Answer { decision, id: Uuid::now_v7(), generation: world.generation.hash.clone() })
}

/// The wall clock, read once for each request or batch.
#[must_use]
pub fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

//! The one door: every transport asks here, and nothing else decides.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::engine::authorize::{Now, authorize};
use crate::engine::decision::Decision;
use crate::engine::request::{AuthzRequest, InvalidRequest};
use crate::engine::world::World;
use crate::store::{Published, Store};

/// Most bytes that a batch may have once every item has taken what it inherits.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;
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
    ///
    /// # Errors
    /// [`Late`] once `deadline` has passed: nobody waits for the rest.
    pub fn authorize_batch(
        &self,
        requests: impl IntoIterator<Item = Result<AuthzRequest, InvalidRequest>>,
        deadline: Instant,
    ) -> Result<Vec<Result<Answer, InvalidRequest>>, Late> {
        let published = self.store.current();
        let now = now();
        let mut answers = Vec::new();
        for request in requests {
            if Instant::now() >= deadline {
                return Err(Late);
            }
            answers.push(request.and_then(|request| answer(&published.world, &request, now)));
        }
        Ok(answers)
    }
}

/// The deadline passed before everything was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late;

fn answer(world: &World, request: &AuthzRequest, now: Now) -> Result<Answer, InvalidRequest> {
    let decision = authorize(world, request, now)?;
    Ok(Answer { decision, id: Uuid::now_v7(), generation: world.generation.hash.clone() })
}

/// The wall clock, read once for each request or batch.
#[must_use]
pub fn now() -> Now {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Now(match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        // A clock that far off should at least not look like 1970, when nothing had expired.
        Err(before) => -millis(before.duration()),
    })
}

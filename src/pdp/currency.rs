//! What may be answered from, and until when: where a primary is followed, no longer than it vouched for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Call, Pdp, Refused};
use crate::store::Published;
use crate::store::replica::following::Following;
use crate::store::replica::lease::LeaseEnd;
use crate::store::revision::RevisionError;

/// How long a follower waits for a revision that it has not been told of (R).
const PATIENCE: Duration = Duration::from_secs(1);

impl Pdp {
    /// The same, which answers from what a primary tells, while that vouches for it.
    #[must_use]
    pub fn following(self, following: Arc<Following>) -> Self {
        Self { following: Some(following), ..self }
    }

    /// Whether it may answer now.
    pub fn is_current(&self) -> bool {
        self.following.as_ref().is_none_or(|following| following.is_current())
    }

    /// The world to answer from, and until when. A follower waits a while for one that is no older than `minimum`, if that is a
    /// revision.
    pub(super) async fn served(&self, call: &Call, minimum: &str) -> (Arc<Published>, LeaseEnd) {
        let Some(following) = &self.following else { return (self.store.current(), LeaseEnd::EVER) };
        let wait = Instant::now() + PATIENCE;
        let end = wait.min(call.deadline);
        let mut published = self.store.subscribe();
        loop {
            // In this order: what the lease was given for is in the world.
            let until = following.until();
            let current = self.store.current();
            if until.is_over() || self.store.check_minimum(minimum, &current) != Err(RevisionError::Ahead) {
                return (current, until);
            }
            if !matches!(tokio::time::timeout_at(end.into(), published.changed()).await, Ok(Ok(()))) {
                return (current, until);
            }
        }
    }

    /// Whether a world is no older than a revision; an empty one names none.
    pub(super) fn reached(&self, minimum: &str, published: &Published) -> Result<(), Refused> {
        match self.store.check_minimum(minimum, published) {
            // What this server has not been told of may well be its primary's.
            Err(RevisionError::Ahead) if self.following.is_some() => Err(Refused::Behind),
            checked => Ok(checked?),
        }
    }
}

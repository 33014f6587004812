//! Deciding a question hop by hop, each as it was decided before where that still holds; and a sample of those once more.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{Asked, Pdp, recall};
use crate::audit::record::CacheUse;
use crate::engine::authorize::{Now, authorize, authorize_by};
use crate::engine::decision::{Decision, PolicyError};
use crate::engine::hop_question::HopQuestion;
use crate::engine::remembered::Part;
use crate::engine::request::InvalidRequest;
use crate::store::Published;
use crate::store::cache::DecisionCache;
use crate::telemetry::metrics::{Bypass, Verification};

impl Pdp {
    /// Decides a question in a world, and says what part the cache had.
    pub(super) fn decide_hops(
        &self,
        asked: &Asked,
        published: &Published,
        now: Now,
    ) -> Result<(Arc<Decision>, CacheUse), InvalidRequest> {
        let (world, question) = (&published.world, &asked.question);
        #[cfg(test)]
        assert_ne!(question.principal.id, super::PANIC_IN_EVALUATION);
        let cache = match place(asked, published) {
            Ok(cache) => cache,
            Err(why) => {
                self.metrics.cache().bypassed(why);
                return Ok((Arc::new(authorize(world, question, now)?), CacheUse::Bypass));
            }
        };
        let mut parts = Parts::default();
        let decision = authorize_by(world, question, now, &mut |hop| {
            let (decision, part) =
                recall::decide(hop, |key| cache.find(key), |key, remembered| cache.insert(key, remembered))?;
            self.metrics.cache().decided(part);
            parts.add(part);
            if part == Part::Hit && self.is_verification_due() {
                self.verify(hop, &decision);
            }
            Ok(decision)
        })?;
        Ok((Arc::new(decision), parts.cache_use()))
    }

    /// Whether the hit just made is one to verify. Each thread counts its own.
    fn is_verification_due(&self) -> bool {
        thread_local! {
            static HITS: Cell<u64> = const { Cell::new(0) };
        }
        let Some(one_in) = self.verify_one_in else { return false };
        let hits = HITS.get().wrapping_add(1);
        HITS.set(hits);
        hits.is_multiple_of(one_in.get())
    }

    /// Decides a hop once more that was decided from memory. Whatever comes of it, the answer stays: it is the alarm that
    /// counts.
    fn verify(&self, hop: &mut HopQuestion<'_>, remembered: &Decision) {
        let outcome = match catch_unwind(AssertUnwindSafe(|| hop.decide())) {
            Ok(Ok(anew)) if is_same(remembered, &anew) => Verification::Same,
            Ok(Ok(_)) => Verification::Different,
            Ok(Err(_)) | Err(_) => Verification::Failed,
        };
        self.metrics.cache().verified(outcome);
        if outcome != Verification::Same {
            tracing::error!(
                action = %remembered.action,
                effect = ?remembered.effect,
                outcome = outcome.as_str(),
                "a decision from memory is not the one that is made anew: a defect in Mandate; set `cache.enabled = false` until it is found"
            );
        }
    }
}

/// Where the answer may be known from. An explanation is told by the evaluation that decides, never from memory.
fn place<'p>(asked: &Asked, published: &'p Published) -> Result<&'p DecisionCache, Bypass> {
    if asked.bypass_cache {
        return Err(Bypass::Asked);
    }
    if asked.question.explain {
        return Err(Bypass::Explained);
    }
    published.cache.as_deref().ok_or(Bypass::Off)
}

/// Whether two decisions of one hop say the same, as far as answers and records tell it.
fn is_same(one: &Decision, other: &Decision) -> bool {
    let ids = |decision: &Decision| -> Vec<_> {
        decision.determining.iter().map(|policy| policy.id.clone()).collect()
    };
    let failures = |decision: &Decision| -> Vec<_> {
        let told = |PolicyError { policy, failure }: &PolicyError| {
            (policy.id.clone(), failure.kind, failure.summary)
        };
        decision.errors.iter().map(told).collect()
    };
    (one.effect, &one.denial, ids(one), failures(one))
        == (other.effect, &other.denial, ids(other), failures(other))
}

/// What part the cache had in the hops of one question.
#[derive(Debug, Default)]
struct Parts {
    hit: bool,
    missed: bool,
    unkept: bool,
}

impl Parts {
    fn add(&mut self, part: Part) {
        match part {
            Part::Hit => self.hit = true,
            Part::Miss(_) => self.missed = true,
            Part::Unkept(..) => self.unkept = true,
        }
    }

    /// A question is known if all its hops are. One that no policy was asked about could not be.
    fn cache_use(&self) -> CacheUse {
        match self {
            Self { unkept: true, .. } => CacheUse::Bypass,
            Self { missed: true, .. } => CacheUse::Miss,
            Self { hit: true, .. } => CacheUse::Hit,
            Self { hit: false, .. } => CacheUse::Bypass,
        }
    }
}

#[cfg(test)]
#[path = "remembering_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "trace_tests.rs"]
mod trace_tests;

//! What the decision cache counts: for each hop what part it had, and why it had none.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::Observed;
use crate::engine::remembered::{Part, Stale, Unkept};
use crate::engine::stamps::Changed;
use crate::telemetry::registered::{Registry, counter, counters, gauge, raise, signed};

/// Why a decision is made past the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bypass {
    /// There is none.
    Off,
    /// The request asked for it.
    Asked,
    /// An explanation was asked for.
    Explained,
    /// What was decided cannot be kept.
    Unkept(Unkept),
}

impl Bypass {
    /// Whoever decides through the cache asks for what is to be kept.
    const ALL: [Self; 7] = [
        Self::Off,
        Self::Asked,
        Self::Explained,
        Self::Unkept(Unkept::TooLong),
        Self::Unkept(Unkept::Time),
        Self::Unkept(Unkept::Limit),
        Self::Unkept(Unkept::Reference),
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Asked => "asked",
            Self::Explained => "explained",
            Self::Unkept(Unkept::TooLong) => "too_long",
            Self::Unkept(Unkept::Time) => "time",
            Self::Unkept(Unkept::Limit) => "limit",
            Self::Unkept(Unkept::Reference) => "reference",
            Self::Unkept(Unkept::Unasked) => "unasked",
        }
    }
}

/// What came of deciding once more what was decided from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// The same.
    Same,
    /// Something else: a defect.
    Different,
    /// Nothing, for it met a defect.
    Failed,
}

impl Verification {
    const ALL: [Self; 3] = [Self::Same, Self::Different, Self::Failed];

    /// Its name in metrics and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different => "different",
            Self::Failed => "failed",
        }
    }
}

/// What can be wrong with a decision that was found.
const STALE: [(Stale, &str); 5] = [
    (Stale::Changed(Changed::Attributes), "attributes"),
    (Stale::Changed(Changed::Edges), "edges"),
    (Stale::Changed(Changed::Presence), "presence"),
    (Stale::Changed(Changed::Anything), "store"),
    (Stale::Time, "time"),
];

/// The numbers.
#[derive(Debug)]
pub struct CacheMetrics {
    hits: IntCounter,
    misses: IntCounter,
    stale: Vec<(Stale, IntCounter)>,
    bypasses: Vec<(Bypass, IntCounter)>,
    verified: Vec<(Verification, IntCounter)>,
    evictions: IntCounter,
    entries: IntGauge,
    bytes: IntGauge,
}

impl CacheMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Decisions found that no longer hold, by what of them does not.";
        let stale = counters(registry, "pdp_cache_stale_total", help, &["stamp"])?;
        let help = "Decisions made past the cache, by reason.";
        let bypasses = counters(registry, "pdp_cache_bypasses_total", help, &["reason"])?;
        let help = "Decisions from memory that were made once more, by what came of it.";
        let verified = counters(registry, "pdp_cache_verified_total", help, &["outcome"])?;
        let each = |name: &str, family: &IntCounterVec| family.with_label_values(&[name]);
        Ok(Self {
            hits: counter(registry, "pdp_cache_hits_total", "Hops decided from memory.")?,
            misses: counter(registry, "pdp_cache_misses_total", "Hops decided by the policies, and kept.")?,
            stale: STALE.map(|(kind, name)| (kind, each(name, &stale))).into(),
            bypasses: Bypass::ALL.map(|why| (why, each(why.as_str(), &bypasses))).into(),
            verified: Verification::ALL.map(|outcome| (outcome, each(outcome.as_str(), &verified))).into(),
            evictions: counter(registry, "pdp_cache_evictions_total", "Decisions dropped to make room.")?,
            entries: gauge(registry, "pdp_cache_entries", "Decisions kept.")?,
            bytes: gauge(registry, "pdp_cache_bytes", "Bytes that they take, about.")?,
        })
    }

    /// Counts what part the cache had in one hop.
    pub fn decided(&self, part: Part) {
        let stale = match part {
            Part::Hit => {
                self.hits.inc();
                None
            }
            Part::Miss(stale) => {
                self.misses.inc();
                stale
            }
            Part::Unkept(stale, why) => {
                self.bypassed(Bypass::Unkept(why));
                stale
            }
        };
        if let Some(stale) = stale {
            count(&self.stale, stale);
        }
    }

    /// Counts a decision that is made past the cache.
    pub fn bypassed(&self, why: Bypass) {
        count(&self.bypasses, why);
    }

    /// Counts a decision from memory that was made once more.
    pub fn verified(&self, outcome: Verification) {
        count(&self.verified, outcome);
    }

    pub(super) fn set(&self, observed: &Observed) {
        self.entries.set(signed(observed.cache_entries));
        self.bytes.set(signed(observed.cache_bytes));
        raise(&self.evictions, observed.cache_evictions);
    }
}

/// Of a few alike, the one that is meant.
fn count<T: PartialEq>(counters: &[(T, IntCounter)], which: T) {
    counters.iter().filter(|(one, _)| *one == which).for_each(|(_, counter)| counter.inc());
}

//! Every metric, and its text for Prometheus.
//!
//! What a decision counts is an atomic found by index: no lock, and no look-up by label. What others count already
//! (loads, records) is taken from them when somebody asks. No label has a value that a request or a write could invent;
//! the one that names the generation has one value at a time.

mod cache;
pub mod calls;
mod checks;
mod decisions;
mod load;
mod outcomes;
mod searches;
mod subjects;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, TextEncoder};

use super::callers::{CallerMetrics, ObservedCallers};
use super::exports::{ExportCounts, ExportMetrics};
use super::following::FollowingMetrics;
use super::records::{ObservedRecords, RecordMetrics};
pub use super::registered::Family;
use super::registered::{Registry, counter, counters, gauge, gauges, raise, seconds, signed};
use super::sinks::SinkMetrics;
use super::witnesses::WitnessMetrics;
use crate::audit::record::{CacheUse, Surface};
use crate::audit::sinks::account::SinkStatus;
use crate::audit::tree::witness::WitnessState;
use crate::engine::decision::{Effect, ReasonCode};
use crate::store::replica::following::FollowingStatus;
use cache::CacheMetrics;
pub use cache::{Bypass, Verification};
use calls::CallMetrics;
use checks::CHECKS;
pub use checks::CheckOutcome;
use decisions::DecisionMetrics;
pub use load::{LoadMetrics, ObservedLoad};
pub use outcomes::OutcomeMetrics;
pub use searches::SearchMetrics;
use subjects::SubjectMetrics;

/// The numbers of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: DecisionMetrics,
    calls: CallMetrics,
    refusals: IntCounterVec,
    policy_errors: IntCounter,
    panics: IntCounter,
    subjects: SubjectMetrics,
    cache: CacheMetrics,
    outcomes: OutcomeMetrics,
    searches: SearchMetrics,
    load: LoadMetrics,
    checks: Vec<IntCounter>,
    observed: Mutex<ObservedMetrics>,
}

impl Metrics {
    /// All of them, at nought.
    ///
    /// # Errors
    /// Two have one name: a defect of the build.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::default();
        let checks = counters(
            &registry,
            "pdp_checks_total",
            "Decisions of the sample that Cedar's own authorizer makes once more, by what came of it.",
            &["outcome"],
        )?;
        Ok(Self {
            decisions: DecisionMetrics::new(&registry)?,
            checks: CHECKS.iter().map(|outcome| checks.with_label_values(&[*outcome])).collect(),
            calls: CallMetrics::new(&registry)?,
            refusals: counters(
                &registry,
                "pdp_refusals_total",
                "Requests that got no decision, by door and gRPC code.",
                &["surface", "code"],
            )?,
            policy_errors: counter(
                &registry,
                "pdp_policy_errors_total",
                "Policies that could not be evaluated, over all decisions; which ones, the decision log says.",
            )?,
            subjects: SubjectMetrics::new(&registry)?,
            cache: CacheMetrics::new(&registry)?,
            outcomes: OutcomeMetrics::new(&registry)?,
            searches: SearchMetrics::new(&registry)?,
            load: LoadMetrics::new(&registry)?,
            panics: counter(&registry, "pdp_panics_total", "Requests that met a defect.")?,
            observed: Mutex::new(ObservedMetrics::new(&registry)?),
            registry,
        })
    }

    /// What each metric is, by name.
    pub fn families(&self) -> Vec<Family> {
        self.registry.families()
    }

    /// Counts a decision, and why it is a denial if it is one.
    pub fn decided(
        &self,
        effect: Effect,
        reason: Option<ReasonCode>,
        surface: Surface,
        cached: CacheUse,
        latency: Duration,
    ) {
        self.decisions.decided(effect, reason, surface, cached, latency);
    }

    /// How long calls take.
    pub fn calls(&self) -> &CallMetrics {
        &self.calls
    }

    /// Counts policies that could not be evaluated in one decision.
    pub fn policies_failed(&self, count: usize) {
        if count == 0 {
            return;
        }
        self.policy_errors.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Counts a request that got no decision.
    pub fn refused(&self, surface: Surface, code: &str) {
        self.refusals.with_label_values(&[surface.as_str(), code]).inc();
    }

    /// Counts a token of a subject: accepted, known, or the name of the check that failed.
    pub fn token_verified(&self, outcome: &'static str) {
        self.subjects.verified(outcome);
    }

    /// What the decision cache counts.
    pub fn cache(&self) -> &CacheMetrics {
        &self.cache
    }

    /// What outcomes of decisions count.
    pub fn outcomes(&self) -> &OutcomeMetrics {
        &self.outcomes
    }

    /// What searches count.
    pub fn searches(&self) -> &SearchMetrics {
        &self.searches
    }

    /// What there is too much of counts.
    pub fn load(&self) -> &LoadMetrics {
        &self.load
    }

    /// Counts a request that met a defect.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// The text Prometheus reads, with what others counted.
    ///
    /// # Errors
    /// The metrics cannot be written as text: a defect of the build.
    pub fn render(&self, observe: impl FnOnce() -> Observed) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.gather(observe))
    }

    /// Every metric, with what others counted. Whoever asks second observes second: numbers of two moments are never
    /// mixed.
    pub fn gather(&self, observe: impl FnOnce() -> Observed) -> Vec<MetricFamily> {
        // Nobody panics while holding it; if somebody did, the numbers are still numbers.
        let metrics = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        let observed = observe();
        metrics.set(&observed);
        self.subjects.set(&observed);
        self.cache.set(&observed);
        self.load.set(&observed);
        self.registry.gather()
    }
}

/// What others count, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Hash of the generation that is served.
    pub generation: String,
    /// Seconds since its world was published.
    pub generation_age_seconds: f64,
    /// The world's place in the sequence of this start.
    pub sequence: u64,
    /// Seconds since the loader last completed a look at the files.
    pub loader_silent_seconds: f64,
    /// Whether what is served is not what the files say.
    pub stale: bool,
    /// Whether what is served was kept from before, because the files were broken at the start.
    pub last_known_good: bool,
    /// Whether what is served could not be kept for a restart.
    pub keep_failing: bool,
    /// Policies, emergency forbids included.
    pub policies: usize,
    /// Stored entities.
    pub entities: usize,
    /// Emergency forbids in force.
    pub emergency_policies: usize,
    /// Emergency files that could not be loaded.
    pub emergency_problems: usize,
    /// Delegations that are revoked.
    pub revocations: usize,
    /// Suspensions, of which a freeze is one.
    pub suspensions: usize,
    /// What is wrong with the file of revocations.
    pub revocation_problems: usize,
    /// Loads, by outcome.
    pub reloads: Vec<(&'static str, u64)>,
    /// The decision log on this disk.
    pub records: ObservedRecords,
    /// Decisions that are kept.
    pub cache_entries: u64,
    /// About how many bytes they take.
    pub cache_bytes: u64,
    /// Decisions that were dropped to make room.
    pub cache_evictions: u64,
    /// How much there is to do.
    pub load: ObservedLoad,
    /// Looks at the keys of issuers, by issuer and outcome.
    pub key_looks: Vec<(String, &'static str, u64)>,
    /// Seconds since the keys of an issuer were read.
    pub key_ages: Vec<(String, f64)>,
    /// Whether other hosts may ask without saying who they are.
    pub insecure: bool,
    /// Who asks.
    pub callers: ObservedCallers,
    /// Where the decision log is delivered to.
    pub sinks: Vec<SinkStatus>,
    /// What became of spans and pushes.
    pub exports: Arc<ExportCounts>,
    /// To whom its checkpoints are shown.
    pub witnesses: Vec<WitnessState>,
    /// What is known of the primary, where one is followed.
    pub following: Option<FollowingStatus>,
}

/// The metrics that are set from [`Observed`].
#[derive(Debug)]
struct ObservedMetrics {
    build: IntGaugeVec,
    generation: IntGaugeVec,
    age: Gauge,
    sequence: IntGauge,
    silent: Gauge,
    stale: IntGauge,
    last_known_good: IntGauge,
    keep_failing: IntGauge,
    policies: IntGauge,
    entities: IntGauge,
    emergency_policies: IntGauge,
    emergency_problems: IntGauge,
    revocations: IntGauge,
    suspensions: IntGauge,
    revocation_problems: IntGauge,
    reloads: IntCounterVec,
    records: RecordMetrics,
    insecure: IntGauge,
    callers: CallerMetrics,
    sinks: SinkMetrics,
    exports: ExportMetrics,
    witnesses: WitnessMetrics,
    following: FollowingMetrics,
}

impl ObservedMetrics {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name, help| gauge(registry, name, help);
        let seconds = |name, help| seconds(registry, name, help);
        Ok(Self {
            silent: seconds(
                "pdp_loader_silent_seconds",
                "Seconds since the loader last completed a look at the files.",
            )?,
            build: gauges(registry, "pdp_build_info", "What is running.", &["version", "cedar"])?,
            generation: gauges(
                registry,
                "pdp_generation_info",
                "The generation that is served, by hash.",
                &["generation"],
            )?,
            age: seconds("pdp_generation_age_seconds", "Seconds since what is served was published.")?,
            sequence: gauge("pdp_world_sequence", "How many worlds this process has published.")?,
            stale: gauge("pdp_serving_stale", "1 while what is served is not what the files say.")?,
            last_known_good: gauge(
                "pdp_serving_last_known_good",
                "1 while a set kept from before is served because the files were broken at the start.",
            )?,
            keep_failing: gauge("pdp_keep_failing", "1 while a restart would miss what is served now.")?,
            policies: gauge("pdp_policies", "Policies that are served, emergency forbids included.")?,
            entities: gauge("pdp_entities", "Entities that are stored.")?,
            emergency_policies: gauge("pdp_emergency_policies", "Emergency forbids in force.")?,
            emergency_problems: gauge("pdp_emergency_problems", "What is wrong with emergency files.")?,
            revocations: gauge("pdp_revocations", "Delegations that are revoked.")?,
            suspensions: gauge("pdp_suspensions", "Principals that are suspended; everybody counts as one.")?,
            revocation_problems: gauge(
                "pdp_revocation_problems",
                "What is wrong with the file of revocations.",
            )?,
            reloads: counters(
                registry,
                "pdp_reloads_total",
                "Loads of changed files, by outcome.",
                &["outcome"],
            )?,
            records: RecordMetrics::new(registry)?,
            callers: CallerMetrics::new(registry)?,
            sinks: SinkMetrics::new(registry)?,
            exports: ExportMetrics::new(registry)?,
            witnesses: WitnessMetrics::new(registry)?,
            following: FollowingMetrics::new(registry)?,
            insecure: gauge(
                "pdp_insecure_unauthenticated_callers",
                "1 if other hosts may ask without saying who they are.",
            )?,
        })
    }

    fn set(&self, observed: &Observed) {
        let cedar = cedar_policy::get_lang_version().to_string();
        self.build.with_label_values(&[env!("CARGO_PKG_VERSION"), cedar.as_str()]).set(1);
        self.generation.reset();
        self.generation.with_label_values(&[observed.generation.as_str()]).set(1);
        self.age.set(observed.generation_age_seconds);
        self.sequence.set(signed(observed.sequence));
        self.silent.set(observed.loader_silent_seconds);
        self.stale.set(i64::from(observed.stale));
        self.last_known_good.set(i64::from(observed.last_known_good));
        self.keep_failing.set(i64::from(observed.keep_failing));
        self.policies.set(signed(observed.policies));
        self.entities.set(signed(observed.entities));
        self.emergency_policies.set(signed(observed.emergency_policies));
        self.emergency_problems.set(signed(observed.emergency_problems));
        self.revocations.set(signed(observed.revocations));
        self.suspensions.set(signed(observed.suspensions));
        self.revocation_problems.set(signed(observed.revocation_problems));
        self.records.set(&observed.records);
        self.insecure.set(i64::from(observed.insecure));
        self.callers.set(&observed.callers);
        self.sinks.set(&observed.sinks);
        self.exports.set(&observed.exports);
        self.witnesses.set(&observed.witnesses);
        self.following.set(observed.following.as_ref());
        for (outcome, count) in &observed.reloads {
            raise(&self.reloads.with_label_values(&[*outcome]), *count);
        }
    }
}

#[cfg(test)]
#[path = "metrics/metrics_tests.rs"]
mod tests;

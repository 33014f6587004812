//! Every metric, and its text for Prometheus.
//!
//! What a decision counts is an atomic found by index: no lock, and no look-up by label. What others count already
//! (loads, records) is taken from them when somebody asks. No label has a value that a request or a write could invent;
//! the one that names the generation has one value at a time.

mod cache;
mod checks;
mod outcomes;
mod searches;
mod subjects;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    TextEncoder,
};

use super::callers::{CallerMetrics, ObservedCallers};
use super::following::FollowingMetrics;
pub use super::registered::Family;
use super::registered::{Registry, counter, counters, gauge, gauges, raise, seconds, signed};
use super::sinks::SinkMetrics;
use super::witnesses::WitnessMetrics;
use crate::audit::record::{CacheUse, Surface};
use crate::audit::sinks::account::SinkStatus;
use crate::audit::tree::witness::WitnessState;
use crate::engine::decision::Effect;
use crate::store::replica::following::FollowingStatus;
use cache::CacheMetrics;
pub use cache::{Bypass, Verification};
use checks::CHECKS;
pub use checks::CheckOutcome;
pub use outcomes::OutcomeMetrics;
pub use searches::SearchMetrics;
use subjects::SubjectMetrics;

/// Upper bounds of the latency buckets, in seconds: a hit takes about a microsecond.
const BUCKETS: [f64; 17] =
    [1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0];

const EFFECTS: [(Effect, &str); 2] = [(Effect::Allow, "allow"), (Effect::Deny, "deny")];
const CACHED: [(CacheUse, &str); 3] =
    [(CacheUse::Hit, "hit"), (CacheUse::Miss, "miss"), (CacheUse::Bypass, "bypass")];
const SURFACES: [(Surface, &str); 7] = [
    (Surface::Grpc, "grpc"),
    (Surface::Batch, "batch"),
    (Surface::Stream, "stream"),
    (Surface::Authzen, "authzen"),
    (Surface::ExtAuthz, "ext_authz"),
    (Surface::Control, "control"),
    (Surface::Mcp, "mcp"),
];

/// The numbers of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    by_surface: Vec<SurfaceMetrics>,
    refusals: IntCounterVec,
    policy_errors: IntCounter,
    panics: IntCounter,
    subjects: SubjectMetrics,
    cache: CacheMetrics,
    outcomes: OutcomeMetrics,
    searches: SearchMetrics,
    checks: Vec<IntCounter>,
    observed: Mutex<ObservedMetrics>,
}

/// What one door counts.
#[derive(Debug)]
struct SurfaceMetrics {
    /// By effect, then by what part the cache had.
    decisions: Vec<IntCounter>,
    seconds: Histogram,
}

impl Metrics {
    /// All of them, at nought.
    ///
    /// # Errors
    /// Two have one name: a defect of the build.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::default();
        let decisions = counters(
            &registry,
            "pdp_decisions_total",
            "Decisions made, by effect, door and what part the cache had.",
            &["effect", "surface", "cached"],
        )?;
        let options = HistogramOpts::new("pdp_decision_seconds", "Time a decision took, transport left out.");
        let seconds = HistogramVec::new(options.buckets(BUCKETS.to_vec()), &["surface"])?;
        registry.register(Box::new(seconds.clone()))?;
        let by_surface = SURFACES.iter().map(|(_, surface)| SurfaceMetrics {
            decisions: EFFECTS
                .iter()
                .flat_map(|(_, effect)| CACHED.iter().map(move |(_, cached)| (effect, cached)))
                .map(|(effect, cached)| decisions.with_label_values(&[*effect, *surface, *cached]))
                .collect(),
            seconds: seconds.with_label_values(&[*surface]),
        });
        let checks = counters(
            &registry,
            "pdp_checks_total",
            "Decisions of the sample that Cedar's own authorizer makes once more, by what came of it.",
            &["outcome"],
        )?;
        Ok(Self {
            by_surface: by_surface.collect(),
            checks: CHECKS.iter().map(|outcome| checks.with_label_values(&[*outcome])).collect(),
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
            panics: counter(&registry, "pdp_panics_total", "Requests that met a defect.")?,
            observed: Mutex::new(ObservedMetrics::new(&registry)?),
            registry,
        })
    }

    /// What each metric is, by name.
    pub fn families(&self) -> Vec<Family> {
        self.registry.families()
    }

    /// Counts a decision.
    pub fn decided(&self, effect: Effect, surface: Surface, cached: CacheUse, latency: Duration) {
        let place = |found: Option<usize>| found.unwrap_or(0);
        let effect = place(EFFECTS.iter().position(|(value, _)| *value == effect));
        let cached = place(CACHED.iter().position(|(value, _)| *value == cached));
        let surface = place(SURFACES.iter().position(|(value, _)| *value == surface));
        let Some(metrics) = self.by_surface.get(surface) else { return };
        if let Some(decisions) = metrics.decisions.get(effect * CACHED.len() + cached) {
            decisions.inc();
        }
        metrics.seconds.observe(latency.as_secs_f64());
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
        let surface = SURFACES.iter().find(|(value, _)| *value == surface).map_or("", |(_, name)| name);
        self.refusals.with_label_values(&[surface, code]).inc();
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

    /// Counts a decision of the sample.
    pub fn checked(&self, outcome: CheckOutcome) {
        self.checks.get(outcome as usize).inspect(|count| count.inc());
    }

    /// Counts a request that met a defect.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// The text Prometheus reads, with what others counted. Whoever asks second observes second: numbers of two moments
    /// are never mixed.
    ///
    /// # Errors
    /// The metrics cannot be written as text: a defect of the build.
    pub fn render(&self, observe: impl FnOnce() -> Observed) -> prometheus::Result<String> {
        // Nobody panics while holding it; if somebody did, the numbers are still numbers.
        let metrics = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        let observed = observe();
        metrics.set(&observed);
        self.subjects.set(&observed);
        self.cache.set(&observed);
        TextEncoder::new().encode_to_string(&self.registry.gather())
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
    /// Records made.
    pub records_issued: u64,
    /// Records, by what became of them.
    pub records: Vec<(&'static str, u64)>,
    /// Records that wait.
    pub records_queued: u64,
    /// Decisions that are kept.
    pub cache_entries: u64,
    /// About how many bytes they take.
    pub cache_bytes: u64,
    /// Decisions that were dropped to make room.
    pub cache_evictions: u64,
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
    issued: IntCounter,
    records: IntCounterVec,
    queued: IntGauge,
    insecure: IntGauge,
    callers: CallerMetrics,
    sinks: SinkMetrics,
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
            issued: counter(registry, "pdp_audit_records_issued_total", "Records that answers made.")?,
            records: counters(
                registry,
                "pdp_audit_records_total",
                "What became of records: written, or dropped and why.",
                &["outcome"],
            )?,
            queued: gauge("pdp_audit_queue_depth", "Records that wait to be written.")?,
            callers: CallerMetrics::new(registry)?,
            sinks: SinkMetrics::new(registry)?,
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
        self.queued.set(signed(observed.records_queued));
        self.insecure.set(i64::from(observed.insecure));
        self.callers.set(&observed.callers);
        self.sinks.set(&observed.sinks);
        self.witnesses.set(&observed.witnesses);
        self.following.set(observed.following.as_ref());
        raise(&self.issued, observed.records_issued);
        for (outcome, count) in &observed.reloads {
            raise(&self.reloads.with_label_values(&[*outcome]), *count);
        }
        for (outcome, count) in &observed.records {
            raise(&self.records.with_label_values(&[*outcome]), *count);
        }
    }
}

#[cfg(test)]
#[path = "metrics/metrics_tests.rs"]
mod tests;

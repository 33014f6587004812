//! What decisions count: what came of them, how long they took, why they were denials.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter};

use crate::audit::record::{CacheUse, Surface};
use crate::engine::decision::{Effect, ReasonCode};
use crate::telemetry::registered::{Registry, counters};

/// Upper bounds of the latency buckets, in seconds: a hit takes about a microsecond.
const BUCKETS: [f64; 17] =
    [1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0];

const EFFECTS: [Effect; 2] = [Effect::Allow, Effect::Deny];
const CACHED: [CacheUse; 3] = [CacheUse::Hit, CacheUse::Miss, CacheUse::Bypass];
const SURFACES: [Surface; 7] = [
    Surface::Grpc,
    Surface::Batch,
    Surface::Stream,
    Surface::Authzen,
    Surface::ExtAuthz,
    Surface::Control,
    Surface::Mcp,
];

/// The numbers.
#[derive(Debug)]
pub(super) struct DecisionMetrics {
    by_surface: Vec<SurfaceMetrics>,
    /// In the order of [`ReasonCode::ALL`]. By which generation they were denied, `pdp_generation_info` says of the same
    /// moment: as a label it would make new series with every load.
    denials: Vec<IntCounter>,
}

/// What one door counts.
#[derive(Debug)]
struct SurfaceMetrics {
    /// By effect, then by what part the cache had.
    decisions: Vec<IntCounter>,
    seconds: Histogram,
}

impl DecisionMetrics {
    /// All at nought: what has not happened yet can be watched for.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let decisions = counters(
            registry,
            "pdp_decisions_total",
            "Decisions made, by effect, door and what part the cache had.",
            &["effect", "surface", "cached"],
        )?;
        let options = HistogramOpts::new("pdp_decision_seconds", "Time a decision took, transport left out.");
        let seconds = HistogramVec::new(options.buckets(BUCKETS.to_vec()), &["surface"])?;
        registry.register(Box::new(seconds.clone()))?;
        let by_surface = SURFACES.map(Surface::as_str).map(|surface| SurfaceMetrics {
            decisions: EFFECTS
                .into_iter()
                .flat_map(|effect| CACHED.map(|cached| (effect.as_str(), cached.as_str())))
                .map(|(effect, cached)| decisions.with_label_values(&[effect, surface, cached]))
                .collect(),
            seconds: seconds.with_label_values(&[surface]),
        });
        let denials = counters(registry, "pdp_denials_total", "Denials, by their reason.", &["reason"])?;
        let denials = ReasonCode::ALL.map(|reason| denials.with_label_values(&[reason.as_str()]));
        Ok(Self { by_surface: by_surface.into(), denials: denials.into() })
    }

    /// Counts a decision, and why it is a denial if it is one.
    pub(super) fn decided(
        &self,
        effect: Effect,
        reason: Option<ReasonCode>,
        surface: Surface,
        cached: CacheUse,
        latency: Duration,
    ) {
        let place = |found: Option<usize>| found.unwrap_or(0);
        if let Some(reason) = reason {
            let reason = place(ReasonCode::ALL.iter().position(|code| *code == reason));
            self.denials.get(reason).inspect(|denials| denials.inc());
        }
        let effect = place(EFFECTS.iter().position(|value| *value == effect));
        let cached = place(CACHED.iter().position(|value| *value == cached));
        let surface = place(SURFACES.iter().position(|value| *value == surface));
        let Some(metrics) = self.by_surface.get(surface) else { return };
        if let Some(decisions) = metrics.decisions.get(effect * CACHED.len() + cached) {
            decisions.inc();
        }
        metrics.seconds.observe(latency.as_secs_f64());
    }
}

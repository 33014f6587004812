//! What searches cost and find.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec};

use crate::telemetry::registered::{Registry, counters};

/// Upper bounds of the buckets, in seconds: a candidate takes some microseconds, and a page has up to ten thousand.
const BUCKETS: [f64; 11] = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.5, 1.0];
/// What can be searched for.
const SOUGHT: [&str; 3] = ["actions", "resources", "principals"];

/// The numbers.
#[derive(Debug)]
pub struct SearchMetrics {
    candidates: IntCounterVec,
    seconds: HistogramVec,
}

impl SearchMetrics {
    /// All at nought.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Candidates of searches, by what was searched for and what came of it.";
        let candidates = counters(registry, "pdp_search_candidates_total", help, &["sought", "outcome"])?;
        let options =
            HistogramOpts::new("pdp_search_seconds", "Time a page of a search took, transport left out.");
        let seconds = HistogramVec::new(options.buckets(BUCKETS.to_vec()), &["sought"])?;
        registry.register(Box::new(seconds.clone()))?;
        for sought in SOUGHT {
            seconds.with_label_values(&[sought]);
            for outcome in ["found", "left_out"] {
                candidates.with_label_values(&[sought, outcome]);
            }
        }
        Ok(Self { candidates, seconds })
    }

    /// Counts a page.
    pub fn answered(&self, sought: &'static str, found: usize, examined: usize, latency: Duration) {
        let count = |outcome: &str, count: usize| {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            self.candidates.with_label_values(&[sought, outcome]).inc_by(count);
        };
        count("found", found);
        count("left_out", examined.saturating_sub(found));
        self.seconds.with_label_values(&[sought]).observe(latency.as_secs_f64());
    }
}

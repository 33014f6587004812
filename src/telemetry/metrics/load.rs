//! How much there is to do, and what is turned away.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, IntGaugeVec};

use super::Observed;
use crate::telemetry::registered::{Registry, counter, counters, gauge, gauges, signed};

/// Why requests are turned away.
const SHED: [&str; 4] = ["queue_delay", "deadline", "queue_full", "memory"];
/// Upper bounds of the buckets, in seconds.
const BUCKETS: [f64; 11] = [1e-5, 5e-5, 2e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.2, 1.0];

/// The numbers.
#[derive(Debug)]
pub struct LoadMetrics {
    shed: Vec<IntCounter>,
    rate_limited: IntCounter,
    delay: Histogram,
    overloaded: IntGauge,
    under_way: IntGauge,
    waiting: IntGauge,
    memory: IntGaugeVec,
    memory_pressure: IntGauge,
}

impl LoadMetrics {
    /// All at nought.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Requests that were turned away unread because there were too many, by reason.";
        let shed = counters(registry, "pdp_requests_shed_total", help, &["reason"])?;
        let options = HistogramOpts::new(
            "pdp_queue_delay_seconds",
            "Time from a request's arrival until a thread looked at it.",
        );
        let delay = Histogram::with_opts(options.buckets(BUCKETS.to_vec()))?;
        registry.register(Box::new(delay.clone()))?;
        let gauge = |name, help| gauge(registry, name, help);
        Ok(Self {
            shed: SHED.iter().map(|reason| shed.with_label_values(&[*reason])).collect(),
            rate_limited: counter(
                registry,
                "pdp_rate_limited_total",
                "Calls refused because their caller asks more than it may.",
            )?,
            delay,
            overloaded: gauge("pdp_overloaded", "1 while requests are turned away that had to wait.")?,
            under_way: gauge("pdp_requests_in_flight", "Requests that are being answered.")?,
            waiting: gauge("pdp_requests_queued", "Requests that wait for others to be answered.")?,
            memory: gauges(
                registry,
                "pdp_memory_bytes",
                "Memory that the process uses, and that it may; a limit of 0 is none.",
                &["kind"],
            )?,
            memory_pressure: gauge(
                "pdp_memory_pressure",
                "1 while less is remembered, and 2 while requests are turned away, for want of memory.",
            )?,
        })
    }

    /// Counts a request that was turned away.
    pub fn shed(&self, reason: &'static str) {
        let counts = SHED.iter().zip(&self.shed).filter(|(shed, _)| **shed == reason);
        counts.for_each(|(_, count)| count.inc());
    }

    /// Counts a call whose caller asks more than it may.
    pub fn rate_limited(&self) {
        self.rate_limited.inc();
    }

    /// Counts how long a request waited for a thread, in nanoseconds.
    pub fn waited(&self, nanos: u64) {
        self.delay.observe(Duration::from_nanos(nanos).as_secs_f64());
    }

    /// Says whether requests are turned away that had to wait.
    pub fn overloaded(&self, overloaded: bool) {
        self.overloaded.set(i64::from(overloaded));
    }

    pub(super) fn set(&self, observed: &Observed) {
        let ObservedLoad { under_way, waiting, memory_used, memory_limit, memory_pressure } = observed.load;
        self.under_way.set(signed(under_way));
        self.waiting.set(signed(waiting));
        self.memory.with_label_values(&["resident"]).set(signed(memory_used));
        self.memory.with_label_values(&["limit"]).set(signed(memory_limit));
        self.memory_pressure.set(memory_pressure);
    }
}

/// How much there is to do, at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct ObservedLoad {
    /// Requests that are being answered.
    pub under_way: usize,
    /// Requests that wait for others to be answered.
    pub waiting: usize,
    /// Memory that the process uses, in bytes.
    pub memory_used: u64,
    /// Memory that it may use; none: 0.
    pub memory_limit: u64,
    /// What is done for want of memory: nothing, less is remembered, requests are turned away.
    pub memory_pressure: i64,
}

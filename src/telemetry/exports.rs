//! What became of what was meant for OpenTelemetry collectors.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::IntCounterVec;

use super::registered::{Registry, counters, raise};

/// What becomes of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanFate {
    /// The collector took it.
    Exported,
    /// Too many waited already.
    QueueFull,
    /// It could not be sent, or the collector answered with an error.
    Failed,
    /// The collector took its batch, but not it.
    Rejected,
}

/// In the order of [`SpanFate`].
const FATES: [&str; 4] = ["exported", "queue_full", "failed", "rejected"];

/// What becomes of one push of all metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushFate {
    /// The collector took it.
    Exported,
    /// It could not be sent, or the collector took it not, or not whole.
    Failed,
}

/// In the order of [`PushFate`].
const PUSHES: [&str; 2] = ["exported", "failed"];

/// Counts of both.
#[derive(Debug, Default)]
pub struct ExportCounts {
    spans: [AtomicU64; FATES.len()],
    pushes: [AtomicU64; PUSHES.len()],
}

impl ExportCounts {
    /// How many spans became of that.
    pub(super) fn spans(&self, fate: SpanFate) -> &AtomicU64 {
        let [exported, queue_full, failed, rejected] = &self.spans;
        match fate {
            SpanFate::Exported => exported,
            SpanFate::QueueFull => queue_full,
            SpanFate::Failed => failed,
            SpanFate::Rejected => rejected,
        }
    }

    /// How many pushes became of that.
    pub(super) fn pushes(&self, fate: PushFate) -> &AtomicU64 {
        let [exported, failed] = &self.pushes;
        match fate {
            PushFate::Exported => exported,
            PushFate::Failed => failed,
        }
    }
}

/// The numbers.
#[derive(Debug)]
pub(super) struct ExportMetrics {
    spans: IntCounterVec,
    pushes: IntCounterVec,
}

impl ExportMetrics {
    /// All at nought, whether or not anything is exported: what has not happened yet can be watched for.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Spans that ended, by what became of them; all but `exported` are lost.";
        let spans = counters(registry, "pdp_trace_spans_total", help, &["outcome"])?;
        let help = "Pushes of metrics to an OpenTelemetry collector, by what became of them.";
        let pushes = counters(registry, "pdp_metrics_pushes_total", help, &["outcome"])?;
        Ok(Self { spans, pushes })
    }

    pub(super) fn set(&self, counts: &ExportCounts) {
        let families =
            [(&self.spans, &FATES[..], &counts.spans[..]), (&self.pushes, &PUSHES[..], &counts.pushes[..])];
        for (family, names, counts) in families {
            for (name, count) in names.iter().zip(counts) {
                raise(&family.with_label_values(&[*name]), count.load(Ordering::Relaxed));
            }
        }
    }
}

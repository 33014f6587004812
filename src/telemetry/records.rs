//! Numbers about the decision log on this disk: the account of its records, and when it was signed.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::registered::{Registry, counter, counters, gauge, raise, signed};

/// What was counted elsewhere, at one moment.
#[derive(Debug, Clone, Default)]
pub struct ObservedRecords {
    /// Records made.
    pub issued: u64,
    /// Records, by what became of them.
    pub by_outcome: Vec<(&'static str, u64)>,
    /// Records that wait.
    pub queued: u64,
    /// Records of the process before that are missing, or may be at most.
    pub lost_before: u64,
    /// When a checkpoint was signed last, in seconds since 1970; 0 if none was.
    pub checkpoint_signed: i64,
}

#[derive(Debug)]
pub(super) struct RecordMetrics {
    issued: IntCounter,
    by_outcome: IntCounterVec,
    queued: IntGauge,
    lost_before: IntGauge,
    checkpoint_signed: IntGauge,
}

impl RecordMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            issued: counter(registry, "pdp_audit_records_issued_total", "Records that answers made.")?,
            by_outcome: counters(
                registry,
                "pdp_audit_records_total",
                "What became of records: written, or dropped and why.",
                &["outcome"],
            )?,
            queued: gauge(registry, "pdp_audit_queue_depth", "Records that wait to be written.")?,
            lost_before: gauge(
                registry,
                "pdp_audit_previous_lost_records",
                "Records of the process before that are missing; at most, where its counters did not outlive it.",
            )?,
            checkpoint_signed: gauge(
                registry,
                "pdp_log_checkpoint_timestamp_seconds",
                "When a checkpoint of the decision log was signed last, in seconds since 1970; 0 if none was.",
            )?,
        })
    }

    pub(super) fn set(&self, observed: &ObservedRecords) {
        raise(&self.issued, observed.issued);
        for (outcome, count) in &observed.by_outcome {
            raise(&self.by_outcome.with_label_values(&[*outcome]), *count);
        }
        self.queued.set(signed(observed.queued));
        self.lost_before.set(signed(observed.lost_before));
        self.checkpoint_signed.set(observed.checkpoint_signed);
    }
}

//! Numbers about those to whom checkpoints of the decision log are shown.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::registered::{Registry, counters, gauges, raise, signed};
use crate::audit::tree::witness::WitnessState;

#[derive(Debug)]
pub(super) struct WitnessMetrics {
    seen: IntGaugeVec,
    failures: IntCounterVec,
}

impl WitnessMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            seen: gauges(
                registry,
                "pdp_log_witness_seen_timestamp_seconds",
                "When the witness took a checkpoint of the decision log last, or was begun with.",
                &["witness"],
            )?,
            failures: counters(
                registry,
                "pdp_log_witness_failures_total",
                "How often a checkpoint could not be shown to the witness.",
                &["witness"],
            )?,
        })
    }

    pub(super) fn set(&self, witnesses: &[WitnessState]) {
        for witness in witnesses {
            let name = witness.name();
            self.seen.with_label_values(&[name]).set(signed(witness.seen()));
            raise(&self.failures.with_label_values(&[name]), witness.failures());
        }
    }
}

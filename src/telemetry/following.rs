//! What a follower knows of its primary. Servers that follow nobody have none of these.

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts};

use super::registered::{Registry, counters, gauges, raise, signed};
use crate::store::replica::following::FollowingStatus;

/// By the primary's URL, which the configuration names.
const LABELS: &[&str] = &["primary"];

#[derive(Debug)]
pub(super) struct FollowingMetrics {
    lease: GaugeVec,
    connected: IntGaugeVec,
    resets: IntCounterVec,
    lag: IntGaugeVec,
}

impl FollowingMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let help = "How long this follower may answer yet, in seconds; at 0 it answers nothing.";
        let lease = GaugeVec::new(Opts::new("pdp_follower_lease_seconds", help), LABELS)?;
        registry.register(Box::new(lease.clone()))?;
        Ok(Self {
            lease,
            connected: gauges(
                registry,
                "pdp_follower_connected",
                "1 while this follower hears its primary.",
                LABELS,
            )?,
            resets: counters(
                registry,
                "pdp_follower_resets_total",
                "How often the primary told everything anew; the first time counts.",
                LABELS,
            )?,
            lag: gauges(
                registry,
                "pdp_follower_lag_worlds",
                "Worlds of the primary that this follower does not serve yet, when it asked last.",
                LABELS,
            )?,
        })
    }

    pub(super) fn set(&self, status: Option<&FollowingStatus>) {
        let Some(status) = status else { return };
        let primary = &[status.primary.as_str()];
        self.lease.with_label_values(primary).set(status.lease_remaining_seconds);
        self.connected.with_label_values(primary).set(i64::from(status.connected));
        self.lag.with_label_values(primary).set(signed(status.lag_worlds));
        raise(&self.resets.with_label_values(primary), status.resets);
    }
}

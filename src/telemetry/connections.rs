//! Numbers about connections: how many there are, and which limits ended others.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::registered::{Registry, counters, gauges, raise, signed};

/// What one listener counted, at one moment.
#[derive(Debug, Clone)]
pub struct ObservedConnections {
    /// The listener.
    pub listener: &'static str,
    /// Connections that are open.
    pub open: u64,
    /// Connections that limits ended, by the limits' names.
    pub ended: Vec<(&'static str, u64)>,
}

#[derive(Debug)]
pub(super) struct ConnectionMetrics {
    open: IntGaugeVec,
    ended: IntCounterVec,
}

impl ConnectionMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            open: gauges(
                registry,
                "pdp_connections",
                "Connections that are open, by listener.",
                &["listener"],
            )?,
            ended: counters(
                registry,
                "pdp_connections_ended_total",
                "Connections that a limit refused or ended, by listener and the limit's key in `[limits]`.",
                &["listener", "limit"],
            )?,
        })
    }

    pub(super) fn set(&self, observed: &[ObservedConnections]) {
        for ObservedConnections { listener, open, ended } in observed {
            self.open.with_label_values(&[*listener]).set(signed(*open));
            for (limit, count) in ended {
                raise(&self.ended.with_label_values(&[*listener, *limit]), *count);
            }
        }
    }
}

//! Numbers about where the decision log is delivered to: what each sink has, what it will never have, how far behind it is.

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts};

use super::registered::{Registry, counters, gauges, raise, signed};
use crate::audit::sinks::account::SinkStatus;

#[derive(Debug)]
pub(super) struct SinkMetrics {
    records: IntCounterVec,
    lag_records: IntGaugeVec,
    lag_seconds: GaugeVec,
    failing: IntGaugeVec,
    failures: IntCounterVec,
}

impl SinkMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Age of the oldest record that is synced here and that the sink does not have.";
        let lag_seconds = GaugeVec::new(Opts::new("pdp_log_sink_lag_seconds", help), &["sink"])?;
        registry.register(Box::new(lag_seconds.clone()))?;
        Ok(Self {
            records: counters(
                registry,
                "pdp_log_sink_records_total",
                "Records that a sink took (`delivered`), or will never have, and why.",
                &["sink", "result"],
            )?,
            lag_records: gauges(
                registry,
                "pdp_log_sink_lag_records",
                "Records that are synced here and that the sink does not have.",
                &["sink"],
            )?,
            lag_seconds,
            failing: gauges(
                registry,
                "pdp_log_sink_failing",
                "1 while the latest delivery to the sink failed.",
                &["sink"],
            )?,
            failures: counters(
                registry,
                "pdp_log_sink_failures_total",
                "Deliveries to the sink that failed, each attempt counted.",
                &["sink"],
            )?,
        })
    }

    pub(super) fn set(&self, sinks: &[SinkStatus]) {
        for sink in sinks {
            let name = sink.name.as_str();
            raise(&self.records.with_label_values(&[name, "delivered"]), sink.delivered);
            for (reason, records) in sink.lost.by_reason() {
                raise(&self.records.with_label_values(&[name, reason]), records);
            }
            self.lag_records.with_label_values(&[name]).set(signed(sink.lag_records));
            self.lag_seconds.with_label_values(&[name]).set(sink.lag_seconds);
            self.failing.with_label_values(&[name]).set(i64::from(sink.problem.is_some()));
            raise(&self.failures.with_label_values(&[name]), sink.failures);
        }
    }
}

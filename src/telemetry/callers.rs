//! Numbers about who asks: handshakes, authentication, rights, and the files that say who may.

use prometheus::{Gauge, IntCounterVec, IntGauge, IntGaugeVec};

use super::connections::{ConnectionMetrics, ObservedConnections};
use super::registered::{Registry, counters, gauge, gauges, raise};

/// What was counted elsewhere, at one moment. Outcomes by their names.
#[derive(Debug, Clone, Default)]
pub struct ObservedCallers {
    /// Connections, by listener.
    pub connections: Vec<ObservedConnections>,
    /// TLS handshakes.
    pub handshakes: Vec<(&'static str, u64)>,
    /// Calls that showed who makes them, or did not.
    pub authentications: Vec<(&'static str, u64)>,
    /// Rights that were asked for.
    pub rights: Vec<(&'static str, u64)>,
    /// When the server's certificate begins, in seconds since 1970; none without TLS.
    pub certificate_begins: Option<i64>,
    /// When the server's certificate ends, in seconds since 1970; none without TLS.
    pub certificate_expires: Option<i64>,
    /// The Workload API, if there is one: how often it gave something, how often it did not, and whether it does not now.
    pub workload_api: Option<(u64, u64, bool)>,
    /// Followed files: how often they were taken and rejected, and whether they are rejected as they are now.
    pub files: Vec<(&'static str, u64, u64, bool)>,
}

#[derive(Debug)]
pub(super) struct CallerMetrics {
    connections: ConnectionMetrics,
    handshakes: IntCounterVec,
    authentications: IntCounterVec,
    rights: IntCounterVec,
    certificate_begins: Gauge,
    certificate_expires: Gauge,
    workload_api: IntCounterVec,
    workload_api_failing: IntGauge,
    reloads: IntCounterVec,
    stale: IntGaugeVec,
}

impl CallerMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let certificate = |name: &str, help: &str| -> prometheus::Result<Gauge> {
            let gauge = Gauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        Ok(Self {
            connections: ConnectionMetrics::new(registry)?,
            handshakes: counters(
                registry,
                "pdp_tls_handshakes_total",
                "TLS handshakes, by outcome.",
                &["outcome"],
            )?,
            authentications: counters(
                registry,
                "pdp_caller_authentications_total",
                "Calls, by whether it is known who makes them.",
                &["outcome"],
            )?,
            rights: counters(
                registry,
                "pdp_caller_rights_total",
                "Rights of callers that were asked for, by outcome.",
                &["outcome"],
            )?,
            certificate_begins: certificate(
                "pdp_tls_certificate_begins_timestamp_seconds",
                "When the server's certificate begins, in seconds since 1970; 0 without TLS.",
            )?,
            certificate_expires: certificate(
                "pdp_tls_certificate_expires_timestamp_seconds",
                "When the server's certificate ends, in seconds since 1970; 0 without TLS.",
            )?,
            workload_api: counters(
                registry,
                "pdp_workload_api_updates_total",
                "What the Workload API gave, by outcome.",
                &["outcome"],
            )?,
            workload_api_failing: gauge(
                registry,
                "pdp_workload_api_failing",
                "1 while the Workload API gives nothing, and what it gave before is used until it ends.",
            )?,
            reloads: counters(
                registry,
                "pdp_caller_files_reloads_total",
                "Changes of the files that say who may ask, by outcome.",
                &["file", "outcome"],
            )?,
            stale: gauges(
                registry,
                "pdp_caller_files_rejected",
                "1 while files that say who may ask are rejected as they are, and what was in force before stays.",
                &["file"],
            )?,
        })
    }

    pub(super) fn set(&self, observed: &ObservedCallers) {
        self.connections.set(&observed.connections);
        let outcomes = [
            (&self.handshakes, &observed.handshakes),
            (&self.authentications, &observed.authentications),
            (&self.rights, &observed.rights),
        ];
        for (counter, counts) in outcomes {
            for (outcome, count) in counts {
                raise(&counter.with_label_values(&[*outcome]), *count);
            }
        }
        let seconds = |at: Option<i64>| {
            std::time::Duration::from_secs(at.and_then(|at| u64::try_from(at).ok()).unwrap_or(0))
                .as_secs_f64()
        };
        self.certificate_begins.set(seconds(observed.certificate_begins));
        self.certificate_expires.set(seconds(observed.certificate_expires));
        if let Some((given, failed, is_failing)) = observed.workload_api {
            raise(&self.workload_api.with_label_values(&["given"]), given);
            raise(&self.workload_api.with_label_values(&["failed"]), failed);
            self.workload_api_failing.set(i64::from(is_failing));
        }
        for (file, taken, rejected, is_stale) in &observed.files {
            raise(&self.reloads.with_label_values(&[*file, "taken"]), *taken);
            raise(&self.reloads.with_label_values(&[*file, "rejected"]), *rejected);
            self.stale.with_label_values(&[*file]).set(i64::from(*is_stale));
        }
    }
}

//! Numbers about who asks: handshakes, authentication, rights, and the files that say who may.

use prometheus::{Gauge, IntCounterVec, IntGaugeVec};

use super::connections::{ConnectionMetrics, ObservedConnections};
use super::registered::{Registry, counters, gauges, raise};

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
    /// When the server's certificate ends, in seconds since 1970; none without TLS.
    pub certificate_expires: Option<i64>,
    /// Followed files: how often they were taken and rejected, and whether they are rejected as they are now.
    pub files: Vec<(&'static str, u64, u64, bool)>,
}

#[derive(Debug)]
pub(super) struct CallerMetrics {
    connections: ConnectionMetrics,
    handshakes: IntCounterVec,
    authentications: IntCounterVec,
    rights: IntCounterVec,
    certificate_expires: Gauge,
    reloads: IntCounterVec,
    stale: IntGaugeVec,
}

impl CallerMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let certificate_expires = Gauge::new(
            "pdp_tls_certificate_expires_timestamp_seconds",
            "When the server's certificate ends, in seconds since 1970; 0 without TLS.",
        )?;
        registry.register(Box::new(certificate_expires.clone()))?;
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
            certificate_expires,
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
        let expires = observed.certificate_expires.unwrap_or(0);
        self.certificate_expires
            .set(std::time::Duration::from_secs(u64::try_from(expires).unwrap_or(0)).as_secs_f64());
        for (file, taken, rejected, is_stale) in &observed.files {
            raise(&self.reloads.with_label_values(&[*file, "taken"]), *taken);
            raise(&self.reloads.with_label_values(&[*file, "rejected"]), *rejected);
            self.stale.with_label_values(&[*file]).set(i64::from(*is_stale));
        }
    }
}

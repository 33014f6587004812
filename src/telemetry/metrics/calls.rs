//! How long calls take, as OpenTelemetry names it (Semantic Conventions 1.45, "RPC metrics", "HTTP metrics").

use std::sync::OnceLock;
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec};

use crate::telemetry::registered::Registry;

/// Upper bounds of the buckets, in seconds: those that the conventions advise from 5 ms on, and finer ones below.
const BUCKETS: [f64; 19] = [
    1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 7.5e-2, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
    7.5, 10.0,
];

/// gRPC's codes by their numbers (gRPC, "Status codes and their use").
pub const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Codes that say that the server failed, not its caller ("Recording errors" of gRPC servers).
pub const FAILURES: [&str; 6] =
    ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];

/// The numbers.
#[derive(Debug)]
pub struct CallMetrics {
    rpc: HistogramVec,
    http: HistogramVec,
}

impl CallMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let seconds = |name: &str, help: &str| HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
        let help = "Time from a call's arrival to the end of its answer, by method and status.";
        let options =
            seconds("rpc_server_call_duration_seconds", help).const_label("rpc_system_name", "grpc");
        let rpc = HistogramVec::new(options, &["rpc_method", "rpc_response_status_code"])?;
        registry.register(Box::new(rpc.clone()))?;
        let help = "Time from a request's arrival to its answer, by path and status.";
        let options =
            seconds("http_server_request_duration_seconds", help).const_label("http_request_method", "POST");
        let http = HistogramVec::new(options, &["http_route", "http_response_status_code"])?;
        registry.register(Box::new(http.clone()))?;
        Ok(Self { rpc, http })
    }

    /// Where calls of a method are counted. There are as many as the contract has methods.
    #[must_use]
    pub fn method(&self, name: &str) -> MethodMetrics {
        MethodMetrics { family: self.rpc.clone(), name: name.to_owned(), by_status: Default::default() }
    }

    /// Counts a request of a path that is answered here.
    pub fn requested(&self, route: &'static str, status: u16, latency: Duration) {
        let status = status.to_string();
        self.http.with_label_values(&[route, status.as_str()]).observe(latency.as_secs_f64());
    }
}

/// Calls of one method.
#[derive(Debug)]
pub struct MethodMetrics {
    family: HistogramVec,
    name: String,
    /// Found by number from the second time on: a look-up by label takes a lock that all calls would share.
    by_status: [OnceLock<Histogram>; STATUSES.len()],
}

impl MethodMetrics {
    /// Counts a call.
    pub fn ended(&self, status: usize, latency: Duration) {
        let (Some(place), Some(name)) = (self.by_status.get(status), STATUSES.get(status)) else { return };
        let histogram = place.get_or_init(|| self.family.with_label_values(&[self.name.as_str(), *name]));
        histogram.observe(latency.as_secs_f64());
    }
}

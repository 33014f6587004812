//! The ops listener: probes for the kubelet, numbers for Prometheus. Says nothing secret.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::report::ServiceReport;
use crate::telemetry::metrics::Metrics;

/// Whether requests should be sent here. Not while the service stops.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says whether requests should be sent here.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::SeqCst);
    }

    /// Whether they should.
    #[must_use]
    pub fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What the ops listener tells.
#[derive(Debug)]
pub struct Ops {
    /// Whether requests should be sent here.
    pub readiness: Readiness,
    /// What decisions count.
    pub metrics: Arc<Metrics>,
    /// What everything else has to say.
    pub report: ServiceReport,
}

/// Everything the ops listener serves.
pub fn router(ops: Arc<Ops>) -> Router {
    Router::new()
        // That it answers at all is the answer: the probe must not depend on anything that a restart would not mend.
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(ops)
}

async fn ready(State(ops): State<Arc<Ops>>) -> Response {
    let unable = match () {
        () if !ops.readiness.get() => "stopping",
        () if !ops.report.is_current() => {
            "the primary that is followed has not vouched for what is served within its lease"
        }
        () if ops.report.audit.is_stalled() => "the decision log cannot be written, and answers wait for it",
        () if ops.report.gates.are_shut() => {
            "the server's certificate has come to its end, and the Workload API gives no other"
        }
        () => return "ok".into_response(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {unable}")).into_response()
}

async fn metrics(State(ops): State<Arc<Ops>>) -> Response {
    match ops.metrics.render(|| ops.report.observed()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

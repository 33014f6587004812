//! What is exported to OpenTelemetry collectors: from the configuration to threads, and their end.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::StartError;
use crate::collector;
use crate::config::Telemetry;
use crate::server::report::ServiceReport;
use crate::telemetry::exporter::{Exporter, ExporterError};
use crate::telemetry::exports::ExportCounts;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::push::Pusher;
use crate::telemetry::traces::{self, Tracer};

/// Exporters, those of spans under way. Dropping them ends them, without waiting.
#[derive(Debug)]
pub(super) struct Exports {
    /// What begins traces, if there are any.
    pub(super) tracer: Option<Arc<Tracer>>,
    /// What becomes of what is exported.
    pub(super) counts: Arc<ExportCounts>,
    running: Vec<Exporter>,
    pusher: Option<Pusher>,
}

impl Exports {
    /// Begins to export spans, if they are to be.
    ///
    /// # Errors
    /// A collector can never be reached, or the system gives no thread.
    pub(super) fn begin(config: &Telemetry) -> Result<Self, ExporterError> {
        let counts = Arc::default();
        let besides = config.resource.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let resource = collector::resource(&Uuid::now_v7().to_string(), besides);
        let push = config.metrics.as_ref();
        let pusher = push.map(|push| Pusher::open(push, resource.clone(), &counts)).transpose()?;
        let traces = config.traces.as_ref();
        let traces = traces.map(|traces| traces::export::start(traces, resource, &counts)).transpose()?;
        let (tracer, exporter) = traces.unzip();
        Ok(Self { tracer, counts, running: exporter.into_iter().collect(), pusher })
    }

    /// Begins to push metrics, if they are to be.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn push(&mut self, metrics: &Arc<Metrics>, report: &ServiceReport) -> Result<(), StartError> {
        if let Some(pusher) = self.pusher.take() {
            let report = report.clone();
            self.running.push(pusher.start(Arc::clone(metrics), move || report.observed())?);
        }
        Ok(())
    }

    /// Has what waits exported, for at most this long.
    pub(super) async fn stop(self, within: Duration) {
        // Nobody begins a trace any more.
        let ends = self.running.into_iter().map(|exporter| exporter.stop(within));
        futures_util::future::join_all(ends).await;
    }
}

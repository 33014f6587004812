//! The numbers of `/metrics`, pushed to a collector: one registry is the truth of both.

mod families;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::time::MissedTickBehavior;

use super::exporter::{Exporter, ExporterError, Signs, Standing};
use super::exports::{ExportCounts, PushFate};
use super::metrics::{Metrics, Observed};
use crate::collector::{self, Collector, CollectorConfig, brief};
use families::Moment;

/// How often numbers are pushed, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushConfig {
    /// Who takes them.
    pub collector: CollectorConfig,
    /// How often.
    pub interval: Duration,
}

/// Where numbers are pushed to, which nobody does yet.
#[derive(Debug)]
pub struct Pusher {
    collector: Collector,
    interval: Duration,
    resource: Resource,
    counts: Arc<ExportCounts>,
    standing: Standing,
    /// Since when counters count.
    began: SystemTime,
}

impl Pusher {
    /// A pusher to the collector that is configured.
    ///
    /// # Errors
    /// The collector can never be reached.
    pub fn open(
        config: &PushConfig,
        resource: Resource,
        counts: &Arc<ExportCounts>,
    ) -> Result<Self, ExporterError> {
        let collector = Collector::open(&config.collector);
        let collector = collector
            .map_err(|error| ExporterError::Collector { signal: "metrics", why: error.to_string() })?;
        let (interval, counts) = (config.interval, Arc::clone(counts));
        let (standing, began) = (Standing::of("metrics"), SystemTime::now());
        Ok(Self { collector, interval, resource, counts, standing, began })
    }

    /// Pushes these numbers, with what others count, on a thread of its own; at the end once more.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        self,
        metrics: Arc<Metrics>,
        observe: impl Fn() -> Observed + Send + 'static,
    ) -> Result<Exporter, ExporterError> {
        Exporter::start("metrics", move |signs| self.run(signs, metrics, observe))
    }

    async fn run(mut self, mut signs: Signs, metrics: Arc<Metrics>, observe: impl Fn() -> Observed) {
        let mut ticks = tokio::time::interval(self.interval);
        // A collector that hangs is not given all that it missed.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let ends = tokio::select! {
                _ = ticks.tick() => false,
                () = signs.end() => true,
            };
            let moment = Moment { began: self.began, now: SystemTime::now() };
            let sent = families::sent(&metrics.gather(&observe), moment);
            let outcome = self.exported(sent).await;
            let fate = if outcome.is_ok() { PushFate::Exported } else { PushFate::Failed };
            self.counts.pushes(fate).fetch_add(1, Ordering::Relaxed);
            self.standing.now(outcome);
            if ends {
                return;
            }
        }
    }

    /// # Errors
    /// Why the collector has not all of it.
    async fn exported(&mut self, metrics: Vec<Metric>) -> Result<(), String> {
        let scope = Some(collector::scope("mandate"));
        let scope_metrics = vec![ScopeMetrics { scope, metrics, ..Default::default() }];
        let resource = Some(self.resource.clone());
        let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..Default::default() }];
        let request = self.collector.request(ExportMetricsServiceRequest { resource_metrics });
        let request = request.map_err(|error| error.to_string())?;
        let mut client = MetricsServiceClient::new(self.collector.channel());
        match self.collector.answered(client.export(request)).await?.partial_success {
            Some(partial) if partial.rejected_data_points > 0 => {
                let (rejected, why) = (partial.rejected_data_points, brief(&partial.error_message));
                Err(format!("it rejected {rejected} numbers: {why}"))
            }
            _ => Ok(()),
        }
    }
}

//! From the queue of spans to a collector: a thread with a runtime of its own. What it cannot give away it counts and
//! forgets; nobody waits for it but the end of the process, for a while.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use tokio::sync::mpsc;

use super::ratio::Ratio;
use super::span::Span;
use super::{SpanFate, Tracer};
use crate::collector::{self, Collector, CollectorConfig, CollectorError};
use crate::telemetry::exporter::{Exporter, ExporterError, Signs, Standing};
use crate::telemetry::exports::ExportCounts;

/// Most spans that wait: at two to five hundred bytes each, about a megabyte.
const MAX_WAITING: usize = 4096;
/// Most spans of a batch.
const MAX_BATCH: usize = 512;
/// How long a batch waits for more.
const DELAY: Duration = Duration::from_secs(1);

/// Which traces are recorded, and where their spans go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracesConfig {
    /// Who takes them.
    pub collector: CollectorConfig,
    /// How many of the traces that begin here are recorded.
    pub ratio: Ratio,
}

/// What begins traces, and the thread that exports them. Dropping that ends it, without waiting.
///
/// # Errors
/// The collector can never be reached, or the system gives no thread.
pub fn start(
    config: &TracesConfig,
    resource: Resource,
    counts: &Arc<ExportCounts>,
) -> Result<(Arc<Tracer>, Exporter), ExporterError> {
    let (queue, spans) = mpsc::channel(MAX_WAITING);
    let exporting = Exporting {
        spans,
        collector: Collector::open(&config.collector).map_err(|error| unusable(&error))?,
        resource,
        counts: Arc::clone(counts),
        standing: Standing::of("spans"),
    };
    let exporter = Exporter::start("traces", move |signs| exporting.run(signs))?;
    let (ratio, counts) = (config.ratio, Arc::clone(counts));
    Ok((Arc::new(Tracer { ratio, state: ratio.to_string().into(), queue, counts }), exporter))
}

fn unusable(error: &CollectorError) -> ExporterError {
    ExporterError::Collector { signal: "traces", why: error.to_string() }
}

struct Exporting {
    spans: mpsc::Receiver<Span>,
    collector: Collector,
    resource: Resource,
    counts: Arc<ExportCounts>,
    standing: Standing,
}

impl Exporting {
    /// Exports until it is told to end, and then what waits.
    async fn run(mut self, mut signs: Signs) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        loop {
            let ends = self.gather(&mut batch, &mut signs).await;
            if batch.is_empty() {
                // Nothing waits, and nothing comes any more.
                return;
            }
            self.export(std::mem::take(&mut batch)).await;
            if ends && self.spans.is_empty() {
                return;
            }
        }
    }

    /// Takes a batch: as many as there are once one is there and the delay is over, or at once when the end is near. Says
    /// whether it is.
    async fn gather(&mut self, batch: &mut Vec<Span>, signs: &mut Signs) -> bool {
        tokio::select! {
            biased;
            taken = self.spans.recv_many(batch, MAX_BATCH) => if taken == 0 { return true },
            () = signs.end() => {
                let _taken = self.spans.recv_many(batch, MAX_BATCH.min(self.spans.len())).await;
                return true;
            }
        }
        let more = async {
            while batch.len() < MAX_BATCH && self.spans.recv_many(batch, MAX_BATCH - batch.len()).await > 0 {}
        };
        tokio::select! {
            () = more => false,
            () = tokio::time::sleep(DELAY) => false,
            () = signs.end() => true,
        }
    }

    async fn export(&mut self, batch: Vec<Span>) {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let outcome = self.exported(batch).await;
        let add = |fate, count| self.counts.spans(fate).fetch_add(count, Ordering::Relaxed);
        match &outcome {
            Ok(rejected) => {
                add(SpanFate::Rejected, *rejected);
                add(SpanFate::Exported, count.saturating_sub(*rejected));
            }
            Err(_why) => {
                add(SpanFate::Failed, count);
            }
        }
        self.standing.now(outcome.map(drop));
    }

    /// How many of a batch the collector rejected.
    ///
    /// # Errors
    /// Why it has none of it.
    async fn exported(&mut self, batch: Vec<Span>) -> Result<u64, String> {
        let spans = batch.into_iter().map(Span::sent).collect();
        let scope = Some(collector::scope("mandate"));
        let scope_spans = vec![ScopeSpans { scope, spans, ..Default::default() }];
        let resource = Some(self.resource.clone());
        let resource_spans = vec![ResourceSpans { resource, scope_spans, ..Default::default() }];
        let request = self.collector.request(ExportTraceServiceRequest { resource_spans });
        let request = request.map_err(|error| error.to_string())?;
        let mut client = TraceServiceClient::new(self.collector.channel());
        let answer = self.collector.answered(client.export(request)).await?;
        let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
        Ok(u64::try_from(rejected).unwrap_or(0))
    }
}

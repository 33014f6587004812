//! What is told of every call: how long it took and what came of it, as a number and, where it is traced, as a span.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, Response};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use prost_types::FileDescriptorSet;
use tonic::Code;

use super::{call, pb};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::calls::{FAILURES, MethodMetrics, STATUSES};
use crate::telemetry::traces::{OTHER, SpanOf, Trace, Tracer};

/// Observes calls.
pub struct Observer {
    metrics: Arc<Metrics>,
    tracer: Option<Arc<Tracer>>,
    /// Places in `methods`, by path.
    places: HashMap<String, usize>,
    /// All that there are, and one that stands for every other.
    methods: Vec<Method>,
}

/// A method that calls are of.
struct Method {
    name: Arc<str>,
    metrics: MethodMetrics,
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("tracer", &self.tracer).finish_non_exhaustive()
    }
}

impl Observer {
    /// Counts calls here, and traces them by this if there is one.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, tracer: Option<Arc<Tracer>>) -> Self {
        let method = |name: &str| Method { name: name.into(), metrics: metrics.calls().method(name) };
        let names: Vec<_> = methods().collect();
        let places = names.iter().enumerate().map(|(place, name)| (format!("/{name}"), place)).collect();
        let methods = names.iter().map(String::as_str).chain([OTHER]).map(method).collect();
        Self { tracer, places, methods, metrics }
    }

    /// Begins to observe a call over gRPC.
    pub(super) fn call(self: &Arc<Self>, path: &str, headers: &HeaderMap) -> Observed {
        let method = self.places.get(path).copied().unwrap_or(self.places.len());
        // Whoever probes asks every few seconds, and nobody wants to read that.
        let tracer = self.tracer.as_ref().filter(|_| !path.starts_with(call::OPEN));
        Observed::begin(self, What::Call { method, status: None }, tracer, headers)
    }

    /// Begins to observe a request over HTTP, of a path that is answered.
    pub(super) fn request(self: &Arc<Self>, route: &'static str, headers: &HeaderMap) -> Observed {
        Observed::begin(self, What::Request { route, status: None }, self.tracer.as_ref(), headers)
    }
}

/// Every method that this build has, `package.Service/Method`. The descriptors are its own: one that cannot be read is a
/// defect, which the tests would find.
fn methods() -> impl Iterator<Item = String> {
    let sets = [
        pb::DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let files = sets.into_iter().flat_map(|set| {
        let set: FileDescriptorSet = prost::Message::decode(set).unwrap_or_default();
        set.file
    });
    files.flat_map(|file| {
        let package = file.package().to_owned();
        file.service.into_iter().flat_map(move |service| {
            let service_name = format!("{package}.{}", service.name());
            let names = service.method.iter().map(|method| format!("{service_name}/{}", method.name()));
            names.collect::<Vec<_>>()
        })
    })
}

/// What is observed, and what came of it so far.
enum What {
    Call { method: usize, status: Option<Code> },
    Request { route: &'static str, status: Option<u16> },
}

/// A call under way. It ends when this is dropped: with its answer, or because nobody waits for one any more.
pub(super) struct Observed {
    observer: Arc<Observer>,
    what: What,
    begun: Instant,
    trace: Option<Arc<Trace>>,
}

impl Observed {
    fn begin(
        observer: &Arc<Observer>,
        what: What,
        tracer: Option<&Arc<Tracer>>,
        headers: &HeaderMap,
    ) -> Self {
        let trace = tracer.and_then(|tracer| tracer.begin(headers));
        Self { observer: Arc::clone(observer), what, begun: Instant::now(), trace }
    }

    /// The trace it belongs to, if that is recorded.
    pub(super) fn trace(&self) -> Option<Arc<Trace>> {
        self.trace.clone()
    }

    /// Goes on observing while the answer is sent: how a call over gRPC ends, its trailers say.
    pub(super) fn answered(mut self, response: Response<Body>) -> Response<Body> {
        match &mut self.what {
            What::Request { status, .. } => {
                *status = Some(response.status().as_u16());
                response
            }
            What::Call { status, .. } => {
                *status = status_of(response.headers());
                response.map(|body| Body::new(Answering { body, observed: self }))
            }
        }
    }
}

fn status_of(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|status| Code::from_bytes(status.as_bytes()))
}

impl Drop for Observed {
    fn drop(&mut self) {
        let latency = self.begun.elapsed();
        let span = match &self.what {
            What::Call { method, status } => {
                let Some(method) = self.observer.methods.get(*method) else { return };
                let code = usize::try_from(status.unwrap_or(Code::Cancelled) as i32).unwrap_or(0);
                method.metrics.ended(code, latency);
                let status = STATUSES.get(code).copied().unwrap_or_default();
                let failed = FAILURES.contains(&status);
                self.trace.is_some().then(|| SpanOf::Rpc { method: Arc::clone(&method.name), status, failed })
            }
            What::Request { route, status } => {
                if let Some(status) = status {
                    self.observer.metrics.calls().requested(route, *status, latency);
                }
                Some(SpanOf::Http { route, status: *status })
            }
        };
        if let Some((trace, span)) = self.trace.take().zip(span) {
            trace.ended(span);
        }
    }
}

/// An answer over gRPC that is being sent.
struct Answering {
    body: Body,
    observed: Observed,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let (Some(trailers), What::Call { status, .. }) =
                (frame.trailers_ref(), &mut self.observed.what)
        {
            *status = status_of(trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_contract_is_known_by_its_name() {
        let known: Vec<_> = methods().collect();
        for name in [
            "mandate.v1.AuthorizationService/Authorize",
            "mandate.v1.AuthorizationService/AuthorizeStream",
            "mandate.v1.DecisionLogService/ReportOutcome",
            "mandate.v1.AdminService/GetStatus",
            "mandate.v1.EntityService/Watch",
            "mandate.v1.SearchService/SearchActions",
            "envoy.service.auth.v3.Authorization/Check",
            "grpc.health.v1.Health/Check",
            "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        ] {
            assert!(known.iter().any(|known| known == name), "{name} is not in {known:?}");
        }
    }
}

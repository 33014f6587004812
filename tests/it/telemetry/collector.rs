//! An OpenTelemetry collector that takes what it is given, refuses it or hangs. Its service is the project's own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// Longest time for something to happen on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What it does with what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Manner {
    /// Takes it.
    #[default]
    Take,
    /// Takes it, but for one span.
    RejectOne,
    /// Answers with an error.
    Refuse,
    /// Answers nothing.
    Hang,
}

#[derive(Clone, Default)]
struct Shared {
    manner: Arc<Mutex<Manner>>,
    metadata: Arc<Mutex<MetadataMap>>,
    spans: Arc<Mutex<Vec<(Resource, Span)>>>,
    pushes: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
}

/// The collector. Dropping it closes its connections.
pub(super) struct Collector {
    pub(super) address: SocketAddr,
    shared: Shared,
    _runtime: Runtime,
}

impl Collector {
    pub(super) fn start(manner: Manner) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared { manner: Arc::new(Mutex::new(manner)), ..Shared::default() };
        let serving = Server::builder()
            .add_service(TraceServiceServer::new(shared.clone()))
            .add_service(MetricsServiceServer::new(shared.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        runtime.spawn(serving);
        Self { address, shared, _runtime: runtime }
    }

    /// The spans that it took, with what was said of the service.
    pub(super) fn taken(&self) -> Vec<(Resource, Span)> {
        self.shared.spans.lock().unwrap().clone()
    }

    /// So many spans, in the order of their beginning. Fails where there are more.
    #[track_caller]
    pub(super) fn spans(&self, expected: usize) -> Vec<Span> {
        let begun = Instant::now();
        while self.taken().len() < expected {
            assert!(begun.elapsed() < PATIENCE, "{} spans of {expected}", self.taken().len());
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut spans: Vec<_> = self.taken().into_iter().map(|(_, span)| span).collect();
        assert_eq!(spans.len(), expected, "{spans:#?}");
        spans.sort_by_key(|span| span.start_time_unix_nano);
        spans
    }

    /// Every push that it took.
    pub(super) fn pushes(&self) -> Vec<ExportMetricsServiceRequest> {
        self.shared.pushes.lock().unwrap().clone()
    }

    /// What was said with the latest request.
    pub(super) fn metadata(&self, name: &str) -> String {
        let metadata = self.shared.metadata.lock().unwrap();
        metadata.get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }
}

/// Attributes by name, their values as text.
pub(super) fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.clone().and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}

impl Shared {
    /// # Errors
    /// As it was told to answer.
    async fn receive(&self, metadata: &MetadataMap) -> Result<Manner, Status> {
        *self.metadata.lock().unwrap() = metadata.clone();
        let manner = *self.manner.lock().unwrap();
        match manner {
            Manner::Take | Manner::RejectOne => Ok(manner),
            Manner::Refuse => Err(Status::unavailable("not now")),
            Manner::Hang => std::future::pending().await,
        }
    }
}

#[tonic::async_trait]
impl TraceService for Shared {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let manner = self.receive(request.metadata()).await?;
        for resource_spans in request.into_inner().resource_spans {
            let resource = resource_spans.resource.unwrap_or_default();
            let spans = resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.spans.lock().unwrap().extend(spans.map(|span| (resource.clone(), span)));
        }
        let partial_success = (manner == Manner::RejectOne)
            .then(|| ExportTracePartialSuccess { rejected_spans: 1, error_message: "too old".to_owned() });
        Ok(Response::new(ExportTraceServiceResponse { partial_success }))
    }
}

#[tonic::async_trait]
impl MetricsService for Shared {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.receive(request.metadata()).await?;
        self.pushes.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

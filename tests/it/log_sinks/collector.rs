//! An OpenTelemetry collector that takes batches or not, as the test says. Its service is the project's own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use super::fed::runtime;
use crate::support::Shown;

/// What to answer to records with these sequences; none: nothing, for ever.
type Script = dyn FnMut(&[u64]) -> Option<Result<ExportLogsServiceResponse, Status>> + Send;

#[derive(Clone)]
struct Shared {
    taken: Arc<Mutex<Vec<LogRecord>>>,
    metadata: Arc<Mutex<MetadataMap>>,
    script: Arc<Mutex<Box<Script>>>,
}

/// The collector. Dropping it closes its connections.
pub(super) struct Collector {
    pub(super) address: SocketAddr,
    shared: Shared,
    _runtime: Runtime,
}

impl Collector {
    /// A collector that answers so.
    pub(super) fn answering(
        shown: Option<&Shown>,
        script: impl FnMut(&[u64]) -> Option<Result<ExportLogsServiceResponse, Status>> + Send + 'static,
    ) -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared {
            taken: Arc::default(),
            metadata: Arc::default(),
            script: Arc::new(Mutex::new(Box::new(script))),
        };
        let mut server = Server::builder();
        if let Some(Shown { chain, key }) = shown {
            let tls = ServerTlsConfig::new().identity(Identity::from_pem(chain, key));
            server = server.tls_config(tls).unwrap();
        }
        let serving = server
            .add_service(LogsServiceServer::new(shared.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        runtime.spawn(serving);
        Self { address, shared, _runtime: runtime }
    }

    /// The records that it took.
    pub(super) fn taken(&self) -> Vec<LogRecord> {
        self.shared.taken.lock().unwrap().clone()
    }

    /// Sequences of the records that it took.
    pub(super) fn sequences(&self) -> Vec<u64> {
        self.taken().iter().map(sequence).collect()
    }

    /// What was said with the latest batch.
    pub(super) fn metadata(&self, name: &str) -> String {
        let metadata = self.shared.metadata.lock().unwrap();
        metadata.get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }
}

/// Everything is taken.
pub(super) fn accepted() -> Option<Result<ExportLogsServiceResponse, Status>> {
    Some(Ok(ExportLogsServiceResponse::default()))
}

fn sequence(record: &LogRecord) -> u64 {
    match attribute(record, "mandate.sequence") {
        Some(Value::IntValue(sequence)) => u64::try_from(sequence).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// An attribute of a record.
pub(super) fn attribute(record: &LogRecord, key: &str) -> Option<Value> {
    let found = record.attributes.iter().find(|attribute| attribute.key == key);
    found.and_then(|KeyValue { value, .. }| value.clone()).and_then(|AnyValue { value }| value)
}

#[tonic::async_trait]
impl LogsService for Shared {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        *self.metadata.lock().unwrap() = request.metadata().clone();
        let resources = request.into_inner().resource_logs;
        let scopes = resources.into_iter().flat_map(|resource| resource.scope_logs);
        let records: Vec<_> = scopes.flat_map(|scope| scope.log_records).collect();
        let sequences: Vec<_> = records.iter().map(sequence).collect();
        let answer = (self.script.lock().unwrap())(&sequences);
        match answer {
            None => std::future::pending().await,
            Some(answer) => {
                if answer.is_ok() {
                    self.taken.lock().unwrap().extend(records);
                }
                answer.map(Response::new)
            }
        }
    }
}

//! The real server inside the test's process, and clients of it.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use mandate::app::{self, StartError, Stop};
use mandate::config::{Config, Listen};
use mandate::server::pb;
use mandate::server::pb::authorization_service_client::AuthorizationServiceClient;
use mandate::store::loader::OpenError;
use prost::bytes::{Buf as _, BufMut as _, Bytes};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use super::authority::Shown;
use super::sources::{Sources, repository_config};

/// A server on free ports of this process, stopped when dropped.
#[derive(Debug)]
pub(crate) struct TestServer {
    client: Client,
    pub(crate) http: String,
    pub(crate) data: String,
    /// Probes and metrics.
    pub(crate) ops: String,
    /// Administration.
    pub(crate) control: String,
    /// Holds the data directory.
    pub(crate) folder: TempDir,
    stop: Option<mpsc::Sender<Stop>>,
    serving: Option<JoinHandle<Result<(), StartError>>>,
    // Last: the tasks above live on it.
    runtime: Runtime,
}

/// The shipped sources, served once for every test that only asks.
pub(crate) fn shipped_server() -> &'static TestServer {
    static SERVER: LazyLock<TestServer> = LazyLock::new(|| TestServer::with_config(&repository_config()));
    &SERVER
}

/// Has everything that a service writes kept in a folder.
pub(crate) fn keep_in(config: &mut Config, data: &Path) {
    config.data_directory = data.to_owned();
    config.log.directory = data.join("log");
    config.log.notary.key = data.join("keys/log.key");
    config.log.fields.salts = data.join("salts");
    config.log.counters = Some(data.to_owned());
}

impl TestServer {
    /// Serves these sources.
    pub(crate) fn start(sources: &Sources) -> Self {
        Self::with_config(&sources.config())
    }

    /// Serves what a configuration says, on free ports.
    pub(crate) fn with_config(config: &Config) -> Self {
        Self::with_client(config, Client::connect)
    }

    /// Serves what a configuration says, on free ports, to a client that is connected so.
    pub(crate) fn with_client(config: &Config, connect: impl FnOnce(&str) -> Client) -> Self {
        let runtime = app::runtime().expect("threads");
        let mut config = config.clone();
        let folder = tempfile::tempdir().expect("a folder");
        keep_in(&mut config, &folder.path().join("data"));
        config.listen = Listen::free();
        let bound = runtime.block_on(app::bind(&config));
        let bound = bound.unwrap_or_else(|error| match error {
            StartError::Open(OpenError::Rejected { files, .. }) => {
                panic!("the sources are rejected:\n{files}")
            }
            error => panic!("{error}"),
        });
        let scheme = |secured: bool| if secured { "https" } else { "http" };
        let secured = scheme(config.tls.is_some());
        let data = format!("{secured}://{}", bound.addresses.data);
        let http = format!("{secured}://{}", bound.addresses.http);
        let ops_secured = config.tls.as_ref().is_some_and(|tls| tls.ops);
        let ops = format!("{}://{}", scheme(ops_secured), bound.addresses.ops);
        let control = format!("{}://{}", scheme(config.callers.control), bound.addresses.control);
        let (stop, stopped) = mpsc::channel(1);
        let serving = runtime.spawn(bound.run(stopped));
        Self {
            client: connect(&data),
            http,
            data,
            ops,
            control,
            folder,
            stop: Some(stop),
            serving: Some(serving),
            runtime,
        }
    }

    /// Decides one question.
    pub(crate) fn authorize(&self, request: pb::AuthorizeRequest) -> Result<pb::AuthorizeResponse, Status> {
        self.client.authorize(request)
    }

    /// The client the server's own tests share.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Keeps every thread that decides busy for so long.
    pub(crate) fn keep_busy(&self, lasting: Duration) {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let (busy, are_busy) = std::sync::mpsc::channel();
        for _ in 0..threads {
            let busy = busy.clone();
            self.runtime.spawn(async move {
                let _gone = busy.send(());
                std::thread::sleep(lasting);
            });
        }
        for _ in 0..threads {
            are_busy.recv().expect("a thread");
        }
    }

    /// What it counts now.
    pub(crate) fn metrics(&self) -> super::Numbers {
        super::Numbers::read(&self.ops)
    }

    /// The lines of its decision log, of which there must be so many and no more.
    #[track_caller]
    pub(crate) fn records(&self, expected: usize) -> Vec<serde_json::Value> {
        let lines = super::lines(&self.folder.path().join("data/log"), expected);
        assert_eq!(self.metrics().sum("pdp_audit_records_issued_total"), expected as f64);
        lines
    }

    /// The generation that is served now.
    pub(crate) fn generation(&self) -> String {
        let mut service = self.client.service();
        let info = self.client.wait(service.get_server_info(pb::GetServerInfoRequest {}));
        info.expect("an answer").into_inner().generation
    }

    /// Waits until another generation is served than this one.
    #[track_caller]
    pub(crate) fn reloaded(&self, before: &str) -> String {
        for _ in 0..1000 {
            let generation = self.generation();
            if generation != before {
                return generation;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the files were changed, and {before} is served still");
    }

    /// Posts an AuthZEN evaluation.
    pub(crate) fn evaluate(&self, body: &serde_json::Value) -> super::HttpAnswer {
        self.evaluate_bytes(body.to_string())
    }

    /// Posts bytes as an AuthZEN evaluation.
    pub(crate) fn evaluate_bytes(&self, body: impl Into<Vec<u8>>) -> super::HttpAnswer {
        let url = format!("{}/access/v1/evaluation", self.http);
        super::post(&url, &[("content-type", "application/json")], body)
    }

    /// Stops the server, and fails unless it ends by itself and without an error.
    pub(crate) fn shutdown(mut self) {
        self.stop_cleanly();
    }

    fn stop_cleanly(&mut self) {
        let (Some(stop), Some(serving)) = (self.stop.take(), self.serving.take()) else { return };
        stop.try_send(Stop::AtOnce).expect("the server waits for the signal");
        let ended = self.runtime.block_on(async {
            let patience = std::time::Duration::from_secs(30);
            tokio::time::timeout(patience, serving).await.expect("the server stops when it is told to")
        });
        ended.expect("serving does not panic").expect("serving ends without an error");
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop_cleanly();
        }
    }
}

/// A real client. Its calls block.
#[derive(Debug)]
pub(crate) struct Client {
    channel: Channel,
    runtime: Runtime,
}

impl Client {
    /// Connects to a data listener.
    pub(crate) fn connect(address: &str) -> Self {
        Self::try_connect(address, None).expect("a connection")
    }

    /// Connects over TLS, trusting this authority, and showing this if there is anything to show.
    pub(crate) fn secured(
        address: &str,
        authority: &str,
        shown: Option<&Shown>,
    ) -> Result<Self, tonic::transport::Error> {
        let mut tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)).domain_name("localhost");
        if let Some(Shown { chain, key }) = shown {
            tls = tls.identity(Identity::from_pem(chain, key));
        }
        Self::try_connect(address, Some(tls))
    }

    fn try_connect(address: &str, tls: Option<ClientTlsConfig>) -> Result<Self, tonic::transport::Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a thread");
        // The least a client may have: whoever does not read is noticed soon.
        let endpoint = Endpoint::from_shared(address.to_owned()).expect("an address");
        let mut endpoint = endpoint.initial_stream_window_size(65_535);
        if let Some(tls) = tls {
            endpoint = endpoint.tls_config(tls)?;
        }
        let channel = runtime.block_on(endpoint.connect())?;
        Ok(Self { channel, runtime })
    }

    /// The connection, for a client of another service.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Waits for a call.
    pub(crate) fn wait<F: Future>(&self, call: F) -> F::Output {
        self.runtime.block_on(call)
    }

    /// Begins a call and does not wait for it.
    pub(crate) fn spawn<F>(&self, call: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.runtime.spawn(call)
    }

    /// Decides one question.
    pub(crate) fn authorize(
        &self,
        request: impl tonic::IntoRequest<pb::AuthorizeRequest>,
    ) -> Result<pb::AuthorizeResponse, Status> {
        let mut service = self.service();
        self.wait(service.authorize(request)).map(tonic::Response::into_inner)
    }

    /// Decides many.
    pub(crate) fn batch(
        &self,
        request: pb::AuthorizeBatchRequest,
    ) -> Result<Vec<pb::AuthorizeResult>, Status> {
        let mut service = self.service();
        self.wait(service.authorize_batch(request)).map(|answer| answer.into_inner().results)
    }

    /// The service's own client.
    pub(crate) fn service(&self) -> AuthorizationServiceClient<Channel> {
        AuthorizationServiceClient::new(self.channel())
    }
}

/// Sends bytes as the message of a unary call, whatever they are.
pub(crate) fn raw_call(client: &Client, method: &str, message: Vec<u8>) -> Result<Bytes, Status> {
    raw_call_with(client, method, message, &[])
}

/// As [`raw_call`], with these headers.
pub(crate) fn raw_call_with(
    client: &Client,
    method: &str,
    message: Vec<u8>,
    headers: &[(&'static str, &str)],
) -> Result<Bytes, Status> {
    let mut request = Request::new(message);
    for (name, value) in headers {
        request.metadata_mut().insert(*name, value.parse().expect("a header"));
    }
    client.wait(async {
        let mut grpc = tonic::client::Grpc::new(client.channel());
        grpc.ready().await.expect("the connection is open");
        let path = method.parse().expect("a path");
        grpc.unary(request, path, Raw).await.map(tonic::Response::into_inner)
    })
}

/// Bytes as they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = source.remaining();
        Ok(Some(source.copy_to_bytes(length)))
    }
}

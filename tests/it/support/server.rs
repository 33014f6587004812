//! The real server inside the test's process, and clients of it.

use std::sync::LazyLock;

use mandate::app::{self, StartError, Stop};
use mandate::config::{Config, Listen};
use mandate::server::pb;
use mandate::server::pb::authorization_service_client::AuthorizationServiceClient;
use mandate::store::loader::OpenError;
use prost::bytes::{Buf as _, BufMut as _, Bytes};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::sources::{Sources, repository_config};

/// A server on free ports of this process, stopped when dropped.
#[derive(Debug)]
pub(crate) struct TestServer {
    client: Client,
    pub(crate) http: String,
    pub(crate) data: String,
    /// Probes and metrics.
    pub(crate) ops: String,
    /// Holds the data directory.
    pub(crate) folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<Result<(), StartError>>>,
    // Last: the tasks above live on it.
    runtime: Runtime,
}

/// The shipped sources, served once for every test that only asks.
pub(crate) fn shipped_server() -> &'static TestServer {
    static SERVER: LazyLock<TestServer> = LazyLock::new(|| TestServer::with_config(&repository_config()));
    &SERVER
}

impl TestServer {
    /// Serves these sources.
    pub(crate) fn start(sources: &Sources) -> Self {
        Self::with_config(&sources.config())
    }

    /// Serves what a configuration says, on free ports.
    pub(crate) fn with_config(config: &Config) -> Self {
        let runtime = app::runtime().expect("threads");
        let mut config = config.clone();
        let folder = tempfile::tempdir().expect("a folder");
        config.data_directory = folder.path().join("data");
        config.log.directory = folder.path().join("data/decisions");
        let free = ([127, 0, 0, 1], 0).into();
        config.listen = Listen { data: free, http: free, ops: free, control: free };
        let bound = runtime.block_on(app::bind(&config));
        let bound = bound.unwrap_or_else(|error| match error {
            StartError::Open(OpenError::Rejected { files, .. }) => {
                panic!("the sources are rejected:\n{files}")
            }
            error => panic!("{error}"),
        });
        let (data, http) =
            (format!("http://{}", bound.addresses.data), format!("http://{}", bound.addresses.http));
        let ops = format!("http://{}", bound.addresses.ops);
        let (stop, stopped) = oneshot::channel();
        let serving = runtime.spawn(bound.run(async {
            drop(stopped.await);
            Stop::AtOnce
        }));
        Self {
            client: Client::connect(&data),
            http,
            data,
            ops,
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
        stop.send(()).expect("the server waits for the signal");
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
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a thread");
        let endpoint = Endpoint::from_shared(address.to_owned()).expect("an address");
        let channel = runtime.block_on(endpoint.connect()).expect("a connection");
        Self { channel, runtime }
    }

    /// The connection, for a client of another service.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Waits for a call.
    pub(crate) fn wait<F: Future>(&self, call: F) -> F::Output {
        self.runtime.block_on(call)
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
pub(crate) fn raw_call(client: &Client, method: &'static str, message: Vec<u8>) -> Result<Bytes, Status> {
    client.wait(async {
        let mut grpc = tonic::client::Grpc::new(client.channel());
        grpc.ready().await.expect("the connection is open");
        let path = method.parse().expect("a path");
        grpc.unary(Request::new(message), path, Raw).await.map(tonic::Response::into_inner)
    })
}

/// Bytes as they are.
#[derive(Debug, Clone, Copy)]
struct Raw;

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

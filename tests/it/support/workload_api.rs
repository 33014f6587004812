//! A SPIFFE Workload API of our own: it gives what a test says, to whoever asks as the specification has it. Of its messages
//! it knows what a server of X.509-SVIDs needs.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::authority::Shown;

/// What a workload is given: its certificates, and the authorities of other trust domains (`X509SVIDResponse`).
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Given {
    #[prost(message, repeated, tag = "1")]
    svids: Vec<GivenSvid>,
    #[prost(map = "string, bytes", tag = "3")]
    federated: HashMap<String, Vec<u8>>,
}

/// One certificate, its key, and the authorities of its own trust domain (`X509SVID`).
#[derive(Clone, PartialEq, prost::Message)]
struct GivenSvid {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(bytes = "vec", tag = "2")]
    chain: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    bundle: Vec<u8>,
}

impl Given {
    /// This certificate of a workload, and these authorities of its trust domain.
    pub(crate) fn svid(id: &str, Shown { chain, key }: &Shown, authorities: &[&str]) -> Self {
        let key = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let svid = GivenSvid {
            id: id.to_owned(),
            chain: der(&[chain]),
            key: key.secret_pkcs8_der().to_vec(),
            bundle: der(authorities),
        };
        Self { svids: vec![svid], federated: HashMap::new() }
    }

    /// The authorities of another trust domain besides.
    pub(crate) fn federated(mut self, trust_domain: &str, authorities: &[&str]) -> Self {
        self.federated.insert(format!("spiffe://{trust_domain}"), der(authorities));
        self
    }
}

/// Certificates, one after the other.
fn der(pems: &[&str]) -> Vec<u8> {
    let certificates = pems.iter().flat_map(|pem| CertificateDer::pem_slice_iter(pem.as_bytes()));
    certificates.flat_map(|certificate| certificate.unwrap().to_vec()).collect()
}

/// The API. Its socket stays where it is while it is away.
#[derive(Debug)]
pub(crate) struct WorkloadApi {
    folder: TempDir,
    given: watch::Sender<Option<Given>>,
    serving: Option<Runtime>,
}

impl WorkloadApi {
    /// An API that gives this; nothing yet, if there is none.
    pub(crate) fn giving(given: Option<Given>) -> Self {
        let (given, _) = watch::channel(given);
        let mut api = Self { folder: tempfile::tempdir().unwrap(), given, serving: None };
        api.is_back();
        api
    }

    /// Gives something else from now on.
    pub(crate) fn give(&self, given: Given) {
        self.given.send_replace(Some(given));
    }

    /// Hangs up, and is there no more.
    pub(crate) fn is_away(&mut self) {
        self.serving.take().unwrap().shutdown_background();
        std::fs::remove_file(self.socket()).unwrap();
    }

    /// Is there again.
    pub(crate) fn is_back(&mut self) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(async { UnixListener::bind(self.socket()) }).unwrap();
        let incoming = stream::unfold(listener, |listener| async {
            let (stream, _nameless) = listener.accept().await.ok()?;
            Some((Ok::<_, std::io::Error>(stream), listener))
        });
        let api = Api(self.given.subscribe());
        let serving = tonic::transport::Server::builder().add_service(api).serve_with_incoming(incoming);
        runtime.spawn(serving);
        self.serving = Some(runtime);
    }

    /// Where it is.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("agent.sock")
    }
}

impl Drop for WorkloadApi {
    fn drop(&mut self) {
        if let Some(runtime) = self.serving.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Clone)]
struct Api(watch::Receiver<Option<Given>>);

impl NamedService for Api {
    const NAME: &'static str = "SpiffeWorkloadAPI";
}

impl tower::Service<http::Request<tonic::body::Body>> for Api {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let given = self.0.clone();
        Box::pin(async move {
            if request.uri().path() != "/SpiffeWorkloadAPI/FetchX509SVID" {
                return Ok(Status::unimplemented("it gives X.509-SVIDs").into_http());
            }
            Ok(Grpc::new(ProstCodec::<Given, ()>::default()).server_streaming(Fetch(given), request).await)
        })
    }
}

struct Fetch(watch::Receiver<Option<Given>>);

impl ServerStreamingService<()> for Fetch {
    type Response = Given;
    type ResponseStream = BoxStream<'static, Result<Given, Status>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let mut given = self.0.clone();
        // Without it, whoever asks could be a browser that was led here (SPIFFE Workload Endpoint §5).
        let meant = request.metadata().get("workload.spiffe.io").is_some_and(|value| value == "true");
        Box::pin(async move {
            if !meant {
                return Err(Status::invalid_argument("`workload.spiffe.io` is missing"));
            }
            given.mark_changed();
            let stream = stream::unfold(given, |mut given| async {
                loop {
                    given.changed().await.ok()?;
                    let now = given.borrow_and_update().clone();
                    if let Some(now) = now {
                        return Some((Ok(now), given));
                    }
                }
            });
            Ok(Response::new(stream.boxed()))
        })
    }
}

//! An HTTP server that takes batches or not, as the test says.

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use flate2::read::GzDecoder;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::fed::runtime;
use crate::support::lines_of;

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// The batch is taken.
    Take,
    /// Another status, and headers.
    Say(u16, Vec<(&'static str, String)>),
    /// Nothing, for ever.
    Hang,
}

/// A batch that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) headers: HeaderMap,
    pub(crate) sequences: Vec<u64>,
    pub(crate) records: Vec<Value>,
    pub(crate) taken: bool,
}

impl Posted {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

type Script = dyn FnMut(&Posted) -> Answer + Send;

#[derive(Clone)]
struct Shared {
    posted: Arc<Mutex<Vec<Posted>>>,
    script: Arc<Mutex<Box<Script>>>,
}

/// The server. Dropping it closes its connections.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Shared,
    _runtime: Runtime,
}

/// An address of this host that nothing listens on.
pub(crate) fn free_address() -> SocketAddr {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

impl Receiver {
    /// A server that takes everything.
    pub(crate) fn start() -> Self {
        Self::answering(|_| Answer::Take)
    }

    /// A server that answers so.
    pub(crate) fn answering(script: impl FnMut(&Posted) -> Answer + Send + 'static) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), None, script)
    }

    /// A server at this address.
    pub(crate) fn at(
        address: SocketAddr,
        tls: Option<rustls::ServerConfig>,
        script: impl FnMut(&Posted) -> Answer + Send + 'static,
    ) -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared { posted: Arc::default(), script: Arc::new(Mutex::new(Box::new(script))) };
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        runtime.spawn(accept(listener, tls, shared.clone()));
        Self { address, shared, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/logs", self.address)
    }

    /// Everything that arrived.
    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.shared.posted.lock().unwrap().clone()
    }

    /// Sequences of the records that it took.
    pub(crate) fn taken(&self) -> Vec<u64> {
        let posted = self.posted();
        posted.into_iter().filter(|posted| posted.taken).flat_map(|posted| posted.sequences).collect()
    }

    /// From now on it answers so.
    pub(crate) fn answer(&self, script: impl FnMut(&Posted) -> Answer + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Shared) {
    let router = Router::new().fallback(answer).with_state(shared);
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, service) = (tls.clone(), TowerToHyperService::new(router.clone()));
        tokio::spawn(async move {
            let http = auto::Builder::new(TokioExecutor::new());
            // A connection that ends early is the client's business.
            match tls {
                None => drop(http.serve_connection(TokioIo::new(stream), service).await),
                Some(tls) => {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    drop(http.serve_connection(TokioIo::new(stream), service).await);
                }
            }
        });
    }
}

async fn answer(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let mut text = String::new();
    match headers.get("content-encoding") {
        Some(_) => GzDecoder::new(&*body).read_to_string(&mut text).unwrap(),
        None => (&*body).read_to_string(&mut text).unwrap(),
    };
    let records = match headers["content-type"].to_str().unwrap() {
        "application/json" => serde_json::from_str(&text).unwrap(),
        _ => lines_of(&text),
    };
    let sequences = records.iter().map(|record: &Value| record["sequence"].as_u64().unwrap()).collect();
    let mut posted = Posted { headers, sequences, records, taken: false };
    let said = (shared.script.lock().unwrap())(&posted);
    posted.taken = matches!(said, Answer::Take);
    shared.posted.lock().unwrap().push(posted);
    let mut response = Response::new("{\"canary\":\"of the answer\"}".into());
    match said {
        Answer::Take => {}
        Answer::Hang => std::future::pending().await,
        Answer::Say(status, headers) => {
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
        }
    }
    response
}

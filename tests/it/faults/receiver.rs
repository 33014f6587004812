//! An HTTP sink that behaves badly on demand. It knows what it took by what each batch says of itself, so that it can take much.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// What it does with batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Takes them.
    Take,
    /// Reads them, and never answers.
    Hang,
    /// Reads 1 KiB a second.
    Slow,
    /// Says 503.
    Refuse,
}

#[derive(Debug)]
struct Shared {
    behaviour: Mutex<Behaviour>,
    taken: Mutex<Vec<(u64, u64)>>,
}

/// The server. Dropping it closes its connections.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

impl Receiver {
    /// A server that takes everything.
    pub(crate) fn start() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a thread");
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { behaviour: Mutex::new(Behaviour::Take), taken: Mutex::default() });
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, _runtime: runtime }
    }

    /// From now on it behaves so.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().expect("nobody panicked") = behaviour;
    }

    /// How many records it has taken, each counted as often as it came.
    pub(crate) fn taken(&self) -> u64 {
        self.shared.taken.lock().expect("nobody panicked").iter().map(|(_, records)| records).sum()
    }

    /// Up to where it has taken every record, from the first on.
    pub(crate) fn complete_to(&self) -> u64 {
        let mut taken = self.shared.taken.lock().expect("nobody panicked").clone();
        taken.sort_unstable();
        taken
            .into_iter()
            .fold(0, |end, (first, records)| if first <= end { end.max(first + records) } else { end })
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let router = Router::new().fallback(answer).with_state(shared);
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            // A connection that ends early is the client's business.
            drop(
                auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> StatusCode {
    let behaviour = *shared.behaviour.lock().expect("nobody panicked");
    let mut frames = body.into_data_stream();
    while let Some(frame) = frames.next().await {
        let Ok(frame) = frame else { return StatusCode::BAD_REQUEST };
        if behaviour == Behaviour::Slow {
            tokio::time::sleep(Duration::from_secs(1) * u32::try_from(frame.len()).expect("short") / 1024)
                .await;
        }
    }
    match behaviour {
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Refuse => StatusCode::SERVICE_UNAVAILABLE,
        Behaviour::Take | Behaviour::Slow => {
            let number = |name: &str| headers[name].to_str().expect("text").parse().expect("a number");
            let range = (number("mandate-first-sequence"), number("mandate-records"));
            shared.taken.lock().expect("nobody panicked").push(range);
            StatusCode::OK
        }
    }
}

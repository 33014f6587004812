//! A service behind Envoy, which keeps what reaches it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A request that was let through.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

type Kept = Arc<Mutex<Vec<Arrived>>>;

/// The service; it answers everything with an answer of JSON-RPC.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    kept: Kept,
    // Ends with the service.
    _runtime: Runtime,
}

impl Upstream {
    pub(super) fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Kept::default();
        let router = Router::new().fallback(keep).with_state(Arc::clone(&kept));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, kept, _runtime: runtime }
    }

    /// What has reached it, and is forgotten now.
    pub(super) fn arrived(&self) -> Vec<Arrived> {
        std::mem::take(&mut *self.kept.lock().unwrap())
    }
}

async fn keep(State(kept): State<Kept>, uri: Uri, headers: HeaderMap, body: Bytes) -> String {
    let target = uri.path_and_query().map_or_else(String::new, ToString::to_string);
    kept.lock().unwrap().push(Arrived { target, headers, body });
    r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#.to_owned()
}

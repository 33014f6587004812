//! The only place that puts a service together: configuration → [`bind`] → [`Bound`] → [`Bound::run`].

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::{Config, Listen};
use crate::engine::compile::compile;
use crate::engine::guard::WORKER_STACK_BYTES;
use crate::engine::problem::Report;
use crate::pdp::Pdp;
use crate::server;
use crate::store::directory;

/// Longest time that requests under way are waited for when the service stops.
const DRAIN: Duration = Duration::from_secs(10);

/// A service that has loaded its world and bound its listeners, and serves nothing yet.
#[derive(Debug)]
pub struct Bound {
    /// The addresses really bound.
    pub addresses: Listen,
    /// The decision point behind them.
    pub pdp: Arc<Pdp>,
    /// What loading warned of.
    pub warnings: Report,
    data: TcpListener,
    http: TcpListener,
}

/// Why a service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The sources are rejected.
    #[error("the policies, schema or entities are rejected")]
    Rejected(Report),
    /// An address cannot be bound.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The contract's descriptors are unusable: a defect of the build.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Serving failed.
    #[error("serving failed: {0}")]
    Serve(#[from] io::Error),
}

/// A runtime whose threads have the stack that evaluation needs.
///
/// # Errors
/// The system gives no threads.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .thread_name("mandate")
        .thread_stack_size(WORKER_STACK_BYTES)
        .build()
}

/// Loads the world and binds every listener.
///
/// # Errors
/// [`StartError`]; nothing has been served.
pub async fn bind(config: &Config) -> Result<Bound, StartError> {
    let sources = directory::read(&config.folders).map_err(StartError::Rejected)?;
    let loaded = compile(&sources, &config.options).map_err(StartError::Rejected)?;
    let (data, data_address) = listen(config.listen.data).await?;
    let (http, http_address) = listen(config.listen.http).await?;
    Ok(Bound {
        addresses: Listen { data: data_address, http: http_address },
        pdp: Arc::new(Pdp::new(loaded.world)),
        warnings: loaded.warnings,
        data,
        http,
    })
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Listen(address, error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

impl Bound {
    /// Serves until `shutdown` completes, then finishes what is under way.
    ///
    /// # Errors
    /// A listener fails; the other is stopped.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), StartError> {
        let (stop, stopped) = watch::channel(false);
        let grpc = server::grpc::router(Arc::clone(&self.pdp)).await?;
        let mut http = server::authzen::router(Arc::clone(&self.pdp));
        if self.addresses.http.ip().is_loopback() {
            http = http.layer(axum::middleware::from_fn(server::protocol::require_local_host));
        }
        let serving = async {
            tokio::try_join!(serve(self.data, grpc, stopped.clone()), serve(self.http, http, stopped.clone()))
        };
        tokio::pin!(serving);
        tokio::select! {
            outcome = &mut serving => outcome.map(|_| ())?,
            () = shutdown => {
                stop.send_replace(true);
                // A caller that never ends its request must not keep the process: what is left is cut off.
                if let Ok(outcome) = timeout(DRAIN, serving).await {
                    outcome?;
                }
            }
        }
        Ok(())
    }
}

async fn serve(
    listener: TcpListener,
    router: axum::Router,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    // Answers are single small frames: waiting to fill a packet would only delay them.
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    let stop = async move {
        // An error means that `run` is gone, which stops serving as well.
        drop(stopped.wait_for(|stop| *stop).await);
    };
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

//! Accepting connections, and bounding what each of them and all of them may hold.
//!
//! What one caller leaves idle must not keep another out, nor the loader of policies from its files: connections are
//! limited to what the process's file descriptors leave over, a connection that says nothing for a minute is closed, and
//! HTTP/2 buffers little for those who do not read.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

use super::admission::{Admission, Arriving};
use super::tls::Acceptor;
use crate::identity::peer::Peer;

/// Most connections of all listeners that decide, however many files the system allows.
const MAX_CONNECTIONS: usize = 10_000;
/// Connections of operators, which must get in when everybody else's do not.
const OPERATORS: usize = 16;
/// Files kept free at least, and at most, for everything that is no connection of a caller.
const RESERVED_FILES: (usize, usize) = (OPERATORS + 8, 512);
/// Places there are at least: each listener holds one while it waits.
const MIN_CONNECTIONS: usize = 4;
/// So few places that somebody should know.
const FEW_CONNECTIONS: usize = 64;
/// Longest silence of a connection. HTTP/2 clients are pinged well before.
const MAX_SILENCE: Duration = Duration::from_secs(60);
/// How often an HTTP/2 client is pinged that says nothing, and how long its answer may take.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(20));
/// Longest time for a TLS handshake.
const MAX_HANDSHAKE: Duration = Duration::from_secs(10);
/// Longest time for the headers of an HTTP/1 request.
const MAX_HEADERS: Duration = Duration::from_secs(10);
/// Largest headers of a request over HTTP/2, in bytes.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// Calls under way on one HTTP/2 connection.
const MAX_STREAMS: u32 = 200;
/// What one call, and one connection, may send ahead of being read, in bytes. Small frames cost more than they hold: a
/// stream of short messages must not use up what h2 allows a connection.
const WINDOWS: (u32, u32) = (64 * 1024, 4 * 1024 * 1024);
/// HTTP/2 streams that a client reset before they were served, and those reset for its errors (CVE-2023-44487 and after).
const RESETS: (usize, usize) = (20, 1024);
/// How long to wait when the system gives no more connections.
const PAUSE: Duration = Duration::from_millis(50);

/// Places for connections, shared by listeners.
#[derive(Debug, Clone)]
pub struct Places(Arc<Semaphore>);

impl Places {
    /// As many as the process's file descriptors leave over.
    #[must_use]
    pub fn for_callers() -> Self {
        let (least, most) = RESERVED_FILES;
        let allowed = getrlimit(Resource::Nofile)
            .current
            .map_or(MAX_CONNECTIONS, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        // What cannot be counted is taken to be few: the reserve is there for more than these.
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let reserved = (allowed / 8).clamp(least, most);
        let places = allowed.saturating_sub(open + reserved).clamp(MIN_CONNECTIONS, MAX_CONNECTIONS);
        if places < FEW_CONNECTIONS {
            tracing::warn!(
                files.limit = allowed,
                places,
                "few connections can be served: raise the limit of open files"
            );
        }
        Self(Arc::new(Semaphore::new(places)))
    }

    /// A few, for operators.
    #[must_use]
    pub fn for_operators() -> Self {
        Self(Arc::new(Semaphore::new(OPERATORS)))
    }
}

/// Serves connections until `stopping` holds and all of them are done. Over TLS, a [`Peer`] goes with every request whose
/// connection showed certificates; handshakes hold a place like everything else, and nobody else up.
///
/// # Errors
/// The listener is broken. That the system gives no more connections for now is none.
pub async fn serve(
    listener: TcpListener,
    places: Places,
    tls: Option<Acceptor>,
    router: Router,
    admission: Option<Arc<Admission>>,
    stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut connections = JoinSet::new();
    let mut stop = stopping.clone();
    loop {
        tokio::select! {
            // An error means that nobody is left who could stop it: that stops it too.
            _ = stop.wait_for(|stopping| *stopping) => break,
            accepted = accept(&listener, &places) => {
                let (stream, place) = accepted?;
                let origin = stream.peer_addr().ok().map(|address| address.ip());
                let entrance = (origin, admission.clone());
                connections.spawn(connection(stream, tls.clone(), router.clone(), entrance, stopping.clone(), place));
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// The next connection, once there is a place for it: until then it waits with the system.
async fn accept(listener: &TcpListener, places: &Places) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let closed = |_| io::Error::other("the places for connections are gone");
    let place = Arc::clone(&places.0).acquire_owned().await.map_err(closed)?;
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => return Ok((stream, place)),
            Err(error) if is_broken(&error) => return Err(error),
            // Out of descriptors or memory, or a client that has gone already: others will come.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether the listener will never accept anything again.
fn is_broken(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let broken = [Errno::BADF, Errno::INVAL, Errno::NOTSOCK, Errno::OPNOTSUPP];
    error.raw_os_error().is_some_and(|code| broken.iter().any(|errno| errno.raw_os_error() == code))
}

async fn connection(
    stream: TcpStream,
    tls: Option<Acceptor>,
    router: Router,
    entrance: (Option<IpAddr>, Option<Arc<Admission>>),
    mut stopping: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    // Answers are single small frames: waiting to fill a packet would only delay them.
    drop(stream.set_nodelay(true));
    let mut stream = TimeoutStream::new(stream);
    stream.set_read_timeout(Some(MAX_SILENCE));
    let stream = Box::pin(stream);
    let Some(tls) = tls else { return talk(stream, None, router, entrance, stopping).await };
    let greeted = tokio::select! {
        greeted = tokio::time::timeout(MAX_HANDSHAKE, tls.tls.accept(stream)) => greeted,
        // Nothing is under way yet that should be finished.
        _ = stopping.wait_for(|stopping| *stopping) => return,
    };
    match greeted {
        Ok(Ok(stream)) => {
            tls.handshakes.completed();
            let peer = Peer::of(stream.get_ref().1.peer_certificates()).map(Arc::new);
            talk(stream, peer, router, entrance, stopping).await;
        }
        Ok(Err(error)) => {
            tls.handshakes.failed();
            tracing::debug!(%error, "a TLS handshake failed");
        }
        Err(_late) => tls.handshakes.late(),
    }
}

/// Serves one connection, over whatever it came.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Option<Arc<Peer>>,
    router: Router,
    (origin, admission): (Option<IpAddr>, Option<Arc<Admission>>),
    mut stopping: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router.map_request(move |request: Request<_>| {
        let mut request = request.map(Body::new);
        if let Some(peer) = &peer {
            request.extensions_mut().insert(Arc::clone(peer));
        }
        request
    }));
    let service = Arriving::new(service, origin, admission);
    let builder = builder();
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let stopped = async move { drop(stopping.wait_for(|stopping| *stopping).await) };
    // How a connection ends is its client's business: a reset is nothing to report.
    tokio::select! {
        _ended = serving.as_mut() => {}
        () = stopped => {
            serving.as_mut().graceful_shutdown();
            drop(serving.await);
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_pending_accept_reset_streams(RESETS.0)
        .max_local_error_reset_streams(RESETS.1)
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1);
    builder
}

//! Accepting connections, and bounding what each of them and all of them may hold.
//!
//! What one caller leaves idle must not keep another out, nor the loader of policies from its files: there are so many
//! [`places`] and no more, whoever says nothing or does not end what it begins is put out, who does not read is not read either
//! ([`backpressure`]), and connections of callers come to an age at which they make way, so that callers spread anew over all
//! servers there are.

pub mod account;
pub mod backpressure;
pub mod listener;
pub mod places;
mod talk;
pub mod together;

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use futures_util::FutureExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

use self::account::{Account, Limit};
use self::backpressure::Backpressure;
use self::listener::{Listener, Stream};
use self::places::{FreePlace, Place, Places};
use self::talk::{Talk, Watched};
use self::together::Together;
use super::admission::{Admission, Arriving};
use super::tls::Acceptor;
use crate::identity::peer::Peer;
use crate::listening::ConnectionLimits;

/// How often is told that the system gives no more connections.
const REMINDER: Duration = Duration::from_secs(10);
/// How long to wait when it gives none.
const PAUSE: Duration = Duration::from_millis(50);

/// A listener, and what is served over its connections.
#[derive(Debug)]
pub struct Door {
    /// Where they come in.
    pub listener: Listener,
    /// How they are secured; none: not at all.
    pub tls: Option<Acceptor>,
    /// What answers.
    pub router: Router,
    /// Places that they share with those of other listeners.
    pub places: Places,
    /// What each may hold, and for how long.
    pub limits: Arc<ConnectionLimits>,
    /// Whether they come to an age at which they make way.
    pub ages: bool,
    /// Where they are counted.
    pub account: Arc<Account>,
    /// Where their requests wait to be let in; none where nobody is turned away.
    pub admission: Option<Arc<Admission>>,
}

/// Whether the connection that a request came over makes way for another: what goes on and on should end then.
#[derive(Debug, Clone)]
pub struct Leaving(pub watch::Receiver<bool>);

impl Door {
    /// Serves connections until `stopping` holds and all of them are done. Over TLS, a [`Peer`] goes with every request whose
    /// connection showed certificates; handshakes hold a place like everything else, and nobody else up.
    ///
    /// # Errors
    /// The listener is broken. That the system gives no more connections for now is none.
    pub async fn serve(self, stopping: watch::Receiver<bool>) -> io::Result<()> {
        let Self { listener, places, tls, router, limits, ages, account, admission } = self;
        let mut connections = JoinSet::new();
        let mut stop = stopping.clone();
        let mut told = None;
        loop {
            tokio::select! {
                // An error means that nobody is left who could stop it: that stops it too.
                _ = stop.wait_for(|stopping| *stopping) => break,
                accepted = accept(&listener, &places, &mut told) => {
                    let (stream, peer, place) = accepted?;
                    let Some(place) = places.take(place, peer) else {
                        account.ended(Limit::ConnectionsPerPeer);
                        continue;
                    };
                    let (limits, account, stopping) = (Arc::clone(&limits), Arc::clone(&account), stopping.clone());
                    let (router, admission) = (router.clone(), admission.clone());
                    let connection =
                        Connection { router, limits, ages, account, admission, origin: peer, stopping };
                    connections.spawn(connection.begin(stream, tls.clone(), place));
                }
                Some(_ended) = connections.join_next() => {}
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
        Ok(())
    }
}

/// The next connection, once there is a place for it: until then it waits with the system.
async fn accept(
    listener: &Listener,
    places: &Places,
    told: &mut Option<Instant>,
) -> io::Result<(Stream, Option<IpAddr>, FreePlace)> {
    let closed = |_| io::Error::other("the places for connections are gone");
    let place = places.free().await.map_err(closed)?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Ok((stream, peer, place)),
            Err(error) if is_broken(&error) => return Err(error),
            // Out of descriptors or memory, or a client that has gone already: others will come.
            Err(error) => {
                if told.is_none_or(|told: Instant| told.elapsed() >= REMINDER) {
                    tracing::warn!(%error, "a connection could not be accepted; it is tried again");
                    *told = Some(Instant::now());
                }
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

/// What one connection is served with.
#[derive(Debug)]
struct Connection {
    router: Router,
    limits: Arc<ConnectionLimits>,
    ages: bool,
    account: Arc<Account>,
    admission: Option<Arc<Admission>>,
    /// The address that it came from.
    origin: Option<IpAddr>,
    stopping: watch::Receiver<bool>,
}

impl Connection {
    async fn begin(self, stream: Stream, tls: Option<Acceptor>, _place: Place) {
        let _counted = self.account.open();
        let mut stream = TimeoutStream::new(stream);
        stream.set_read_timeout(Some(self.limits.idle));
        stream.set_write_timeout(Some(self.limits.idle));
        let stream = Box::pin(stream);
        // Each in a place of its own: one that says nothing should not take room for what the largest needs.
        match tls {
            None => self.talk(stream, None).boxed().await,
            Some(tls) => self.secure(stream, tls).boxed().await,
        }
    }

    /// Serves the connection once it is secured.
    async fn secure(mut self, stream: Pin<Box<TimeoutStream<Stream>>>, tls: Acceptor) {
        let greeted = tokio::select! {
            greeted = tokio::time::timeout(self.limits.handshake, tls.tls.accept(stream)) => greeted,
            // Nothing is under way yet that should be finished.
            _ = self.stopping.wait_for(|stopping| *stopping) => return,
        };
        match greeted {
            Ok(Ok(stream)) => {
                tls.handshakes.completed();
                let peer = Peer::of(stream.get_ref().1.peer_certificates()).map(Arc::new);
                self.talk(stream, peer).boxed().await;
            }
            Ok(Err(error)) => {
                tls.handshakes.failed();
                tracing::debug!(%error, "a TLS handshake failed");
            }
            Err(_late) => {
                tls.handshakes.late();
                self.account.ended(Limit::Handshake);
            }
        }
    }

    /// Serves the connection, over whatever it came.
    async fn talk(
        mut self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Option<Arc<Peer>>,
    ) {
        let talk = Arc::new(Talk::default());
        let (leave, leaving) = watch::channel(false);
        let service = service(self.router.clone(), &talk, peer, Leaving(leaving));
        let service = Arriving::new(service, self.origin, self.admission.clone());
        let stream = Backpressure::new(Together::new(stream));
        let stream = TokioIo::new(Watched::new(stream, Arc::clone(&talk), self.limits.header));
        let builder = builder(&self.limits);
        let serving = builder.serve_connection(stream, service);
        tokio::pin!(serving);
        let mut age = Age::of(&self.limits);
        let mut told = false;
        loop {
            let step = tokio::select! {
                ended = serving.as_mut() => {
                    // How a connection ends is its client's business, unless a limit ended it.
                    if let Some(limit) = ended.err().and_then(|error| limit_of(&*error, &talk)) {
                        self.account.ended(limit);
                    }
                    return;
                }
                _ = self.stopping.wait_for(|stopping| *stopping), if !told => {
                    told = true;
                    serving.as_mut().graceful_shutdown();
                    continue;
                }
                step = age.next(), if self.ages => step,
            };
            match step {
                Step::Leave => {
                    self.account.ended(Limit::MaxAge);
                    leave.send_replace(true);
                    talk.leave();
                    // To close what is idle over HTTP/1 could meet a request that is on its way.
                    if talk.is_http2() {
                        serving.as_mut().graceful_shutdown();
                    }
                }
                Step::Close if !talk.is_http2() => serving.as_mut().graceful_shutdown(),
                Step::Close | Step::End => return self.account.ended(Limit::MaxAgeGrace),
            }
        }
    }
}

/// What answers requests of one connection.
fn service(
    router: Router,
    talk: &Arc<Talk>,
    peer: Option<Arc<Peer>>,
    leaving: Leaving,
) -> TowerToHyperService<
    impl tower::Service<
        Request<hyper::body::Incoming>,
        Response = axum::response::Response,
        Error = std::convert::Infallible,
        Future: Send,
    > + Clone
    + use<>,
> {
    let (asked, answered) = (Arc::clone(talk), Arc::clone(talk));
    let answering = router.map_request(move |request: Request<_>| {
        asked.asked();
        let mut request = request.map(Body::new);
        if let Some(peer) = &peer {
            request.extensions_mut().insert(Arc::clone(peer));
        }
        request.extensions_mut().insert(leaving.clone());
        request
    });
    TowerToHyperService::new(answering.map_response(move |mut response| {
        answered.answered(&mut response);
        response
    }))
}

/// How a connection of a certain age is treated.
enum Step {
    /// It is told to make way: what is under way goes on, nothing new should come.
    Leave,
    /// It is closed as soon as nothing is under way, and HTTP/2, which was told at once, is ended.
    Close,
    /// It is ended.
    End,
}

/// The age of a connection.
struct Age {
    next: Instant,
    grace: Duration,
    steps: std::array::IntoIter<Step, 3>,
}

impl Age {
    fn of(limits: &ConnectionLimits) -> Self {
        // Without chance all are told at once, which is no more than a nuisance.
        let tenth = limits.max_age / 10;
        let more = getrandom::u32()
            .map_or(Duration::ZERO, |chance| tenth.mul_f64(f64::from(chance) / f64::from(u32::MAX)));
        let next = Instant::now() + limits.max_age + more;
        Self { next, grace: limits.max_age_grace, steps: [Step::Leave, Step::Close, Step::End].into_iter() }
    }

    /// Waits for the next step.
    async fn next(&mut self) -> Step {
        sleep_until(self.next).await;
        self.next += self.grace;
        self.steps.next().unwrap_or(Step::End)
    }
}

/// The limit that a connection was ended by, if it was one.
fn limit_of(error: &(dyn Error + 'static), talk: &Talk) -> Option<Limit> {
    let late = std::iter::successors(Some(error), |error| (*error).source()).any(|error| {
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
            || error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout)
    });
    match (late, talk.is_late()) {
        (_, true) => Some(Limit::Header),
        (true, false) => Some(Limit::Idle),
        (false, false) => None,
    }
}

fn builder(limits: &ConnectionLimits) -> Builder<TokioExecutor> {
    let http2 = &limits.http2;
    let header_bytes = usize::try_from(limits.header_bytes).unwrap_or(usize::MAX);
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // Counts from the request before: headers have their own time, by `Watched`.
        .header_read_timeout(limits.idle)
        .max_buf_size(header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(http2.streams)
        .initial_stream_window_size(http2.stream_window)
        .initial_connection_window_size(http2.connection_window)
        .max_header_list_size(limits.header_bytes)
        .max_pending_accept_reset_streams(http2.pending_resets)
        .max_local_error_reset_streams(http2.error_resets)
        .keep_alive_interval(http2.ping)
        .keep_alive_timeout(http2.ping_timeout);
    builder
}

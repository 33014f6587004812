//! Serving until told to stop, or until something ends that must not; then stopping in order.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::{FusedFuture, FutureExt as _, try_join};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::exports::Exports;
use super::operators::operate;
use super::{Bound, StartError};
use crate::config::Shutdown;
use crate::listening::{Address, ConnectionLimits};
use crate::pdp::Pdp;
use crate::server::administrators::Administrators;
use crate::server::admission::Admission;
use crate::server::call::Entrance;
use crate::server::connections::Door;
use crate::server::connections::account::Account;
use crate::server::connections::listener::Listener;
use crate::server::connections::places::Places;
use crate::server::grpc::Health;
use crate::server::observing::Observer;
use crate::server::ops::{Ops, Readiness};
use crate::server::report::ServiceReport;
use crate::server::tls::Acceptor;
use crate::server::{self, control};
use crate::telemetry::metrics::Metrics;

/// Longest time for the listeners that administrators and probes use to end.
const CLOSE: Duration = Duration::from_secs(1);
/// Longest time for collectors to be given the last spans and numbers.
const FLUSH: Duration = Duration::from_secs(5);

/// How to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Not ready, but serving for a while: balancers need time to notice.
    AfterGrace,
    /// What is under way is finished, nothing new is taken.
    AtOnce,
}

impl Bound {
    /// Serves until `stops` says how to stop, or is dropped; then finishes what is under way, and writes out the decision
    /// log. A second word cuts short what the first one waits for.
    ///
    /// # Errors
    /// Something failed or ended that serving needs, or records were lost at the end; everything has been stopped.
    pub async fn run(self, mut stops: mpsc::Receiver<Stop>) -> Result<(), StartError> {
        let (stopping, stopped) = watch::channel(false);
        let (closing, closed) = watch::channel(false);
        let (exports, observer) = observe(self.exports, &self.metrics, &self.report)?;
        let (pdp, admission) = (Arc::clone(&self.pdp), Arc::clone(&self.admission));
        let entrance = Entrance { pdp, admission, observer: Arc::clone(&observer) };
        let (grpc, health) = server::grpc::router(entrance.clone(), self.envoy, stopped.clone()).await?;
        let readiness = self.readiness;
        let http = server::authzen::router(entrance, self.authzen);
        let http = guarded(http, is_open_to_browsers(&self.addresses.http, &self.pdp), &readiness);
        let ops = Ops { readiness: readiness.clone(), metrics: self.metrics, report: self.report.clone() };
        let administered_by_callers = matches!(self.administrators, Administrators::Callers(_));
        let commands = self.running.loader.commands.clone();
        let pdp = Arc::clone(&self.pdp);
        let control = control::router(commands, self.report, self.administrators, pdp, observer, self.lease);
        let ops = server::ops::router(Arc::new(ops));
        let listeners = self.listeners;
        let _following = self.follower;
        let secured = |protocols: &[&[u8]]| self.tls.as_ref().map(|tls| tls.acceptor(protocols)).transpose();
        let control_tls = if administered_by_callers { secured(&[HTTP_2])? } else { None };
        let ops_tls = if self.ops_secured { secured(&[HTTP_2, HTTP_1])? } else { None };
        let accounts = self.accounts;
        let callers = Hall::for_callers(Arc::clone(&self.limits), self.admission);
        let deciding = both(
            callers.door(listeners.data, secured(&[HTTP_2])?, grpc, accounts.data),
            callers.door(listeners.http, secured(&[HTTP_2, HTTP_1])?, http, accounts.http),
            &stopped,
        );
        let operators = Hall::for_operators(self.limits);
        let until = closed.clone();
        let operating = operate((listeners.ops, listeners.control), closed, move |one, other| {
            let ops = operators.door(one, ops_tls, ops, accounts.ops);
            both(ops, operators.door(other, control_tls, control, accounts.control), &until)
        })?;
        tokio::pin!(deciding, operating);
        let mut running = self.running;
        readiness.set(true);
        let outcome = tokio::select! {
            ended = &mut deciding => Err(failed(ended, "a listener of decisions")),
            ended = &mut operating => Err(failed(ended, "a listener of operators")),
            ended = running.ended() => Err(ended),
            never = health.keep(&self.pdp) => match never {},
            stop = stops.recv() => Ok(stop.unwrap_or(Stop::AtOnce)),
        };
        readiness.set(false);
        let drained = drain(&outcome, self.shutdown, &health, &stopping, deciding.as_mut(), &mut stops);
        tokio::select! {
            // Probes and metrics are answered to the last.
            _ = &mut operating => {}
            () = drained => {}
        }
        let flushed = running.close().await;
        exports.stop(self.shutdown.drain.min(FLUSH)).await;
        closing.send_replace(true);
        if !operating.is_terminated() {
            drop(timeout(CLOSE, &mut operating).await);
        }
        outcome.and(flushed)
    }
}

/// AuthZEN as it is asked over HTTP/1: not by pages in a browser, and elsewhere once this server is about to stop.
fn guarded(http: Router, is_open_to_browsers: bool, readiness: &Readiness) -> Router {
    let http = match is_open_to_browsers {
        true => http.layer(axum::middleware::from_fn(server::protocol::require_local_host)),
        false => http,
    };
    http.layer(axum::middleware::from_fn_with_state(readiness.clone(), server::protocol::send_elsewhere))
}

/// Whether a page in a browser of this host could ask: one has no certificate that is trusted, no token, and opens no Unix
/// socket.
fn is_open_to_browsers(http: &Address, pdp: &Pdp) -> bool {
    http.is_tcp() && http.is_local() && pdp.callers().gate().is_none()
}

/// Begins to push metrics, if they are to be; and what counts and traces calls.
fn observe(
    mut exports: Exports,
    metrics: &Arc<Metrics>,
    report: &ServiceReport,
) -> Result<(Exports, Arc<Observer>), StartError> {
    exports.push(metrics, report)?;
    let observer = Observer::new(Arc::clone(metrics), exports.tracer.clone());
    Ok((exports, Arc::new(observer)))
}

type Served = io::Result<((), ())>;

/// Protocols by the names that TLS has for them (RFC 7301 §6).
const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// What listeners share that let in the same people.
struct Hall {
    places: Places,
    limits: Arc<ConnectionLimits>,
    ages: bool,
    admission: Option<Arc<Admission>>,
}

impl Hall {
    fn for_callers(limits: Arc<ConnectionLimits>, admission: Arc<Admission>) -> Self {
        Self { places: Places::for_callers(&limits), limits, ages: true, admission: Some(admission) }
    }

    /// Nobody spreads operators over servers, and followers stay with the one they follow.
    fn for_operators(limits: Arc<ConnectionLimits>) -> Self {
        Self { places: Places::for_operators(), limits, ages: false, admission: None }
    }

    fn door(&self, listener: Listener, tls: Option<Acceptor>, router: Router, account: Arc<Account>) -> Door {
        let (places, limits) = (self.places.clone(), Arc::clone(&self.limits));
        let admission = self.admission.clone();
        // Over a Unix socket there is nothing to secure.
        let tls = tls.filter(|_| matches!(listener, Listener::Tcp(_)));
        Door { listener, tls, router, places, limits, ages: self.ages, account, admission }
    }
}

/// Serves over two listeners until both are done.
fn both(
    one: Door,
    other: Door,
    stopped: &watch::Receiver<bool>,
) -> impl FusedFuture<Output = Served> + use<> {
    try_join(one.serve(stopped.clone()), other.serve(stopped.clone())).fuse()
}

/// Tells balancers, leaves them time to notice, tells connections, and waits for what is under way.
async fn drain<T>(
    outcome: &Result<Stop, StartError>,
    Shutdown { grace, drain }: Shutdown,
    health: &Health,
    stopping: &watch::Sender<bool>,
    mut deciding: impl FusedFuture<Output = T> + Unpin,
    stops: &mut mpsc::Receiver<Stop>,
) {
    health.stop_serving().await;
    if outcome.as_ref().is_ok_and(|stop| *stop == Stop::AfterGrace) {
        // Whoever connects meanwhile is let in, which takes the listeners' own futures.
        tokio::select! {
            _ended = &mut deciding => {}
            () = tokio::time::sleep(grace) => {}
            Some(_) = stops.recv() => {}
        }
    }
    stopping.send_replace(true);
    if deciding.is_terminated() {
        return;
    }
    // A caller that never ends its request must not keep the process.
    tokio::select! {
        _ended = &mut deciding => {}
        () = tokio::time::sleep(drain) => {}
        Some(_) = stops.recv() => {}
    }
}

/// Why serving ended before it was told to.
fn failed<T>(outcome: io::Result<T>, what: &'static str) -> StartError {
    match outcome {
        Ok(_) => StartError::Ended(what),
        Err(error) => StartError::Serve(error),
    }
}

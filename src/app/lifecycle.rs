//! Serving until told to stop, or until something ends that must not; then stopping in order.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::{FusedFuture, FutureExt as _, try_join};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::{Bound, StartError};
use crate::config::Shutdown;
use crate::listening::ConnectionLimits;
use crate::server::administrators::Administrators;
use crate::server::connections::Door;
use crate::server::connections::account::{Account, Accounts};
use crate::server::connections::places::Places;
use crate::server::grpc::Health;
use crate::server::ops::Ops;
use crate::server::tls::Acceptor;
use crate::server::{self, control};

/// Longest time for the listeners that administrators and probes use to end.
const CLOSE: Duration = Duration::from_secs(1);

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
        let envoy = self.envoy;
        let (grpc, health) = server::grpc::router(Arc::clone(&self.pdp), envoy, stopped.clone()).await?;
        let mut http = server::authzen::router(Arc::clone(&self.pdp), self.authzen);
        // A page in a browser has no certificate that is trusted, and no token.
        if self.addresses.http.ip().is_loopback() && self.pdp.callers().gate().is_none() {
            http = http.layer(axum::middleware::from_fn(server::protocol::require_local_host));
        }
        let readiness = self.readiness;
        let ops = Ops { readiness: readiness.clone(), metrics: self.metrics, report: self.report.clone() };
        let administered_by_callers = matches!(self.administrators, Administrators::Callers(_));
        let control = control::router(
            self.running.loader.commands.clone(),
            self.report,
            self.administrators,
            Arc::clone(&self.pdp),
            self.lease,
        );
        let ops = server::ops::router(Arc::new(ops));
        let listeners = self.listeners;
        let _following = self.follower;
        let secured = |protocols: &[&[u8]]| self.tls.as_ref().map(|tls| tls.acceptor(protocols)).transpose();
        let control_tls = if administered_by_callers { secured(&[HTTP_2])? } else { None };
        let Accounts { data: of_data, http: of_http, ops: of_ops, control: of_control } = self.accounts;
        let callers = Hall { places: Places::for_callers(&self.limits), limits: &self.limits, ages: true };
        let deciding = both(
            callers.door(listeners.data, secured(&[HTTP_2])?, grpc, of_data),
            callers.door(listeners.http, secured(&[HTTP_2, HTTP_1])?, http, of_http),
            &stopped,
        );
        // Nobody spreads operators over servers, and followers stay with the one they follow.
        let operators = Hall { places: Places::for_operators(), limits: &self.limits, ages: false };
        let operating = both(
            operators.door(listeners.ops, None, ops, of_ops),
            operators.door(listeners.control, control_tls, control, of_control),
            &closed,
        );
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
        closing.send_replace(true);
        if !operating.is_terminated() {
            drop(timeout(CLOSE, &mut operating).await);
        }
        outcome.and(flushed)
    }
}

type Served = io::Result<((), ())>;

/// Protocols by the names that TLS has for them (RFC 7301 §6).
const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// What listeners share that let in the same people.
struct Hall<'a> {
    places: Places,
    limits: &'a Arc<ConnectionLimits>,
    ages: bool,
}

impl Hall<'_> {
    fn door(
        &self,
        listener: TcpListener,
        tls: Option<Acceptor>,
        router: Router,
        account: Arc<Account>,
    ) -> Door {
        let (places, limits) = (self.places.clone(), Arc::clone(self.limits));
        Door { listener, tls, router, places, limits, ages: self.ages, account }
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

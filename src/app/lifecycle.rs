//! Serving until told to stop, or until something ends that must not; then stopping in order.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Bound, StartError};
use crate::server::ops::Ops;
use crate::server::{self, control};

/// Longest time for the decision log to be written out.
const FLUSH: Duration = Duration::from_secs(10);
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
    /// Serves until `stop` completes, finishes what is under way, and writes out the decision log.
    ///
    /// # Errors
    /// Something failed or ended that serving needs; everything else has been stopped.
    pub async fn run(self, stop: impl Future<Output = Stop> + Send) -> Result<(), StartError> {
        let (stopping, stopped) = watch::channel(false);
        let (closing, closed) = watch::channel(false);
        let (grpc, health) = server::grpc::router(Arc::clone(&self.pdp), stopped.clone()).await?;
        let mut http = server::authzen::router(Arc::clone(&self.pdp));
        if self.addresses.http.ip().is_loopback() {
            http = http.layer(axum::middleware::from_fn(server::protocol::require_local_host));
        }
        let readiness = self.readiness.clone();
        let ops = Ops { readiness: readiness.clone(), metrics: self.metrics, report: self.report.clone() };
        let control = control::router(self.loader.commands.clone(), self.report, self.token);
        let listeners = self.listeners;
        let deciding = async {
            tokio::try_join!(
                serve(listeners.data, grpc, stopped.clone()),
                serve(listeners.http, http, stopped.clone())
            )
        };
        let watching = async {
            tokio::try_join!(
                serve(listeners.ops, server::ops::router(Arc::new(ops)), closed.clone()),
                serve(listeners.control, control, closed.clone())
            )
        };
        tokio::pin!(deciding, watching);
        let mut loader = self.loader;
        let writer_ended = self.writer.ended();
        tokio::pin!(writer_ended);
        readiness.set(true);
        let outcome = tokio::select! {
            outcome = &mut deciding => Err(failed(outcome, "a listener of decisions")),
            outcome = &mut watching => Err(failed(outcome, "a listener of operators")),
            _ = loader.ended() => Err(StartError::Ended("the loader of policies")),
            () = &mut writer_ended => Err(StartError::Ended("the writer of the decision log")),
            stop = stop => Ok(stop),
        };
        readiness.set(false);
        health.stop_serving().await;
        let drained = async {
            if outcome.as_ref().is_ok_and(|stop| *stop == Stop::AfterGrace) {
                tokio::time::sleep(self.shutdown.grace).await;
            }
            stopping.send_replace(true);
            // Connections are told to go away; a caller that never ends its request must not keep the process.
            drop(timeout(self.shutdown.drain, &mut deciding).await);
        };
        tokio::select! {
            // Probes and metrics are answered to the last.
            _ = &mut watching => {}
            () = drained => {}
        }
        let writer = self.writer;
        // Both wait for threads.
        let ended = tokio::task::spawn_blocking(move || (loader.stop(FLUSH), writer.shutdown(FLUSH))).await;
        closing.send_replace(true);
        drop(timeout(CLOSE, &mut watching).await);
        outcome?;
        ended.map(drop).map_err(|_panic| StartError::Ended("the last of the service"))
    }
}

/// Why serving ended before it was told to.
fn failed<T>(outcome: io::Result<T>, what: &'static str) -> StartError {
    match outcome {
        Ok(_) => StartError::Ended(what),
        Err(error) => StartError::Serve(error),
    }
}

async fn serve(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) -> io::Result<()> {
    // Answers are single small frames: waiting to fill a packet would only delay them.
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    let stop = async move {
        // An error means that `run` is gone, which stops serving as well.
        drop(stopped.wait_for(|stop| *stop).await);
    };
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

//! A thread that gives a collector what the process says of itself. Nothing that decides waits for it, and its end is not
//! the process's.

use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::watch;

/// Why nothing can be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// The collector can never be reached.
    #[error("`telemetry.{signal}`: {why}")]
    Collector {
        /// What it was to be given.
        signal: &'static str,
        /// Why.
        why: String,
    },
    /// The system gives no thread.
    #[error("no thread to export telemetry: {0}")]
    Thread(#[from] std::io::Error),
}

/// The thread. Dropping it ends it, without waiting.
#[derive(Debug)]
pub struct Exporter {
    ending: watch::Sender<bool>,
    /// Closed by its end.
    ended: watch::Receiver<()>,
}

/// How the thread knows that the end is near.
#[derive(Debug)]
pub(super) struct Signs(watch::Receiver<bool>);

impl Signs {
    /// Resolves once it is.
    pub(super) async fn end(&mut self) {
        // Whoever is gone without a word wants no more, either.
        let _gone = self.0.wait_for(|ending| *ending).await.map(drop);
    }
}

impl Exporter {
    /// Runs this on a thread and a runtime of its own.
    ///
    /// # Errors
    /// The system gives neither.
    pub(super) fn start<F>(
        signal: &'static str,
        run: impl FnOnce(Signs) -> F + Send + 'static,
    ) -> Result<Self, ExporterError>
    where
        F: Future<Output = ()>,
    {
        let (ending, signs) = watch::channel(false);
        let (running, ended) = watch::channel(());
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(format!("otlp-{signal}"));
        thread.spawn(move || {
            let _running = running;
            runtime.block_on(run(Signs(signs)));
        })?;
        Ok(Self { ending, ended })
    }

    /// Has what waits exported, for at most this long.
    pub async fn stop(mut self, within: Duration) {
        self.ending.send_replace(true);
        let ended = async { while self.ended.changed().await.is_ok() {} };
        if tokio::time::timeout(within, ended).await.is_err() {
            tracing::warn!("the collector of telemetry does not take what is left");
        }
    }
}

/// Whether the collector takes what it is given: told of in the log when that changes, and no more often.
#[derive(Debug)]
pub(super) struct Standing {
    what: &'static str,
    fails: bool,
}

impl Standing {
    /// All is well so far.
    pub(super) fn of(what: &'static str) -> Self {
        Self { what, fails: false }
    }

    /// What came of the latest export.
    pub(super) fn now(&mut self, outcome: Result<(), String>) {
        match (outcome, self.fails) {
            (Err(problem), false) => {
                tracing::warn!(
                    what = self.what,
                    problem,
                    "the collector of telemetry takes nothing; it is dropped"
                );
                self.fails = true;
            }
            (Ok(()), true) => {
                tracing::info!(what = self.what, "the collector of telemetry takes what it is given again");
                self.fails = false;
            }
            _ => {}
        }
    }
}

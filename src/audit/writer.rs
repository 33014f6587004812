//! The thread that writes, as whoever started it sees it.

use std::fmt;
use std::future::Future;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::counts::Counts;
use super::queue::Queue;
use super::worker::RETRY_PAUSE;

/// The writer's thread, as whoever started it sees it. Dropping it ends the thread, without waiting.
pub struct Writer {
    running: Option<Running>,
}

/// The thread, and how its end is told.
pub(super) struct Running {
    pub(super) queue: Queue,
    pub(super) ended: watch::Receiver<()>,
    pub(super) finished: mpsc::Receiver<()>,
}

impl Writer {
    /// No thread.
    pub(super) fn off() -> Self {
        Self { running: None }
    }

    /// A thread that runs.
    pub(super) fn of(running: Running) -> Self {
        Self { running: Some(running) }
    }

    /// Resolves when the thread has ended, for whatever reason; never if there is none. Before a
    /// [`shutdown`](Self::shutdown) that is a defect: nothing is recorded any more.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let ended = self.running.as_ref().map(|running| running.ended.clone());
        async move {
            match ended {
                Some(mut ended) => while ended.changed().await.is_ok() {},
                None => std::future::pending().await,
            }
        }
    }

    /// Writes what is queued, says that the log ends here, signs it, makes it last, ends the thread, and says what became of
    /// every record. Whoever records afterwards is counted as `writer_gone`. Blocks for at most `timeout`: in async code, on a
    /// thread that may block. If the disk hangs longer than that, `queued` says how many records there still are.
    pub fn shutdown(self, timeout: Duration) -> Counts {
        let Some(running) = &self.running else { return Counts::default() };
        running.queue.stop(Instant::now() + timeout.saturating_sub(RETRY_PAUSE * 2));
        // Nothing is ever sent: the end of the thread ends the wait.
        let _ended = running.finished.recv_timeout(timeout);
        let counts = running.queue.counts();
        let Counts { issued, written, queued, .. } = counts;
        let dropped = counts.dropped();
        if queued == 0 {
            tracing::info!(issued, written, dropped, "the decision log is closed");
        } else {
            tracing::error!(issued, written, queued, dropped, "the decision log could not be closed in time");
        }
        counts
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.queue.stop(Instant::now());
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("running", &self.running.is_some()).finish()
    }
}

//! Telling Mandate what became of what it decided, beside the agent's own way: nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

use super::decider::Decider;
use crate::server::pb;

/// Most reports that wait. An agent that is faster than its decision log must not be held up by what was done already.
const QUEUE: usize = 1024;
/// Most that are under way: each may have to wait until its decision is on disk.
const AT_ONCE: usize = 32;
/// How long the last ones may take.
const FLUSH: Duration = Duration::from_secs(10);

/// Reports, as they come.
#[derive(Debug)]
pub(super) struct Reporter {
    queue: mpsc::Sender<pb::ReportOutcomeRequest>,
    reporting: JoinHandle<()>,
    unreported: Arc<AtomicU64>,
}

impl Reporter {
    pub(super) fn start(decider: Arc<Decider>) -> Self {
        let (queue, reports) = mpsc::channel(QUEUE);
        let unreported = Arc::<AtomicU64>::default();
        let failed = Arc::clone(&unreported);
        let reporting = ReceiverStream::new(reports).for_each_concurrent(AT_ONCE, move |report| {
            let (decider, failed) = (Arc::clone(&decider), Arc::clone(&failed));
            async move {
                if let Err(status) = decider.report(report).await {
                    // The first is worth a word; at the end there is the number.
                    if failed.fetch_add(1, Ordering::Relaxed) == 0 {
                        tracing::warn!(code = %status.code(), "what became of a decision could not be reported");
                    }
                }
            }
        });
        Self { queue, reporting: tokio::spawn(reporting), unreported }
    }

    /// Reports what became of a decision; of what nobody decided there is nothing to report.
    pub(super) fn report(&self, report: pb::ReportOutcomeRequest) {
        if !report.decision_id.is_empty() && self.queue.try_send(report).is_err() {
            self.unreported.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits for the last ones.
    pub(super) async fn close(self) {
        let Self { queue, reporting, unreported } = self;
        drop(queue);
        let stop = reporting.abort_handle();
        if timeout(FLUSH, reporting).await.is_err() {
            stop.abort();
            tracing::warn!("outcomes were still being reported at the end");
        }
        match unreported.load(Ordering::Relaxed) {
            0 => {}
            outcomes => tracing::warn!(outcomes, "what became of decisions was not reported"),
        }
    }
}

//! The one thread that writes.

use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use uuid::{Builder, Uuid};

use super::Overflow;
use super::counts::{Counts, DropReason};
use super::line::Encoder;
use super::queue::{Message, Queue};
use super::record::Record;
use super::sink::Sink;
use crate::engine::guard::WORKER_STACK_BYTES;

/// How long the writer lets records gather before it looks again.
const LINGER: Duration = Duration::from_millis(5);
/// How many waiting records are worth writing at once.
const BATCH_RECORDS: usize = 512;
/// How many bytes are worth writing at once.
const BATCH_BYTES: usize = 1024 * 1024;
/// How long to wait before trying again what failed.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The writer's thread, as whoever started it sees it. Dropping it ends the thread, without waiting.
pub struct Writer {
    running: Option<Running>,
}

struct Running {
    queue: Queue,
    ended: watch::Receiver<()>,
    finished: mpsc::Receiver<()>,
}

impl Writer {
    /// No thread.
    pub(super) fn off() -> Self {
        Self { running: None }
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

    /// Writes what is queued, makes it last, ends the thread, and says what became of every record. Whoever records
    /// afterwards is counted as `writer_gone`. Blocks for at most `timeout`: in async code, on a thread that may block. If the
    /// sink hangs longer than that, `queued` says how many records it still has.
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

/// The thread's own state.
pub(super) struct Worker {
    queue: Queue,
    receiver: UnboundedReceiver<Message>,
    sink: Box<dyn Sink + Send>,
    encoder: Encoder,
    lines: Vec<u8>,
    batch: Batch,
    failing: bool,
    /// Last, so that the end is known only when everything is counted.
    _end: End,
}

/// Records taken from the queue and not accounted for yet.
#[derive(Debug, Default)]
struct Batch {
    records: u64,
    places: usize,
}

/// Whoever waits for the end of the thread hears of it when this is dropped.
struct End {
    _ended: watch::Sender<()>,
    _finished: mpsc::Sender<()>,
}

impl Worker {
    pub(super) fn spawn(
        queue: Queue,
        receiver: UnboundedReceiver<Message>,
        sink: Box<dyn Sink + Send>,
    ) -> io::Result<Writer> {
        let (ended_sender, ended) = watch::channel(());
        let (finished_sender, finished) = mpsc::channel();
        let worker = Self {
            queue: queue.clone(),
            receiver,
            sink,
            encoder: Encoder::new(instance()?),
            lines: Vec::new(),
            batch: Batch::default(),
            failing: false,
            _end: End { _ended: ended_sender, _finished: finished_sender },
        };
        // A record may hold the last reference to a policy of a world that was replaced, and drop it here.
        thread::Builder::new()
            .name("mandate-audit".to_owned())
            .stack_size(WORKER_STACK_BYTES)
            .spawn(move || worker.run())?;
        Ok(Writer { running: Some(Running { queue, ended, finished }) })
    }

    fn run(mut self) {
        while let Some(first) = self.receiver.blocking_recv() {
            self.linger();
            self.take(first);
            while self.lines.len() < BATCH_BYTES {
                let Ok(next) = self.receiver.try_recv() else { break };
                self.take(next);
            }
            self.deliver();
        }
        if let Err(error) = self.sink.flush() {
            tracing::error!(%error, "the decision log may not survive a crash of the machine");
        }
    }

    /// Waits for company, unless there is enough or somebody waits for room.
    fn linger(&self) {
        let gathered = self.receiver.len() >= BATCH_RECORDS;
        if gathered || self.queue.is_full() || self.receiver.is_closed() {
            return;
        }
        // A small queue would be full before the writer looks again.
        let small = usize::try_from(self.queue.capacity()).is_ok_and(|capacity| capacity < 8 * BATCH_RECORDS);
        thread::sleep(if small { LINGER / 5 } else { LINGER });
    }

    fn take(&mut self, message: Message) {
        let Message::Record { record, places } = message else {
            self.queue.close();
            self.receiver.close();
            return;
        };
        self.batch.records += 1;
        self.batch.places += usize::try_from(places).unwrap_or(0);
        #[cfg(test)]
        fault(&record);
        if let Err(error) = self.encoder.encode(&record, &mut self.lines) {
            self.batch.records -= 1;
            self.queue.tally().dropped(DropReason::IoError, 1);
            tracing::error!(%error, "a decision record cannot be written as JSON");
        }
        if let Record::Decision(record) = &record {
            self.queue.recent().add(record);
        }
    }

    /// Writes what was taken. Where answers wait for their records it tries until it succeeds or is to end.
    fn deliver(&mut self) {
        while !self.lines.is_empty() {
            match self.sink.write(&self.lines) {
                Ok(()) => {
                    self.queue.tally().written(mem::take(&mut self.batch.records));
                    self.lines.clear();
                    self.recovered();
                }
                Err(error) => {
                    self.failed(&error);
                    if self.tries_again() {
                        thread::sleep(RETRY_PAUSE);
                        continue;
                    }
                    let lost = mem::take(&mut self.batch.records);
                    self.queue.tally().dropped(DropReason::IoError, lost);
                    self.lines.clear();
                }
            }
        }
        self.queue.give_back(mem::take(&mut self.batch.places));
    }

    fn tries_again(&self) -> bool {
        let over = self.queue.stops().is_some_and(|until| Instant::now() >= until);
        self.queue.overflow() == Overflow::Block && !over
    }

    fn failed(&mut self, error: &io::Error) {
        if self.failing {
            return;
        }
        self.failing = true;
        self.queue.set_failing(true);
        match self.queue.overflow() {
            Overflow::Drop => {
                tracing::error!(%error, "the decision log cannot be written: records are dropped and counted");
            }
            Overflow::Block => {
                tracing::error!(%error, "the decision log cannot be written: answers wait once the queue is full");
            }
        }
    }

    fn recovered(&mut self) {
        if mem::take(&mut self.failing) {
            self.queue.set_failing(false);
            let dropped = self.queue.counts().io_error;
            tracing::info!(dropped, "the decision log can be written again");
        }
    }
}

impl Drop for Worker {
    /// However the thread ends, what it leaves is counted.
    fn drop(&mut self) {
        self.queue.close();
        self.receiver.close();
        let mut left = self.batch.records;
        while let Some(message) = self.receiver.blocking_recv() {
            left += u64::from(matches!(message, Message::Record { .. }));
        }
        self.queue.tally().dropped(DropReason::WriterGone, left);
    }
}

/// A random name for this process's lines.
fn instance() -> io::Result<Uuid> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(Builder::from_random_bytes(bytes).into_uuid())
}

/// Panics where a defect of the encoder would.
#[cfg(test)]
fn fault(record: &Record) {
    let id = match record {
        Record::Outcome(record) => &record.report.detail,
        Record::Decision(record) => &record.request_id,
        Record::Refusal(record) => &record.request_id,
        Record::Change(record) => &record.reason,
    };
    assert_ne!(id, super::examples_for_tests::POISON, "as the test wants");
}

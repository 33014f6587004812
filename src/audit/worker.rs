//! The one thread that writes: what it does, and when.

use std::io;
use std::mem;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{oneshot, watch};

use super::Overflow;
use super::counts::{Counts, DropReason};
use super::journal::Journal;
use super::ledger::Ledger;
use super::lifecycle::{Gaps, Lifecycle, Start, Told};
use super::queue::{Message, Queue};
use super::sinks::Accounts;
use super::tree::notary::Account;
use super::writer::{Running, Writer};

/// How long the writer lets records gather before it looks again.
const LINGER: Duration = Duration::from_millis(5);
/// How many waiting records are worth writing at once.
const BATCH_RECORDS: usize = 512;
/// How many bytes are worth writing at once.
const BATCH_BYTES: usize = 1024 * 1024;
/// How long to wait before trying again what failed.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// How long the end waits for the witnesses at most.
const WITNESSED: Duration = Duration::from_secs(3);
/// How often the writer looks whether something is due, though nobody tells it of a record.
const LOOK: Duration = Duration::from_secs(1);

/// What whoever waits for its record to last is told.
type Waiter = oneshot::Sender<()>;

/// The thread's own state.
pub(super) struct Worker {
    queue: Queue,
    receiver: UnboundedReceiver<Message>,
    journal: Journal,
    accounts: Accounts,
    gaps: Gaps,
    batch: Batch,
    /// Those whose records are written and not synced.
    unsynced: Vec<Waiter>,
    failing: bool,
    /// Waits for records, and no longer than something is due.
    clock: Runtime,
    /// What a test does to the disk.
    #[cfg(test)]
    faults: super::faults_for_tests::Faults,
    /// Last, so that the end is known only when everything is counted.
    _end: End,
}

/// Records taken from the queue and not accounted for yet.
#[derive(Debug, Default)]
struct Batch {
    records: u64,
    places: usize,
    waiters: Vec<Waiter>,
}

/// Whoever waits for the end of the thread hears of it when this is dropped.
struct End {
    _ended: watch::Sender<()>,
    _finished: mpsc::Sender<()>,
}

/// What a worker is made of.
pub(super) struct Parts {
    pub(super) queue: Queue,
    pub(super) receiver: UnboundedReceiver<Message>,
    pub(super) journal: Journal,
    pub(super) accounts: Accounts,
    pub(super) start: Start,
    #[cfg(test)]
    pub(super) faults: super::faults_for_tests::Faults,
}

impl Worker {
    /// Writes that the log begins, signs it, and starts the thread.
    ///
    /// # Errors
    /// The disk takes nothing, or the system gives no thread.
    pub(super) fn spawn(parts: Parts) -> io::Result<Writer> {
        let Parts { queue, receiver, mut journal, accounts, start, .. } = parts;
        journal.say(&Lifecycle::Start(start))?;
        journal.checkpoint(Account::default())?;
        // What the counters of the process before said is on disk now.
        queue.tally().ledger().map_or(Ok(()), Ledger::begin)?;
        let (ended_sender, ended) = watch::channel(());
        let (finished_sender, finished) = mpsc::channel();
        let worker = Self {
            queue: queue.clone(),
            receiver,
            journal,
            accounts,
            gaps: Gaps::new(),
            batch: Batch::default(),
            unsynced: Vec::new(),
            failing: false,
            clock: Builder::new_current_thread().enable_time().build()?,
            #[cfg(test)]
            faults: parts.faults,
            _end: End { _ended: ended_sender, _finished: finished_sender },
        };
        thread::Builder::new().name("mandate-audit".to_owned()).spawn(move || worker.run())?;
        Ok(Writer::of(Running { queue, ended, finished }))
    }

    fn run(mut self) {
        loop {
            match self.next() {
                Next::Message(first) => {
                    self.linger(&first);
                    self.gather(first);
                    self.deliver();
                }
                Next::Nothing => {}
                Next::End => break,
            }
            self.attend();
        }
        self.end();
    }

    /// The next record, or the moment when something else is due.
    fn next(&mut self) -> Next {
        if let Ok(message) = self.receiver.try_recv() {
            return Next::Message(message);
        }
        let due = self.journal.sync_due().unwrap_or_else(|| Instant::now() + LOOK);
        let receiver = &mut self.receiver;
        let received =
            self.clock.block_on(async { tokio::time::timeout_at(due.into(), receiver.recv()).await });
        match received {
            Ok(Some(message)) => Next::Message(message),
            Ok(None) => Next::End,
            Err(_due) => Next::Nothing,
        }
    }

    /// Waits for company, unless there is enough or somebody waits for room or for its answer.
    fn linger(&self, first: &Message) {
        let gathered = self.receiver.len() >= BATCH_RECORDS;
        let hurried = matches!(first, Message::Record { waiter: Some(_), .. });
        if gathered || hurried || self.queue.is_full() || self.receiver.is_closed() {
            return;
        }
        // A small queue would be full before the writer looks again.
        let small = usize::try_from(self.queue.capacity()).is_ok_and(|capacity| capacity < 8 * BATCH_RECORDS);
        thread::sleep(if small { LINGER / 5 } else { LINGER });
    }

    fn gather(&mut self, first: Message) {
        self.take(first);
        while self.journal.waiting() < BATCH_BYTES {
            let Ok(next) = self.receiver.try_recv() else { break };
            self.take(next);
        }
    }

    fn take(&mut self, message: Message) {
        let (line, decided, places, waiter) = match message {
            Message::Record { line, decided, places, waiter } => (line, decided, places, waiter),
            Message::Own(record) => {
                if let Err(error) = self.journal.add_generation(&record) {
                    tracing::error!(%error, "what became of a generation cannot be written to the decision log");
                }
                return;
            }
            Message::Close => {
                self.queue.close();
                self.receiver.close();
                return;
            }
        };
        self.batch.records += 1;
        self.batch.places += usize::try_from(places).unwrap_or(0);
        #[cfg(test)]
        super::faults_for_tests::kill(&line);
        if let Err(error) = self.journal.add(&line) {
            self.batch.records -= 1;
            self.queue.tally().dropped(DropReason::Unwritable, 1);
            tracing::error!(%error, "a record of the decision log cannot be written");
            return;
        }
        self.batch.waiters.extend(waiter);
        if let Some((id, decided)) = decided {
            self.queue.recent().add(id, decided);
        }
    }

    /// Writes what was taken. Where answers wait for their records it tries until it succeeds or is to end.
    fn deliver(&mut self) {
        loop {
            match self.write() {
                Ok(()) => {
                    self.queue.tally().written(mem::take(&mut self.batch.records));
                    self.unsynced.append(&mut self.batch.waiters);
                    self.recovered();
                    break;
                }
                Err(error) => {
                    self.failed(&error);
                    if self.tries_again() {
                        thread::sleep(RETRY_PAUSE);
                        continue;
                    }
                    let lost = mem::take(&mut self.batch.records);
                    self.queue.tally().dropped(DropReason::IoError, lost);
                    self.journal.forget();
                    self.batch.waiters.clear();
                    break;
                }
            }
        }
        self.queue.give_back(mem::take(&mut self.batch.places));
    }

    fn write(&mut self) -> io::Result<()> {
        #[cfg(test)]
        self.faults.meet()?;
        self.journal.write()
    }

    /// Does whatever else is due. A disk is believed to take records again once it has taken one: while answers are denied
    /// for its sake nobody else writes any.
    fn attend(&mut self) {
        let before = self.journal.written();
        match self.do_what_is_due() {
            Err(error) => self.failed(&error),
            Ok(()) if self.journal.written() > before => self.recovered(),
            Ok(()) => {}
        }
    }

    /// Syncs, tells of what is missing, signs, begins another segment.
    fn do_what_is_due(&mut self) -> io::Result<()> {
        if !self.unsynced.is_empty() || self.journal.sync_due().is_some_and(|due| Instant::now() >= due) {
            self.sync()?;
        }
        let counts = self.queue.counts();
        self.tell_gaps(&counts)?;
        if self.failing || self.journal.is_checkpoint_due(counts.issued) {
            self.journal.checkpoint(counts.account())?;
        }
        self.journal.turn(counts.account(), self.accounts.floor())
    }

    fn sync(&mut self) -> io::Result<()> {
        let synced = self.journal.sync();
        let waiters = mem::take(&mut self.unsynced);
        if synced.is_ok() {
            // Nobody may be waiting any more.
            for waiter in waiters {
                let _gone = waiter.send(());
            }
        }
        synced
    }

    fn tell_gaps(&mut self, counts: &Counts) -> io::Result<()> {
        let gaps = self.gaps.new_ones(counts);
        if gaps.is_empty() {
            return Ok(());
        }
        for gap in gaps {
            self.journal.say(&Lifecycle::Gap(gap))?;
        }
        self.gaps.told(counts);
        Ok(())
    }

    /// Says that the log ends here, and makes it last.
    fn end(&mut self) {
        let counts = self.queue.counts();
        let ended = self
            .tell_gaps(&counts)
            .and_then(|()| self.journal.say(&Lifecycle::Stop(Told::of(&counts))))
            .and_then(|()| self.journal.checkpoint(counts.account()))
            .and_then(|()| self.sync());
        let until = self.queue.stops().unwrap_or_else(Instant::now);
        self.journal.finish(until.min(Instant::now() + WITNESSED));
        let ledger = self.queue.tally().ledger();
        let ended = ended.and_then(|()| ledger.map_or(Ok(()), Ledger::close_clean));
        if let Err(error) = ended {
            tracing::error!(%error, "the decision log may not survive a crash of the machine");
        }
    }

    fn tries_again(&self) -> bool {
        let over = self.queue.stops().is_some_and(|until| Instant::now() >= until);
        self.queue.overflow() != Overflow::Drop && !over
    }

    fn failed(&mut self, error: &io::Error) {
        if self.failing {
            return;
        }
        self.failing = true;
        self.queue.set_failing(true);
        let then = self.queue.overflow().consequence();
        tracing::error!(%error, "the decision log cannot be written: {then}");
    }

    fn recovered(&mut self) {
        if mem::take(&mut self.failing) {
            self.queue.set_failing(false);
            let dropped = self.queue.counts().io_error;
            tracing::info!(dropped, "the decision log can be written again");
        }
    }
}

/// What comes next.
enum Next {
    Message(Message),
    Nothing,
    End,
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

//! The thread that feeds one sink.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use uuid::Uuid;

use super::account::{Account, Loss, Tally};
use super::config::SinkConfig;
use super::cursor::{Cursor, CursorFile};
use super::glance;
use super::{Batch, End, Sink, SinkError};
use crate::audit::spool::Progress;
use crate::audit::spool::reader::{Entry, LogReader, ReadError};
use crate::audit::spool::segment::{self, SegmentError};
use crate::outbound::backoff::Backoff;

/// How long what was delivered may be unknown to the cursor.
const SETTLE: Duration = Duration::from_millis(250);
/// How often to look for records that nobody told of.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// So many records in a row, refused one by one, and the sink refuses everything, as far as anybody can tell. From there
/// on they are given up one for each pause: what is configured wrongly must not use up the log.
const REFUSED_IN_A_ROW: u32 = 32;

/// What a sink is fed from.
#[derive(Debug, Clone)]
pub(super) struct Feed {
    /// The log.
    pub(super) log: Uuid,
    /// Its folder.
    pub(super) directory: PathBuf,
    /// How far it has come.
    pub(super) progress: watch::Receiver<Progress>,
    /// Until when to go on, once it is to end.
    pub(super) stops: watch::Receiver<Option<Instant>>,
}

/// One sink, its cursor and its account, not fed yet.
#[derive(Debug)]
pub(super) struct Feeder {
    sink: Box<dyn Sink>,
    cursor: CursorFile,
    account: Arc<Account>,
    batch_records: usize,
    batch_bytes: usize,
}

impl Feeder {
    /// A feeder of this sink.
    pub(super) fn new(config: &SinkConfig, sink: Box<dyn Sink>, cursor: CursorFile) -> Self {
        let tally = cursor.found().map(|cursor| cursor.tally()).unwrap_or_default();
        let account = Arc::new(Account::new(&config.name, config.kind.as_str(), tally));
        let (batch_records, batch_bytes) = (config.batch_records, config.batch_bytes);
        Self { sink, cursor, account, batch_records, batch_bytes }
    }

    pub(super) fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }

    /// Starts the thread. `end` is dropped when it ends.
    pub(super) fn spawn(self, feed: Feed, end: End) -> io::Result<()> {
        self.account.follows(feed.progress.clone());
        let name = format!("mandate-sink-{}", self.account.name());
        let spawned = thread::Builder::new().name(name).spawn(move || {
            let _end = end;
            // Made here, and dropped here: it must not be dropped where others wait.
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => Feeding::begin(self, feed, runtime).run(),
                Err(error) => tracing::error!(%error, "a sink of the decision log cannot be fed"),
            }
        });
        spawned.map(drop)
    }
}

/// What came of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It went well, and there may be more to do.
    Moved,
    /// The sink has everything.
    CaughtUp,
    /// It is to be tried again after so long.
    Failed(Duration),
}

/// The thread's own state.
struct Feeding {
    feeder: Feeder,
    feed: Feed,
    runtime: Runtime,
    reader: LogReader,
    tally: Tally,
    /// What was read. The sink has what is before `start`; what is before `end` it is offered next.
    entries: Vec<Entry>,
    start: usize,
    end: usize,
    /// Most records that it is offered at once: fewer after each failure, for a sink that takes little in its limit of
    /// time must have that little.
    most: usize,
    backoff: Backoff,
    refused_in_a_row: u32,
    /// The record at `start` has been refused, and a pause has been made of it.
    paused: bool,
    /// When the cursor was written, and what it said then.
    settled: (Instant, u64),
    /// The last attempt to write it failed.
    unsettled: bool,
}

impl Feeding {
    fn begin(feeder: Feeder, feed: Feed, runtime: Runtime) -> Self {
        let tally = begin(&feeder, &feed);
        feeder.account.set(tally);
        feeder.account.set_settled(tally.next);
        Self {
            reader: LogReader::new(&feed.directory, tally.next),
            settled: (Instant::now(), tally.next),
            most: feeder.batch_records,
            runtime,
            feeder,
            feed,
            tally,
            entries: Vec::new(),
            start: 0,
            end: 0,
            backoff: Backoff::new(),
            refused_in_a_row: 0,
            paused: false,
            unsettled: false,
        }
    }

    fn run(mut self) {
        loop {
            let step = self.step();
            self.settle_if_due();
            // What is left when it is to end was tried once more by now.
            match step {
                Step::Moved if self.is_over() => break,
                Step::Moved => {}
                _ if self.is_stopping() => break,
                Step::CaughtUp => self.wait(LOOK_AGAIN, true),
                Step::Failed(pause) => self.wait(pause, false),
            }
        }
        if !self.is_over() {
            self.settle();
        }
    }

    fn step(&mut self) -> Step {
        if self.start < self.entries.len() {
            return self.offer();
        }
        let synced = self.feed.progress.borrow().synced;
        match self.reader.read(synced, self.feeder.batch_records, self.feeder.batch_bytes) {
            Ok(entries) => {
                let oldest = entries.first().and_then(|entry| glance::time(&entry.line));
                self.feeder.account.waits_since(oldest);
                (self.start, self.entries) = (0, entries);
                self.end = self.most.min(self.entries.len());
                if self.entries.is_empty() { Step::CaughtUp } else { Step::Moved }
            }
            Err(error) => self.cannot_read(&error),
        }
    }

    /// Offers what comes next to the sink. If it holds something that will never be taken, half of it is offered, and so
    /// on, until that record stands alone.
    fn offer(&mut self) -> Step {
        let entries = self.entries.get(self.start..self.end).unwrap_or_default();
        let offered = entries.len();
        let batch = Batch { log: self.feed.log, entries };
        match self.feeder.sink.deliver(&batch, &self.runtime) {
            Ok(()) => self.taken(offered, 0),
            Err(SinkError::Partly { rejected, why }) => {
                self.lost(Loss::Rejected, rejected, &why);
                self.taken(offered, rejected);
            }
            Err(SinkError::Refused { .. }) if offered > 1 => self.end = self.start + offered / 2,
            Err(SinkError::Refused { why }) => return self.refused(&why),
            Err(SinkError::Later { why, after }) => {
                self.most = (offered / 2).max(1);
                self.end = self.start + self.most.min(offered);
                return self.failed(&why, after);
            }
        }
        Step::Moved
    }

    fn taken(&mut self, records: usize, rejected: u64) {
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        let rejected = rejected.min(records);
        self.tally.delivered += records - rejected;
        self.tally.lost.add(Loss::Rejected, rejected);
        self.refused_in_a_row = 0;
        self.backoff.reset();
        self.most = self.most.saturating_mul(2).min(self.feeder.batch_records);
        if self.feeder.account.recovered() {
            tracing::info!(
                sink = self.feeder.account.name(),
                next = self.tally.next + records,
                "the sink takes records again"
            );
        }
        self.move_on(records);
    }

    /// One record will never be taken. After many of them each is offered twice, with a pause between.
    fn refused(&mut self, why: &str) -> Step {
        if self.refused_in_a_row >= REFUSED_IN_A_ROW && !self.paused {
            self.paused = true;
            let why = format!("refuses every record, so its configuration may be wrong: {why}");
            return self.failed(&why, None);
        }
        self.refused_in_a_row = self.refused_in_a_row.saturating_add(1);
        self.tally.lost.add(Loss::Refused, 1);
        self.lost(Loss::Refused, 1, why);
        self.move_on(1);
        Step::Moved
    }

    /// The sink is due nothing more of so many records.
    fn move_on(&mut self, records: u64) {
        self.tally.next += records;
        self.start = self.end;
        self.end = self.start.saturating_add(self.most).min(self.entries.len());
        self.paused = false;
        let oldest = self.entries.get(self.start).and_then(|entry| glance::time(&entry.line));
        self.feeder.account.waits_since(oldest);
        self.feeder.account.set(self.tally);
    }

    fn failed(&mut self, why: &str, after: Option<Duration>) -> Step {
        if self.feeder.account.failed(why) {
            let (sink, next) = (self.feeder.account.name(), self.tally.next);
            tracing::error!(sink, next, "the decision log cannot be delivered, which is tried again: {why}");
        }
        Step::Failed(self.backoff.pause(after))
    }

    /// Says what the sink will never have.
    fn lost(&self, reason: Loss, records: u64, why: &str) {
        let (sink, from) = (self.feeder.account.name(), self.tally.next);
        let reason = reason.as_str();
        tracing::error!(sink, from, records, reason, "the sink will never have some records: {why}");
    }

    /// What cannot be read any more is lost to the sink; what may be read later is waited for.
    fn cannot_read(&mut self, error: &ReadError) -> Step {
        let (reason, resume) = match error {
            ReadError::Gone { oldest, .. } => (Loss::Retention, Some(*oldest)),
            ReadError::Folder { .. } | ReadError::Segment { error: SegmentError::Io(_), .. } => {
                (Loss::Unreadable, None)
            }
            ReadError::Missing { .. } | ReadError::Segment { .. } => (Loss::Unreadable, self.next_segment()),
        };
        let Some(resume) = resume.filter(|resume| *resume > self.tally.next) else {
            // What it holds of the file may be what is wrong.
            self.reader = LogReader::new(&self.feed.directory, self.tally.next);
            return self.failed(&error.to_string(), None);
        };
        let records = resume - self.tally.next;
        self.tally.lost.add(reason, records);
        self.lost(reason, records, &error.to_string());
        self.reader = LogReader::new(&self.feed.directory, resume);
        self.tally.next = resume;
        self.feeder.account.set(self.tally);
        Step::Moved
    }

    /// First record of the segment after the one that the next record is in.
    fn next_segment(&self) -> Option<u64> {
        let segments = segment::list(&self.feed.directory).ok()?;
        segments.into_iter().map(|segment| segment.first).find(|first| *first > self.tally.next)
    }

    fn settle_if_due(&mut self) {
        let (at, next) = self.settled;
        if next != self.tally.next && at.elapsed() >= SETTLE {
            self.settle();
        }
    }

    /// Has the sink make last what it has, and the cursor say so.
    fn settle(&mut self) {
        if self.settled.1 == self.tally.next {
            return;
        }
        self.settled.0 = Instant::now();
        let cursor = Cursor::new(self.feed.log, self.tally);
        let written = self.feeder.sink.settle().map_err(|error| error.to_string());
        match written.and_then(|()| self.feeder.cursor.write(&cursor).map_err(|error| error.to_string())) {
            Ok(()) => {
                self.settled.1 = self.tally.next;
                self.feeder.account.set_settled(self.tally.next);
                if std::mem::take(&mut self.unsettled) {
                    self.feeder.account.recovered();
                }
            }
            Err(error) => {
                self.unsettled = true;
                let why = format!("what was delivered cannot be kept, so it may be delivered twice: {error}");
                self.failed(&why, None);
            }
        }
    }

    /// Waits for so long, or until it is to end, or until there are more records if those are waited for. Meanwhile the
    /// sink's connections are looked after.
    fn wait(&mut self, longest: Duration, for_more: bool) {
        let unsettled = self.settled.1 != self.tally.next;
        let longest = if unsettled { longest.min(SETTLE) } else { longest };
        let (progress, stops) = (&mut self.feed.progress, &mut self.feed.stops);
        self.runtime.block_on(async {
            let more = async {
                match progress.changed().await {
                    Ok(()) if for_more => {}
                    // Whoever wrote the log is gone, or was not waited for.
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                () = more => {}
                _ended = stops.changed() => {}
                () = tokio::time::sleep(longest) => {}
            }
        });
        self.settle_if_due();
    }

    /// Whether it is to end.
    fn is_stopping(&self) -> bool {
        self.feed.stops.borrow().is_some() || self.feed.stops.has_changed().is_err()
    }

    /// Whether nobody waits for it any more.
    fn is_over(&self) -> bool {
        let until = *self.feed.stops.borrow();
        until.map_or_else(|| self.feed.stops.has_changed().is_err(), |until| Instant::now() >= until)
    }
}

/// Where to begin: at the cursor, if it is one of this log's, else at the oldest record.
fn begin(feeder: &Feeder, feed: &Feed) -> Tally {
    let oldest = segment::list(&feed.directory)
        .ok()
        .and_then(|segments| segments.first().map(|segment| segment.first))
        .unwrap_or(0);
    let anew = Tally { begun: oldest, next: oldest, ..Tally::default() };
    let Some(cursor) = feeder.cursor.found() else { return anew };
    let (sink, synced) = (feeder.account.name(), feed.progress.borrow().synced);
    if cursor.log != feed.log {
        let (log, other) = (feed.log, cursor.log);
        tracing::warn!(sink, %log, %other, "the sink's cursor is of another log: it is fed this one from record {oldest} on");
        return anew;
    }
    if cursor.next > synced {
        let next = cursor.next;
        tracing::warn!(
            sink,
            next,
            synced,
            "the sink's cursor is beyond the log, of which something was lost or put back: it is fed from record {oldest} on"
        );
        return anew;
    }
    cursor.tally()
}

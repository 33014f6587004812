//! The account: every record that was issued was written, is queued, or was dropped for a reason.

use std::sync::atomic::{AtomicU64, Ordering};

use super::ledger::{Counter, Ledger};
use super::tree::notary::Account;

/// How often a reading is taken before one that others have overtaken is good enough.
const MAX_READINGS: usize = 100;

/// Why a record was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// No room in the queue.
    QueueFull,
    /// The sink refused it.
    IoError,
    /// The thread that writes has ended.
    WriterGone,
    /// It cannot be written as JSON, or no frame holds it.
    Unwritable,
    /// One of many that would say the same: that a request was turned away because there were too many.
    Overload,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::QueueFull, Self::IoError, Self::WriterGone, Self::Unwritable, Self::Overload];

    /// The reason's name, as in the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::IoError => "io_error",
            Self::WriterGone => "writer_gone",
            Self::Unwritable => "unwritable",
            Self::Overload => "overload",
        }
    }
}

/// What became of every record so far. `issued = written + queued + dropped` in every one of these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that answers made.
    pub issued: u64,
    /// Records the sink took.
    pub written: u64,
    /// Records on their way.
    pub queued: u64,
    /// Dropped: no room in the queue.
    pub queue_full: u64,
    /// Dropped: the sink refused them.
    pub io_error: u64,
    /// Dropped: the thread that writes has ended.
    pub writer_gone: u64,
    /// Dropped: no line of JSON, or no frame, holds it.
    pub unwritable: u64,
    /// Dropped: one of many that would say the same.
    pub overload: u64,
}

impl Counts {
    /// Records dropped for one reason.
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        match reason {
            DropReason::QueueFull => self.queue_full,
            DropReason::IoError => self.io_error,
            DropReason::WriterGone => self.writer_gone,
            DropReason::Unwritable => self.unwritable,
            DropReason::Overload => self.overload,
        }
    }

    /// Records dropped for any reason.
    pub fn dropped(&self) -> u64 {
        DropReason::ALL.into_iter().map(|reason| self.dropped_for(reason)).sum()
    }

    /// What a checkpoint says of them.
    pub(super) fn account(&self) -> Account {
        Account { issued: self.issued, written: self.written, dropped: self.dropped(), reserved: 0 }
    }
}

/// The counters. A record is counted as issued before it can be counted as anything else.
#[derive(Debug)]
pub(super) struct Tally {
    /// The same, where it outlives the process.
    ledger: Option<Ledger>,
    issued: AtomicU64,
    written: AtomicU64,
    queue_full: AtomicU64,
    io_error: AtomicU64,
    writer_gone: AtomicU64,
    unwritable: AtomicU64,
    overload: AtomicU64,
}

impl Tally {
    /// All at nought; counted in a ledger too, if there is one.
    pub(super) fn new(ledger: Option<Ledger>) -> Self {
        let none = AtomicU64::default;
        Self {
            ledger,
            issued: none(),
            written: none(),
            queue_full: none(),
            io_error: none(),
            writer_gone: none(),
            unwritable: none(),
            overload: none(),
        }
    }

    /// The counters that outlive the process.
    pub(super) fn ledger(&self) -> Option<&Ledger> {
        self.ledger.as_ref()
    }

    pub(super) fn issued(&self) {
        self.issued.fetch_add(1, Ordering::Release);
        if let Some(ledger) = &self.ledger {
            ledger.add(Counter::Issued, 1);
        }
    }

    pub(super) fn written(&self, records: u64) {
        self.written.fetch_add(records, Ordering::Release);
    }

    pub(super) fn dropped(&self, reason: DropReason, records: u64) {
        let counter = match reason {
            DropReason::QueueFull => &self.queue_full,
            DropReason::IoError => &self.io_error,
            DropReason::WriterGone => &self.writer_gone,
            DropReason::Unwritable => &self.unwritable,
            DropReason::Overload => &self.overload,
        };
        counter.fetch_add(records, Ordering::Release);
        if let Some(ledger) = self.ledger.as_ref().filter(|_| records > 0) {
            ledger.add(Counter::Dropped(reason), records);
        }
    }

    /// One reading. What is settled is read before what was issued, so that nothing settled is missing from it. If more
    /// was settled meanwhile it is read again, or what is on its way would be overstated.
    pub(super) fn read(&self) -> Counts {
        let mut settled = self.settled();
        for _ in 1..MAX_READINGS {
            let counts = self.balanced(settled);
            settled = self.settled();
            if counts.written + counts.dropped() == settled.written + settled.dropped() {
                return counts;
            }
        }
        self.balanced(settled)
    }

    fn settled(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        Counts {
            written: read(&self.written),
            queue_full: read(&self.queue_full),
            io_error: read(&self.io_error),
            writer_gone: read(&self.writer_gone),
            unwritable: read(&self.unwritable),
            overload: read(&self.overload),
            ..Counts::default()
        }
    }

    /// What was settled, with what has been issued by now.
    fn balanced(&self, settled: Counts) -> Counts {
        let issued = self.issued.load(Ordering::Acquire);
        let queued = issued.saturating_sub(settled.written + settled.dropped());
        Counts { issued, queued, ..settled }
    }
}

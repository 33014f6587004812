//! From decisions to the writer: room for a bounded number of records, and no waiting unless asked for.
//!
//! Room is a semaphore's; the channel behind it has no bound of its own. A send wakes the writer only if it sleeps for
//! want of records: while it lingers or writes, sending is a few atomic operations.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, TryAcquireError, oneshot};
use uuid::Uuid;

use super::counts::{Counts, DropReason, Tally};
use super::fields::Fields;
use super::generation::GenerationRecord;
use super::ledger::Ledger;
use super::line::{Encoder, Line};
use super::outcome::Decided;
use super::recent::Recent;
use super::record::Record;
use super::{Mode, Overflow};

/// Bytes of a caller's values that one place in the queue stands for: a larger record takes more places, so that large
/// requests cannot fill the memory.
pub const RECORD_BYTES: usize = 1024;

/// The writer has ended: nothing can be recorded any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the decision log's writer has ended, so no answer can be recorded")]
pub struct WriterGone;

/// What becomes of an answer whose record is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRecorded {
    /// None may be given.
    Refuse,
    /// It is a denial, whatever was decided.
    Deny,
}

/// A record on its way.
#[must_use = "an answer that waits for its record is not given before"]
#[derive(Debug)]
pub struct Recording {
    lasts: Option<oneshot::Receiver<()>>,
    /// The answer is given though its record is lost.
    may_be_lost: bool,
}

impl Recording {
    /// Nobody waits for it.
    pub fn done() -> Self {
        Self { lasts: None, may_be_lost: true }
    }

    /// Waits until the record lasts, where the answer is to wait for that.
    ///
    /// # Errors
    /// [`WriterGone`]: it does not, and the answer must not be given.
    pub async fn settled(self) -> Result<(), WriterGone> {
        let Some(lasts) = self.lasts else { return Ok(()) };
        match lasts.await {
            Err(_lost) if !self.may_be_lost => Err(WriterGone),
            _ => Ok(()),
        }
    }
}

/// The way to the writer.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sender: UnboundedSender<Message>,
    places: Semaphore,
    capacity: u32,
    overflow: Overflow,
    mode: Mode,
    tally: Tally,
    /// The sink refuses what it is given.
    failing: AtomicBool,
    /// When the writer gives up on a sink that fails, once it is to end.
    stop: OnceLock<Instant>,
    /// What of a record may be written down.
    fields: Fields,
    encoder: Encoder,
    /// What was written of late.
    recent: Recent,
}

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Message {
    /// Write this, and give back its places.
    Record {
        /// The record.
        line: Line,
        /// A decision, as it is remembered.
        decided: Option<(Uuid, Decided)>,
        /// The places it took.
        places: u32,
        /// Who is to hear when it lasts.
        waiter: Option<oneshot::Sender<()>>,
    },
    /// Write this, which no answer made and nobody waits for.
    Own(Box<GenerationRecord>),
    /// Take nothing more, write what is queued, end.
    Close,
}

impl Queue {
    pub(super) fn new(
        capacity: u32,
        overflow: Overflow,
        mode: Mode,
        (fields, encoder): (Fields, Encoder),
        ledger: Option<Ledger>,
    ) -> (Self, UnboundedReceiver<Message>) {
        let (sender, receiver) = unbounded_channel();
        let capacity = capacity.max(1);
        let places = Semaphore::new(usize::try_from(capacity).unwrap_or(Semaphore::MAX_PERMITS));
        let (tally, failing, stop) = (Tally::new(ledger), AtomicBool::new(false), OnceLock::new());
        (
            Self {
                shared: Arc::new(Shared {
                    sender,
                    places,
                    capacity,
                    overflow,
                    mode,
                    tally,
                    failing,
                    stop,
                    fields,
                    encoder,
                    recent: Recent::default(),
                }),
            },
            receiver,
        )
    }

    /// Room without a place held.
    pub(super) fn room(&self) -> Room {
        Room { queue: Some(self.clone()), places: 0, promised: false }
    }

    pub(super) async fn reserve(&self, records: usize) -> Result<Room, WriterGone> {
        let mut room = self.room();
        room.promised = true;
        if self.shared.overflow == Overflow::Block {
            // More than there will ever be would wait for ever.
            let places = u32::try_from(records).unwrap_or(u32::MAX).min(self.shared.capacity);
            self.shared.places.acquire_many(places).await.map_err(|_closed| WriterGone)?.forget();
            room.places = places;
        }
        Ok(room)
    }

    pub(super) fn counts(&self) -> Counts {
        self.shared.tally.read()
    }

    pub(super) fn fields(&self) -> &Fields {
        &self.shared.fields
    }

    pub(super) fn recent(&self) -> &Recent {
        &self.shared.recent
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    pub(super) fn overflow(&self) -> Overflow {
        self.shared.overflow
    }

    pub(super) fn capacity(&self) -> u32 {
        self.shared.capacity
    }

    /// Whether somebody may be waiting for room.
    pub(super) fn is_full(&self) -> bool {
        self.shared.places.available_permits() == 0
    }

    /// Notes whether the sink refuses what it is given.
    pub(super) fn set_failing(&self, failing: bool) {
        self.shared.failing.store(failing, Ordering::Relaxed);
    }

    fn is_failing(&self) -> bool {
        self.shared.failing.load(Ordering::Relaxed)
    }

    /// Whether no answer, or none but a denial, can be given until the disk takes records again.
    pub(super) fn is_stalled(&self) -> bool {
        match self.overflow() {
            Overflow::Drop => false,
            Overflow::Block => self.is_full() && self.is_failing(),
            Overflow::Deny => self.is_failing(),
        }
    }

    pub(super) fn give_back(&self, places: usize) {
        self.shared.places.add_permits(places);
    }

    /// Lets nobody in any more.
    pub(super) fn close(&self) {
        self.shared.places.close();
    }

    /// Has the writer write what no answer made. It takes no room: there is little of it.
    pub(super) fn tell(&self, record: GenerationRecord) {
        let _gone = self.shared.sender.send(Message::Own(Box::new(record)));
    }

    /// Tells the writer to end, and until when to try.
    pub(super) fn stop(&self, until: Instant) {
        // The first to say so has said it; a writer that has ended needs no telling.
        let _told = self.shared.stop.set(until);
        let _gone = self.shared.sender.send(Message::Close);
    }

    /// When to give up, once that has been said.
    pub(super) fn stops(&self) -> Option<Instant> {
        self.shared.stop.get().copied()
    }

    /// Takes this many places if they are free.
    fn take(&self, places: u32) -> Result<(), DropReason> {
        if places == 0 {
            return Ok(());
        }
        match self.shared.places.try_acquire_many(places) {
            Ok(taken) => {
                taken.forget();
                Ok(())
            }
            Err(TryAcquireError::NoPermits) => Err(DropReason::QueueFull),
            Err(TryAcquireError::Closed) => Err(DropReason::WriterGone),
        }
    }

    /// The record's line, and its decision if it is one. A defect in here must take neither the answer with it nor whoever
    /// writes.
    fn line(&self, record: Record) -> Result<(Line, Option<(Uuid, Decided)>), DropReason> {
        let encode = AssertUnwindSafe(|| {
            #[cfg(test)]
            super::faults_for_tests::poison(&record);
            self.shared.encoder.line(&record)
        });
        let Ok(Ok(line)) = catch_unwind(encode) else {
            tracing::error!("a record of the decision log cannot be written: a defect in Mandate");
            return Err(DropReason::Unwritable);
        };
        let decided = match record {
            Record::Decision(record) => Some((record.id, record.decided())),
            _ => None,
        };
        Ok((line, decided))
    }
}

/// Room for the records of one call. What is not used is given back.
#[must_use = "an answer is recorded through the room it was promised"]
pub struct Room {
    queue: Option<Queue>,
    /// Places held and not used yet; none unless answers wait for room.
    places: u32,
    /// Whether answers wait for this room: without it, a record that finds none is dropped whatever the rule is, for
    /// refusals that nobody counts must not fill the memory.
    promised: bool,
}

impl Room {
    /// Room where nothing is recorded.
    pub(super) fn off() -> Self {
        Self { queue: None, places: 0, promised: false }
    }

    /// Records an answer. Never waits. `record` is not called if nothing would come of it. With `required`, the answer
    /// may not be given unless its record lasts.
    ///
    /// # Errors
    /// [`NotRecorded`]: what may be answered instead.
    pub fn record(
        &mut self,
        required: bool,
        record: impl FnOnce() -> Record,
    ) -> Result<Recording, NotRecorded> {
        let Some(queue) = self.queue.clone() else {
            return if required { Err(NotRecorded::Refuse) } else { Ok(Recording::done()) };
        };
        queue.tally().issued();
        let waits = required || queue.shared.mode == Mode::Durable;
        let (waiter, lasts) = waits.then(oneshot::channel).unzip();
        match self.put(&queue, record, waiter) {
            Ok(()) => Ok(Recording { lasts, may_be_lost: !required && queue.overflow() == Overflow::Drop }),
            Err(reason) => {
                queue.tally().dropped(reason, 1);
                match queue.overflow() {
                    _ if required => Err(NotRecorded::Refuse),
                    Overflow::Drop => Ok(Recording::done()),
                    Overflow::Block => Err(NotRecorded::Refuse),
                    Overflow::Deny => Err(NotRecorded::Deny),
                }
            }
        }
    }

    fn put(
        &mut self,
        queue: &Queue,
        record: impl FnOnce() -> Record,
        waiter: Option<oneshot::Sender<()>>,
    ) -> Result<(), DropReason> {
        if queue.overflow() == Overflow::Deny && queue.is_failing() {
            return Err(DropReason::IoError);
        }
        let first = self.place(queue)?;
        let mut record = record();
        record.mask(&queue.shared.fields);
        let more = u32::try_from(record.size() / RECORD_BYTES).unwrap_or(u32::MAX).min(queue.capacity() - 1);
        let places = match queue.take(more) {
            Ok(()) => first + more,
            // The answer was promised: it goes in, and whoever comes next waits for what is there.
            Err(DropReason::QueueFull) if self.promised && queue.overflow() == Overflow::Block => first,
            Err(reason) => {
                queue.give_back(usize::try_from(first).unwrap_or(0));
                return Err(reason);
            }
        };
        let (line, decided) = queue
            .line(record)
            .inspect_err(|_defect| queue.give_back(usize::try_from(places).unwrap_or(0)))?;
        let sent = queue.shared.sender.send(Message::Record { line, decided, places, waiter });
        sent.map_err(|_returned| DropReason::WriterGone)
    }

    /// One place: of those held, or a free one. A promise is kept where answers wait, however many records it was for.
    fn place(&mut self, queue: &Queue) -> Result<u32, DropReason> {
        if let Some(left) = self.places.checked_sub(1) {
            self.places = left;
            return Ok(1);
        }
        match queue.take(1) {
            Ok(()) => Ok(1),
            Err(DropReason::QueueFull) if self.promised && queue.overflow() == Overflow::Block => Ok(0),
            Err(reason) => Err(reason),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue
            && self.places > 0
        {
            queue.give_back(usize::try_from(self.places).unwrap_or(0));
        }
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("places", &self.places).finish_non_exhaustive()
    }
}

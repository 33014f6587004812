//! The thread that writes: what waits together is checked one after another, synced once, and published once.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::super::{Published, Store};
use super::disk::{Disk, DiskError, Head};
use super::draft::Draft;
use super::facts::{Batch, Entry, Fact};
use super::orders::{Order, WriteError, Written, WrittenChange};
use super::{LogStatus, Shared};
use crate::engine::edits::{Edit, Grants, Refusal};
use crate::engine::guard::PARSER_STACK_BYTES;
use crate::engine::ownership::Owner;
use crate::engine::world::World;
use crate::engine::written::Plain;

/// How many sequences may be used before the disk is told again.
pub(super) const RESERVE: u64 = 1 << 16;
/// Most writes that share a sync.
const MAX_TOGETHER: usize = 256;
/// How soon what the disk did not take is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Where the answer to a write goes.
type Answer = oneshot::Sender<Result<Written, WriteError>>;

/// What reaches the writer.
#[derive(Debug)]
pub(super) enum Job {
    /// Somebody writes.
    Write(Order, Answer),
    /// Facts that are in force already.
    Keep(Vec<Fact>),
    /// A world that was compiled anew, over everything written up to a sequence.
    Adopt(Box<World>, u64, Sender<Adopted>),
    /// Ends the writer, once everything before was tried. What it holds is dropped when the file is closed.
    Stop(Sender<()>),
}

/// What came of a world that was compiled anew.
#[derive(Debug)]
pub enum Adopted {
    /// It is served. The world before.
    Published(Arc<Published>),
    /// What was written since does not fit it.
    Refused(Refusal),
    /// Too much was written since to know all of it: it has to be compiled again.
    Outdated,
}

/// The writer.
#[derive(Debug)]
pub(super) struct Writer {
    disk: Disk,
    head: Head,
    store: Arc<Store>,
    shared: Arc<Shared>,
    /// Facts that are in force and not on disk.
    unkept: Vec<Fact>,
    /// What was sent to disk when it failed: whether it counts is found out when the file is opened anew.
    doubtful: Option<(Vec<Entry>, World)>,
}

/// A write that was checked and is in the draft.
struct Drafted {
    answer: Answer,
    changes: Vec<WrittenChange>,
}

impl Writer {
    /// Starts the thread. What it returns is dropped when the thread ends.
    pub(super) fn spawn(
        disk: Disk,
        head: Head,
        store: Arc<Store>,
        shared: Arc<Shared>,
        jobs: Receiver<Job>,
    ) -> io::Result<tokio::sync::watch::Receiver<()>> {
        let (ending, ended) = tokio::sync::watch::channel(());
        let mut writer = Self { disk, head, store, shared, unkept: Vec::new(), doubtful: None };
        thread::Builder::new().name("mandate-log".to_owned()).stack_size(PARSER_STACK_BYTES).spawn(
            move || {
                let closed = writer.run(&jobs);
                writer.shared.database.store(Arc::new(None));
                drop(writer);
                drop(jobs);
                drop(closed);
                drop(ending);
            },
        )?;
        Ok(ended)
    }

    fn run(&mut self, jobs: &Receiver<Job>) -> Option<Sender<()>> {
        loop {
            let first = if self.unkept.is_empty() && self.doubtful.is_none() {
                jobs.recv().map_err(|_gone| RecvTimeoutError::Disconnected)
            } else {
                jobs.recv_timeout(RETRY)
            };
            match first {
                Ok(job) => {
                    if let Some(closed) = self.take(job, jobs) {
                        return Some(closed);
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.write_together(Vec::new()),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Takes a job, and every write that waits behind it. Returns what to drop at the end, if this is the end.
    fn take(&mut self, first: Job, jobs: &Receiver<Job>) -> Option<Sender<()>> {
        let mut writes = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next.take() {
            match job {
                Job::Write(order, answer) => {
                    self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
                    writes.push((order, answer));
                }
                Job::Keep(facts) => self.unkept.extend(facts),
                Job::Adopt(world, base, answer) => {
                    self.write_together(std::mem::take(&mut writes));
                    // If the loader has gone, the process is ending.
                    drop(answer.send(self.adopt(*world, base)));
                }
                Job::Stop(closed) => {
                    self.write_together(writes);
                    return Some(closed);
                }
            }
            if writes.len() < MAX_TOGETHER {
                next = jobs.try_recv().ok();
            }
        }
        if !writes.is_empty() || !self.unkept.is_empty() {
            self.write_together(writes);
        }
        None
    }

    /// Checks writes one after another, writes those that fit, and publishes them as one world.
    fn write_together(&mut self, writes: Vec<(Order, Answer)>) {
        if let Err(error) = self.settle_doubt() {
            let refuse = |(_, answer): (_, Answer)| drop(answer.send(Err(WriteError::Disk(error.clone()))));
            return writes.into_iter().for_each(refuse);
        }
        let current = self.store.begin_write();
        let shared = Arc::clone(&self.shared);
        let mut draft = Draft::new(&current, &shared.grants);
        draft.keep(std::mem::take(&mut self.unkept));
        let mut drafted = Vec::with_capacity(writes.len());
        for (order, answer) in writes {
            match draft.take(order) {
                Ok(changes) => drafted.push(Drafted { answer, changes }),
                // Whoever asked may have gone.
                Err(error) => drop(answer.send(Err(error))),
            }
        }
        let entries = draft.entries();
        if entries.is_empty() {
            return self.store.end_write();
        }
        match self.commit(&entries) {
            Ok(()) => {
                let published = self.publish(&entries, draft.world());
                answer(drafted, &published);
            }
            Err(error) => {
                let world = draft.world().clone();
                self.failed(entries, world, drafted, &error);
            }
        }
    }

    /// Syncs entries.
    fn commit(&mut self, entries: &[Entry]) -> Result<(), DiskError> {
        let last = entries.last().map_or(self.head.last, |entry| entry.sequence);
        let reserved = self.head.reserved.max(last + RESERVE);
        let floor = self.shared.history.lock().unwrap_or_else(PoisonError::into_inner).oldest();
        self.disk.commit(entries, reserved, floor)?;
        (self.head.last, self.head.reserved) = (last, reserved);
        Ok(())
    }

    /// Publishes what is on disk: the entities of the draft, and its facts, over whatever generation is served by now.
    fn publish(&mut self, entries: &[Entry], draft: &World) -> Arc<Published> {
        let last = entries.last().map_or(0, |entry| entry.sequence);
        let mut history = self.shared.history.lock().unwrap_or_else(PoisonError::into_inner);
        for batch in entries.iter().map(Batch::of).filter(|batch| !batch.is_empty()) {
            history.push(Arc::new(batch));
        }
        drop(history);
        let grants = entries.iter().flat_map(|entry| &entry.facts).filter_map(|fact| match fact {
            Fact::Known(name, digest) => Some((name.clone(), digest.clone())),
            _ => None,
        });
        let mut served = self.shared.grants.lock().unwrap_or_else(PoisonError::into_inner);
        grants.for_each(|(name, digest)| served.learn(name, digest));
        drop(served);
        self.note(None, entries.len());
        self.store.finish_write(last, self.head.reserved, |current| {
            let ownership = draft.ownership.clone();
            let mut world = current.with_entities(draft.entities.clone()).owned(ownership, current.files);
            entries
                .iter()
                .flat_map(|entry| &entry.facts)
                .for_each(|fact| super::draft::apply(fact, &mut world));
            world
        })
    }

    /// The disk failed. What was sent may count all the same: that is found out at once if the file opens, and else later.
    fn failed(&mut self, entries: Vec<Entry>, draft: World, drafted: Vec<Drafted>, error: &DiskError) {
        tracing::error!(%error, "the entity log cannot be written");
        self.note(Some(error.to_string()), 0);
        // Until it is known, no other world has a sequence of these.
        self.doubtful = Some((entries, draft));
        let settled = self.settle_doubt();
        let outcome = |published: Option<Arc<Published>>, changes| match (published, &settled) {
            (Some(published), _) => Ok(Written { published, changes }),
            (None, Ok(_)) => Err(WriteError::Disk(error.to_string())),
            (None, Err(_)) => Err(WriteError::Unknown(error.to_string())),
        };
        let published = settled.as_ref().ok().cloned().flatten();
        for Drafted { answer, changes } in drafted {
            drop(answer.send(outcome(published.clone(), changes)));
        }
    }

    /// Opens the file anew after a failure, and goes by what it says: entries that are in it count, and are published.
    fn settle_doubt(&mut self) -> Result<Option<Arc<Published>>, String> {
        let Some((entries, draft)) = self.doubtful.take() else { return Ok(None) };
        self.shared.database.store(Arc::new(None));
        let head = self.disk.reopen().and_then(|()| self.disk.head());
        let head = match head {
            Ok(Some(head)) => head,
            Ok(None) => return self.still_doubtful(entries, draft, "its head is missing".to_owned()),
            Err(error) => return self.still_doubtful(entries, draft, error.to_string()),
        };
        if let Ok(database) = self.disk.database() {
            self.shared.database.store(Arc::new(Some(database)));
        }
        self.head = head;
        let last = entries.last().map_or(0, |entry| entry.sequence);
        if head.last >= last {
            // No generation for other types was adopted since: that waits for this.
            return Ok(Some(self.publish(&entries, &draft)));
        }
        self.store.end_write();
        // Facts that are in force stay so, and are tried again.
        let in_force = entries.into_iter().filter(|entry| &*entry.by == super::draft::FILES);
        self.unkept.extend(in_force.flat_map(|entry| entry.facts));
        Ok(None)
    }

    fn still_doubtful<T>(&mut self, entries: Vec<Entry>, draft: World, error: String) -> Result<T, String> {
        self.doubtful = Some((entries, draft));
        self.note(Some(error.clone()), 0);
        Err(error)
    }

    fn note(&self, error: Option<String>, written: usize) {
        let before = self.shared.status.load();
        let written = before.written + u64::try_from(written).unwrap_or(0);
        let status = LogStatus { error, unkept: self.unkept.len(), written };
        self.shared.status.store(Arc::new(status));
    }

    /// Publishes a world that was compiled for other files or another schema: with what was written since.
    fn adopt(&mut self, world: World, base: u64) -> Adopted {
        let current = self.store.current();
        let history = self.shared.history.lock().unwrap_or_else(PoisonError::into_inner);
        let since = history.between(base, current.sequence);
        drop(history);
        let Some(since) = since.filter(|_| self.doubtful.is_none()) else { return Adopted::Outdated };
        let touched = since.iter().flat_map(|batch| batch.changed.iter().chain(&batch.deleted));
        let edits = match catching_up(&current.world, &world, touched) {
            Some(edits) => edits,
            None => return Adopted::Outdated,
        };
        let world = match world.edit(&edits, Grants::Kept) {
            Ok(edited) => edited.world,
            Err(refusal) => return Adopted::Refused(refusal),
        };
        let files = world.files != current.world.files;
        // Whoever reads of it in the history finds it there: nobody looks between the two.
        let mut history = self.shared.history.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.store.update(|current| {
            let (revocations, suspensions) = (current.revocations.clone(), current.suspensions.clone());
            world.with_revocations(revocations).with_suspensions(suspensions)
        });
        if files {
            let sequence = self.store.current().sequence;
            history.push(Arc::new(Batch { sequence, files: true, ..Batch::default() }));
        }
        drop(history);
        Adopted::Published(before)
    }
}

fn answer(drafted: Vec<Drafted>, published: &Arc<Published>) {
    for Drafted { answer, changes } in drafted {
        let written = Written { published: Arc::clone(published), changes };
        // Whoever asked may have gone; what was written stays.
        drop(answer.send(Ok(written)));
    }
}

/// What `compiled` lacks of what is served, of the names that were touched since.
fn catching_up<'u>(
    served: &World,
    compiled: &World,
    touched: impl Iterator<Item = &'u cedar_policy::EntityUid>,
) -> Option<Vec<Edit>> {
    let mut seen = std::collections::HashSet::new();
    let mut edits = Vec::new();
    for uid in touched.filter(|uid| seen.insert((*uid).clone())) {
        match served.owner(uid) {
            Some(Owner::Api) => {
                let entity = served.entities.get(uid)?;
                edits.push(Edit::Put(Plain::of(uid, entity.members())?.text().ok()?));
            }
            _ if compiled.owner(uid) == Some(Owner::Api) => edits.push(Edit::Delete(uid.clone())),
            _ => {}
        }
    }
    Some(edits)
}

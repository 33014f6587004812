//! `Watch`: what changes, to whoever keeps something of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};
use tonic::Status;

use super::administrators::Administrator;
use super::{pb, stored};
use crate::identity::rights::Right;
use crate::store::Published;
use crate::store::entity_log::{Event, Watcher};

/// Names in one message of a whole state.
const TOGETHER: usize = 500;

/// How long what was sent is current, and how often is said that it still is: three times as often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beat(pub(super) Duration);

impl Beat {
    /// How long what was sent is current.
    pub(super) fn lease(self) -> Option<prost_types::Duration> {
        prost_types::Duration::try_from(self.0).ok()
    }

    /// How often is said that it still is.
    pub(super) fn every(self) -> Duration {
        self.0 / 3
    }
}

/// What is told to one who watches.
pub(super) struct Watching {
    watcher: Watcher,
    administrator: Administrator,
    entities: bool,
    beat: Beat,
    waiting: VecDeque<pb::WatchResponse>,
    ended: bool,
}

impl Watching {
    pub(super) fn new(
        watcher: Watcher,
        administrator: Administrator,
        entities: bool,
        beat: Beat,
        now: &Published,
    ) -> Self {
        let mut watching =
            Self { watcher, administrator, entities, beat, waiting: VecDeque::new(), ended: false };
        watching.look();
        let synced = pb::WatchResponse { synced: true, ..current(now, beat) };
        watching.waiting.push_back(synced);
        watching
    }

    /// Every message, until the watcher's rights or credentials end.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<pb::WatchResponse, Status>> {
        stream::unfold(self, |mut watching| async move {
            if watching.ended {
                return None;
            }
            let next = watching.next().await;
            watching.ended = next.is_err();
            Some((next, watching))
        })
    }

    async fn next(&mut self) -> Result<pb::WatchResponse, Status> {
        if self.waiting.is_empty() {
            let changed = async {
                loop {
                    if !self.watcher.changed().await {
                        return false;
                    }
                    let events = self.watcher.ready();
                    if !events.is_empty() {
                        let told = |event| told(&self.watcher, event, self.entities, self.beat);
                        self.waiting.extend(events.into_iter().flat_map(told));
                        return true;
                    }
                }
            };
            let every = self.beat.every();
            let wait = self.administrator.expires().map_or(every, |left| left.min(every));
            match tokio::time::timeout(wait, changed).await {
                Ok(true) | Err(_) => {}
                Ok(false) => return Err(Status::unavailable("the entity log has ended")),
            }
        }
        // Rights are looked at for every message, as for every question (C10).
        self.administrator.may(&Right::Watch)?;
        let heartbeat = || pb::WatchResponse { lease: self.beat.lease(), ..pb::WatchResponse::default() };
        Ok(self.waiting.pop_front().unwrap_or_else(heartbeat))
    }

    fn look(&mut self) {
        for event in self.watcher.ready() {
            let messages = told(&self.watcher, event, self.entities, self.beat);
            self.waiting.extend(messages);
        }
    }
}

fn current(published: &Published, beat: Beat) -> pb::WatchResponse {
    let revision = published.revision.to_string();
    pb::WatchResponse { revision, lease: beat.lease(), ..pb::WatchResponse::default() }
}

fn told(watcher: &Watcher, event: Event, entities: bool, beat: Beat) -> Vec<pb::WatchResponse> {
    match event {
        Event::Generation(published) => {
            vec![pb::WatchResponse { generation_published: true, ..current(&published, beat) }]
        }
        Event::Reset(published) => whole(&published, entities, beat),
        Event::Batch(batch, published) => {
            let names = |uids: &[_]| uids.iter().map(stored::name).collect();
            let held = batch.changed.iter().filter(|_| entities);
            vec![pb::WatchResponse {
                revision: watcher.revision(batch.sequence, &published),
                changed: names(&batch.changed),
                deleted: names(&batch.deleted),
                revoked: names(&batch.revoked),
                suspended: batch.suspended.iter().map(stored::party).collect(),
                lifted: batch.lifted.iter().map(stored::party).collect(),
                entities: held.filter_map(|uid| stored::message(&published.world, uid)).collect(),
                ..current(&published, beat)
            }]
        }
    }
}

/// Everything there is, in several messages, of which the first says that nothing before it counts.
fn whole(published: &Arc<Published>, entities: bool, beat: Beat) -> Vec<pb::WatchResponse> {
    let world = &published.world;
    let parties = world.suspensions.iter().map(|(suspended, _)| stored::party(&suspended)).collect();
    let mut messages =
        vec![pb::WatchResponse { reset: true, suspended: parties, ..current(published, beat) }];
    let revoked: Vec<_> = world.revocations.iter().map(stored::name).collect();
    for names in revoked.chunks(TOGETHER) {
        messages.push(pb::WatchResponse { revoked: names.to_vec(), ..current(published, beat) });
    }
    let stored: Vec<_> = world.entities.iter().map(|(uid, _)| uid).collect();
    for uids in stored.chunks(TOGETHER) {
        let held = uids.iter().filter(|_| entities);
        messages.push(pb::WatchResponse {
            changed: uids.iter().map(|uid| stored::name(uid)).collect(),
            entities: held.filter_map(|uid| stored::message(world, uid)).collect(),
            ..current(published, beat)
        });
    }
    messages
}

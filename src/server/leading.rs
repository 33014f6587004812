//! `Watch`, for those that follow this server: everything that is published, world after world.

use futures_util::{Stream, stream};
use prost::Message as _;
use tokio::sync::mpsc;
use tonic::Status;

use super::administrators::Administrator;
use super::watching::Beat;
use super::{pb, stored};
use crate::engine::compile::Sources;
use crate::engine::generation::Generation;
use crate::engine::ownership::Owner;
use crate::engine::problem::SourceFile;
use crate::identity::rights::Right;
use crate::store::entity_log::{Difference, Lead, Leap};

/// About how many bytes one message has.
const MESSAGE_BYTES: usize = 1024 * 1024;
/// Most names in one message.
const TOGETHER: usize = 1_000;
/// Messages that wait for whoever takes them.
const AHEAD: usize = 4;

/// A follower that is led.
pub(super) struct Leading {
    lead: Lead,
    administrator: Administrator,
    beat: Beat,
    greeting: Option<pb::WatchResponse>,
    /// Messages of a batch that is under way.
    batch: Option<mpsc::Receiver<pb::WatchResponse>>,
    ended: bool,
}

impl Leading {
    pub(super) fn new(lead: Lead, administrator: Administrator, beat: Beat) -> Self {
        let greeting = Some(greeting(&lead, beat));
        Self { lead, administrator, beat, greeting, batch: None, ended: false }
    }

    /// Every message, until the follower's rights or credentials end.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<pb::WatchResponse, Status>> {
        stream::unfold(self, |mut leading| async move {
            if leading.ended {
                return None;
            }
            let next = leading.next().await;
            leading.ended = next.is_err();
            Some((next, leading))
        })
    }

    async fn next(&mut self) -> Result<pb::WatchResponse, Status> {
        let message = self.message().await?;
        // Rights are looked at for every message, as for every question (C10).
        self.administrator.may(&Right::Watch)?;
        Ok(message)
    }

    async fn message(&mut self) -> Result<pb::WatchResponse, Status> {
        if let Some(greeting) = self.greeting.take() {
            return Ok(greeting);
        }
        loop {
            if let Some(batch) = &mut self.batch {
                let message = batch.recv().await;
                let message = message.ok_or_else(|| Status::internal("a batch was not told to its end"))?;
                if !message.more {
                    self.batch = None;
                }
                return Ok(message);
            }
            if let Some(leap) = self.lead.leap() {
                self.batch = Some(self.begin(leap));
                continue;
            }
            let wait =
                self.administrator.expires().map_or(self.beat.every(), |left| left.min(self.beat.every()));
            match tokio::time::timeout(wait, self.lead.changed()).await {
                Ok(true) => {}
                Ok(false) => return Err(Status::unavailable("the entity log has ended")),
                Err(_) => return Ok(pb::WatchResponse { lease: self.beat.lease(), ..Default::default() }),
            }
        }
    }

    /// Begins to tell a batch: what it comes to is found out on a thread that may take its time, no faster than it is taken.
    fn begin(&self, leap: Leap) -> mpsc::Receiver<pb::WatchResponse> {
        let (sender, batch) = mpsc::channel(AHEAD);
        let beat = self.beat;
        tokio::task::spawn_blocking(move || {
            let mut telling =
                Telling { leap: &leap, beat, sender, pending: pb::WatchResponse::default(), size: 0 };
            // If nobody takes it, the follower has gone.
            let _gone = telling.tell(leap.difference());
        });
        batch
    }
}

fn greeting(lead: &Lead, beat: Beat) -> pb::WatchResponse {
    let greeting = lead.greeting();
    let primary = pb::Primary {
        version: greeting.version,
        process: greeting.process,
        log: greeting.log.to_vec(),
        revision_key: greeting.key.bytes().to_vec(),
        settings: greeting.settings.into_iter().collect(),
    };
    pb::WatchResponse { primary: Some(primary), lease: beat.lease(), ..Default::default() }
}

/// One batch, in as many messages as it takes.
struct Telling<'l> {
    leap: &'l Leap,
    beat: Beat,
    sender: mpsc::Sender<pb::WatchResponse>,
    pending: pb::WatchResponse,
    size: usize,
}

/// Whoever took it has gone.
struct Gone;

impl Telling<'_> {
    fn tell(&mut self, difference: Difference) -> Result<(), Gone> {
        let Difference { whole, generation, put, deleted, revoked, suspended, lifted } = difference;
        self.pending.reset = whole;
        // What denies comes first: it is in force as soon as it is heard of.
        for grant in &revoked {
            self.add(1, |message| message.revoked.push(stored::name(grant)))?;
        }
        for (who, why) in suspended {
            self.add(why.len(), |message| {
                message.suspended.push(stored::party(&who));
                message.suspended_reasons.push(why.to_string());
            })?;
        }
        for who in &lifted {
            self.add(1, |message| message.lifted.push(stored::party(who)))?;
        }
        if generation {
            self.generation()?;
        }
        for uid in &deleted {
            self.add(1, |message| message.deleted.push(stored::name(uid)))?;
        }
        for uid in &put {
            self.entity(uid)?;
        }
        self.last()
    }

    fn generation(&mut self) -> Result<(), Gone> {
        let bytes = generation_message(&self.leap.to.world.generation).encode_to_vec();
        for part in bytes.chunks(MESSAGE_BYTES) {
            self.send()?;
            self.pending.generation = part.to_vec();
        }
        self.pending.generation_published = true;
        self.send()
    }

    fn entity(&mut self, uid: &cedar_policy::EntityUid) -> Result<(), Gone> {
        let world = &self.leap.to.world;
        let Some(entity) = stored::message(world, uid) else { return Ok(()) };
        let of_files = world.owner(uid) == Some(Owner::File);
        self.add(entity.encoded_len(), |message| {
            if of_files {
                message.of_files.push(stored::name(uid));
            }
            message.changed.push(stored::name(uid));
            message.entities.push(entity);
        })
    }

    /// Adds something to the message that is being written, and sends it if it is long enough.
    fn add(&mut self, size: usize, add: impl FnOnce(&mut pb::WatchResponse)) -> Result<(), Gone> {
        add(&mut self.pending);
        // A name and its frame besides.
        self.size += size + MESSAGE_BYTES / TOGETHER;
        if self.size >= MESSAGE_BYTES { self.send() } else { Ok(()) }
    }

    /// Sends what was written, if anything was: there is more to come.
    fn send(&mut self) -> Result<(), Gone> {
        let mut message = std::mem::take(&mut self.pending);
        self.size = 0;
        if message == pb::WatchResponse::default() {
            return Ok(());
        }
        (message.more, message.lease) = (true, self.beat.lease());
        self.sender.blocking_send(message).map_err(|_gone| Gone)
    }

    fn last(&mut self) -> Result<(), Gone> {
        let to = &self.leap.to;
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let totals = pb::Totals {
            entities: count(to.world.entities.len()),
            revoked: count(to.world.revocations.len()),
            suspended: count(to.world.suspensions.len()),
        };
        let message = pb::WatchResponse {
            revision: to.revision.to_string(),
            world: to.number,
            last_write: self.leap.last_write.clone(),
            totals: Some(totals),
            lease: self.beat.lease(),
            ..std::mem::take(&mut self.pending)
        };
        self.sender.blocking_send(message).map_err(|_gone| Gone)
    }
}

fn generation_message(generation: &Generation) -> pb::Generation {
    let Sources { policies, links, schemas, definitions, emergency, .. } = &*generation.sources;
    let files = |files: &[SourceFile]| {
        let file =
            |file: &SourceFile| pb::SourceFile { name: file.name.clone(), content: file.bytes.to_vec() };
        files.iter().map(file).collect()
    };
    pb::Generation {
        hash: generation.hash.to_string(),
        policies: files(policies),
        links: files(links),
        schemas: files(schemas),
        definitions: files(definitions),
        emergency: files(emergency),
    }
}

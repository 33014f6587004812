//! What a primary says, message by message, into what a replica takes.

use std::collections::HashMap;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use prost::Message as _;

use crate::engine::compile::Sources;
use crate::engine::problem::SourceFile;
use crate::engine::suspensions::Suspended;
use crate::server::{pb, stored};
use crate::store::replica::{Greeting, Step, Totals};

/// Most bytes of a generation's sources.
const MAX_GENERATION_BYTES: usize = 1024 * 1024 * 1024;

/// What cannot be read, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(pub(super) &'static str);

/// What a primary says of itself, if the message says it.
///
/// # Errors
/// [`Unreadable`].
pub(super) fn greeting(message: &pb::WatchResponse) -> Result<Option<Greeting>, Unreadable> {
    let Some(pb::Primary { version, process, log, revision_key, settings }) = message.primary.clone() else {
        return Ok(None);
    };
    let log = log.try_into().map_err(|_length| Unreadable("its entity log has no name"))?;
    let key: [u8; 32] =
        revision_key.try_into().map_err(|_length| Unreadable("its revisions have no key of 32 bytes"))?;
    let settings = settings.into_iter().collect();
    Ok(Some(Greeting { version, process, log, key: key.into(), settings }))
}

/// Gathers the messages of one batch. A type's name is parsed once.
#[derive(Debug, Default)]
pub(super) struct Reader {
    types: HashMap<String, EntityTypeName>,
    step: Step,
    generation: Vec<u8>,
}

impl Reader {
    /// Takes a message, and says what the batch comes to if that was the last of it.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub(super) fn read(&mut self, message: pb::WatchResponse) -> Result<Option<Step>, Unreadable> {
        let pb::WatchResponse { changed, entities, deleted, revoked, of_files, reset, more, .. } = message;
        self.step.whole |= reset;
        self.generation.extend(message.generation);
        if self.generation.len() > MAX_GENERATION_BYTES {
            return Err(Unreadable("a generation of more than 1 GiB"));
        }
        if changed.len() != entities.len() {
            return Err(Unreadable("not every entity that changed is told"));
        }
        for entity in entities {
            let uid = self.uid(entity.uid.clone().unwrap_or_default())?;
            let text = stored::text(entity, "entity").map_err(|_error| Unreadable("an entity is none"))?;
            self.step.put.push((uid, text));
        }
        let (deleted, revoked, of_files) = (self.uids(deleted)?, self.uids(revoked)?, self.uids(of_files)?);
        self.step.deleted.extend(deleted);
        self.step.revoked.extend(revoked);
        self.step.of_files.extend(of_files);
        let mut reasons = message.suspended_reasons.into_iter();
        for who in message.suspended {
            let why = reasons.next().unwrap_or_default();
            let who = self.party(who)?;
            self.step.suspended.push((who, why.into()));
        }
        for who in message.lifted {
            let who = self.party(who)?;
            self.step.lifted.push(who);
        }
        // Without a name, nothing was published: a heartbeat, or the first word.
        if more || message.revision.is_empty() {
            return Ok(None);
        }
        self.step.revision = message.revision;
        self.step.world = message.world;
        self.step.last_write = message.last_write;
        self.step.totals = totals(message.totals.ok_or(Unreadable("a batch that is not counted"))?);
        if !self.generation.is_empty() {
            self.step.generation = Some(sources(&std::mem::take(&mut self.generation))?);
        }
        Ok(Some(std::mem::take(&mut self.step)))
    }

    fn uids(&mut self, names: Vec<pb::EntityRef>) -> Result<Vec<EntityUid>, Unreadable> {
        names.into_iter().map(|name| self.uid(name)).collect()
    }

    fn uid(&mut self, pb::EntityRef { r#type, id }: pb::EntityRef) -> Result<EntityUid, Unreadable> {
        let name = match self.types.get(&r#type) {
            Some(name) => name.clone(),
            None => {
                let name: EntityTypeName =
                    r#type.parse().map_err(|_error| Unreadable("a type's name is none"))?;
                self.types.insert(r#type, name.clone());
                name
            }
        };
        Ok(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
    }

    fn party(&mut self, who: pb::EntityRef) -> Result<Suspended, Unreadable> {
        if who.r#type.is_empty() && who.id.is_empty() {
            return Ok(Suspended::All);
        }
        self.uid(who).map(Suspended::Principal)
    }
}

fn totals(pb::Totals { entities, revoked, suspended }: pb::Totals) -> Totals {
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    Totals { entities: count(entities), revoked: count(revoked), suspended: count(suspended) }
}

fn sources(bytes: &[u8]) -> Result<Sources, Unreadable> {
    let generation = pb::Generation::decode(bytes).map_err(|_error| Unreadable("a generation is none"))?;
    let pb::Generation { policies, links, schemas, definitions, emergency, .. } = generation;
    let files = |files: Vec<pb::SourceFile>| {
        let file =
            |pb::SourceFile { name, content }: pb::SourceFile| SourceFile { name, bytes: content.into() };
        files.into_iter().map(file).collect()
    };
    Ok(Sources {
        policies: files(policies),
        links: files(links),
        schemas: files(schemas),
        definitions: files(definitions),
        emergency: files(emergency),
        ..Sources::default()
    })
}

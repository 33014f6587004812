//! What is written in the log, and the names in it.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::engine::digest;
use crate::engine::suspensions::Suspended;

/// One thing that holds from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    /// An entity, as it is kept.
    Put(EntityUid, Arc<str>),
    /// It is gone.
    Delete(EntityUid),
    /// A delegation was revoked, and why: for good.
    Revoked(EntityUid, Arc<str>),
    /// Somebody is suspended, and why.
    Suspended(Suspended, Arc<str>),
    /// Somebody is so no more.
    Lifted(Suspended),
    /// A delegation was served, and a digest of what it says: for good.
    Known(String, String),
}

/// Facts that one writer had written together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Sequence of the world that shows them first.
    pub(super) sequence: u64,
    /// Who wrote them.
    pub(super) by: Arc<str>,
    /// The facts.
    pub(super) facts: Vec<Fact>,
}

/// What an entry changed, without what it wrote: what watchers are told, and what is kept of it for those that come back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// Sequence of the world that shows it first.
    pub sequence: u64,
    /// Entities that were put.
    pub changed: Vec<EntityUid>,
    /// Entities that were deleted.
    pub deleted: Vec<EntityUid>,
    /// Delegations that were revoked.
    pub revoked: Vec<EntityUid>,
    /// Who was suspended.
    pub suspended: Vec<Suspended>,
    /// Whose suspension was lifted.
    pub lifted: Vec<Suspended>,
    /// Whether the entities of files changed: nobody says which.
    pub files: bool,
}

impl Batch {
    pub(super) fn of(entry: &Entry) -> Self {
        let mut batch = Self { sequence: entry.sequence, ..Self::default() };
        for fact in &entry.facts {
            match fact {
                Fact::Put(uid, _) => batch.changed.push(uid.clone()),
                Fact::Delete(uid) => batch.deleted.push(uid.clone()),
                Fact::Revoked(uid, _) => batch.revoked.push(uid.clone()),
                Fact::Suspended(suspended, _) => batch.suspended.push(suspended.clone()),
                Fact::Lifted(suspended) => batch.lifted.push(suspended.clone()),
                Fact::Known(..) => {}
            }
        }
        batch
    }

    /// Names what was written: no other write of any log has the name.
    pub(super) fn mark(&self) -> String {
        let mut hasher = Sha256::new();
        let mut add = |kind: u8, (type_name, id): (String, String)| {
            hasher.update([kind]);
            for part in [type_name, id] {
                hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                hasher.update(part);
            }
        };
        let Self { sequence, changed, deleted, revoked, suspended, lifted, files: _ } = self;
        for (kind, uids) in [(0, changed), (1, deleted), (2, revoked)] {
            uids.iter().for_each(|uid| add(kind, pair(uid)));
        }
        for (kind, parties) in [(3, suspended), (4, lifted)] {
            parties.iter().for_each(|suspended| add(kind, party(suspended)));
        }
        format!("{sequence}.{}", digest::hex(&hasher.finalize()))
    }

    /// How many names it holds.
    pub(super) fn size(&self) -> usize {
        let Self { changed, deleted, revoked, suspended, lifted, .. } = self;
        changed.len() + deleted.len() + revoked.len() + suspended.len() + lifted.len()
    }

    /// Whether a watcher has anything to learn from it.
    pub(super) fn is_empty(&self) -> bool {
        self.size() == 0 && !self.files
    }
}

/// A batch as it is kept: names by type and id, everybody by two empty texts.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Row {
    by: Arc<str>,
    changed: Vec<(String, String)>,
    deleted: Vec<(String, String)>,
    revoked: Vec<(String, String)>,
    suspended: Vec<(String, String)>,
    lifted: Vec<(String, String)>,
}

impl Row {
    pub(super) fn of(entry: &Entry) -> Self {
        let Batch { changed, deleted, revoked, suspended, lifted, .. } = Batch::of(entry);
        let names = |uids: Vec<EntityUid>| uids.iter().map(pair).collect();
        let parties = |parties: Vec<Suspended>| parties.iter().map(party).collect();
        Self {
            by: Arc::clone(&entry.by),
            changed: names(changed),
            deleted: names(deleted),
            revoked: names(revoked),
            suspended: parties(suspended),
            lifted: parties(lifted),
        }
    }

    /// The batch; none if a name in it is none.
    pub(super) fn batch(&self, sequence: u64, names: &mut Names) -> Option<Batch> {
        let uids = |pairs: &[(String, String)], names: &mut Names| {
            pairs.iter().map(|(type_name, id)| names.uid(type_name, id)).collect::<Option<Vec<_>>>()
        };
        let parties = |pairs: &[(String, String)], names: &mut Names| {
            pairs.iter().map(|(type_name, id)| names.party(type_name, id)).collect::<Option<Vec<_>>>()
        };
        Some(Batch {
            sequence,
            changed: uids(&self.changed, names)?,
            deleted: uids(&self.deleted, names)?,
            revoked: uids(&self.revoked, names)?,
            suspended: parties(&self.suspended, names)?,
            lifted: parties(&self.lifted, names)?,
            files: false,
        })
    }
}

/// A name as type and id.
pub(super) fn pair(uid: &EntityUid) -> (String, String) {
    (uid.type_name().to_string(), uid.id().unescaped().to_owned())
}

/// A party as type and id: everybody has neither.
pub(super) fn party(suspended: &Suspended) -> (String, String) {
    match suspended {
        Suspended::All => (String::new(), String::new()),
        Suspended::Principal(uid) => pair(uid),
    }
}

/// Reads names. A type is parsed once.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, Option<EntityTypeName>>);

impl Names {
    pub(super) fn uid(&mut self, type_name: &str, id: &str) -> Option<EntityUid> {
        if !self.0.contains_key(type_name) {
            self.0.insert(type_name.to_owned(), type_name.parse().ok());
        }
        let name = self.0.get(type_name)?.clone()?;
        Some(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
    }

    pub(super) fn party(&mut self, type_name: &str, id: &str) -> Option<Suspended> {
        match (type_name, id) {
            ("", "") => Some(Suspended::All),
            _ => self.uid(type_name, id).map(Suspended::Principal),
        }
    }
}

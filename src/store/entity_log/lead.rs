//! Leading followers: from the world they were told of last to the one that is published now, in one leap.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use cedar_policy::EntityUid;

use super::super::Published;
use super::super::replica::{Greeting, settings};
use super::super::revision::RevisionError;
use super::EntityLogHandle;
use super::facts::Batch;
use crate::engine::digest;
use crate::engine::suspensions::Suspended;
use crate::engine::world::World;

/// The follower knows what this log does not, though it is this log's: it was put back to an older state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a follower knows of writes that this entity log does not have: this server was put back to an older state, and leads nobody \
     there who knows better"
)]
pub struct PrimaryBehind;

/// What a follower was told.
#[derive(Debug, Clone)]
enum Told {
    /// Nothing that counts.
    Nothing,
    /// Everything up to a sequence under the generation that is served.
    Upto(u64),
    /// A world.
    World(Arc<Published>),
}

/// A follower, on its way.
#[derive(Debug)]
pub struct Lead {
    log: EntityLogHandle,
    published: tokio::sync::watch::Receiver<()>,
    told: Told,
}

/// From what a follower was told to what is published.
#[derive(Debug)]
pub struct Leap {
    told: Told,
    /// Where it leads.
    pub to: Arc<Published>,
    /// What was written between the two; none if that is not all known.
    batches: Option<Vec<Arc<Batch>>>,
    /// Names the last write before it leads there; empty if none is known.
    pub last_write: String,
}

/// What a follower does not know yet.
#[derive(Debug, Default)]
pub struct Difference {
    /// Whether nothing counts that it was told.
    pub whole: bool,
    /// Whether another generation is served.
    pub generation: bool,
    /// Entities to put.
    pub put: Vec<EntityUid>,
    /// Entities that are gone.
    pub deleted: Vec<EntityUid>,
    /// Delegations that were revoked.
    pub revoked: Vec<EntityUid>,
    /// Who is suspended, and why.
    pub suspended: Vec<(Suspended, Arc<str>)>,
    /// Who is no more.
    pub lifted: Vec<Suspended>,
}

impl Lead {
    pub(super) fn new(log: &EntityLogHandle, from: &str, last_write: &str) -> Result<Self, PrimaryBehind> {
        let published = log.store.subscribe();
        let current = log.store.current();
        let told = match current.signer.check(from, current.sequence) {
            // Under another generation there may be other entities of files.
            Ok(named) if named.is_of(&current.world.generation.hash) => Told::Upto(named.sequence),
            Ok(_) | Err(RevisionError::BadTag | RevisionError::OtherLog) => Told::Nothing,
            Err(RevisionError::Ahead) => return Err(PrimaryBehind),
        };
        let (of_log, mark) = last_write.split_once(':').unwrap_or_default();
        let history = log.shared.history.lock().unwrap_or_else(PoisonError::into_inner);
        if of_log == digest::hex(&log.shared.log) && !history.may_have(mark) {
            return Err(PrimaryBehind);
        }
        drop(history);
        Ok(Self { log: log.clone(), published, told })
    }

    /// What a follower must know before anything else.
    #[must_use]
    pub fn greeting(&self) -> Greeting {
        let current = self.log.store.current();
        let (log, key) = current.signer.parts();
        let generation = &current.world.generation;
        Greeting {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: self.log.store.process().to_vec(),
            log,
            key,
            settings: settings(generation.on_policy_error, &generation.catalog.domain),
        }
    }

    /// What there is to tell now, which from then on counts as told; none if nothing is.
    pub fn leap(&mut self) -> Option<Leap> {
        let to = self.log.store.current();
        let after = match &self.told {
            Told::Nothing => None,
            Told::Upto(sequence) => Some(*sequence),
            Told::World(told) if Arc::ptr_eq(told, &to) => return None,
            Told::World(told) => Some(told.sequence),
        };
        let history = self.log.shared.history.lock().unwrap_or_else(PoisonError::into_inner);
        let batches = after.and_then(|after| history.between(after, to.sequence));
        let last_write = history.last_write(to.sequence).map(|batch| batch.mark());
        drop(history);
        let last_write = last_write.map(|mark| format!("{}:{mark}", digest::hex(&self.log.shared.log)));
        let told = std::mem::replace(&mut self.told, Told::World(Arc::clone(&to)));
        Some(Leap { told, to, batches, last_write: last_write.unwrap_or_default() })
    }

    /// Waits until there may be more to tell; whether there can be any.
    pub async fn changed(&mut self) -> bool {
        self.published.changed().await.is_ok()
    }
}

impl Leap {
    /// What the follower does not know yet. May look at everything that is stored.
    #[must_use]
    pub fn difference(&self) -> Difference {
        let written = self.batches.as_ref().filter(|batches| batches.iter().all(|batch| !batch.files));
        match (&self.told, written) {
            (Told::World(from), written) => self.since(from, written),
            (Told::Upto(_), Some(written)) => self.by_name(written),
            (Told::Upto(_), None) | (Told::Nothing, _) => self.whole(),
        }
    }

    fn whole(&self) -> Difference {
        let World { entities, revocations, suspensions, .. } = &self.to.world;
        Difference {
            whole: true,
            generation: true,
            put: entities.iter().map(|(uid, _)| uid.clone()).collect(),
            revoked: revocations.iter().cloned().collect(),
            suspended: suspensions.iter().collect(),
            ..Difference::default()
        }
    }

    /// What was written since, by its names, as it is now.
    fn by_name(&self, written: &[Arc<Batch>]) -> Difference {
        let to = &self.to.world;
        let lifted = written.iter().flat_map(|batch| &batch.lifted);
        let (put, deleted) = self.touched(written);
        Difference {
            put,
            deleted,
            revoked: written.iter().flat_map(|batch| &batch.revoked).cloned().collect(),
            suspended: to.suspensions.iter().collect(),
            lifted: lifted.filter(|lifted| !to.suspensions.has(lifted)).cloned().collect(),
            ..Difference::default()
        }
    }

    /// What distinguishes this world from another that the follower has.
    fn since(&self, from: &Arc<Published>, written: Option<&Vec<Arc<Batch>>>) -> Difference {
        let (from, to) = (&from.world, &self.to.world);
        if !Arc::ptr_eq(&from.generation.catalog, &to.generation.catalog) {
            // Another schema may read the same entities otherwise.
            return self.whole();
        }
        let (put, deleted) = match written {
            _ if from.entities.version() == to.entities.version() => Default::default(),
            Some(written) if from.files == to.files => self.touched(written),
            _ => differing(from, to),
        };
        let mut difference = Difference {
            generation: !Arc::ptr_eq(&from.generation, &to.generation),
            put,
            deleted,
            revoked: revoked_since(from, to, written),
            ..Difference::default()
        };
        if from.suspensions != to.suspensions {
            difference.suspended = to.suspensions.iter().collect();
            let before = from.suspensions.iter().map(|(suspended, _)| suspended);
            difference.lifted = before.filter(|suspended| !to.suspensions.has(suspended)).collect();
        }
        difference
    }

    /// Entities that were written, by whether they are stored now.
    fn touched(&self, written: &[Arc<Batch>]) -> (Vec<EntityUid>, Vec<EntityUid>) {
        let names = written.iter().flat_map(|batch| batch.changed.iter().chain(&batch.deleted));
        let names: HashSet<&EntityUid> = names.collect();
        names.into_iter().cloned().partition(|uid| self.to.world.stores(uid))
    }
}

/// Delegations that were revoked between two worlds. None is ever taken back, so that their number tells whether there are any.
fn revoked_since(from: &World, to: &World, written: Option<&Vec<Arc<Batch>>>) -> Vec<EntityUid> {
    let (before, now) = (&from.revocations, &to.revocations);
    if before.len() == now.len() {
        return Vec::new();
    }
    let named = written.into_iter().flatten().flat_map(|batch| &batch.revoked);
    let named: HashSet<_> = named.filter(|grant| !before.revokes(grant)).collect();
    if before.len() + named.len() == now.len() {
        return named.into_iter().cloned().collect();
    }
    // Those of the file are in force before they are written.
    now.iter().filter(|grant| !before.revokes(grant)).cloned().collect()
}

/// Entities that differ, those to put and those that are gone: looks at all of them.
fn differing(from: &World, to: &World) -> (Vec<EntityUid>, Vec<EntityUid>) {
    let differs = |uid: &EntityUid| match (from.entities.get(uid), to.entities.get(uid)) {
        (Some(before), Some(after)) => !after.holds_same(before) || from.owner(uid) != to.owner(uid),
        _ => true,
    };
    let put = to.entities.iter().map(|(uid, _)| uid).filter(|uid| differs(uid)).cloned();
    let gone = from.entities.iter().map(|(uid, _)| uid).filter(|uid| !to.stores(uid)).cloned();
    (put.collect(), gone.collect())
}

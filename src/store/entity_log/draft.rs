//! Writes that wait together, each checked against the world that those before it leave.

use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::EntityUid;

use super::super::Published;
use super::super::grants::ServedGrants;
use super::super::revision::Signer;
use super::facts::{Entry, Fact};
use super::orders::{MAX_ENTITIES, MAX_FACTS, Order, Write, WriteError, WrittenChange};
use crate::engine::edits::{Change, Edit, EditProblem, Grants, Refusal};
use crate::engine::suspensions::Suspended;
use crate::engine::world::World;

/// Who writes what files say.
pub(super) const FILES: &str = "files";

/// A world on its way.
pub(super) struct Draft<'a> {
    world: World,
    sequence: u64,
    entries: Vec<Entry>,
    signer: Arc<Signer>,
    grants: &'a Mutex<ServedGrants>,
    /// Delegations that this draft cuts.
    cut: Vec<String>,
}

impl<'a> Draft<'a> {
    /// Begins with what is served.
    pub(super) fn new(current: &Published, grants: &'a Mutex<ServedGrants>) -> Self {
        let (world, sequence) = (current.world.clone(), current.sequence);
        Self {
            world,
            sequence,
            entries: Vec::new(),
            signer: Arc::clone(&current.signer),
            grants,
            cut: Vec::new(),
        }
    }

    /// The world that all of it leads to.
    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// Everything that is to be written.
    pub(super) fn entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// Takes facts that are in force already.
    pub(super) fn keep(&mut self, facts: Vec<Fact>) {
        if !facts.is_empty() {
            facts.iter().for_each(|fact| apply(fact, &mut self.world));
            self.add(FILES.into(), facts);
        }
    }

    /// Takes a write, if it fits.
    pub(super) fn take(&mut self, order: Order) -> Result<Vec<WrittenChange>, WriteError> {
        let Order { write, if_revision, by } = order;
        if !if_revision.is_empty() && self.signer.read(&if_revision)?.sequence != self.sequence {
            return Err(WriteError::Moved);
        }
        match write {
            Write::Put(texts) => {
                let edits: Vec<_> = texts.into_iter().map(Edit::Put).collect();
                self.edit(&edits, Grants::Refused, by)
            }
            Write::Delete(uids) => {
                let edits: Vec<_> = uids.into_iter().map(Edit::Delete).collect();
                self.edit(&edits, Grants::Refused, by)
            }
            Write::Cut(text) => self.edit(&[Edit::Put(text)], Grants::Cut, by),
            Write::Revoke(uid, reason) => self.revoke(uid, reason, by),
            Write::Suspend(suspended, reason) => {
                let change = named(&suspended);
                self.fact(Fact::Suspended(suspended, reason.into()), by);
                Ok(change)
            }
            Write::Lift(suspended, _reason) => {
                let change = named(&suspended);
                if !self.world.suspensions.clone().lift(&suspended) {
                    let who = match &suspended {
                        Suspended::All => "everything".to_owned(),
                        Suspended::Principal(uid) => uid.to_string(),
                    };
                    return Err(WriteError::NotSuspended(who));
                }
                self.fact(Fact::Lifted(suspended), by);
                Ok(change)
            }
        }
    }

    fn edit(
        &mut self,
        edits: &[Edit],
        grants: Grants,
        by: Arc<str>,
    ) -> Result<Vec<WrittenChange>, WriteError> {
        let edited = self.world.edit(edits, grants)?;
        if edited.world.ownership.len() > MAX_ENTITIES {
            return Err(WriteError::Full(MAX_ENTITIES));
        }
        let mut facts = Vec::with_capacity(edits.len());
        for Change { uid, after, text, .. } in &edited.changes {
            facts.push(match text {
                Some(text) => Fact::Put(uid.clone(), Arc::clone(text)),
                None => Fact::Delete(uid.clone()),
            });
            if grants == Grants::Cut {
                facts.push(self.cut(uid, after.clone().unwrap_or_default())?);
            }
        }
        self.world = edited.world;
        self.add(by, facts);
        let change = |Change { uid, before, after, .. }| WrittenChange { uid: Some(uid), before, after };
        Ok(edited.changes.into_iter().map(change).collect())
    }

    /// A delegation's id is never given to another, even once it is deleted (D3).
    fn cut(&mut self, uid: &EntityUid, digest: String) -> Result<Fact, WriteError> {
        let name = uid.to_string();
        let served = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        if served.knows(&name) || self.cut.contains(&name) {
            return Err(Refusal { at: 0, problem: EditProblem::GrantUsed(Box::new(uid.clone())) }.into());
        }
        if served.len() + self.cut.len() >= MAX_FACTS {
            return Err(WriteError::Full(MAX_FACTS));
        }
        self.cut.push(name.clone());
        Ok(Fact::Known(name, digest))
    }

    fn revoke(
        &mut self,
        uid: EntityUid,
        reason: String,
        by: Arc<str>,
    ) -> Result<Vec<WrittenChange>, WriteError> {
        if self.world.generation.catalog.delegation_type() != Some(uid.type_name()) {
            return Err(Refusal { at: 0, problem: EditProblem::NoDelegation(Box::new(uid)) }.into());
        }
        if self.world.revocations.len() >= MAX_FACTS && !self.world.revocations.revokes(&uid) {
            return Err(WriteError::Full(MAX_FACTS));
        }
        self.fact(Fact::Revoked(uid.clone(), reason.into()), by);
        Ok(vec![WrittenChange { uid: Some(uid), before: None, after: None }])
    }

    fn fact(&mut self, fact: Fact, by: Arc<str>) {
        apply(&fact, &mut self.world);
        self.add(by, vec![fact]);
    }

    fn add(&mut self, by: Arc<str>, facts: Vec<Fact>) {
        self.sequence += 1;
        self.entries.push(Entry { sequence: self.sequence, by, facts });
    }
}

fn named(suspended: &Suspended) -> Vec<WrittenChange> {
    let uid = match suspended {
        Suspended::All => None,
        Suspended::Principal(uid) => Some(uid.clone()),
    };
    vec![WrittenChange { uid, before: None, after: None }]
}

/// Puts a fact in force. Entities are a draft's.
pub(super) fn apply(fact: &Fact, world: &mut World) {
    match fact {
        Fact::Revoked(uid, _) => world.revocations.revoke(uid.clone()),
        Fact::Suspended(suspended, reason) => {
            world.suspensions.suspend(suspended.clone(), Arc::clone(reason))
        }
        Fact::Lifted(suspended) => {
            world.suspensions.lift(suspended);
        }
        Fact::Put(..) | Fact::Delete(_) | Fact::Known(..) => {}
    }
}

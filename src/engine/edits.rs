//! Edits of what is stored, as callers ask for them: held to all that a load is held to, so that no reload finds what an
//! edit should have refused (W4, W6, C3).

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::EntityUid;

use super::cedar::canonical;
use super::compile::entities::reader;
use super::digest;
use super::entities::{EntityStore, Heights, StillParent, StoredEntity};
use super::guard::MAX_ANCESTRY;
use super::ownership::Owner;
use super::world::World;
use super::written::Plain;

/// One edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Stores the entity that this text says, as an entity file writes it, in place of the one that had its name.
    Put(String),
    /// Forgets an entity.
    Delete(EntityUid),
}

/// What edits may do with delegations, which are cut once and never changed (D3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grants {
    /// Nothing but delete them.
    Refused,
    /// Store new ones.
    Cut,
    /// Store those that were cut already: for bringing another world up to date.
    Kept,
}

/// An entity that was edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub uid: EntityUid,
    /// Digest of what it held; none if it was not stored.
    pub before: Option<String>,
    /// Digest of what it holds; none if it was deleted.
    pub after: Option<String>,
    /// The entity as it is kept; none if it was deleted.
    pub text: Option<Arc<str>>,
}

/// A world after edits.
#[derive(Debug)]
pub struct Edited {
    /// The world.
    pub world: World,
    /// What changed, in the order of the edits.
    pub changes: Vec<Change>,
}

/// Why edits are refused, all of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Refusal {
    /// Which edit, counted from 0.
    pub at: usize,
    /// What is wrong with it.
    pub problem: EditProblem,
}

/// What is wrong with an edit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditProblem {
    /// It is no entity of this schema.
    #[error("{0}")]
    Malformed(String),
    /// The files own it.
    #[error("{0} is owned by an entity file: change it there")]
    FileOwned(Box<EntityUid>),
    /// It is edited twice.
    #[error("{0} is named twice: give each entity once")]
    Repeated(Box<EntityUid>),
    /// Nothing of that name is stored.
    #[error("{0} is not stored")]
    NotStored(Box<EntityUid>),
    /// A parent would not be stored.
    #[error("{0} is in {1}, which is not stored: put that first, or with it")]
    ParentNotStored(Box<EntityUid>, Box<EntityUid>),
    /// It would be in itself.
    #[error("{0} would be in itself, through its parents")]
    Cycle(Box<EntityUid>),
    /// Too many levels would be above something.
    #[error("{0} would have more than {MAX_ANCESTRY} levels above it, or above what is in it")]
    TooDeep(Box<EntityUid>),
    /// Others are in it.
    #[error("{0}: take those out of it first")]
    StillParent(#[from] StillParent),
    /// It is a delegation, which nothing puts.
    #[error("{0} is a delegation: `Delegate` cuts one, and none is ever changed")]
    IsDelegation(Box<EntityUid>),
    /// It is no delegation.
    #[error("{0} is no delegation")]
    NoDelegation(Box<EntityUid>),
    /// The id was a delegation's before.
    #[error("{0} was the name of a delegation before: give the new one an id of its own")]
    GrantUsed(Box<EntityUid>),
    /// An action of the schema is this tool's.
    #[error("{0} has an action of its own in the schema, which names it: take that out first")]
    HasAction(Box<EntityUid>),
}

impl World {
    /// Who may change an entity; none if it is not stored.
    pub fn owner(&self, uid: &EntityUid) -> Option<Owner> {
        let owner = if self.ownership.is_api(uid) { Owner::Api } else { Owner::File };
        self.stores(uid).then_some(owner)
    }

    /// The same world after edits: all of them, or none.
    ///
    /// # Errors
    /// [`Refusal`], of the first edit that does not fit.
    pub fn edit(&self, edits: &[Edit], grants: Grants) -> Result<Edited, Refusal> {
        let mut editing = Editing { before: self, world: self.clone(), grants, touched: HashSet::new() };
        let mut changes = Vec::with_capacity(edits.len());
        let read = reader(&self.generation.catalog);
        for (at, edit) in edits.iter().enumerate() {
            let change = match edit {
                Edit::Put(text) => read(text)
                    .map_err(EditProblem::Malformed)
                    .and_then(|(uid, entity)| editing.put(uid, entity)),
                Edit::Delete(uid) => editing.delete(uid),
            };
            changes.push(change.map_err(|problem| Refusal { at, problem })?);
        }
        for (at, change) in changes.iter().enumerate() {
            editing.check(&change.uid).map_err(|problem| Refusal { at, problem })?;
        }
        Ok(Edited { world: editing.world, changes })
    }
}

struct Editing<'b> {
    before: &'b World,
    world: World,
    grants: Grants,
    touched: HashSet<EntityUid>,
}

impl Editing<'_> {
    fn put(&mut self, uid: EntityUid, entity: StoredEntity) -> Result<Change, EditProblem> {
        self.touch(&uid)?;
        let is_delegation = self.world.generation.catalog.delegation_type() == Some(uid.type_name());
        match (self.grants, is_delegation) {
            (Grants::Refused, true) => return Err(EditProblem::IsDelegation(Box::new(uid))),
            (Grants::Cut, false) => return Err(EditProblem::NoDelegation(Box::new(uid))),
            (Grants::Cut, true) if self.world.stores(&uid) || self.world.revocations.revokes(&uid) => {
                return Err(EditProblem::GrantUsed(Box::new(uid)));
            }
            _ => {}
        }
        let before = self.digest(&uid);
        // What is kept reads back to the same: it is written from what was read.
        let text = Plain::of(&uid, entity.members()).and_then(|plain| plain.text().ok());
        let Some(text) = text else {
            let message = format!(
                "{uid} holds a value that cannot be written down: a datetime outside years 0 to 9999"
            );
            return Err(EditProblem::Malformed(message));
        };
        let after = Some(digest_of(&entity));
        self.world.entities.put_unchecked(uid.clone(), entity);
        self.world.ownership.insert(uid.clone());
        Ok(Change { uid, before, after, text: Some(text.into()) })
    }

    fn delete(&mut self, uid: &EntityUid) -> Result<Change, EditProblem> {
        self.touch(uid)?;
        let before = self.digest(uid);
        if before.is_none() {
            return Err(EditProblem::NotStored(Box::new(uid.clone())));
        }
        if self.world.generation.catalog.typed_tools().any(|(tool, _)| tool == uid) {
            return Err(EditProblem::HasAction(Box::new(uid.clone())));
        }
        self.world.entities.delete_unchecked(uid);
        self.world.ownership.remove(uid);
        Ok(Change { uid: uid.clone(), before, after: None, text: None })
    }

    /// Each entity is edited once, by whoever owns it.
    fn touch(&mut self, uid: &EntityUid) -> Result<(), EditProblem> {
        if self.before.owner(uid) == Some(Owner::File) {
            return Err(EditProblem::FileOwned(Box::new(uid.clone())));
        }
        if !self.touched.insert(uid.clone()) {
            return Err(EditProblem::Repeated(Box::new(uid.clone())));
        }
        Ok(())
    }

    fn digest(&self, uid: &EntityUid) -> Option<String> {
        self.world.entities.get(uid).map(digest_of)
    }

    /// Holds an edited entity to those around it, once all are edited.
    fn check(&self, uid: &EntityUid) -> Result<(), EditProblem> {
        let store = &self.world.entities;
        let Some(entity) = store.get(uid) else {
            return match store.children_of(uid) {
                0 => Ok(()),
                count => Err(StillParent(Box::new(uid.clone()), count).into()),
            };
        };
        if let Some(parent) = entity.parents().iter().find(|parent| !store.contains(parent)) {
            return Err(EditProblem::ParentNotStored(Box::new(uid.clone()), Box::new(parent.clone())));
        }
        let Some(levels) = levels_above(store, entity.parents()) else {
            return Err(match store.ancestors(uid).contains(&uid) {
                true => EditProblem::Cycle(Box::new(uid.clone())),
                false => EditProblem::TooDeep(Box::new(uid.clone())),
            });
        };
        let deeper = || {
            self.before
                .entities
                .get(uid)
                .and_then(|before| levels_above(&self.before.entities, before.parents()))
        };
        if store.has_children(uid) && deeper().is_some_and(|before| levels > before) && has_too_deep(store) {
            return Err(EditProblem::TooDeep(Box::new(uid.clone())));
        }
        Ok(())
    }
}

fn digest_of(entity: &StoredEntity) -> String {
    digest::of_bytes(&canonical::bytes_of(entity.members()))
}

/// How many levels are above an entity with these parents; none if they are too many, or go round in a circle.
fn levels_above(store: &EntityStore, parents: &[EntityUid]) -> Option<usize> {
    let mut level: HashSet<&EntityUid> = parents.iter().collect();
    for levels in 0..=MAX_ANCESTRY {
        if level.is_empty() {
            return Some(levels);
        }
        let above = level.into_iter().filter_map(|uid| store.get(uid));
        level = above.flat_map(|entity| entity.parents()).collect();
    }
    None
}

/// Whether anything stored is too far below something. Looks at everything: it is asked when what others are in moves down.
fn has_too_deep(store: &EntityStore) -> bool {
    let heights = Heights::of(store);
    store.iter().any(|(_, entity)| heights.below(entity.parents()).is_none_or(|height| height > MAX_ANCESTRY))
}

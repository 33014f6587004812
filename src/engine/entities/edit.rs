//! Changing one entity: in microseconds, however many there are.

use cedar_policy::EntityUid;

use super::{EntityStore, StoredEntity};
use crate::engine::version::Version;

/// An entity that would be in itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} would be in itself, through its parents")]
pub struct Cycle(pub EntityUid);

/// An entity that others are in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is still the parent of {1} entities")]
pub struct StillParent(pub Box<EntityUid>, pub u32);

impl EntityStore {
    /// Stores an entity, in place of the one that had its name.
    ///
    /// # Errors
    /// [`Cycle`]; nothing has changed then.
    pub fn put(&mut self, uid: EntityUid, entity: StoredEntity) -> Result<(), Cycle> {
        let is_parent = self.has_children(&uid);
        // Nothing can lead back to what nobody is in, but itself.
        let in_itself = entity.parents().binary_search(&uid).is_ok()
            || (is_parent && self.above(entity.parents()).contains(&&uid));
        if in_itself {
            return Err(Cycle(uid));
        }
        self.relate(uid, entity, is_parent);
        Ok(())
    }

    /// Stores an entity without looking for cycles: for loading many, which looks once.
    pub(in crate::engine) fn put_unchecked(&mut self, uid: EntityUid, entity: StoredEntity) {
        let is_parent = self.has_children(&uid);
        self.relate(uid, entity, is_parent);
    }

    fn relate(&mut self, uid: EntityUid, entity: StoredEntity, is_parent: bool) {
        let before: Box<[EntityUid]> =
            self.get(&uid).map(|before| before.parents().into()).unwrap_or_default();
        let entity = match self.get(&uid) {
            Some(before) => entity.after(before),
            None => entity,
        };
        if *before != *entity.parents() {
            for parent in entity.parents().iter().filter(|parent| before.binary_search(parent).is_err()) {
                self.gains_child(parent);
            }
            for parent in before.iter().filter(|parent| entity.parents().binary_search(parent).is_err()) {
                self.loses_child(parent);
            }
            if is_parent {
                self.edges = Version::next();
            }
        }
        self.entities.insert(uid, entity);
        self.version = Version::next();
    }

    /// Forgets an entity; whether there was one.
    ///
    /// # Errors
    /// [`StillParent`]; nothing has changed then.
    pub fn delete(&mut self, uid: &EntityUid) -> Result<bool, StillParent> {
        if let Some(children) = self.children.get(uid)
            && self.contains(uid)
        {
            return Err(StillParent(Box::new(uid.clone()), *children));
        }
        Ok(self.forget(uid))
    }

    /// Forgets an entity, whoever is still in it: for taking over many edits at once, which looks once whether they fit.
    pub(in crate::engine) fn delete_unchecked(&mut self, uid: &EntityUid) {
        if self.contains(uid) && self.has_children(uid) {
            self.edges = Version::next();
        }
        self.forget(uid);
    }

    fn forget(&mut self, uid: &EntityUid) -> bool {
        let parents: Box<[EntityUid]> =
            self.get(uid).map(|entity| entity.parents().into()).unwrap_or_default();
        parents.iter().for_each(|parent| self.loses_child(parent));
        self.version = Version::next();
        self.entities.remove(uid)
    }

    fn gains_child(&mut self, parent: &EntityUid) {
        self.children.insert(parent.clone(), self.children_of(parent).saturating_add(1));
    }

    fn loses_child(&mut self, parent: &EntityUid) {
        match self.children_of(parent) {
            0 | 1 => {
                self.children.remove(parent);
            }
            count => self.children.insert(parent.clone(), count - 1),
        }
    }
}

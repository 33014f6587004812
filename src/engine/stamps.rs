//! What a decision rests on of the stored entities, so that another world can tell whether it holds there too (K2, K3).
//!
//! A stamp says what was found under one name: nothing, or an entity, with the versions of what was looked at of it. Stamps are
//! taken from what was looked at, not from what could have been. Where all that was looked at is unchanged, whatever was
//! decided from it is decided again.

use cedar_policy::EntityUid;

use super::entities::{EntityStore, StoredEntity};
use super::map::Map;
#[cfg(test)]
use super::mutants::{Mutant, planted};
use super::version::{AtomicVersion, Version};

/// Most names that are stamped one by one. What rests on more rests on everything stored.
pub const MAX_STAMPS: usize = 64;

/// What a decision rests on.
#[derive(Debug)]
pub struct Stamps {
    /// A state of the store in which all of them hold.
    hold_in: AtomicVersion,
    /// One for each name; none if it rests on everything stored.
    each: Option<Box<[Stamp]>>,
}

#[derive(Debug)]
struct Stamp {
    uid: EntityUid,
    found: Option<Found>,
}

/// Versions of what was looked at of an entity that was found.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    attributes: Option<Version>,
    edges: Option<Version>,
}

/// What has changed of what a decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// Attributes or tags of an entity.
    Attributes,
    /// What an entity is in.
    Edges,
    /// Whether there is an entity of a name.
    Presence,
    /// Something that is stored, of too much to say what.
    Anything,
}

impl Stamps {
    /// Whether all of them hold in a store.
    ///
    /// # Errors
    /// [`Changed`]: the first that does not.
    pub fn check(&self, store: &EntityStore) -> Result<(), Changed> {
        #[cfg(test)]
        if planted(Mutant::CheckedWhereTaken) {
            return Ok(());
        }
        // Where nothing has changed, nobody has to look what has.
        if self.hold_in.get() == store.version() {
            return Ok(());
        }
        let each = self.each.as_ref().ok_or(Changed::Anything)?;
        each.iter().try_for_each(|stamp| stamp.check(store))?;
        self.hold_in.set(store.version());
        Ok(())
    }

    /// How many names are stamped one by one.
    pub fn len(&self) -> usize {
        self.each.as_ref().map_or(0, |each| each.len())
    }

    /// Whether no name is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes they take.
    pub fn bytes(&self) -> usize {
        let texts = self.each.iter().flatten().map(|stamp| stamp.uid.id().unescaped().len());
        size_of::<Self>() + self.len() * size_of::<Stamp>() + texts.sum::<usize>()
    }
}

impl Stamp {
    fn check(&self, store: &EntityStore) -> Result<(), Changed> {
        let Some((found, stored)) = self.found.zip(store.get(&self.uid)) else {
            let is_absent = self.found.is_none() && !store.contains(&self.uid);
            return if is_absent { Ok(()) } else { Err(Changed::Presence) };
        };
        let is = |seen: Option<Version>, now| seen.is_none_or(|seen| seen == now);
        if !is(found.attributes, stored.attributes_version()) {
            return Err(Changed::Attributes);
        }
        if is(found.edges, stored.edges_version()) { Ok(()) } else { Err(Changed::Edges) }
    }
}

/// Stamps being taken, over the store that a decision is made from.
#[derive(Debug)]
pub struct Stamping<'w> {
    store: &'w EntityStore,
    found: Map<EntityUid, Option<Found>>,
}

impl<'w> Stamping<'w> {
    /// None yet.
    pub fn over(store: &'w EntityStore) -> Self {
        Self { store, found: Map::default() }
    }

    /// An entity's attributes and tags were looked at, or that there is none.
    pub fn looked_at(&mut self, uid: &EntityUid) {
        self.stamp(uid, |found, stored| found.attributes = Some(stored.attributes_version()));
    }

    /// It was asked what an entity is in, which is all of `above`, stored or not.
    pub fn looked_above<'a>(&mut self, uid: &EntityUid, above: impl Iterator<Item = &'a EntityUid>) {
        self.edges(uid);
        #[cfg(test)]
        if planted(Mutant::AncestorNotStamped) {
            return;
        }
        above.for_each(|uid| self.edges(uid));
    }

    /// What they come to.
    pub fn finish(self) -> Stamps {
        let few = self.found.len() <= MAX_STAMPS;
        let each = self.found.into_iter().map(|(uid, found)| Stamp { uid, found });
        Stamps { hold_in: AtomicVersion::new(self.store.version()), each: few.then(|| each.collect()) }
    }

    fn edges(&mut self, uid: &EntityUid) {
        self.stamp(uid, |found, stored| found.edges = Some(stored.edges_version()));
    }

    fn stamp(&mut self, uid: &EntityUid, seen: impl FnOnce(&mut Found, &StoredEntity)) {
        // One too many says enough.
        if self.found.len() > MAX_STAMPS {
            return;
        }
        let stored = self.store.get(uid);
        #[cfg(test)]
        if stored.is_none() && planted(Mutant::AbsentNotStamped) {
            return;
        }
        let found = match self.found.get_mut(uid) {
            Some(found) => found,
            None => self.found.entry(uid.clone()).or_insert_with(|| stored.map(|_| Found::default())),
        };
        if let (Some(found), Some(stored)) = (found, stored) {
            seen(found, stored);
        }
    }
}

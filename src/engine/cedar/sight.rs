//! What a decision looks at: the entities that its policies' access plans lead to, found or not.

use std::borrow::Cow;
use std::collections::HashMap;

use cedar_policy::EntityUid;
use foldhash::fast::RandomState;

use super::entities::BuiltEntity;
use super::members::Members;

/// Up to this many are found one by one, which is faster than hashing their names.
const FEW: usize = 12;

/// Entities that were looked for, by name.
#[derive(Debug)]
pub struct Sight<'w> {
    looked: Vec<(&'w EntityUid, Option<Look<'w>>)>,
    /// Places of all of them, once they are many.
    places: HashMap<&'w EntityUid, usize, RandomState>,
    found: usize,
}

/// An entity that was found.
#[derive(Debug, Clone)]
pub struct Look<'w> {
    /// What it holds.
    pub members: &'w Members,
    /// The entity with everything it is in; none if nobody asks what it is in.
    pub built: Option<Cow<'w, BuiltEntity>>,
}

impl<'w> Look<'w> {
    /// At an entity that is built.
    pub fn at(built: &'w BuiltEntity) -> Self {
        Self { members: built.members(), built: Some(Cow::Borrowed(built)) }
    }
}

impl Default for Sight<'_> {
    fn default() -> Self {
        Self { looked: Vec::with_capacity(FEW), places: HashMap::default(), found: 0 }
    }
}

impl<'w> Sight<'w> {
    /// What was found under a name: none within if there is nothing, none if nobody looked.
    pub fn find(&self, uid: &EntityUid) -> Option<Option<&Look<'w>>> {
        self.looked.get(self.place(uid)?).map(|(_, look)| look.as_ref())
    }

    fn place(&self, uid: &EntityUid) -> Option<usize> {
        if self.places.is_empty() {
            self.looked.iter().position(|(other, _)| std::ptr::eq(*other, uid) || *other == uid)
        } else {
            self.places.get(uid).copied()
        }
    }

    /// Puts down what was found under a name, in place of what was before.
    pub fn put(&mut self, uid: &'w EntityUid, look: Option<Look<'w>>) {
        let next = self.looked.len();
        let found = usize::from(look.is_some());
        match self.place(uid).and_then(|place| self.looked.get_mut(place)) {
            Some((_, before)) => self.found -= usize::from(std::mem::replace(before, look).is_some()),
            None => {
                self.looked.push((uid, look));
                if !self.places.is_empty() {
                    self.places.insert(uid, next);
                } else if next == FEW {
                    self.places =
                        self.looked.iter().zip(0..).map(|((uid, _), place)| (*uid, place)).collect();
                }
            }
        }
        self.found += found;
    }

    /// How many were found.
    pub fn found(&self) -> usize {
        self.found
    }

    /// Those that were looked for, with what was found.
    pub fn looked(&self) -> impl Iterator<Item = (&'w EntityUid, Option<&Look<'w>>)> {
        self.looked.iter().map(|(uid, look)| (*uid, look.as_ref()))
    }

    /// Those that were found.
    pub fn iter(&self) -> impl Iterator<Item = (&'w EntityUid, &Look<'w>)> {
        self.looked.iter().filter_map(|(uid, look)| Some((*uid, look.as_ref()?)))
    }
}

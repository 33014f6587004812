//! What is kept of one hop's decision, to decide the same question so again.
//!
//! Policies are kept by their places, for what is kept is of one generation; no message is, for those are made anew of what the
//! policies said (K6).

use super::authorize::Now;
use super::entities::EntityStore;
use super::stamps::{Changed, Stamps};
use super::validity::Validity;

/// What the policies said of one hop, and while what it is true.
#[derive(Debug)]
pub struct Remembered {
    /// Places of the policies that are satisfied, in order.
    pub(super) satisfied: Box<[u32]>,
    /// Places of those that cannot be evaluated, in order, each with what is wrong.
    pub(super) failed: Box<[(u32, &'static str)]>,
    /// The instants at which they say the same.
    pub(super) validity: Validity,
    /// What of the stored entities it rests on.
    pub(super) stamps: Stamps,
}

/// Why what is kept does not hold here and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// Something stored that it rests on has changed.
    Changed(Changed),
    /// It is of another time.
    Time,
}

/// Why a decision is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unkept {
    /// Nobody asked for it.
    Unasked,
    /// The question is too long.
    TooLong,
    /// Another instant may decide otherwise, in a way nobody foresees.
    Time,
    /// It came to a limit, or met a defect, which may be otherwise at once (K8).
    Limit,
    /// It follows a stored reference that leads nowhere.
    Reference,
}

/// What part the cache had in deciding one hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The decision was found, and holds.
    Hit,
    /// It was made, and is kept; perhaps in place of one that was found and does not hold.
    Miss(Option<Stale>),
    /// It was made, and cannot be kept.
    Unkept(Option<Stale>, Unkept),
}

impl Remembered {
    /// Whether it holds over these entities, at an instant.
    ///
    /// # Errors
    /// [`Stale`].
    pub fn check(&self, entities: &EntityStore, now: Now) -> Result<(), Stale> {
        if !self.validity.contains(now) {
            return Err(Stale::Time);
        }
        self.stamps.check(entities).map_err(Stale::Changed)
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let Self { satisfied, failed, validity: _, stamps } = self;
        size_of::<Self>() + size_of_val(&**satisfied) + size_of_val(&**failed) + stamps.bytes()
    }
}

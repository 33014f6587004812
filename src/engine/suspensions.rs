//! Who may take part in nothing for now, whatever policies say (D4, K6): quarantined principals, or everybody.

use std::sync::Arc;

use cedar_policy::EntityUid;
use foldhash::fast::RandomState;
use rpds::HashTrieMapSync;

use super::decision::{Denial, ReasonCode};

/// What is suspended, each with why. A copy costs nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspensions {
    all: Option<Arc<str>>,
    principals: HashTrieMapSync<EntityUid, Arc<str>, RandomState>,
}

/// What a suspension is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspended {
    /// Everybody: a freeze.
    All,
    /// One principal: a quarantine.
    Principal(EntityUid),
}

impl Default for Suspensions {
    fn default() -> Self {
        let principals = HashTrieMapSync::new_with_hasher_and_ptr_kind(RandomState::default());
        Self { all: None, principals }
    }
}

impl Suspensions {
    /// Suspends, or says another reason.
    pub fn suspend(&mut self, suspended: Suspended, reason: Arc<str>) {
        match suspended {
            Suspended::All => self.all = Some(reason),
            Suspended::Principal(uid) => self.principals.insert_mut(uid, reason),
        }
    }

    /// Lifts a suspension; whether there was one.
    pub fn lift(&mut self, suspended: &Suspended) -> bool {
        match suspended {
            Suspended::All => self.all.take().is_some(),
            Suspended::Principal(uid) => self.principals.remove_mut(uid),
        }
    }

    /// Why everybody is suspended, if everybody is.
    pub fn all(&self) -> Option<&Arc<str>> {
        self.all.as_ref()
    }

    /// Every suspended principal, and why, in no order.
    pub fn principals(&self) -> impl Iterator<Item = (&EntityUid, &Arc<str>)> {
        self.principals.iter()
    }

    /// Every suspension, and why, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Suspended, Arc<str>)> {
        let all = self.all.iter().map(|reason| (Suspended::All, Arc::clone(reason)));
        let each = self.principals.iter();
        all.chain(each.map(|(uid, reason)| (Suspended::Principal(uid.clone()), Arc::clone(reason))))
    }

    /// Whether just this is suspended.
    pub fn has(&self, suspended: &Suspended) -> bool {
        match suspended {
            Suspended::All => self.all.is_some(),
            Suspended::Principal(uid) => self.principals.contains_key(uid),
        }
    }

    /// How many suspensions there are.
    pub fn len(&self) -> usize {
        self.principals.size() + usize::from(self.all.is_some())
    }

    /// Whether nobody is suspended: what almost every request finds.
    pub fn is_empty(&self) -> bool {
        self.all.is_none() && self.principals.is_empty()
    }

    /// The denial of whatever one of these takes part in; none if none of them is suspended.
    pub fn denial<'u>(&self, parties: impl IntoIterator<Item = &'u EntityUid>) -> Option<Denial> {
        if self.is_empty() {
            return None;
        }
        if let Some(reason) = &self.all {
            let message = said("everything is suspended", reason);
            return Some(Denial::new(ReasonCode::Frozen, message));
        }
        let mut found = parties.into_iter().filter_map(|uid| Some((uid, self.principals.get(uid)?)));
        let (uid, reason) = found.next()?;
        Some(Denial::new(ReasonCode::Suspended, said(&format!("{uid} is suspended"), reason)))
    }
}

fn said(what: &str, reason: &str) -> String {
    if reason.is_empty() { what.to_owned() } else { format!("{what}: {reason}") }
}

//! An entity that others are in, with everything above it: found once for all that are in it.

use std::sync::{Arc, OnceLock};

use cedar_policy::EntityUid;

use super::slots::{Kept, Made, Room};
use crate::engine::cedar::Ancestors;
use crate::engine::entities::EntityStore;
use crate::engine::index::{ScopeIndex, WithinKeys};

/// What a lineage is taken to weigh besides its entities.
const LINEAGE_BYTES: usize = 512;
/// What it is taken to weigh for each entity of it.
const ANCESTOR_BYTES: usize = 192;

/// A parent, and everything it is in. It need not be stored.
#[derive(Debug)]
pub(super) struct Lineage {
    made: Made,
    parent: EntityUid,
    /// Those of its parents, which together with itself are all of it; none if they were not looked at one by one.
    above: Option<Box<[Arc<Self>]>>,
    uids: Arc<Ancestors>,
    principals: OnceLock<WithinKeys>,
    resources: OnceLock<WithinKeys>,
}

impl Lineage {
    /// Of a parent, from those of its own parents.
    pub(super) fn below(
        store: &EntityStore,
        index: &ScopeIndex,
        parent: &EntityUid,
        above: Box<[Arc<Self>]>,
        room: impl FnOnce(usize) -> Option<Room>,
    ) -> Self {
        let uids = Ancestors::under(parent, above.iter().map(|above| &*above.uids));
        let are_kept = above.iter().all(|above| above.made.is_kept());
        let room = are_kept.then(|| room(bytes(&uids))).flatten();
        let made = Made::now(store, index, parent, room);
        Self { above: Some(above), ..Self::new(made, parent, uids) }
    }

    /// Of what is at and above `from`, the parents of an entity, walked: nobody else's.
    pub(super) fn walked(
        store: &EntityStore,
        index: &ScopeIndex,
        child: &EntityUid,
        from: &[EntityUid],
        room: impl FnOnce(usize) -> Option<Room>,
    ) -> Self {
        let uids = Ancestors::of(store.above(from));
        Self::new(Made::now(store, index, child, room(bytes(&uids))), child, uids)
    }

    fn new(made: Made, parent: &EntityUid, uids: Ancestors) -> Self {
        Self {
            made,
            parent: parent.clone(),
            above: None,
            uids: Arc::new(uids),
            principals: OnceLock::new(),
            resources: OnceLock::new(),
        }
    }

    pub(super) fn uids(&self) -> Arc<Ancestors> {
        Arc::clone(&self.uids)
    }

    /// What scopes ask of principals below it.
    pub(super) fn principals(&self, index: &ScopeIndex) -> &WithinKeys {
        self.principals.get_or_init(|| match &self.above {
            Some(above) => {
                let own = index.principals_within([&self.parent]);
                own.and(above.iter().map(|above| above.principals(index)))
            }
            None => index.principals_within(self.uids.iter()),
        })
    }

    /// What scopes ask of resources below it.
    pub(super) fn resources(&self, index: &ScopeIndex) -> &WithinKeys {
        self.resources.get_or_init(|| match &self.above {
            Some(above) => {
                let own = index.resources_within([&self.parent]);
                own.and(above.iter().map(|above| above.resources(index)))
            }
            None => index.resources_within(self.uids.iter()),
        })
    }
}

fn bytes(uids: &Ancestors) -> usize {
    LINEAGE_BYTES + ANCESTOR_BYTES * uids.len()
}

impl Kept for Lineage {
    fn uid(&self) -> &EntityUid {
        &self.parent
    }

    fn made(&self) -> &Made {
        &self.made
    }
}

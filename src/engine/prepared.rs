//! Stored entities made ready to decide with, and the ones of late.
//!
//! An entity is stored without its ancestors, in as little room as it takes. A decision needs them, and its keys in the
//! index. What was made for one decision is kept for the next in a table of fixed size. It is used only for the very same
//! entity, hierarchy and index, so nothing needs to be removed when they change.
//!
//! Most entities are in few others, which many are in: what is at and above each of those is kept too, so that an entity
//! nobody asked for of late costs little more than one that somebody did.

mod lineage;
mod slots;

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use cedar_policy::EntityUid;

use super::cedar::{BuiltEntity, RecordType};
use super::delegation::{Hop, Seen};
use super::entities::{EntityStore, StoredEntity};
use super::index::{PartyKeys, ScopeIndex};
use lineage::Lineage;
use slots::{Budget, Kept, Made, Slots};

/// How many entities are kept, at most, and how many lineages.
const MOST: usize = 128 * 1024;
/// How many there is room for, at least.
const LEAST: usize = 1024;
/// How many places there are for each that is stored: two that are asked for over and over are seldom in each other's.
const PLACES: usize = 4;
/// How many bytes all of them take, at most.
const MAX_BYTES: usize = 192 * 1024 * 1024;
/// What an entity is taken to weigh besides its lineages: some 600 bytes, a KiB more if it acts by itself, and five times as much if
/// Cedar's form of it was made.
const ENTITY_BYTES: usize = 1536;
/// Up to so many parents have a lineage each, which other entities share.
const FEW_PARENTS: usize = 16;
/// So many lineages may be missing of one entity's. Where more are, what is above it is walked, once.
const MOST_MISSING: u8 = 32;

/// A stored entity, ready to decide with.
#[derive(Debug)]
pub struct Prepared {
    made: Made,
    /// The entity and everything it is in.
    pub built: BuiltEntity,
    lineages: Box<[Arc<Lineage>]>,
    principal: OnceLock<PartyKeys>,
    resource: OnceLock<PartyKeys>,
    place: OnceLock<Place>,
}

/// A place in a chain, and what policies see of it.
#[derive(Debug)]
struct Place {
    hop: Hop,
    declared: Arc<RecordType>,
    seen: Seen,
}

impl Prepared {
    /// What scopes ask of a principal and it fulfils. `index` is the one it was prepared for.
    pub fn principal(&self, index: &ScopeIndex) -> &PartyKeys {
        let within = || self.lineages.iter().map(|lineage| lineage.principals(index));
        self.principal.get_or_init(|| index.principal_keys(self.built.uid(), within()))
    }

    /// What scopes ask of a resource and it fulfils. `index` is the one it was prepared for.
    pub fn resource(&self, index: &ScopeIndex) -> &PartyKeys {
        let within = || self.lineages.iter().map(|lineage| lineage.resources(index));
        self.resource.get_or_init(|| index.resource_keys(self.built.uid(), within()))
    }

    /// What policies see of it in its place. The first is kept: who acts by itself does so again.
    pub fn seen(&self, hop: &Hop, declared: &Arc<RecordType>) -> Seen {
        let place = self.place.get_or_init(|| Place {
            hop: hop.clone(),
            declared: Arc::clone(declared),
            seen: hop.seen(declared),
        });
        if place.hop == *hop && place.declared == *declared { place.seen.clone() } else { hop.seen(declared) }
    }
}

impl Kept for Prepared {
    fn uid(&self) -> &EntityUid {
        self.built.uid()
    }

    fn made(&self) -> &Made {
        &self.made
    }
}

/// Entities that were prepared of late.
#[derive(Debug)]
pub struct PreparedEntities {
    entities: Slots<Prepared>,
    lineages: Slots<Lineage>,
    budget: Arc<Budget>,
}

/// What an entity is prepared from.
#[derive(Debug)]
struct From<'f> {
    store: &'f EntityStore,
    index: &'f ScopeIndex,
    /// How many lineages may still be made.
    left: Cell<u8>,
}

impl PreparedEntities {
    /// With places for the entities that are stored, within limits.
    pub fn of(stored: usize) -> Self {
        let count = stored.saturating_mul(PLACES).clamp(LEAST, MOST).next_power_of_two();
        Self { entities: Slots::new(count), lineages: Slots::new(count), budget: Budget::of(MAX_BYTES) }
    }

    /// Whether it has at least as many places as another.
    pub fn holds_as_many(&self, other: &Self) -> bool {
        self.entities.count() >= other.entities.count()
    }

    /// A stored entity, made ready; none if it is not stored.
    pub fn get(&self, store: &EntityStore, index: &ScopeIndex, uid: &EntityUid) -> Option<Arc<Prepared>> {
        self.entities.get(store, index, uid, || {
            let from = From { store, index, left: Cell::new(MOST_MISSING) };
            Some(self.prepare(&from, uid, store.get(uid)?))
        })
    }

    fn prepare(&self, from: &From<'_>, uid: &EntityUid, entity: &StoredEntity) -> Prepared {
        let lineages = self.lineages(from, entity.parents()).unwrap_or_else(|| {
            let room = |bytes| self.budget.room(bytes);
            [Arc::new(Lineage::walked(from.store, from.index, uid, entity.parents(), room))].into()
        });
        let are_kept = lineages.iter().all(|lineage| lineage.made().is_kept());
        let room = are_kept.then(|| self.budget.room(ENTITY_BYTES)).flatten();
        Prepared {
            made: Made::now(from.store, from.index, uid, room),
            built: BuiltEntity::below(
                uid,
                Arc::clone(entity.members()),
                lineages.iter().map(|lineage| lineage.uids()),
            ),
            lineages,
            principal: OnceLock::new(),
            resource: OnceLock::new(),
            place: OnceLock::new(),
        }
    }

    /// What is at and above each of these; none if they are many, or many would have to be made.
    fn lineages(&self, from: &From<'_>, parents: &[EntityUid]) -> Option<Box<[Arc<Lineage>]>> {
        if parents.len() > FEW_PARENTS {
            return None;
        }
        parents.iter().map(|parent| self.lineage(from, parent)).collect()
    }

    fn lineage(&self, from: &From<'_>, parent: &EntityUid) -> Option<Arc<Lineage>> {
        let From { store, index, left } = from;
        self.lineages.get(store, index, parent, || {
            left.set(left.get().checked_sub(1)?);
            let above = store.get(parent).map(|stored| stored.parents()).unwrap_or_default();
            let above = self.lineages(from, above)?;
            Some(Lineage::below(store, index, parent, above, |bytes| self.budget.room(bytes)))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::engine::cedar::{Attribute, CompiledPolicy, Type};

    fn uid(id: usize) -> EntityUid {
        format!("E::\"{id}\"").parse().unwrap()
    }

    #[test]
    fn entities_in_very_many_others_do_not_fill_the_memory() {
        let mut store = EntityStore::default();
        let groups: Vec<_> = (0..10_000).map(uid).collect();
        for member in 20_000..20_200 {
            store.put(uid(member), StoredEntity::new(groups.clone(), [], [])).unwrap();
        }
        let (index, of_late) = (ScopeIndex::of(&[]), PreparedEntities::of(LEAST));
        for member in 20_000..20_200 {
            let prepared = of_late.get(&store, &index, &uid(member)).unwrap();
            assert!(prepared.built.is_in(&groups[9_999]));
        }
        let kept = of_late.budget.used();
        assert!((MAX_BYTES / 2..=MAX_BYTES).contains(&kept), "{kept} bytes are kept");
    }

    #[test]
    fn what_is_kept_is_used_for_the_very_same_only() {
        let (mut store, index) = (EntityStore::default(), ScopeIndex::of(&[]));
        store.put(uid(1), StoredEntity::new([uid(2)], [], [])).unwrap();
        store.put(uid(2), StoredEntity::new([], [], [])).unwrap();
        let of_late = PreparedEntities::of(LEAST);
        let other = ScopeIndex::of(&[]);
        let get = |store: &EntityStore, index| of_late.get(store, index, &uid(1)).unwrap();
        let first = get(&store, &index);
        assert!(Arc::ptr_eq(&first, &get(&store, &index)), "it is kept");
        assert!(!Arc::ptr_eq(&first, &get(&store, &other)), "another index has other keys");
        let before = store.clone();
        store.put(uid(2), StoredEntity::new([uid(3)], [], [])).unwrap();
        assert!(get(&store, &index).built.is_in(&uid(3)), "its parent moved");
        assert!(!get(&before, &index).built.is_in(&uid(3)), "not in the store before");
        store.put(uid(1), StoredEntity::new([], [], [])).unwrap();
        assert_eq!(get(&store, &index).built.ancestors().count(), 0, "it is another entity");
    }

    /// Everything above an entity, and what scopes ask of that, as the store and the index have it by themselves.
    fn agrees(of_late: &PreparedEntities, store: &EntityStore, index: &ScopeIndex, uid: &EntityUid) {
        let prepared = of_late.get(store, index, uid).unwrap();
        let walked = store.ancestors(uid);
        let (have, want): (HashSet<_>, HashSet<_>) =
            (prepared.built.ancestors().collect(), walked.iter().copied().collect());
        assert_eq!(have, want, "above {uid}");
        assert!(
            want.iter().all(|above| prepared.built.is_in(above))
                && !prepared.built.is_in(&self::uid(9_999_999))
        );
        let (principals, resources) =
            (index.principals_within(walked.iter().copied()), index.resources_within(walked.iter().copied()));
        assert_eq!(*prepared.principal(index), index.principal_keys(uid, [&principals]), "of {uid}");
        assert_eq!(*prepared.resource(index), index.resource_keys(uid, [&resources]), "of {uid}");
    }

    #[test]
    fn lineages_are_what_a_walk_finds() {
        let scope = |id: usize| {
            let text = format!(
                "permit(principal in E::\"{id}\", action, resource is E in E::\"{}\");",
                id.saturating_mul(2)
            );
            Arc::new(CompiledPolicy::new(&text.parse().unwrap(), ""))
        };
        let index = ScopeIndex::of(&(0..400).map(scope).collect::<Vec<_>>());
        let mut store = EntityStore::default();
        let bare = |parents: &mut dyn Iterator<Item = usize>| StoredEntity::new(parents.map(uid), [], []);
        // A lattice, each level in all of the next; a tall tower; something in very many; a circle; and parents nobody stored.
        (0..60).for_each(|at| store.put(uid(at), bare(&mut (at / 4 * 4 + 4..at / 4 * 4 + 8))).unwrap());
        (100..200).for_each(|at| store.put(uid(at), bare(&mut (at + 1..at + 2))).unwrap());
        store.put(uid(300), bare(&mut (0..100))).unwrap();
        (310..320).for_each(|at| store.put_unchecked(uid(at), bare(&mut [310 + (at + 1) % 10].into_iter())));
        let of_late = PreparedEntities::of(LEAST);
        for round in 0..2 {
            for at in (0..60).chain(100..200).chain([300]).chain(310..320) {
                agrees(&of_late, &store, &index, &uid(at));
            }
            // What is kept of all of these must not survive: their ancestors are others now.
            store.put(uid(56), bare(&mut [400 + round].into_iter())).unwrap();
            store.put(uid(150), bare(&mut [0, 390].into_iter())).unwrap();
        }
    }

    #[test]
    fn what_policies_see_of_a_place_is_of_that_place() {
        let (mut store, index) = (EntityStore::default(), ScopeIndex::of(&[]));
        store.put(uid(1), StoredEntity::new([], [], [])).unwrap();
        let prepared = PreparedEntities::of(LEAST).get(&store, &index, &uid(1)).unwrap();
        let declares = |names: &[&str]| {
            let attribute = |name: &&str| ((*name).into(), Attribute { ty: Type::Long, required: true });
            Arc::new(RecordType { attributes: names.iter().map(attribute).collect() })
        };
        let alone = Hop { user: Some(uid(1)), ..Hop::sample(None, Vec::new(), None) };
        let hops = [alone.clone(), Hop { user: None, ..alone.clone() }, Hop { hop: 1, ..alone }];
        for declared in [declares(&["user", "hop"]), declares(&["hop"]), declares(&["user", "hop"])] {
            for hop in hops.iter().chain(hops.iter().rev()) {
                assert_eq!(prepared.seen(hop, &declared).record, hop.record(&declared), "{hop:?}");
            }
        }
    }

    #[test]
    fn what_is_in_one_shares_what_is_above_it() {
        let (mut store, index) = (EntityStore::default(), ScopeIndex::of(&[]));
        for child in [1, 2] {
            store.put(uid(child), StoredEntity::new([uid(10)], [], [])).unwrap();
        }
        let of_late = PreparedEntities::of(LEAST);
        let lineage = |child| Arc::clone(&of_late.get(&store, &index, &uid(child)).unwrap().lineages[0]);
        assert!(Arc::ptr_eq(&lineage(1), &lineage(2)));
    }
}

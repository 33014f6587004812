//! Which of the stored entities of a type the scopes of permits could cover.

use std::collections::HashMap;

use cedar_policy::{EntityTypeName, EntityUid};
use foldhash::fast::RandomState;

use crate::engine::cedar::{CompiledPolicy, PartyScope, PolicyEffect};
use crate::engine::entities::{EntityStore, StoredEntity};
use crate::engine::map::Set;
use crate::engine::world::World;

/// What scopes of permits ask of one party: whoever fulfils none of it cannot be allowed.
#[derive(Debug, Default)]
pub(super) struct Within {
    /// One asks nothing but the type.
    pub(super) all: bool,
    /// Some ask to be one of these.
    pub(super) named: Set<EntityUid>,
    /// Some ask to be one of these, or in one.
    above: Set<EntityUid>,
}

impl Within {
    /// What the permits at these places ask of a party of that type.
    pub(super) fn of(
        world: &World,
        places: Vec<u32>,
        scope: impl Fn(&CompiledPolicy) -> PartyScope,
        of_type: &EntityTypeName,
    ) -> Self {
        let policies = places.into_iter().filter_map(|place| world.generation.policy(place));
        let permits = policies.filter(|policy| policy.effect == PolicyEffect::Permit);
        let mut within = Self::default();
        permits.for_each(|policy| within.add(scope(policy), of_type));
        within
    }

    /// Everybody.
    pub(super) fn everything() -> Self {
        Self { all: true, ..Self::default() }
    }

    fn add(&mut self, scope: PartyScope, of_type: &EntityTypeName) {
        match scope {
            PartyScope::Never => {}
            PartyScope::Any => self.all = true,
            PartyScope::Is(name) => self.all |= name == *of_type,
            PartyScope::Eq(uid) => drop(self.named.insert(uid)),
            PartyScope::In(uid) => drop(self.above.insert(uid)),
            PartyScope::IsIn(name, uid) if name == *of_type => drop(self.above.insert(uid)),
            PartyScope::IsIn(..) => {}
        }
    }

    /// The stored entities of a type that it could be, in no order.
    pub(super) fn stored<'s>(&self, store: &'s EntityStore, of_type: &EntityTypeName) -> Vec<&'s EntityUid> {
        if !self.all && self.above.is_empty() {
            let named = self.named.iter().filter(|uid| uid.type_name() == of_type);
            return named.filter_map(|uid| store.entry(uid)).map(|(uid, _)| uid).collect();
        }
        let mut parents = HashMap::default();
        let of_type = store.iter().filter(|(uid, _)| uid.type_name() == of_type);
        let covered = of_type.filter(|(uid, entity)| self.covers(store, uid, entity, &mut parents));
        covered.map(|(uid, _)| uid).collect()
    }

    /// `parents` are those that were looked at before, and whether what is in them is covered.
    fn covers<'s>(
        &self,
        store: &'s EntityStore,
        uid: &EntityUid,
        entity: &'s StoredEntity,
        parents: &mut HashMap<&'s EntityUid, bool, RandomState>,
    ) -> bool {
        let mut is_below = |parent: &'s EntityUid| {
            *parents.entry(parent).or_insert_with(|| {
                let mut above = store.ancestors(parent).into_iter();
                self.above.contains(parent) || above.any(|uid| self.above.contains(uid))
            })
        };
        self.all
            || self.named.contains(uid)
            || self.above.contains(uid)
            || entity.parents().iter().any(&mut is_below)
    }
}

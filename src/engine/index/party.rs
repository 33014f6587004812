//! What scopes ask of one party, and what of that one entity fulfils.

use cedar_policy::{EntityTypeName, EntityUid};

use crate::engine::cedar::{BuiltEntity, PartyScope};
use crate::engine::map::Map;

/// Something that scopes ask for, numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(pub(super) u32);

impl Key {
    pub(super) fn at(place: usize) -> Self {
        Self(u32::try_from(place).unwrap_or(u32::MAX))
    }
}

/// Everything that scopes ask of one party.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    any: Option<Key>,
    is: Map<EntityTypeName, Key>,
    equal: Map<EntityUid, Key>,
    within: Map<EntityUid, Within>,
    count: usize,
}

/// What scopes ask that name an entity to be in.
#[derive(Debug, Clone, Default)]
struct Within {
    any_type: Option<Key>,
    of_type: Vec<(EntityTypeName, Key)>,
}

/// What of that one entity fulfils, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartyKeys(Box<[Key]>);

impl PartyKeys {
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Key> {
        self.0.iter()
    }

    pub(super) fn contains(&self, key: Key) -> bool {
        self.0.binary_search(&key).is_ok()
    }
}

impl Keys {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The key of what a scope asks, if it is there; of that, none for what nothing fulfils.
    #[expect(clippy::option_option, reason = "a key may be missing, and a scope may have none")]
    pub(super) fn find(&self, scope: &PartyScope) -> Option<Option<Key>> {
        let known = match scope {
            PartyScope::Never => return Some(None),
            PartyScope::Any => self.any,
            PartyScope::Is(name) => self.is.get(name).copied(),
            PartyScope::Eq(uid) => self.equal.get(uid).copied(),
            PartyScope::In(uid) => self.within.get(uid)?.any_type,
            PartyScope::IsIn(name, uid) => self.within.get(uid)?.find(name),
        };
        known.map(Some)
    }

    /// The key of what a scope asks; none for what nothing fulfils.
    pub(super) fn add(&mut self, scope: PartyScope) -> Option<Key> {
        let next = Key::at(self.count);
        let key = match scope {
            PartyScope::Never => return None,
            PartyScope::Any => *self.any.get_or_insert(next),
            PartyScope::Is(name) => *self.is.entry(name).or_insert(next),
            PartyScope::Eq(uid) => *self.equal.entry(uid).or_insert(next),
            PartyScope::In(uid) => *self.within.entry(uid).or_default().any_type.get_or_insert(next),
            PartyScope::IsIn(name, uid) => self.within.entry(uid).or_default().of_type(name, next),
        };
        if key == next {
            self.count += 1;
        }
        Some(key)
    }

    /// What of it an entity fulfils. One that does not exist is in nothing but itself.
    pub(super) fn of(&self, uid: &EntityUid, built: Option<&BuiltEntity>) -> PartyKeys {
        let name = uid.type_name();
        let own = [self.any, self.is.get(name).copied(), self.equal.get(uid).copied()];
        let mut keys: Vec<Key> = own.into_iter().flatten().collect();
        let mut within = |uid: &EntityUid| {
            let Some(Within { any_type, of_type }) = self.within.get(uid) else { return };
            keys.extend(any_type);
            keys.extend(of_type.iter().filter(|(wanted, _)| wanted == name).map(|(_, key)| *key));
        };
        within(uid);
        if !self.within.is_empty() {
            built.into_iter().flat_map(BuiltEntity::ancestors).for_each(within);
        }
        keys.sort_unstable();
        keys.dedup();
        PartyKeys(keys.into_boxed_slice())
    }
}

impl Within {
    fn find(&self, name: &EntityTypeName) -> Option<Key> {
        self.of_type.iter().find(|(known, _)| known == name).map(|(_, key)| *key)
    }

    fn of_type(&mut self, name: EntityTypeName, next: Key) -> Key {
        if let Some(key) = self.find(&name) {
            return key;
        }
        self.of_type.push((name, next));
        next
    }
}

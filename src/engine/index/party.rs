//! What scopes ask of one party, and what of that one entity fulfils.

use cedar_policy::{EntityTypeName, EntityUid};

use crate::engine::cedar::PartyScope;
use crate::engine::map::Map;

/// Something that scopes ask for, numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(pub(super) u32);

impl Key {
    pub(super) fn at(place: usize) -> Self {
        Self(u32::try_from(place).unwrap_or(u32::MAX))
    }

    fn word(self) -> usize {
        usize::try_from(self.0 / u64::BITS).map_or(0, |word| word % WORDS)
    }

    fn bit(self) -> u64 {
        1 << (self.0 % u64::BITS)
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

/// What of that one entity fulfils.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartyKeys {
    /// In order.
    keys: Box<[Key]>,
    /// A bit for the remainder of each: most of what it does not fulfil is told by that alone.
    remainders: [u64; WORDS],
}

/// Words of remainders, of 64 bits each.
const WORDS: usize = 4;

/// What is asked of whatever is in certain entities.
#[derive(Debug, Clone, Default)]
pub struct WithinKeys {
    any_type: Vec<Key>,
    /// Of entities of one type only.
    of_type: Vec<(EntityTypeName, Key)>,
}

impl WithinKeys {
    /// What is asked of whatever is in those of these too, each once.
    #[must_use]
    pub fn and<'k>(mut self, others: impl IntoIterator<Item = &'k Self>) -> Self {
        for other in others {
            self.any_type.extend(&other.any_type);
            self.of_type.extend_from_slice(&other.of_type);
        }
        self.any_type.sort_unstable();
        self.any_type.dedup();
        self.of_type.sort_unstable_by_key(|(_, key)| *key);
        self.of_type.dedup_by_key(|(_, key)| *key);
        self
    }
}

impl PartyKeys {
    fn new(mut keys: Vec<Key>) -> Self {
        keys.sort_unstable();
        keys.dedup();
        let mut remainders = [0; WORDS];
        for key in &keys {
            if let Some(word) = remainders.get_mut(key.word()) {
                *word |= key.bit();
            }
        }
        Self { keys: keys.into_boxed_slice(), remainders }
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Key> {
        self.keys.iter()
    }

    pub(super) fn contains(&self, key: Key) -> bool {
        let may = self.remainders.get(key.word()).is_some_and(|word| word & key.bit() != 0);
        may && self.keys.binary_search(&key).is_ok()
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

    /// What of it an entity fulfils that is in what `within` are the keys of. One that does not exist is in nothing but itself.
    pub(super) fn of<'k>(
        &self,
        uid: &EntityUid,
        within: impl IntoIterator<Item = &'k WithinKeys>,
    ) -> PartyKeys {
        let name = uid.type_name();
        let mut keys: Vec<Key> = Vec::with_capacity(24);
        keys.extend(
            [self.any, self.is.get(name).copied(), self.equal.get(uid).copied()].into_iter().flatten(),
        );
        let mut add = |WithinKeys { any_type, of_type }: &WithinKeys| {
            keys.extend(any_type);
            keys.extend(of_type.iter().filter(|(wanted, _)| wanted == name).map(|(_, key)| *key));
        };
        add(&self.within([uid]));
        within.into_iter().for_each(add);
        PartyKeys::new(keys)
    }

    /// What of it is asked of what is in these.
    pub(super) fn within<'u>(&self, above: impl IntoIterator<Item = &'u EntityUid>) -> WithinKeys {
        let mut keys = WithinKeys::default();
        if self.within.is_empty() {
            return keys;
        }
        for Within { any_type, of_type } in above.into_iter().filter_map(|uid| self.within.get(uid)) {
            keys.any_type.extend(any_type);
            keys.of_type.extend_from_slice(of_type);
        }
        keys
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

//! One copy of what many policies say.
//!
//! Policies are written alike, or linked from one template: they look at the same and ask the same. What is equal is kept once, for
//! as long as somebody holds it, so that equality of two is that of their addresses, and a decision over many policies stays
//! within little memory.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, Hash};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use cedar_policy::EntityTypeName;
use cedar_policy_core::ast::EntityType;
use foldhash::fast::RandomState;

/// Every name of a type, without a place in source text. They are few, and never forgotten.
static NAMES: LazyLock<Mutex<HashSet<EntityType, RandomState>>> = LazyLock::new(Mutex::default);
/// No more than so many.
const MOST_NAMES: usize = 65_536;

/// The name, without its place, sharing what it is made of with every equal name that went through here: comparing two
/// entities then looks at their ids alone.
pub(super) fn type_name(name: &EntityType) -> EntityType {
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known.clone();
    }
    let bare = name.with_loc(None);
    if names.len() < MOST_NAMES {
        names.insert(bare.clone());
    }
    bare
}

/// The name of a type of Cedar's public interface, sharing what it is made of like any other.
pub fn shared_name(name: &EntityTypeName) -> EntityTypeName {
    type_name(name.as_ref()).into()
}

/// What is held somewhere, by its hash.
#[derive(Debug)]
pub(super) struct Interned<T>(Mutex<Known<T>>);

#[derive(Debug)]
struct Known<T> {
    hasher: RandomState,
    by_hash: HashMap<u64, Vec<Weak<T>>, RandomState>,
    /// How many hashes there may be before those are swept out that nobody holds anything of.
    limit: usize,
}

/// No sweeping below so many.
const FEW: usize = 1024;

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self(Mutex::new(Known { hasher: RandomState::default(), by_hash: HashMap::default(), limit: FEW }))
    }
}

impl<T: Eq + Hash> Interned<T> {
    /// The one copy of what is equal to this.
    pub(super) fn copy_of(&self, value: T) -> Arc<T> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = known.hasher.hash_one(&value);
        let alike = known.by_hash.entry(hash).or_default();
        if let Some(copy) = alike.iter().filter_map(Weak::upgrade).find(|copy| **copy == value) {
            return copy;
        }
        let copy = Arc::new(value);
        alike.retain(|held| held.strong_count() > 0);
        alike.push(Arc::downgrade(&copy));
        known.sweep();
        copy
    }
}

impl<T> Known<T> {
    fn sweep(&mut self) {
        if self.by_hash.len() > self.limit {
            self.by_hash.retain(|_, alike| alike.iter().any(|held| held.strong_count() > 0));
            self.limit = FEW.max(2 * self.by_hash.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_as_long_as_somebody_holds_them() {
        let interned = Interned::default();
        let one = interned.copy_of("a".to_owned());
        assert!(Arc::ptr_eq(&one, &interned.copy_of("a".to_owned())));
        assert!(!Arc::ptr_eq(&one, &interned.copy_of("b".to_owned())));
        for number in 0..10 * FEW {
            drop(interned.copy_of(number.to_string()));
        }
        let known = interned.0.lock().unwrap().by_hash.len();
        assert!(known <= FEW + 1, "{known} are known, and one is held");
        assert!(Arc::ptr_eq(&one, &interned.copy_of("a".to_owned())), "it has not been swept out");
    }
}

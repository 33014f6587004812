//! Maps and sets by a fast hash. What is hashed by it is chosen by whoever writes policies, schemas and entities, not by callers.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

/// A map.
pub type Map<K, V> = HashMap<K, V, RandomState>;

/// A set.
pub type Set<T> = HashSet<T, RandomState>;

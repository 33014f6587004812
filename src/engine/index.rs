//! Which policies' scopes cover a request, found without looking at the others.
//!
//! A scope is total: it holds or it does not, and never fails. A policy whose scope does not hold is neither satisfied nor
//! in error, so leaving it out changes nothing of a decision: not its effect, its determining policies nor its errors.
//! Conditions are not indexed, for leaving one out could hide an error.
//!
//! Each of the three parts of a scope is one key. A request has few keys that any policy uses: *any*, its type, itself and
//! everything it is in. Policies are found under the keys of action and principal, and there by that of the resource.

mod party;

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::EntityUid;
use foldhash::fast::RandomState;

use super::cedar::{ActionScope, BuiltEntity, CompiledPolicy};
use super::version::Version;
pub use party::PartyKeys;
use party::{Key, Keys};

type Map<K, V> = HashMap<K, V, RandomState>;

/// Up to this many resource keys are compared one by one, which is faster than hashing them.
const FEW: usize = 8;

/// The policies of a generation by their scopes.
#[derive(Debug, Clone)]
pub struct ScopeIndex {
    /// Names this index: keys of one mean nothing to another.
    version: Version,
    principals: Keys,
    resources: Keys,
    /// How many keys scopes' actions have.
    action_keys: usize,
    any_action: Option<Key>,
    equal_action: Map<EntityUid, Key>,
    in_action: Map<EntityUid, Key>,
    /// By action and principal.
    buckets: Map<(Key, Key), Bucket>,
}

/// Policies whose scopes ask the same of action and principal, by what they ask of the resource.
#[derive(Debug, Clone)]
enum Bucket {
    Few(Vec<(Key, Vec<u32>)>),
    Many(Map<Key, Vec<u32>>),
}

impl ScopeIndex {
    /// Indexes policies by their places in the list.
    pub fn of(policies: &[Arc<CompiledPolicy>]) -> Self {
        let mut index = Self {
            version: Version::next(),
            principals: Keys::default(),
            resources: Keys::default(),
            action_keys: 0,
            any_action: None,
            equal_action: Map::default(),
            in_action: Map::default(),
            buckets: Map::default(),
        };
        let mut building: Map<(Key, Key), Map<Key, Vec<u32>>> = Map::default();
        for (place, policy) in (0_u32..).zip(policies) {
            let principal = index.principals.add(policy.principal_scope());
            let resource = index.resources.add(policy.resource_scope());
            // A slot that is not filled covers nothing.
            let (Some(principal), Some(resource)) = (principal, resource) else { continue };
            for action in index.add_action(policy.action_scope()) {
                building.entry((action, principal)).or_default().entry(resource).or_default().push(place);
            }
        }
        index.buckets = building.into_iter().map(|(keys, lists)| (keys, Bucket::of(lists))).collect();
        index
    }

    /// Names this index.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The keys of what a scope asks of the action: one for each that it lists.
    fn add_action(&mut self, scope: ActionScope) -> Vec<Key> {
        let count = &mut self.action_keys;
        let mut new = || {
            let key = Key::at(*count);
            *count += 1;
            key
        };
        match scope {
            ActionScope::Any => vec![*self.any_action.get_or_insert_with(new)],
            ActionScope::Eq(uid) => vec![*self.equal_action.entry(uid).or_insert_with(new)],
            ActionScope::In(uids) => {
                uids.into_iter().map(|uid| *self.in_action.entry(uid).or_insert_with(&mut new)).collect()
            }
        }
    }

    /// The keys of a principal: what scopes may ask of it.
    pub fn principal_keys(&self, uid: &EntityUid, built: Option<&BuiltEntity>) -> PartyKeys {
        self.principals.of(uid, built)
    }

    /// The keys of a resource.
    pub fn resource_keys(&self, uid: &EntityUid, built: Option<&BuiltEntity>) -> PartyKeys {
        self.resources.of(uid, built)
    }

    /// Places of the policies whose scopes cover a request, in order.
    pub fn candidates(
        &self,
        principal: &PartyKeys,
        action: (&EntityUid, Option<&BuiltEntity>),
        resource: &PartyKeys,
    ) -> Vec<u32> {
        let mut found = Vec::with_capacity(16);
        for action in self.keys_of_action(action) {
            for principal in principal.iter() {
                if let Some(bucket) = self.buckets.get(&(action, *principal)) {
                    bucket.find(resource, &mut found);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn keys_of_action(&self, (uid, built): (&EntityUid, Option<&BuiltEntity>)) -> impl Iterator<Item = Key> {
        let above = built.into_iter().flat_map(BuiltEntity::ancestors);
        let above: Vec<_> = above.filter_map(|uid| self.in_action.get(uid).copied()).collect();
        let own = [self.any_action, self.equal_action.get(uid).copied(), self.in_action.get(uid).copied()];
        own.into_iter().flatten().chain(above)
    }
}

impl Bucket {
    fn of(lists: Map<Key, Vec<u32>>) -> Self {
        if lists.len() > FEW {
            return Self::Many(lists);
        }
        let mut few: Vec<_> = lists.into_iter().collect();
        few.sort_unstable_by_key(|(key, _)| *key);
        Self::Few(few)
    }

    fn find(&self, resource: &PartyKeys, found: &mut Vec<u32>) {
        match self {
            Self::Few(lists) => {
                let covering = lists.iter().filter(|(key, _)| resource.contains(*key));
                covering.for_each(|(_, list)| found.extend_from_slice(list));
            }
            Self::Many(lists) => {
                let covering = resource.iter().filter_map(|key| lists.get(key));
                covering.for_each(|list| found.extend_from_slice(list));
            }
        }
    }
}

//! Which policies' scopes cover a request, found without looking at the others.
//!
//! A scope is total: it holds or it does not, and never fails. A policy whose scope does not hold is neither satisfied nor
//! in error, so leaving it out changes nothing of a decision: not its effect, its determining policies nor its errors.
//! Conditions are not indexed, for leaving one out could hide an error.
//!
//! Each of the three parts of a scope is one key. A request has few keys that any policy uses: *any*, its type, itself and
//! everything it is in. Policies are found under the keys of action and principal, and there by that of the resource.
//!
//! Keys outlive an index, so that the next one need not work them out again: see [`ScopeKeys`].

mod keys;
mod party;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use cedar_policy::EntityUid;

use super::cedar::{BuiltEntity, CompiledPolicy};
use super::map::Map;
use super::version::Version;
pub use keys::{ScopeKeys, Scopes};
use party::Key;
pub use party::PartyKeys;

/// Up to this many policies are compared one by one, which is faster than searching.
const FEW: usize = 32;

/// The policies of a generation by their scopes.
#[derive(Debug, Clone)]
pub struct ScopeIndex {
    keys: Arc<ScopeKeys>,
    /// Where in `resources` the policies are that ask the same of action and principal.
    buckets: Map<(Key, Key), Range<usize>>,
    /// What policies ask of the resource, and their places: in each bucket, in the order of both.
    resources: Box<[(Key, u32)]>,
}

impl ScopeIndex {
    /// Indexes policies by their places in the list.
    pub fn of(policies: &[Arc<CompiledPolicy>]) -> Self {
        let mut keys = Arc::default();
        let scopes = ScopeKeys::scopes(&mut keys, policies.iter().map(|policy| &**policy));
        Self::joined(keys, [(0, &scopes)])
    }

    /// Indexes scopes that were all told in `keys`; with each, the place of the first policy.
    pub fn joined<'s>(keys: Arc<ScopeKeys>, scopes: impl IntoIterator<Item = (u32, &'s Scopes)>) -> Self {
        let mut rows: Vec<_> = scopes.into_iter().flat_map(|(first, scopes)| scopes.placed(first)).collect();
        // Each list is in order, which makes this a merge.
        rows.sort();
        let mut buckets = Map::default();
        let mut end = 0;
        for bucket in rows.chunk_by(|one, other| one.bucket() == other.bucket()) {
            let start = end;
            end += bucket.len();
            buckets.extend(bucket.first().map(|row| (row.bucket(), start..end)));
        }
        Self { keys, buckets, resources: rows.iter().map(|row| (row.resource, row.place)).collect() }
    }

    /// Names what keys mean: those of one version mean nothing to another.
    pub fn version(&self) -> Version {
        self.keys.version()
    }

    /// The keys of a principal: what scopes may ask of it.
    pub fn principal_keys(&self, uid: &EntityUid, built: Option<&BuiltEntity>) -> PartyKeys {
        self.keys.principals.of(uid, built)
    }

    /// The keys of a resource.
    pub fn resource_keys(&self, uid: &EntityUid, built: Option<&BuiltEntity>) -> PartyKeys {
        self.keys.resources.of(uid, built)
    }

    /// Places of the policies whose scopes cover a request, in order.
    pub fn candidates(
        &self,
        principal: &PartyKeys,
        action: (&EntityUid, Option<&BuiltEntity>),
        resource: &PartyKeys,
    ) -> Vec<u32> {
        let mut found = Vec::with_capacity(16);
        for action in self.keys.of_action(action) {
            for principal in principal.iter() {
                let bucket = self.buckets.get(&(action, *principal));
                if let Some(list) = bucket.and_then(|range| self.resources.get(range.clone())) {
                    find(list, resource, &mut found);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The places in one bucket of those that ask something of the resource that it fulfils.
fn find(list: &[(Key, u32)], resource: &PartyKeys, found: &mut Vec<u32>) {
    if list.len() <= FEW {
        let covering = list.iter().filter(|(key, _)| resource.contains(*key));
        return found.extend(covering.map(|(_, place)| *place));
    }
    for key in resource.iter() {
        let from = list.get(list.partition_point(|(other, _)| other < key)..).unwrap_or_default();
        found.extend(from.iter().take_while(|(other, _)| other == key).map(|(_, place)| *place));
    }
}

//! Which policies' scopes cover a request, found without looking at the others.
//!
//! A scope is total: it holds or it does not, and never fails. A policy whose scope does not hold is neither satisfied nor
//! in error, so leaving it out changes nothing of a decision: not its effect, its determining policies nor its errors.
//! Conditions are not indexed, for leaving one out could hide an error.
//!
//! Each of the three parts of a scope is one key. A request has few keys that any policy uses: *any*, its type, itself and
//! everything it is in. Policies lie in the order of their keys, the principal's first: keys are numbers, so where those of a
//! principal begin is looked up and not searched for, and what has to be waited for of memory is waited for at once.
//!
//! Keys outlive an index, so that the next one need not work them out again: see [`ScopeKeys`].

mod keys;
mod party;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use cedar_policy::EntityUid;

use super::cedar::{BuiltEntity, CompiledPolicy};
use super::version::Version;
use keys::Row;
pub use keys::{ScopeKeys, Scopes};
use party::Key;
pub use party::{PartyKeys, WithinKeys};

/// Up to this many policies are compared one by one, which is faster than searching.
const FEW: usize = 128;

/// The policies of a generation by their scopes.
#[derive(Debug, Clone)]
pub struct ScopeIndex {
    keys: Arc<ScopeKeys>,
    /// Where in `rows` those of each principal's key begin, and behind the last where they end.
    starts: Box<[u32]>,
    /// What policies ask, and their places, in order.
    rows: Box<[Row]>,
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
        let mut starts = Vec::with_capacity(keys.principals.len() + 1);
        let mut start = 0;
        for key in 0..=keys.principals.len() {
            let key = Key::at(key);
            start +=
                rows.get(start..).unwrap_or_default().iter().take_while(|row| row.principal < key).count();
            starts.push(u32::try_from(start).unwrap_or(u32::MAX));
        }
        Self { keys, starts: starts.into_boxed_slice(), rows: rows.into_boxed_slice() }
    }

    /// Names what keys mean: those of one version mean nothing to another.
    pub fn version(&self) -> Version {
        self.keys.version()
    }

    /// The keys of a principal that is in what `within` are the keys of.
    pub fn principal_keys<'k>(
        &self,
        uid: &EntityUid,
        within: impl IntoIterator<Item = &'k WithinKeys>,
    ) -> PartyKeys {
        self.keys.principals.of(uid, within)
    }

    /// The keys of a resource that is in what `within` are the keys of.
    pub fn resource_keys<'k>(
        &self,
        uid: &EntityUid,
        within: impl IntoIterator<Item = &'k WithinKeys>,
    ) -> PartyKeys {
        self.keys.resources.of(uid, within)
    }

    /// What scopes ask of principals that are in these.
    pub fn principals_within<'u>(&self, above: impl IntoIterator<Item = &'u EntityUid>) -> WithinKeys {
        self.keys.principals.within(above)
    }

    /// What scopes ask of resources that are in these.
    pub fn resources_within<'u>(&self, above: impl IntoIterator<Item = &'u EntityUid>) -> WithinKeys {
        self.keys.resources.within(above)
    }

    /// Places of the policies whose scopes cover a request, in order.
    pub fn candidates(
        &self,
        principal: &PartyKeys,
        action: (&EntityUid, Option<&BuiltEntity>),
        resource: &PartyKeys,
    ) -> Vec<u32> {
        let actions: Vec<_> = self.keys.of_action(action).collect();
        // First all that has to be waited for, so that it is waited for at once.
        let mut asking: Vec<(&[Row], Key)> = Vec::with_capacity(principal.iter().len());
        asking.extend(principal.iter().filter_map(|key| self.asking(*key)));
        let last = resource.iter().last();
        let mut found = Vec::with_capacity(16);
        for (rows, _) in asking.iter().filter(|(_, first)| Some(first) <= last) {
            find(rows, &actions, resource, &mut found);
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Places of the policies whose scopes cover a principal and an action, whatever they ask of the resource.
    pub fn covering_principal(
        &self,
        principal: &PartyKeys,
        action: (&EntityUid, Option<&BuiltEntity>),
    ) -> Vec<u32> {
        let actions: Vec<_> = self.keys.of_action(action).collect();
        let asking = principal.iter().filter_map(|key| self.asking(*key)).flat_map(|(rows, _)| rows);
        places(asking.filter(|row| actions.contains(&row.action)))
    }

    /// Places of the policies whose scopes cover an action and a resource, whatever they ask of the principal. Looks at all
    /// of them.
    pub fn covering_resource(
        &self,
        action: (&EntityUid, Option<&BuiltEntity>),
        resource: &PartyKeys,
    ) -> Vec<u32> {
        let actions: Vec<_> = self.keys.of_action(action).collect();
        let rows = self.rows.iter().filter(|row| actions.contains(&row.action));
        places(rows.filter(|row| resource.contains(row.resource)))
    }

    /// The policies that ask this of the principal, and what the first of them asks of the resource; none if there are none.
    fn asking(&self, principal: Key) -> Option<(&[Row], Key)> {
        let at = usize::try_from(principal.0).ok()?;
        let start = usize::try_from(*self.starts.get(at)?).ok()?;
        let end = usize::try_from(*self.starts.get(at.checked_add(1)?)?).ok()?;
        let rows = self.rows.get(start..end)?;
        Some((rows, rows.first()?.resource))
    }
}

fn places<'r>(rows: impl Iterator<Item = &'r Row>) -> Vec<u32> {
    let mut places: Vec<_> = rows.map(|row| row.place).collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// The places of those that ask of the action and the resource what these fulfil.
fn find(mut rows: &[Row], actions: &[Key], resource: &PartyKeys, found: &mut Vec<u32>) {
    let asks = |row: &&Row| actions.contains(&row.action);
    if rows.len() <= FEW {
        let covering = rows.iter().filter(asks).filter(|row| resource.contains(row.resource));
        return found.extend(covering.map(|row| row.place));
    }
    for key in resource.iter() {
        rows = rows.get(rows.partition_point(|row| row.resource < *key)..).unwrap_or_default();
        let covering = rows.iter().take_while(|row| row.resource == *key).filter(asks);
        found.extend(covering.map(|row| row.place));
    }
}

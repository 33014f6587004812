//! Everything that scopes ask for, numbered: numbers that stay while policies come and go.

use std::sync::Arc;

use cedar_policy::EntityUid;

use super::party::{Key, Keys};
use crate::engine::cedar::{ActionScope, BuiltEntity, CompiledPolicy};
use crate::engine::map::Map;
use crate::engine::version::Version;

/// Versions after which it is better to begin anew.
const MOST_VERSIONS: usize = 4_096;
/// Keys that are never too many.
const FEW_KEYS: usize = 1_024;

/// The keys of what scopes ask. Some may come to it and none goes or changes, so that scopes told in it before still
/// mean the same. Two copies that each get another key are different keys from then on.
#[derive(Debug, Clone)]
pub struct ScopeKeys {
    /// A name for each state it was in, the last one's last: in order, for names are.
    versions: Vec<Version>,
    pub(super) principals: Keys,
    pub(super) resources: Keys,
    /// How many keys scopes' actions have.
    action_keys: usize,
    any_action: Option<Key>,
    equal_action: Map<EntityUid, Key>,
    in_action: Map<EntityUid, Key>,
}

impl Default for ScopeKeys {
    fn default() -> Self {
        Self {
            versions: vec![Version::next()],
            principals: Keys::default(),
            resources: Keys::default(),
            action_keys: 0,
            any_action: None,
            equal_action: Map::default(),
            in_action: Map::default(),
        }
    }
}

/// What the scopes of some policies ask, as keys.
#[derive(Debug, Clone)]
pub struct Scopes {
    /// The state of the keys when they were told.
    told: Version,
    /// In order. Places are counted from the first of the policies.
    rows: Box<[Row]>,
}

/// What one policy asks, for one of the actions it lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) principal: Key,
    pub(super) resource: Key,
    pub(super) action: Key,
    pub(super) place: u32,
}

impl Scopes {
    /// Its rows, if the first policy stands at that place.
    pub(super) fn placed(&self, first: u32) -> impl Iterator<Item = Row> {
        self.rows.iter().map(move |row| Row { place: row.place.saturating_add(first), ..*row })
    }
}

impl ScopeKeys {
    /// Tells what policies ask, with the keys that are missing added.
    pub fn scopes<'p>(
        keys: &mut Arc<Self>,
        policies: impl IntoIterator<Item = &'p CompiledPolicy>,
    ) -> Scopes {
        let mut rows = Vec::new();
        let mut changed = false;
        for (place, policy) in (0_u32..).zip(policies) {
            let known = keys.find(policy);
            let asked = known.unwrap_or_else(|| {
                changed = true;
                Arc::make_mut(keys).add(policy)
            });
            let Some((actions, principal, resource)) = asked else { continue };
            rows.extend(actions.into_iter().map(|action| Row { principal, resource, action, place }));
        }
        if changed {
            Arc::make_mut(keys).versions.push(Version::next());
        }
        rows.sort_unstable();
        Scopes { told: keys.version(), rows: rows.into() }
    }

    /// Whether scopes mean here what they meant when they were told: these keys were in that state.
    pub fn means(&self, scopes: &Scopes) -> bool {
        self.versions.binary_search(&scopes.told).is_ok()
    }

    /// Names the state it is in.
    pub fn version(&self) -> Version {
        self.versions.last().copied().unwrap_or_else(Version::next)
    }

    /// Whether most of it is of policies that are gone, if there are so many.
    pub fn is_outgrown(&self, policies: usize) -> bool {
        let count = self.principals.len() + self.resources.len() + self.action_keys;
        count > FEW_KEYS.saturating_add(policies.saturating_mul(4)) || self.versions.len() > MOST_VERSIONS
    }

    /// The keys of what a policy asks, if all are there; of those, none if nothing fulfils it.
    #[expect(clippy::option_option, reason = "a key may be missing, and a scope may have none")]
    fn find(&self, policy: &CompiledPolicy) -> Option<Option<Asked>> {
        let principal = self.principals.find(&policy.principal_scope())?;
        let resource = self.resources.find(&policy.resource_scope())?;
        let (Some(principal), Some(resource)) = (principal, resource) else { return Some(None) };
        let actions = match policy.action_scope() {
            ActionScope::Any => vec![self.any_action?],
            ActionScope::Eq(uid) => vec![*self.equal_action.get(&uid)?],
            ActionScope::In(uids) => {
                uids.iter().map(|uid| self.in_action.get(uid).copied()).collect::<Option<_>>()?
            }
        };
        Some(Some((actions, principal, resource)))
    }

    /// The keys of what a policy asks; none if a slot that is not filled makes that nothing anybody fulfils.
    fn add(&mut self, policy: &CompiledPolicy) -> Option<Asked> {
        let principal = self.principals.add(policy.principal_scope());
        let resource = self.resources.add(policy.resource_scope());
        Some((self.add_action(policy.action_scope()), principal?, resource?))
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

    /// What of that an action fulfils.
    pub(super) fn of_action(
        &self,
        (uid, built): (&EntityUid, Option<&BuiltEntity>),
    ) -> impl Iterator<Item = Key> {
        let above = built.into_iter().flat_map(BuiltEntity::ancestors);
        let above: Vec<_> = above.filter_map(|uid| self.in_action.get(uid).copied()).collect();
        let own = [self.any_action, self.equal_action.get(uid).copied(), self.in_action.get(uid).copied()];
        own.into_iter().flatten().chain(above)
    }
}

/// The keys of what a policy asks: of the action, the principal and the resource.
type Asked = (Vec<Key>, Key, Key);

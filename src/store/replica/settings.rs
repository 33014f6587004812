//! What of the configuration says what policies mean: a primary and its followers must have it in common.

use std::collections::BTreeMap;

use crate::engine::catalog::Domain;
use crate::engine::delegation::names::DelegationNames;
use crate::engine::generation::OnPolicyError;

/// Values by the keys they have in the configuration.
pub type Settings = BTreeMap<String, String>;

/// The settings that go with compiled sources.
#[must_use]
pub fn settings(on_policy_error: OnPolicyError, domain: &Domain) -> Settings {
    let Domain { namespace, user, chain_required, autonomous, tool, call_tool, delegation } = domain;
    let DelegationNames {
        type_name,
        from,
        to,
        parent,
        actions,
        scopes,
        data,
        not_before,
        expires,
        max_depth,
        purpose,
    } = delegation;
    let list = |names: &[String]| names.join(", ");
    let pairs = [
        ("decisions.on_policy_error", on_policy_error.as_str().to_owned()),
        ("domain.namespace", namespace.clone()),
        ("domain.user", user.clone()),
        ("domain.chain_required", list(chain_required)),
        ("domain.autonomous", autonomous.clone()),
        ("domain.tool", tool.clone()),
        ("domain.call_tool", call_tool.clone()),
        ("domain.delegation.type", type_name.clone()),
        ("domain.delegation.from", list(from)),
        ("domain.delegation.to", to.clone()),
        ("domain.delegation.parent", parent.clone()),
        ("domain.delegation.actions", actions.clone()),
        ("domain.delegation.scopes", list(scopes)),
        ("domain.delegation.data", data.clone()),
        ("domain.delegation.not_before", not_before.clone()),
        ("domain.delegation.expires", expires.clone()),
        ("domain.delegation.max_depth", max_depth.clone()),
        ("domain.delegation.purpose", purpose.clone()),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The first key whose value differs, with both values. A key that only one side knows has none on the other.
pub(super) fn difference<'s>(
    ours: &'s Settings,
    theirs: &'s Settings,
) -> Option<(&'s str, &'s str, &'s str)> {
    let value = |settings: &'s Settings, key: &str| settings.get(key).map_or("", String::as_str);
    let mut keys = ours.keys().chain(theirs.keys());
    let differs = |key: &&String| value(ours, key) != value(theirs, key);
    keys.find(differs).map(|key| (key.as_str(), value(ours, key), value(theirs, key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_whoever_knows_it() {
        let ours = settings(OnPolicyError::Deny, &Domain::in_namespace("Mandate"));
        assert_eq!(difference(&ours, &ours), None);
        let theirs = settings(OnPolicyError::Cedar, &Domain::in_namespace("Mandate"));
        assert_eq!(difference(&ours, &theirs), Some(("decisions.on_policy_error", "deny", "cedar")));
        let mut later = ours.clone();
        later.insert("decisions.more".to_owned(), "x".to_owned());
        assert_eq!(difference(&ours, &later), Some(("decisions.more", "", "x")));
    }
}

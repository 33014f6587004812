//! `[domain]`: names of the agent domain.

use serde::Deserialize;

use crate::engine::catalog::Domain;
use crate::engine::delegation::names::DelegationNames;

/// `[domain]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Names {
    /// An empty action type means `<namespace>::Action`. The defaults of the other names are in it.
    ///
    /// Default `"Mandate"`.
    namespace: Option<String>,
    /// The type of people, who may be roots of chains.
    ///
    /// Default `"Mandate::User"`.
    user: Option<String>,
    /// Types that act only on somebody's behalf.
    ///
    /// Default `["Mandate::Agent"]`.
    chain_required: Option<Vec<String>>,
    /// The boolean attribute that frees a stored principal of `chain_required`.
    ///
    /// Default `"autonomous"`.
    autonomous: Option<String>,
    /// The type of tools.
    ///
    /// Default `"Mandate::Tool"`.
    tool: Option<String>,
    /// The action of calling a tool that has no typed action.
    ///
    /// Default `"call_tool"`.
    call_tool: Option<String>,
    /// What delegations are stored as, and what their attributes are called. Held to the schema when it loads.
    delegation: DelegationParts,
}

/// `[domain.delegation]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DelegationParts {
    /// Their entity type.
    ///
    /// Default `"Mandate::Delegation"`.
    r#type: Option<String>,
    /// Attributes of which exactly one names who delegates.
    ///
    /// Default `["from_user", "from_agent"]`.
    from: Option<Vec<String>>,
    /// Who it is delegated to.
    ///
    /// Default `"to"`.
    to: Option<String>,
    /// The delegation under which the delegator itself acts; optional.
    ///
    /// Default `"parent"`.
    parent: Option<String>,
    /// The actions that are delegated.
    ///
    /// Default `"actions"`.
    actions: Option<String>,
    /// Sets of what may be acted on.
    ///
    /// Default `["tools", "toolsets", "data", "agents", "servers"]`.
    scopes: Option<Vec<String>>,
    /// The one of `scopes` that `context.touches` is held to as well.
    ///
    /// Default `"data"`.
    data: Option<String>,
    /// From when it holds.
    ///
    /// Default `"not_before"`.
    not_before: Option<String>,
    /// Until when.
    ///
    /// Default `"expires"`.
    expires: Option<String>,
    /// How many further delegations may hang below it.
    ///
    /// Default `"max_depth"`.
    max_depth: Option<String>,
    /// What it is for.
    ///
    /// Default `"purpose"`.
    purpose: Option<String>,
}

impl Names {
    pub(super) fn meaning(self) -> Domain {
        let defaults = Domain::in_namespace(self.namespace.as_deref().unwrap_or("Mandate"));
        Domain {
            namespace: defaults.namespace,
            user: self.user.unwrap_or(defaults.user),
            chain_required: self.chain_required.unwrap_or(defaults.chain_required),
            autonomous: self.autonomous.unwrap_or(defaults.autonomous),
            tool: self.tool.unwrap_or(defaults.tool),
            call_tool: self.call_tool.unwrap_or(defaults.call_tool),
            delegation: self.delegation.meaning(defaults.delegation),
        }
    }
}

impl DelegationParts {
    fn meaning(self, defaults: DelegationNames) -> DelegationNames {
        DelegationNames {
            type_name: self.r#type.unwrap_or(defaults.type_name),
            from: self.from.unwrap_or(defaults.from),
            to: self.to.unwrap_or(defaults.to),
            parent: self.parent.unwrap_or(defaults.parent),
            actions: self.actions.unwrap_or(defaults.actions),
            scopes: self.scopes.unwrap_or(defaults.scopes),
            data: self.data.unwrap_or(defaults.data),
            not_before: self.not_before.unwrap_or(defaults.not_before),
            expires: self.expires.unwrap_or(defaults.expires),
            max_depth: self.max_depth.unwrap_or(defaults.max_depth),
            purpose: self.purpose.unwrap_or(defaults.purpose),
        }
    }
}

//! By which names the engine knows delegations.

/// Names of a stored delegation's type and attributes. A deployment with its own schema sets its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegationNames {
    /// Type of delegations.
    pub type_name: String,
    /// Attributes that name who delegates, of which a delegation has exactly one: Cedar has no unions of types.
    pub from: Vec<String>,
    /// Attribute that names to whom.
    pub to: String,
    /// Optional attribute that names the delegation under which the delegator itself acts.
    pub parent: String,
    /// Set of the actions that are delegated, with everything in them.
    pub actions: String,
    /// Sets of what they may be done to, with everything in it.
    pub scopes: Vec<String>,
    /// The one of `scopes` that what a call touches is held to as well.
    pub data: String,
    /// Datetime from which it holds.
    pub not_before: String,
    /// Datetime from which it holds no more.
    pub expires: String,
    /// How many further delegations may follow.
    pub max_depth: String,
    /// What for, in words.
    pub purpose: String,
}

impl DelegationNames {
    /// The shipped domain's names; `type_name` is qualified.
    pub fn of_type(type_name: String) -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            type_name,
            from: names(&["from_user", "from_agent"]),
            to: "to".to_owned(),
            parent: "parent".to_owned(),
            actions: "actions".to_owned(),
            scopes: names(&["tools", "toolsets", "data", "agents", "servers"]),
            data: "data".to_owned(),
            not_before: "not_before".to_owned(),
            expires: "expires".to_owned(),
            max_depth: "max_depth".to_owned(),
            purpose: "purpose".to_owned(),
        }
    }
}

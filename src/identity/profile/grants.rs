//! From scopes to what a token grants its actor.

use serde::Deserialize;

use super::Profile;
use crate::engine::datum::Reference;
use crate::engine::subject::TokenGrant;

/// What a scope grants.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRow {
    /// The scope, or, without `id`, what it begins with: the rest is the resource's id.
    pub scope: String,
    /// Actions, and everything in them.
    pub actions: Vec<Name>,
    /// Type of the resource.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its id; none: the rest of the scope.
    pub id: Option<String>,
}

/// An entity that a table names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Name {
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its id.
    pub id: String,
}

impl GrantRow {
    /// The resource that a scope grants.
    fn resource(&self, scope: &str) -> Option<Reference> {
        let id = match &self.id {
            Some(id) => (scope == self.scope).then_some(id.as_str()),
            None => scope.strip_prefix(self.scope.as_str()).filter(|rest| !rest.is_empty()),
        };
        id.map(|id| Reference::new(self.type_name.clone(), id))
    }
}

impl Profile {
    /// What a token's scopes grant. Scopes that give different actions grant those that every one of them gives: a grant
    /// is actions times resources, and nothing may come of two scopes that neither gives.
    #[must_use]
    pub fn grant(&self, scopes: &[String]) -> TokenGrant {
        let mut granted: Option<Vec<Reference>> = None;
        let mut resources = Vec::new();
        for (scope, row) in scopes.iter().flat_map(|scope| self.grants.iter().map(move |row| (scope, row))) {
            let Some(resource) = row.resource(scope) else { continue };
            let actions =
                || row.actions.iter().map(|name| Reference::new(name.type_name.clone(), name.id.clone()));
            match &mut granted {
                None => granted = Some(actions().collect()),
                Some(granted) => granted.retain(|action| actions().any(|other| other == *action)),
            }
            resources.push(resource);
        }
        TokenGrant { actions: granted.unwrap_or_default(), scopes: resources, purpose: "token".to_owned() }
    }
}

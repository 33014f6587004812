//! Requests and tests in the form in which Cedar's project publishes them.

use std::collections::BTreeSet;

use mandate::engine::datum::Reference;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Attempt;
use super::bundle::{Case, Expected};

/// One request of a published test.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PublishedRequest {
    description: Option<String>,
    principal: PublishedUid,
    action: PublishedUid,
    resource: PublishedUid,
    context: Option<Box<RawValue>>,
    validate_request: Option<bool>,
    decision: PublishedDecision,
    reason: Option<BTreeSet<String>>,
    errors: Option<BTreeSet<String>>,
}

/// An entity's name: implicit, explicit, or in Cedar's own syntax.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum PublishedUid {
    Explicit {
        #[serde(rename = "__entity")]
        entity: TypeAndId,
    },
    Implicit(TypeAndId),
    Cedar(String),
}

#[derive(Debug, Deserialize)]
pub(super) struct TypeAndId {
    r#type: String,
    id: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum PublishedDecision {
    #[serde(rename = "allow", alias = "Allow")]
    Allow,
    #[serde(rename = "deny", alias = "Deny")]
    Deny,
}

impl PublishedUid {
    pub(super) fn reference(self) -> Attempt<Reference> {
        match self {
            Self::Explicit { entity: TypeAndId { r#type, id } }
            | Self::Implicit(TypeAndId { r#type, id }) => Ok(Reference::new(r#type, id)),
            Self::Cedar(text) => {
                let uid: cedar_policy::EntityUid = text.parse()?;
                Ok(Reference::new(uid.type_name().to_string(), uid.id().unescaped()))
            }
        }
    }
}

impl PublishedRequest {
    pub(super) fn case(self) -> Attempt<Case> {
        let both = self.reason.is_some() || self.errors.is_some();
        Ok(Case {
            description: self.description.unwrap_or_default(),
            principal: self.principal.reference()?,
            action: self.action.reference()?,
            resource: self.resource.reference()?,
            context: self.context.map_or_else(|| "{}".to_owned(), |context| context.get().to_owned()),
            fits: self.validate_request.unwrap_or(true),
            expected: Expected {
                allow: matches!(self.decision, PublishedDecision::Allow),
                policies: both.then(|| (self.reason.unwrap_or_default(), self.errors.unwrap_or_default())),
            },
        })
    }
}

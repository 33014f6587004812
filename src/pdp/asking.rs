//! What a question needs a right for (C1), held to its caller's rights on every request (K6).

use std::borrow::Cow;

use cedar_policy::EntityTypeName;

use super::{Asked, Call, Pdp, Refused};
use crate::audit::record::{Mode, Surface};
use crate::engine::authorize::Now;
use crate::engine::catalog::Domain;
use crate::engine::datum::Reference;
use crate::engine::request::AuthzRequest;
use crate::identity::callers::Unauthenticated;
use crate::identity::rights::Asking;
use crate::store::Published;

impl Pdp {
    /// Whether the caller may ask this question on these terms, and somebody still vouches for it.
    pub(super) fn entitled(
        &self,
        call: &Call,
        asked: &Asked,
        question: &AuthzRequest,
        published: &Published,
        now: Now,
    ) -> Result<(), Refused> {
        let Some(_gate) = self.callers.gate() else { return Ok(()) };
        if !call.caller.holds_at(now) {
            return Err(Refused::Caller(Unauthenticated::Expired.to_string()));
        }
        // The control listener has held its caller to the right that `Delegate` needs.
        if call.surface == Surface::Control {
            return Ok(());
        }
        let principal = declared(&question.principal);
        let action = action(&published.world.generation.catalog.domain, &question.action);
        let resource_type = spelling(&question.resource.type_name);
        let entity_types: Vec<_> =
            question.entities.iter().map(|entity| spelling(&entity.uid.type_name)).collect();
        let asking = Asking {
            own: self.callers.is_own(&call.caller, &principal),
            principal: &principal,
            action: &action,
            resource_type: &resource_type,
            surface: call.surface.as_str(),
            observe: asked.mode == Mode::Observe,
            bypass_cache: asked.bypass_cache,
            with_token: question.subject.is_some(),
            with_delegations: !question.delegations.is_empty(),
            explain: question.explain,
            entity_types: entity_types.iter().map(AsRef::as_ref).collect(),
            facts: question.context.iter().map(|(name, _)| name.as_str()).collect(),
        };
        let lacking = self.callers.may_ask(&call.caller, &asking);
        lacking.map_err(|lacking| Refused::NotEntitled(lacking.to_string()))
    }
}

/// The action as the schema declares it: an empty type is the default namespace's (C8).
fn action<'a>(domain: &Domain, action: &'a Reference) -> Cow<'a, Reference> {
    if action.type_name.is_empty() {
        return Cow::Owned(Reference::new(domain.action_type(), action.id.as_str()));
    }
    declared(action)
}

/// A reference whose type is written as the schema declares it.
fn declared(reference: &Reference) -> Cow<'_, Reference> {
    match spelling(&reference.type_name) {
        Cow::Borrowed(_) => Cow::Borrowed(reference),
        Cow::Owned(type_name) => Cow::Owned(Reference { type_name, id: reference.id.clone() }),
    }
}

/// A type's name as the schema declares it, whatever spaces a caller put into it: a policy that forbids a type must not miss
/// it for its spelling. A name that is none stays what it is, and the question is refused for it later.
fn spelling(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':') {
        return Cow::Borrowed(name);
    }
    name.parse::<EntityTypeName>().map_or(Cow::Borrowed(name), |name| Cow::Owned(name.to_string()))
}

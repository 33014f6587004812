//! Cedar's own authorizer over all policies at once: slow, and what everything faster is held to.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use cedar_policy::EntityUid;
use cedar_policy_core::ast::{self, EntityUIDEntry};
use cedar_policy_core::authorizer::{AuthorizationError, Authorizer, Decision};
use smol_str::SmolStr;

use super::entities::Slice;
use super::policy::CompiledPolicy;
use super::value::CedarRecord;
use super::walk;

/// Cedar's authorizer, and every policy of a generation in the form it takes.
pub struct PlainAuthorizer {
    authorizer: Authorizer,
    policies: ast::PolicySet,
    literals: BTreeSet<EntityUid>,
}

/// What Cedar decides, by the language's own rule for policies that fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainAnswer {
    /// Allow, or deny.
    pub allows: bool,
    /// The satisfied policies of the side that decided.
    pub determining: BTreeSet<SmolStr>,
    /// The policies that could not be evaluated.
    pub failed: BTreeSet<SmolStr>,
}

impl fmt::Debug for PlainAuthorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainAuthorizer").field("policies", &self.policies.policies().count()).finish()
    }
}

impl PlainAuthorizer {
    /// Takes every policy. None if two have the same id, which no loaded set has.
    pub fn of(policies: &[Arc<CompiledPolicy>]) -> Option<Self> {
        let mut set = ast::PolicySet::new();
        let mut literals = BTreeSet::new();
        for policy in policies {
            set.add(policy.to_cedar()).ok()?;
            literals.extend(walk::literals(policy));
        }
        Some(Self { authorizer: Authorizer::new(), policies: set, literals })
    }

    /// Every entity that the policies name.
    pub fn literals(&self) -> impl Iterator<Item = &EntityUid> {
        self.literals.iter()
    }

    /// What Cedar decides.
    pub fn answer(
        &self,
        principal: &EntityUid,
        action: &EntityUid,
        resource: &EntityUid,
        context: CedarRecord,
        entities: &Slice,
    ) -> PlainAnswer {
        let known =
            |uid: &EntityUid| EntityUIDEntry::known(AsRef::<ast::EntityUID>::as_ref(uid).clone(), None);
        let context = ast::Context::Value(context.0);
        let request =
            ast::Request::new_unchecked(known(principal), known(action), known(resource), Some(context));
        let response = self.authorizer.is_authorized(request, &self.policies, &entities.0);
        let name = |id: &ast::PolicyID| SmolStr::new(AsRef::<str>::as_ref(id));
        let failed = response.diagnostics.errors.iter().map(|error| match error {
            AuthorizationError::PolicyEvaluationError { id, .. } => name(id),
        });
        PlainAnswer {
            allows: response.decision == Decision::Allow,
            determining: response.diagnostics.reason.iter().map(name).collect(),
            failed: failed.collect(),
        }
    }
}

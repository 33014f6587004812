//! Policies, schema and configuration, compiled whole.

use std::sync::Arc;

use cedar_policy::EntityUid;

use super::brief::Briefs;
use super::catalog::Catalog;
use super::cedar::{BuiltEntity, CompiledPolicy};
use super::compile::Sources;
use super::index::ScopeIndex;
use super::key_plans::KeyPlans;
use super::map::Map;

/// What happens when a policy cannot be evaluated (C14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnPolicyError {
    /// An erroring forbid denies; an erroring permit grants nothing.
    #[default]
    Deny,
    /// Any error denies.
    Strict,
    /// The language's rule: an erroring policy is skipped, whatever its effect.
    Cedar,
}

impl OnPolicyError {
    /// The name in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Strict => "strict",
            Self::Cedar => "cedar",
        }
    }
}

/// How much is asked of sources and of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Everything that `docs/semantics.md` demands: what a service runs with.
    #[default]
    Full,
    /// What the Cedar language allows and no more: to hold decisions to what others publish of it. Nothing must be
    /// stored, declared or valid, and nothing is filled in. A program says so; no configuration can.
    Language(PolicyIds),
}

/// Where the ids of policies come from, to the Cedar language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyIds {
    /// From their place in the file: `policy0`, `policy1` and so on, as Cedar's parser gives them.
    Position,
    /// From `@id`, and from the place where there is none.
    Annotation,
}

/// Everything a decision reads besides entities: immutable, shared, named by its content (W1).
#[derive(Debug, Clone)]
pub struct Generation {
    /// `sha256:` over the sources and the configuration that compile to it.
    pub hash: Arc<str>,
    /// Policies and links, in the order of the files.
    pub policies: Vec<Arc<CompiledPolicy>>,
    /// What decisions need to know of them.
    pub briefs: Briefs,
    /// Which of them cover a request.
    pub index: ScopeIndex,
    /// What of a request's context they may read.
    pub key_plans: KeyPlans,
    /// The schema's actions, each with all it is in.
    pub actions: Map<EntityUid, BuiltEntity>,
    /// What the schema declares.
    pub catalog: Arc<Catalog>,
    /// What happens when a policy cannot be evaluated.
    pub on_policy_error: OnPolicyError,
    /// What it was compiled from, entities left out: for those who are to compile the same.
    pub sources: Arc<Sources>,
}

impl Generation {
    /// The policies that read `context.delegation`, in the order of the files. Of these alone a longer chain may allow
    /// what a shorter one does not (D12).
    pub fn reading_delegation(&self) -> impl Iterator<Item = &Arc<CompiledPolicy>> {
        self.policies.iter().filter(|policy| policy.reads_delegation)
    }

    /// The policy at a place.
    pub fn policy(&self, place: u32) -> Option<&Arc<CompiledPolicy>> {
        self.policies.get(usize::try_from(place).ok()?)
    }

    /// The same generation less one policy: for proving that a case would notice.
    #[must_use]
    pub fn without(&self, id: &str) -> Self {
        let policies = self.policies.iter().filter(|policy| policy.id != id);
        self.with_policies(policies.cloned().collect())
    }

    /// The same generation with other policies, and what is made of them. Its hash stays: nothing is served of it.
    #[must_use]
    pub(crate) fn with_policies(&self, policies: Vec<Arc<CompiledPolicy>>) -> Self {
        let (index, briefs) = (ScopeIndex::of(&policies), Briefs::of(&policies));
        let key_plans = KeyPlans::of(&self.catalog, &policies);
        Self { policies, index, briefs, key_plans, ..self.clone() }
    }
}

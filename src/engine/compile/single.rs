//! Policies one by one: each parsed, validated and checked by itself, on whatever thread is free; or taken over, if the
//! same text was entirely clean before under the same schema.

use std::collections::HashMap;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId, PolicySet, Template};
use foldhash::fast::RandomState;

use super::checks::{self, Findings, Rules};
use super::known::{CleanFile, Known};
use super::origin::Origin;
use super::workers::Workers;
use crate::engine::cedar::walk::Heading;
use crate::engine::cedar::{CompiledPolicy, walk};
use crate::engine::guard::{MAX_POLICY_DEPTH, StackUnavailable};
use crate::engine::problem::{Place, SourceFile};

/// The text of one policy, as far as semicolons tell.
pub(super) struct Segment {
    pub(super) place: Place,
    pub(super) span: Range<usize>,
}

/// What a segment turned out to be.
pub(super) enum Single {
    /// A policy that was clean before.
    Known(Arc<CompiledPolicy>),
    /// A policy that was not, or is new.
    Fresh(Box<Fresh>),
    /// A template, its places counted from the beginning of the segment.
    Template(Box<Template>),
    /// Not one policy by itself: only its file as a whole tells what it is, or what is wrong with it.
    Unclear,
}

/// A policy looked at for itself.
pub(super) struct Fresh {
    /// From `@id`.
    pub(super) id: Option<String>,
    /// What stands above its scope.
    pub(super) heading: Heading,
    /// Depth of its condition.
    pub(super) depth: usize,
    /// None if it is too deep or nameless, which are errors.
    pub(super) checked: Option<(CompiledPolicy, Findings)>,
}

/// What segments are looked at with.
pub(super) struct Examiner<'a> {
    /// None if there is no schema, which is an error.
    pub(super) rules: Option<&'a Rules>,
    /// Sets compiled before under the same schema.
    pub(super) known: Vec<&'a Known>,
    pub(super) workers: Workers,
}

impl Examiner<'_> {
    /// A file that was entirely clean before, as it is now.
    pub(super) fn file(&self, file: &SourceFile) -> Option<&Arc<CleanFile>> {
        self.known.iter().find_map(|known| known.file(file))
    }

    /// What the segments are, in their order, when those files are taken over whole.
    ///
    /// # Errors
    /// As [`Workers::map`].
    pub(super) fn examine(
        &self,
        segments: &[Segment],
        taken: &HashMap<&str, &Arc<CleanFile>>,
    ) -> Result<Vec<Single>, StackUnavailable> {
        let mut policies = HashMap::<_, _, RandomState>::default();
        if !segments.is_empty() {
            policies.extend(self.known.iter().flat_map(|known| known.policies(taken)));
        }
        let known: Vec<_> = segments.iter().map(|segment| policies.get(segment.text()).copied()).collect();
        let new: Vec<_> = segments.iter().zip(&known).filter(|(_, known)| known.is_none()).collect();
        let fresh = self.workers.map(&new, |(segment, _)| self.fresh(segment))?;
        let mut fresh = fresh.into_iter();
        let found = known.into_iter().map(|known| match known {
            Some(policy) => Single::Known(Arc::clone(policy)),
            None => fresh.next().unwrap_or(Single::Unclear),
        });
        Ok(found.collect())
    }

    /// Parses one segment. A policy that begins and ends with it is the same policy in the file: a lexer that reads its
    /// last semicolon as one begins afresh after it.
    fn fresh(&self, segment: &Segment) -> Single {
        let Ok(set) = PolicySet::from_str(segment.text()) else { return Single::Unclear };
        let (mut policies, mut templates) = (set.policies(), set.templates());
        match (policies.next(), templates.next(), policies.next().is_none() && templates.next().is_none()) {
            (Some(policy), None, true) if walk::is_whole(policy) => {
                Single::Fresh(Box::new(self.policy(policy, segment)))
            }
            (None, Some(template), true) if walk::is_whole_template(template) => {
                Single::Template(Box::new(template.clone()))
            }
            _ => Single::Unclear,
        }
    }

    fn policy(&self, policy: &Policy, segment: &Segment) -> Fresh {
        let depth = walk::depth(policy);
        let id = policy.annotation("id").map(str::to_owned);
        let named = id.as_deref().filter(|id| !id.is_empty() && depth <= MAX_POLICY_DEPTH);
        let checked = named.map(|id| {
            let (policy, origin) = (policy.new_id(PolicyId::new(id)), segment.origin());
            let compiled = CompiledPolicy::new(&policy, origin.locate());
            let findings = self.rules.map(|rules| checks::single(rules, policy, &compiled, &origin));
            (compiled, findings.unwrap_or_default())
        });
        Fresh { id, heading: walk::heading(policy), depth, checked }
    }
}

impl Segment {
    fn text(&self) -> &str {
        self.place.text().get(self.span.clone()).unwrap_or_default()
    }

    pub(super) fn origin(&self) -> Origin {
        Origin { place: self.place.clone(), offset: self.span.start }
    }
}

//! What a caller may ask: policies over callers, questions and commands, apart from those that decide questions.
//!
//! Nothing is answered that no policy permits; a policy that cannot be evaluated denies. The policies read what
//! [`Asking`] and [`Right`] say and nothing else, so that an outcome may be remembered by that.

mod asking;
mod request;

#[cfg(test)]
mod rights_tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use moka::sync::Cache;

use super::caller::Caller;
use crate::engine::cedar::{
    ActionScope, BuiltEntity, Evaluation, Outcome, PartyScope, PolicyEffect, Scoped, Slice, walk,
};
use crate::engine::compile::{PlainSet, compile_plain};
use crate::engine::problem::{Place, Problem, Report, SourceFile};
pub use asking::{Asking, Right};
use request::{Ground, Names};

/// The words that policies about callers are written in.
pub const SCHEMA: &str = include_str!("rights/pep.cedarschema");

/// The namespace of those words.
const NAMESPACE: &str = "Mandate::Pep";

/// Most outcomes that are remembered.
const MAX_REMEMBERED: u64 = 16_384;

/// What callers may ask.
#[derive(Debug)]
pub struct Rights {
    set: ArcSwap<RightSet>,
    counts: RightCounts,
}

/// Policies that compiled.
#[derive(Debug)]
pub struct RightSet {
    plain: PlainSet,
    names: Names,
    /// Whether a policy may tell one principal from another of its type.
    tells_principals_apart: bool,
    /// Outcomes by everything that policies can read. They live and end with the policies.
    remembered: Cache<Box<[u8]>, Outcomes>,
}

/// What a caller lacks; none: it may.
type Outcomes = Option<Lacking>;

/// What a caller may not do, in words that follow "it".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it may not {0}")]
pub struct Lacking(Arc<str>);

/// How often rights were asked for, by what came of it.
#[derive(Debug, Default)]
struct RightCounts {
    entitled: AtomicU64,
    lacking: AtomicU64,
    failed: AtomicU64,
}

impl RightSet {
    /// Compiles policies about callers.
    ///
    /// # Errors
    /// A [`Report`] of every problem found, warnings included.
    pub fn compile(files: Vec<SourceFile>) -> Result<Self, Report> {
        let schema = SourceFile { name: "pep.cedarschema".to_owned(), bytes: SCHEMA.into() };
        let plain = compile_plain(files, schema, NAMESPACE)?;
        check_annotations(&plain)?;
        let names = Names::of(&plain).map_err(|problem| Report { problems: vec![problem] })?;
        let tells_principals_apart = plain.policies.iter().any(|policy| {
            let covers = match policy.action_scope() {
                ActionScope::Any => true,
                ActionScope::Eq(uid) => names.asks().any(|action| *action.uid() == uid),
                ActionScope::In(uids) => {
                    names.asks().any(|action| uids.iter().any(|uid| action.uid() == uid || action.is_in(uid)))
                }
            };
            covers && (names_principal(&policy.resource_scope()) || walk::mentions_resource(policy))
        });
        let remembered = Cache::builder().max_capacity(MAX_REMEMBERED).build();
        Ok(Self { plain, names, tells_principals_apart, remembered })
    }

    /// What somebody should look at.
    #[must_use]
    pub fn warnings(&self) -> &Report {
        &self.plain.warnings
    }

    /// How many policies there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.plain.policies.len()
    }

    /// Whether there are none, which does not compile.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plain.policies.is_empty()
    }
}

/// Annotations that change what an answer means, and here would change nothing: their author meant something by them (C15).
const MEANINGLESS: [&str; 3] = ["obligation", "reuse", "audit"];

fn check_annotations(plain: &PlainSet) -> Result<(), Report> {
    let mut report = Report::default();
    for policy in &plain.policies {
        for name in MEANINGLESS.iter().filter(|name| policy.annotations.get(name).is_some()) {
            let message = format!("`@{name}` means nothing in a policy about callers");
            report.push(Problem::error(&Place::new(&policy.location, ""), message).help("remove it"));
        }
    }
    if report.rejects() { Err(report) } else { Ok(()) }
}

/// Whether a scope asks for more of a principal than its type.
fn names_principal(scope: &PartyScope) -> bool {
    match scope {
        PartyScope::Any | PartyScope::Is(_) | PartyScope::Never => false,
        PartyScope::Eq(uid) | PartyScope::In(uid) | PartyScope::IsIn(_, uid) => {
            uid.type_name().basename() != request::TYPE
        }
    }
}

impl Rights {
    /// Rights as these policies say.
    #[must_use]
    pub fn new(set: RightSet) -> Self {
        Self { set: ArcSwap::from_pointee(set), counts: RightCounts::default() }
    }

    /// Puts other policies in their place. What was remembered ends with the others.
    pub fn replace(&self, set: RightSet) {
        self.set.store(Arc::new(set));
    }

    /// How many policies there are.
    #[must_use]
    pub fn policies(&self) -> usize {
        self.set.load().len()
    }

    /// How often rights were asked for, by outcome.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 3] {
        let RightCounts { entitled, lacking, failed } = &self.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("entitled", read(entitled)), ("not_entitled", read(lacking)), ("policy_error", read(failed))]
    }

    /// Whether a caller may ask a question, with everything in it that it asserts.
    ///
    /// # Errors
    /// The first thing it may not.
    pub fn may_ask(&self, caller: &Caller, asking: &Asking<'_>) -> Result<(), Lacking> {
        let set = self.set.load();
        let key = asking.key(caller, set.tells_principals_apart);
        let known = key.as_ref().and_then(|key| set.remembered.get(key));
        let outcome = known.unwrap_or_else(|| {
            let (outcome, failed) = set.ask(caller, asking);
            // A failure may be one of this moment.
            if let (Some(key), false) = (key, failed) {
                set.remembered.insert(key, outcome.clone());
            }
            self.count_failed(failed);
            outcome
        });
        self.settle(outcome)
    }

    /// Whether a caller may do something that is no question.
    ///
    /// # Errors
    /// What it may not.
    pub fn may(&self, caller: &Caller, right: &Right<'_>) -> Result<(), Lacking> {
        let set = self.set.load();
        let ground = set.names.right(right);
        let (permitted, failed) = set.permits(&set.names.caller(caller), ground);
        self.count_failed(failed);
        self.settle((!permitted).then(|| Lacking(Arc::from(right.to_string()))))
    }

    fn count_failed(&self, failed: bool) {
        self.counts.failed.fetch_add(u64::from(failed), Ordering::Relaxed);
    }

    fn settle(&self, outcome: Outcomes) -> Result<(), Lacking> {
        let count = if outcome.is_none() { &self.counts.entitled } else { &self.counts.lacking };
        count.fetch_add(1, Ordering::Relaxed);
        outcome.map_or(Ok(()), Err)
    }
}

impl RightSet {
    /// What of a question the caller lacks, and whether a policy could not be evaluated.
    fn ask(&self, caller: &Caller, asking: &Asking<'_>) -> (Outcomes, bool) {
        let caller = self.names.caller(caller);
        for (ground, what) in self.names.grounds(asking) {
            let (permitted, failed) = self.permits(&caller, ground);
            if !permitted {
                return (Some(Lacking(Arc::from(what))), failed);
            }
        }
        (None, false)
    }

    /// Whether some policy permits, and none forbids or cannot be evaluated; and whether one could not.
    fn permits(&self, caller: &BuiltEntity, ground: Ground<'_>) -> (bool, bool) {
        let Ground { action, resource, context } = ground;
        let (principal, named, target) = (caller.uid(), action.uid(), resource.uid());
        let scoped = Scoped {
            principal: (principal, Some(caller)),
            action: (named, Some(action)),
            resource: (target, Some(&resource)),
        };
        let candidates = self.plain.policies.iter().filter(|policy| scoped.failing(policy) == 0);
        let Some(slice) = Slice::of([caller.clone(), action.clone(), resource.clone()]) else {
            return (false, true);
        };
        let evaluation = Evaluation::new(principal, named, target, context, &slice);
        let (mut permitted, mut forbidden, mut failed) = (false, false, false);
        for policy in candidates {
            match (evaluation.outcome(policy), policy.effect) {
                (Outcome::NotSatisfied, _) => {}
                (Outcome::Satisfied, PolicyEffect::Permit) => permitted = true,
                (Outcome::Satisfied, PolicyEffect::Forbid) => forbidden = true,
                (Outcome::Failed(failure), _) => {
                    tracing::warn!(policy.id = %policy.id, failure = failure.summary, "a policy about callers cannot be evaluated: it denies");
                    failed = true;
                }
            }
        }
        (permitted && !forbidden && !failed, failed)
    }
}

//! A sample of decisions, each made once more by Cedar's own authorizer: the alarm for a defect in what makes Mandate fast.
//!
//! The second decision looks at every policy, so it is made on a thread of its own, that gives way to all others, rests
//! for longer than it works, and takes nothing on while it is busy. It never changes an answer.

use std::cell::Cell;
use std::io;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::engine::authorize::Now;
use crate::engine::check::{Checked, Checker};
use crate::engine::decision::Decision;
use crate::engine::guard::PARSER_STACK_BYTES;
use crate::engine::request::AuthzRequest;
use crate::store::{Published, workers};
use crate::telemetry::metrics::{CheckOutcome, Metrics};

/// For so many times as long as a check took, the next waits: checks take one part in this many of one processor, at most.
const REST: u32 = 20;
/// The longest it rests.
const MAX_REST: Duration = Duration::from_secs(10);

/// Takes a sample of decisions, and has them checked.
#[derive(Debug)]
pub struct SampledCheck {
    one_in: NonZeroU64,
    samples: SyncSender<Sample>,
    metrics: Arc<Metrics>,
}

/// A decision, and all that it was made from.
#[derive(Debug)]
struct Sample {
    published: Arc<Published>,
    question: AuthzRequest,
    now: Now,
    decision: Arc<Decision>,
}

impl SampledCheck {
    /// Starts the thread. It ends when this is dropped.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(one_in: NonZeroU64, metrics: Arc<Metrics>) -> io::Result<Self> {
        let (samples, taken) = sync_channel(1);
        let counted = Arc::clone(&metrics);
        thread::Builder::new()
            .name("mandate-check".to_owned())
            .stack_size(PARSER_STACK_BYTES)
            .spawn(move || run(&taken, &counted))?;
        Ok(Self { one_in, samples, metrics })
    }

    /// Whether the decision just made is one to check. Each thread counts its own.
    pub fn is_due(&self) -> bool {
        thread_local! {
            static MADE: Cell<u64> = const { Cell::new(0) };
        }
        let made = MADE.get().wrapping_add(1);
        MADE.set(made);
        made.is_multiple_of(self.one_in.get())
    }

    /// Has a decision checked, unless another is being checked now.
    pub fn take(
        &self,
        published: &Arc<Published>,
        question: &AuthzRequest,
        now: Now,
        decision: &Arc<Decision>,
    ) {
        let (published, decision) = (Arc::clone(published), Arc::clone(decision));
        let sample = Sample { published, question: question.clone(), now, decision };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.samples.try_send(sample) {
            self.metrics.checked(CheckOutcome::Skipped);
        }
    }
}

fn run(samples: &Receiver<Sample>, metrics: &Metrics) {
    workers::give_way(workers::GiveWay::Wholly);
    let mut known: Option<(Arc<str>, Option<Checker>)> = None;
    while let Ok(sample) = samples.recv() {
        let begun = Instant::now();
        // A defect met here is one of the decision's too, or of the check; either is told of, and ends nothing.
        let outcome = catch_unwind(AssertUnwindSafe(|| check(&sample, &mut known)));
        metrics.checked(outcome.unwrap_or_else(|_panic| {
            tracing::error!("a decision could not be checked: the check met a defect");
            CheckOutcome::Different
        }));
        drop(sample);
        thread::sleep((begun.elapsed() * REST).min(MAX_REST));
    }
}

fn check(sample: &Sample, known: &mut Option<(Arc<str>, Option<Checker>)>) -> CheckOutcome {
    let Sample { published, question, now, decision } = sample;
    let generation = &published.world.generation;
    if known.as_ref().is_none_or(|(hash, _)| *hash != generation.hash) {
        // The policies of the one before are given back first.
        *known = None;
        *known = Some((Arc::clone(&generation.hash), Checker::of(generation)));
    }
    let Some((_, Some(checker))) = known else { return CheckOutcome::Uncompared };
    match checker.check(&published.world, question, *now, decision) {
        Checked::Same => CheckOutcome::Same,
        Checked::Uncompared => CheckOutcome::Uncompared,
        Checked::Different(difference) => {
            tracing::error!(
                generation.hash = %generation.hash,
                revision = %published.revision,
                action = %decision.action,
                difference,
                "a decision is not Cedar's: a defect in Mandate, whose answers cannot be trusted until it is found"
            );
            CheckOutcome::Different
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::authorize::authorize;
    use crate::engine::brief::Briefs;
    use crate::engine::cedar::PolicyFailureKind;
    use crate::engine::compile::{Options, compile};
    use crate::engine::datum::{Datum, Reference};
    use crate::engine::decision::ReasonCode;
    use crate::engine::generation::{Generation, OnPolicyError};
    use crate::engine::index::ScopeIndex;
    use crate::engine::world::World;
    use crate::store::Store;
    use crate::store::directory::{Folders, read};

    fn shipped() -> World {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = |name: &str| root.join(name);
        let folders = Folders {
            policies: folder("policies"),
            schemas: folder("schemas"),
            entities: folder("entities"),
        };
        compile(&read(&folders).unwrap(), &Options::default()).unwrap().world
    }

    fn list_tools() -> AuthzRequest {
        let reference = |kind: &str, id: &str| Reference::new(format!("Mandate::{kind}"), id);
        let session = [("purpose", Datum::String("p".into())), ("id", Datum::String("s".into()))];
        let flags = ["attended", "untrusted"].map(|name| (name, Datum::Bool(false)));
        let numbers = ["read_level", "calls", "spent_cents"].map(|name| (name, Datum::Long(0)));
        let session = session.into_iter().chain(flags).chain(numbers);
        let session = session.map(|(name, value)| (name.to_owned(), value)).collect();
        let mut request = AuthzRequest::new(
            reference("User", "ana"),
            reference("Action", "list_tools"),
            reference("ToolServer", "github"),
        );
        request.context = vec![("session".to_owned(), Datum::Record(session))];
        request
    }

    /// Decides in `decided`, and checks in `world`.
    fn outcome(decided: &World, world: World) -> CheckOutcome {
        let now = Now(1_790_000_000_000);
        let decision = authorize(decided, &list_tools(), now).unwrap();
        let published = Store::new(world).current();
        let sample = Sample { published, question: list_tools(), now, decision: Arc::new(decision) };
        check(&sample, &mut None)
    }

    #[test]
    fn a_decision_that_is_cedars_is_the_same() {
        assert_eq!(outcome(&shipped(), shipped()), CheckOutcome::Same);
    }

    #[test]
    fn an_index_that_lacks_a_policy_is_found_out() {
        let world = shipped();
        let whole = &world.generation;
        let index = ScopeIndex::of(&whole.policies[..3]);
        let defective = Generation { index, ..whole.as_ref().clone() };
        let defective = World::new(Arc::new(defective), world.entities.clone());
        assert_eq!(outcome(&defective, world), CheckOutcome::Different);
    }

    #[test]
    fn a_look_that_no_plan_foresaw_denies_in_every_mode() {
        let world = shipped();
        let mut generation = world.generation.as_ref().clone();
        generation.on_policy_error = OnPolicyError::Cedar;
        for policy in &mut generation.policies {
            Arc::make_mut(policy).plan = Arc::default();
        }
        generation.briefs = Briefs::of(&generation.policies);
        let world = World::new(Arc::new(generation), world.entities);
        let decision = authorize(&world, &list_tools(), Now(1_790_000_000_000)).unwrap();
        assert_eq!(decision.denial.map(|denial| denial.code), Some(ReasonCode::PolicyError));
        assert!(decision.errors.iter().any(|error| error.failure.kind == PolicyFailureKind::Internal));
    }

    #[test]
    fn a_decision_that_no_policy_made_is_not_compared() {
        let world = shipped();
        let mut nobody = list_tools();
        nobody.principal.id = "nobody".into();
        let now = Now(0);
        let decision = authorize(&world, &nobody, now).unwrap();
        let published = Store::new(world).current();
        let sample = Sample { published, question: nobody, now, decision: Arc::new(decision) };
        assert_eq!(check(&sample, &mut None), CheckOutcome::Uncompared);
    }
}

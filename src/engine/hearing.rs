//! One question before the policies that cover it: what each of them says.

use std::cell::OnceCell;

use super::authorize::Now;
use super::cedar::{
    CompiledPolicy, Evaluation, Outcome, Partly, PolicyFailure, Scene, Scoped, Sight, Slice, Trace,
};
use super::question::Question;
use super::slice;
use super::unknown::Unknown;
use super::validity::Validity;
use super::world::World;

/// Everything that policies are evaluated over: a question, its time told and its chain filled, and what they may look at.
///
/// A policy is run swiftly where that is certain to come to what Cedar's evaluator says, and by Cedar's evaluator where it is not;
/// what that needs is made when it is first needed.
#[derive(Debug)]
pub struct Hearing<'h> {
    world: &'h World,
    scene: Scene<'h>,
    unknown: &'h Unknown,
    /// None within if it cannot be made, which is a defect.
    slice: OnceCell<Option<Slice>>,
}

impl<'h> Hearing<'h> {
    /// Opens it. `sight` is what was looked at along the plans of all policies that will be heard.
    pub fn new(world: &'h World, question: &'h Question, sight: &'h Sight<'h>) -> Self {
        let Question { principal, action, resource, context, unknown, .. } = question;
        let scene = Scene { principal, action: &action.uid, resource, context, sight };
        Self { world, scene, unknown, slice: OnceCell::new() }
    }

    /// What the policy at a place says, whose scope covers the question.
    pub fn outcome(&self, place: u32) -> Outcome {
        if !self.unknown.is_nothing()
            && let Some(outcome) = self.assumed(place)
        {
            return outcome;
        }
        match self.swiftly(place) {
            Some(true) => Outcome::Satisfied,
            Some(false) => Outcome::NotSatisfied,
            None => match (self.cedars(), self.world.generation.policy(place)) {
                (Some(evaluation), Some(policy)) => evaluation.outcome(policy),
                _ => Outcome::Failed(PolicyFailure::internal()),
            },
        }
    }

    /// What the policy at a place is taken to say, if it reads what nobody knows.
    fn assumed(&self, place: u32) -> Option<Outcome> {
        let policy = self.world.generation.policy(place)?;
        if !self.unknown.is_read(&policy.context) {
            return None;
        }
        let swiftly = |conjunct: usize| {
            let briefs = &self.world.generation.briefs;
            self.scene.holds(briefs.conjuncts(briefs.get(place)?)?.nth(conjunct)??)
        };
        let cedars = || self.cedars();
        let partly = Partly { unknown: self.unknown.members(), swiftly: &swiftly, cedars: &cedars };
        Some(self.unknown.assume.outcome(policy.effect, policy.possible(&partly)))
    }

    /// Whether the policy at a place is satisfied, as far as that is certain without Cedar's evaluator.
    pub fn swiftly(&self, place: u32) -> Option<bool> {
        let briefs = &self.world.generation.briefs;
        for conjunct in briefs.conjuncts(briefs.get(place)?)? {
            if !self.scene.holds(conjunct?)? {
                return Some(false);
            }
        }
        Some(true)
    }

    /// The instants around `now`, which the question has been told, over which the policy at a place says the same.
    pub fn validity(&self, place: u32, now: Now) -> Validity {
        let generation = &self.world.generation;
        let uses = generation.briefs.get(place).and_then(|brief| generation.briefs.time_uses(brief));
        let cedars = || Some((self.cedars()?, &**generation.policy(place)?));
        uses.map_or_else(|| Validity::unforeseen(now), |uses| uses.validity(&self.scene, cedars, now))
    }

    /// What a policy says, part by part, by Cedar's evaluator.
    pub fn trace(&self, scoped: &Scoped<'_>, policy: &CompiledPolicy) -> Trace {
        match self.cedars() {
            Some(evaluation) => evaluation.trace(scoped, policy),
            None => Trace { outcome: Outcome::Failed(PolicyFailure::internal()), parts: Vec::new() },
        }
    }

    /// Whether Cedar's evaluator had to be asked, and was given all that was looked at.
    pub fn has_asked_cedar(&self) -> bool {
        self.slice.get().is_some()
    }

    fn cedars(&self) -> Option<Evaluation<'_>> {
        let Scene { principal, action, resource, context, sight } = self.scene;
        let slice = self.slice.get_or_init(|| slice::slice(self.world, sight)).as_ref()?;
        Some(Evaluation::new(principal, action, resource, context.clone(), slice))
    }
}

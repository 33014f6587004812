//! One question before the policies that cover it: what each of them says.

use std::cell::OnceCell;

use super::authorize::Now;
use super::cedar::{CompiledPolicy, Evaluation, Outcome, PolicyFailure, Scene, Scoped, Sight, Slice, Trace};
use super::question::Question;
use super::slice;
use super::validity::Validity;
use super::world::World;

/// Everything that policies are evaluated over: a question, its time told and its chain filled, and what they may look at.
///
/// A policy is run swiftly where that is certain to come to what Cedar's evaluator says, and by Cedar's evaluator where it is not;
/// what that needs is made when it is first needed.
#[derive(Debug)]
pub struct Hearing<'h> {
    world: &'h World,
    question: &'h Question,
    sight: &'h Sight<'h>,
    /// None within if it cannot be made, which is a defect.
    slice: OnceCell<Option<Slice>>,
}

impl<'h> Hearing<'h> {
    /// Opens it. `sight` is what was looked at along the plans of all policies that will be heard.
    pub fn new(world: &'h World, question: &'h Question, sight: &'h Sight<'h>) -> Self {
        Self { world, question, sight, slice: OnceCell::new() }
    }

    /// What a policy says whose scope covers the question.
    pub fn outcome(&self, policy: &CompiledPolicy) -> Outcome {
        match self.swiftly(policy) {
            Some(true) => Outcome::Satisfied,
            Some(false) => Outcome::NotSatisfied,
            None => match self.cedars() {
                Some(evaluation) => evaluation.outcome(policy),
                None => Outcome::Failed(PolicyFailure::internal()),
            },
        }
    }

    /// Whether a policy is satisfied, as far as that is certain without Cedar's evaluator.
    pub fn swiftly(&self, policy: &CompiledPolicy) -> Option<bool> {
        let scene = self.scene();
        for program in policy.programs.as_deref()? {
            if !scene.holds(program)? {
                return Some(false);
            }
        }
        Some(true)
    }

    /// The instants around `now`, which the question has been told, over which a policy says the same.
    pub fn validity(&self, policy: &CompiledPolicy, now: Now) -> Validity {
        policy.validity(&self.scene(), || self.cedars(), now)
    }

    fn scene(&self) -> Scene<'_> {
        let Question { principal, action, resource, context, .. } = self.question;
        Scene { principal, action: &action.uid, resource, context, sight: self.sight }
    }

    /// What a policy says, part by part, by Cedar's evaluator.
    pub fn trace(&self, scoped: &Scoped<'_>, policy: &CompiledPolicy) -> Trace {
        match self.cedars() {
            Some(evaluation) => evaluation.trace(scoped, policy),
            None => Trace { outcome: Outcome::Failed(PolicyFailure::internal()), parts: Vec::new() },
        }
    }

    fn cedars(&self) -> Option<Evaluation<'_>> {
        let slice = self.slice.get_or_init(|| slice::slice(self.world, self.sight)).as_ref()?;
        let Question { principal, action, resource, context, .. } = self.question;
        Some(Evaluation::new(principal, &action.uid, resource, context.clone(), slice))
    }
}

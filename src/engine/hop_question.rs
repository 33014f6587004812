//! One hop's question to the policies, when nothing is left but to ask them, or to remember what they said.

use std::sync::Arc;

use super::authorize::{Now, fill_now};
use super::cedar::{
    Absent, BuiltEntity, CompiledPolicy, Outcome, PolicyFailure, PolicyFailureKind, Sight, Trace,
};
use super::decision::{Decision, Denial, Effect, PolicyError, ReasonCode};
use super::explain::{self, HopExplanation};
use super::hearing::Hearing;
use super::key::Key;
use super::parties::Parties;
use super::question::Question;
use super::remembered::{Remembered, Stale, Unkept};
use super::request::InvalidRequest;
use super::slice;
use super::stamps::{Stamping, Stamps};
use super::tally::Tally;
use super::validity::Validity;
use super::world::World;

/// A question of one principal in its place of a chain. Everything was checked that is checked on every request; what the
/// policies say is all that is missing.
#[derive(Debug)]
pub struct HopQuestion<'q> {
    world: &'q World,
    /// Its chain is filled in; its time, once the policies were asked, of this hop or of one before.
    question: &'q mut Question,
    parties: &'q Parties,
    now: Now,
    explain: bool,
}

/// A decision, and what is kept of it.
pub type Kept = (Decision, Result<Remembered, Unkept>);

impl<'q> HopQuestion<'q> {
    /// A question whose chain is filled in and whose references exist.
    pub(super) fn new(
        world: &'q World,
        question: &'q mut Question,
        parties: &'q Parties,
        now: Now,
        explain: bool,
    ) -> Self {
        Self { world, question, parties, now, explain }
    }

    /// The question as bytes; none if it is too long.
    pub fn key(&self) -> Option<Key> {
        Key::of(&self.world.generation, self.question)
    }

    /// Whether what is remembered of the same question holds for this one.
    ///
    /// # Errors
    /// [`Stale`].
    pub fn check(&self, remembered: &Remembered) -> Result<(), Stale> {
        remembered.check(&self.world.entities, self.now)
    }

    /// Decides as the policies said, which must hold for this question. None if one of them is not there: a defect.
    pub fn recall(&self, remembered: &Remembered) -> Option<Decision> {
        let generation = &self.world.generation;
        let mut tally = Tally::default();
        for place in &remembered.satisfied {
            tally.add(generation.policy(*place)?, Outcome::Satisfied);
        }
        for (place, summary) in &remembered.failed {
            tally.add(generation.policy(*place)?, Outcome::Failed(PolicyFailure::of_data(summary)));
        }
        Some(self.decision(tally, remembered.validity))
    }

    /// Asks the policies.
    ///
    /// # Errors
    /// [`InvalidRequest`] if what Mandate adds to the context cannot be built.
    pub fn decide(&mut self) -> Result<Decision, InvalidRequest> {
        self.ask(false).map(|(decision, _unasked)| decision)
    }

    /// Asks the policies, and keeps what they say.
    ///
    /// # Errors
    /// As [`HopQuestion::decide`].
    pub fn decide_and_keep(&mut self) -> Result<Kept, InvalidRequest> {
        self.ask(true)
    }

    fn ask(&mut self, keep: bool) -> Result<Kept, InvalidRequest> {
        let (world, parties, now) = (self.world, self.parties, self.now);
        let generation = &world.generation;
        let covering = parties.candidates(world, self.question);
        let Some(briefs) = generation.briefs.all(&covering) else { return Ok(self.missing()) };
        generation.briefs.approach(&briefs);
        // Telling the time costs as much as evaluating a policy, and nobody else would notice.
        let reading = covering.iter().zip(&briefs).filter(|(_, brief)| brief.reads_now);
        let mut reading: Vec<_> = reading.map(|(place, _)| *place).collect();
        if !reading.is_empty() && !fill_now(self.question, now)? {
            reading.clear();
        }
        let question = &*self.question;
        let plans = briefs.iter().map(|brief| generation.briefs.plan(brief));
        let sight = match slice::look(world, question, parties, plans) {
            Ok(sight) => sight,
            Err(denial) => return Ok(self.denied(denial)),
        };
        let hearing = Hearing::new(world, question, &sight);
        let Some(mut heard) = self.hear(&hearing, covering) else { return Ok(self.missing()) };
        heard.tally.doubt(|uid| world.built(uid).is_some() || question.supplied.contains(uid));
        let validity = if question.unknown.is_nothing() {
            validity(&hearing, &reading, &heard.tally.errors, now)
        } else {
            Validity::unforeseen(now)
        };
        let kept = if keep {
            heard.keep(validity, now, |errors| self.stamps(&sight, &hearing, errors))
        } else {
            Err(Unkept::Unasked)
        };
        let Heard { tally, traced, .. } = heard;
        let mut decision = self.decision(tally, validity);
        if self.explain {
            decision.explanation = Some(self.explanation(decision.effect, traced)?);
        }
        Ok((decision, kept))
    }

    /// What each policy says that covers the question. None if one of them is not there.
    fn hear(&self, hearing: &Hearing<'_>, covering: Vec<u32>) -> Option<Heard<'q>> {
        let world: &'q World = self.world;
        let scoped = self.parties.scoped(self.question);
        let mut heard = Heard::default();
        for place in covering {
            let outcome = if self.explain { None } else { Some(hearing.outcome(place)) };
            if outcome == Some(Outcome::NotSatisfied) {
                continue;
            }
            let policy = world.generation.policy(place)?;
            let outcome = outcome.unwrap_or_else(|| {
                let trace = hearing.trace(&scoped, policy);
                let outcome = trace.outcome.clone();
                heard.traced.push((Arc::clone(policy), trace));
                outcome
            });
            heard.add(place, policy, outcome);
        }
        Some(heard)
    }

    /// What a decision rests on: everything that was looked at to make it. The index has looked at what the parties are in.
    fn stamps(&self, sight: &Sight<'_>, hearing: &Hearing<'_>, errors: &[PolicyError]) -> Stamps {
        let mut stamping = Stamping::over(&self.world.entities);
        let scoped = self.parties.scoped(self.question);
        for (uid, built) in [scoped.principal, scoped.action, scoped.resource] {
            stamping.looked_above(uid, built.into_iter().flat_map(BuiltEntity::ancestors));
        }
        for (uid, look) in sight.looked() {
            stamping.looked_at(uid);
            match look.map(|look| look.built.as_deref()) {
                Some(Some(built)) => stamping.looked_above(uid, built.ancestors()),
                // Cedar's evaluator was given what it is in, whether or not it asked.
                Some(None) if hearing.has_asked_cedar() => {
                    stamping.looked_above(uid, self.world.entities.ancestors(uid).into_iter());
                }
                Some(None) | None => {}
            }
        }
        for entity in self.question.supplied.entities() {
            stamping.looked_above(entity.uid(), entity.ancestors());
        }
        for absent in errors.iter().filter_map(|error| error.failure.absent.as_ref()) {
            if let Absent::Entity(uid) = absent {
                stamping.looked_at(uid);
            }
        }
        stamping.finish()
    }

    fn decision(&self, tally: Tally<'_>, validity: Validity) -> Decision {
        let (effect, determining, denial) = tally.fold(self.world.generation.on_policy_error);
        Decision {
            effect,
            determining,
            errors: tally.errors,
            denial,
            explanation: None,
            hops: Vec::new(),
            validity,
            action: self.question.action.uid.clone(),
            principal: self.question.principal.clone(),
        }
    }

    fn explanation(
        &mut self,
        effect: Effect,
        mut traced: Vec<(Arc<CompiledPolicy>, Trace)>,
    ) -> Result<HopExplanation, InvalidRequest> {
        let near = self.near(&traced)?;
        traced.extend(near);
        Ok(HopExplanation::of(&self.question.principal, effect, traced))
    }

    /// How permits come out whose scopes come close. They decide nothing: what they would look at and is not there is no
    /// denial.
    fn near(
        &mut self,
        traced: &[(Arc<CompiledPolicy>, Trace)],
    ) -> Result<Vec<(Arc<CompiledPolicy>, Trace)>, InvalidRequest> {
        fill_now(self.question, self.now)?;
        let (world, question) = (self.world, &*self.question);
        let candidates: Vec<_> = traced.iter().map(|(policy, _)| policy).collect();
        let scoped = self.parties.scoped(question);
        let near = explain::near(&world.generation.policies, &candidates, &scoped);
        let plans = near.iter().map(|policy| &*policy.plan);
        let Ok(sight) = slice::look(world, question, self.parties, plans) else { return Ok(Vec::new()) };
        let hearing = Hearing::new(world, question, &sight);
        let trace = |policy: &Arc<CompiledPolicy>| (Arc::clone(policy), hearing.trace(&scoped, policy));
        Ok(near.into_iter().map(trace).collect())
    }

    fn denied(&self, denial: Denial) -> Kept {
        let reference = denial.code == ReasonCode::UnknownEntity;
        let why = if reference { Unkept::Reference } else { Unkept::Limit };
        (self.question.denied(denial), Err(why))
    }

    /// The denial of a decision that would have to leave a policy out: a defect.
    fn missing(&self) -> Kept {
        self.denied(Denial::new(ReasonCode::PolicyError, "a policy that covers the request is not there"))
    }
}

/// What was heard of the policies.
#[derive(Debug, Default)]
struct Heard<'w> {
    tally: Tally<'w>,
    satisfied: Vec<u32>,
    failed: Vec<(u32, &'static str)>,
    traced: Vec<(Arc<CompiledPolicy>, Trace)>,
}

impl<'w> Heard<'w> {
    fn add(&mut self, place: u32, policy: &'w Arc<CompiledPolicy>, outcome: Outcome) {
        match &outcome {
            Outcome::NotSatisfied => {}
            Outcome::Satisfied => self.satisfied.push(place),
            Outcome::Failed(failure) => self.failed.push((place, failure.summary)),
        }
        self.tally.add(policy, outcome);
    }

    /// What is kept of it. What met a limit of the stack, a defect or nobody knows what may come out otherwise at once (K8).
    fn keep(
        &self,
        validity: Validity,
        now: Now,
        stamps: impl FnOnce(&[PolicyError]) -> Stamps,
    ) -> Result<Remembered, Unkept> {
        let errors = &self.tally.errors;
        let repeats = |PolicyError { failure, .. }: &PolicyError| {
            failure.kind == PolicyFailureKind::Data && failure.absent != Some(Absent::Unnamed)
        };
        if !errors.iter().all(repeats) {
            return Err(Unkept::Limit);
        }
        if !validity.contains(now) {
            return Err(Unkept::Time);
        }
        Ok(Remembered {
            satisfied: self.satisfied.as_slice().into(),
            failed: self.failed.as_slice().into(),
            validity,
            stamps: stamps(errors),
        })
    }
}

/// The instants around this one over which every policy that reads the time comes out the same, and so the decision. What
/// met a limit of the stack or a defect may come out otherwise at once (K8).
fn validity(hearing: &Hearing<'_>, reading: &[u32], errors: &[PolicyError], now: Now) -> Validity {
    if errors.iter().any(|error| error.failure.kind != PolicyFailureKind::Data) {
        return Validity::unforeseen(now);
    }
    reading.iter().fold(Validity::ALWAYS, |validity, place| validity.and(hearing.validity(*place, now)))
}

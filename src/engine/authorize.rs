//! Deciding one question in one world.

use std::sync::Arc;

use cedar_policy::EntityUid;

use super::cedar::{
    Absent, CedarRecord, CedarValue, CompiledPolicy, Outcome, PolicyEffect, PolicyFailureKind, RecordType,
    Trace,
};
use super::decision::{Decision, Denial, Effect, PolicyError, ReasonCode};
use super::delegation::chain::Chain;
use super::delegation::{Hop, along};
use super::explain::{self, HopExplanation};
use super::generation::OnPolicyError;
use super::hearing::Hearing;
use super::parties::Parties;
use super::presence;
use super::question::Question;
use super::request::{AuthzRequest, InvalidRequest};
use super::slice;
use super::validity::Validity;
use super::world::World;

/// The instant a question is asked, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now(pub i64);

/// Decides a request: along the chain that it shows, or for the principal alone.
///
/// # Errors
/// [`InvalidRequest`] if the question itself cannot be understood. A denial is not an error.
pub fn authorize(world: &World, request: &AuthzRequest, now: Now) -> Result<Decision, InvalidRequest> {
    let mut question = Question::of(world, request)?;
    let shown = std::mem::take(&mut question.shown);
    let token = shown.validity(now);
    if let Some(denial) = suspended(world, &question) {
        return Ok(question.denied(denial));
    }
    let decision = match Chain::of(world, &shown, &question.principal) {
        Ok(None) => alone(world, question, now, request.explain)?,
        Ok(Some(chain)) => along::decide(world, question, &chain, now, request.explain)?,
        Err(broken) => along::broken(question, *broken, request.explain),
    };
    Ok(Decision { validity: decision.validity.and(token), ..decision })
}

/// Why nothing is decided for these: somebody who takes part is suspended. Looked at before anything else, whatever is
/// remembered; the chain's other members are looked at hop by hop.
fn suspended(world: &World, question: &Question) -> Option<Denial> {
    world.suspensions.denial([&question.principal, &question.resource])
}

/// Decides a request that shows no delegation: the principal acts for itself.
fn alone(world: &World, mut question: Question, now: Now, explain: bool) -> Result<Decision, InvalidRequest> {
    let parties = Parties::of(world, &question);
    if let Err(denial) = presence::check_parties(world, &question, &parties) {
        return Ok(question.denied(denial));
    }
    match Hop::alone(&world.generation.catalog, &question.principal, parties.principal()) {
        Ok(hop) => {
            fill_chain(&mut question, &hop);
            decide(world, &mut question, &parties, now, explain)
        }
        // What does not exist is named before what is not allowed.
        Err(denial) => {
            let denial = presence::check_references(world, &question).err().unwrap_or(denial);
            Ok(question.denied(denial))
        }
    }
}

/// Decides a request as one hop of a chain that the caller of this function vouches for. For policy cases, which
/// say what each hop should see; a request never reaches it.
///
/// # Errors
/// [`InvalidRequest`] if the question itself cannot be understood.
pub fn authorize_as(
    world: &World,
    request: &AuthzRequest,
    hop: &Hop,
    now: Now,
) -> Result<Decision, InvalidRequest> {
    let mut question = Question::of(world, request)?;
    let parties = Parties::of(world, &question);
    question.references.extend(hop.members());
    match presence::check_parties(world, &question, &parties) {
        Ok(()) => {
            fill_chain(&mut question, hop);
            decide(world, &mut question, &parties, now, request.explain)
        }
        Err(denial) => Ok(question.denied(denial)),
    }
}

/// Decides one hop: of a principal that exists, in a place of a chain that holds, of which the context has been told. The next hop
/// of the chain may be asked with the same question then.
///
/// # Errors
/// [`InvalidRequest`] if what Mandate adds to the context cannot be built.
pub(super) fn decide(
    world: &World,
    question: &mut Question,
    parties: &Parties,
    now: Now,
    explain: bool,
) -> Result<Decision, InvalidRequest> {
    if let Err(denial) = presence::check_references(world, question) {
        return Ok(question.denied(denial));
    }
    let generation = &world.generation;
    let covering = parties.candidates(world, question);
    let Some(briefs) = generation.briefs.all(&covering) else { return Ok(question.denied(missing())) };
    generation.briefs.approach(&briefs);
    // Telling the time costs as much as evaluating a policy, and nobody else would notice.
    let reading = covering.iter().zip(&briefs).filter(|(_, brief)| brief.reads_now);
    let reading: Vec<_> = reading.map(|(place, _)| *place).collect();
    let timed = !reading.is_empty() && fill_now(question, now)?;
    let plans = briefs.iter().map(|brief| generation.briefs.plan(brief));
    let sight = match slice::look(world, question, parties, plans) {
        Ok(sight) => sight,
        Err(denial) => return Ok(question.denied(denial)),
    };
    let hearing = Hearing::new(world, question, &sight);
    let scoped = parties.scoped(question);
    let mut tally = Tally::default();
    let mut traced = Vec::new();
    for place in covering {
        let outcome = if explain { None } else { Some(hearing.outcome(place)) };
        if outcome == Some(Outcome::NotSatisfied) {
            continue;
        }
        let Some(policy) = generation.policy(place) else { return Ok(question.denied(missing())) };
        let outcome = outcome.unwrap_or_else(|| {
            let trace = hearing.trace(&scoped, policy);
            let outcome = trace.outcome.clone();
            traced.push((Arc::clone(policy), trace));
            outcome
        });
        tally.add(policy, outcome);
    }
    tally.doubt(|uid| world.built(uid).is_some() || question.supplied.contains(uid));
    let (effect, determining, denial) = tally.fold(generation.on_policy_error);
    let reading = if timed { &*reading } else { &[] };
    let validity = validity(&hearing, reading, &tally.errors, now);
    if explain {
        let near = near(world, question, parties, &traced, now)?;
        traced.extend(near);
    }
    let explanation = explain.then(|| HopExplanation::of(&question.principal, effect, traced));
    Ok(Decision {
        effect,
        determining,
        errors: tally.errors,
        denial,
        explanation,
        timed,
        hops: Vec::new(),
        validity,
        action: question.action.uid.clone(),
        principal: question.principal.clone(),
    })
}

/// The instants around this one over which every policy that reads the time comes out the same, and so the decision. What
/// met a limit of the stack or a defect may come out otherwise at once (K8).
fn validity(hearing: &Hearing<'_>, reading: &[u32], errors: &[PolicyError], now: Now) -> Validity {
    if errors.iter().any(|error| error.failure.kind != PolicyFailureKind::Data) {
        return Validity::unforeseen(now);
    }
    reading.iter().fold(Validity::ALWAYS, |validity, place| validity.and(hearing.validity(*place, now)))
}

/// How permits come out whose scopes come close. They decide nothing: what they would look at and is not there is no denial.
fn near(
    world: &World,
    question: &mut Question,
    parties: &Parties,
    traced: &[(Arc<CompiledPolicy>, Trace)],
    now: Now,
) -> Result<Vec<(Arc<CompiledPolicy>, Trace)>, InvalidRequest> {
    fill_now(question, now)?;
    let candidates: Vec<_> = traced.iter().map(|(policy, _)| policy).collect();
    let question = &*question;
    let scoped = parties.scoped(question);
    let near = explain::near(&world.generation.policies, &candidates, &scoped);
    let plans = near.iter().map(|policy| &*policy.plan);
    let Ok(sight) = slice::look(world, question, parties, plans) else { return Ok(Vec::new()) };
    let hearing = Hearing::new(world, question, &sight);
    let trace = |policy: &Arc<CompiledPolicy>| (Arc::clone(policy), hearing.trace(&scoped, policy));
    Ok(near.into_iter().map(trace).collect())
}

/// Adds what Mandate vouches for: the chain.
pub(super) fn fill_chain(question: &mut Question, hop: &Hop) {
    let action = Arc::clone(&question.action);
    if let Some(declared) = action.delegation() {
        fill_place(question, hop, declared, hop.record(declared));
    }
}

/// Adds the chain as one of its principals sees it, where it is made already.
pub(super) fn fill_place(question: &mut Question, hop: &Hop, declared: &RecordType, delegation: CedarRecord) {
    question.context.insert("delegation", CedarValue::record(delegation));
    question.role = hop.role_entity(declared);
}

/// Adds the time, if the action's context declares it. A hop before this one may have been told already: it is the same.
pub(super) fn fill_now(question: &mut Question, now: Now) -> Result<bool, InvalidRequest> {
    let told = question.action.filled.attributes.contains_key("now");
    if told && question.context.value("now").is_none() {
        question.context.insert("now", instant(now)?);
    }
    Ok(told)
}

fn instant(now: Now) -> Result<CedarValue, InvalidRequest> {
    CedarValue::datetime(now.0)
        .ok_or_else(|| InvalidRequest::field("context.now", format!("{} ms is not a datetime", now.0)))
}

/// What the policies said, before C14 decides what it means.
#[derive(Debug, Default)]
struct Tally<'w> {
    permits: Vec<&'w Arc<CompiledPolicy>>,
    forbids: Vec<&'w Arc<CompiledPolicy>>,
    errors: Vec<PolicyError>,
}

impl<'w> Tally<'w> {
    fn add(&mut self, policy: &'w Arc<CompiledPolicy>, outcome: Outcome) {
        match outcome {
            Outcome::NotSatisfied => {}
            Outcome::Failed(failure) => {
                self.errors.push(PolicyError { policy: Arc::clone(policy), failure });
            }
            Outcome::Satisfied => match policy.effect {
                PolicyEffect::Permit => self.permits.push(policy),
                PolicyEffect::Forbid => self.forbids.push(policy),
            },
        }
    }

    /// An entity that exists and that evaluation did not find is one that no plan foresaw: a defect, and what was missed
    /// might have forbidden (K9).
    fn doubt(&mut self, exists: impl Fn(&EntityUid) -> bool) {
        for PolicyError { failure, .. } in &mut self.errors {
            let unforeseen = match &failure.absent {
                None => false,
                Some(Absent::Entity(uid)) => exists(uid),
                Some(Absent::Unnamed) => true,
            };
            if unforeseen {
                failure.kind = PolicyFailureKind::Internal;
                failure.summary = "an entity it reads was not foreseen";
            }
        }
    }

    /// C14, then Cedar's rule: a satisfied forbid denies, else a satisfied permit allows, else deny.
    fn fold(&self, mode: OnPolicyError) -> (Effect, Vec<Arc<CompiledPolicy>>, Option<Denial>) {
        if let Some(error) = self.errors.iter().find(|error| denies(error, mode)) {
            return (Effect::Deny, Vec::new(), Some(failed(error)));
        }
        if let Some(denial) = forbidden(&self.forbids) {
            return (Effect::Deny, self.forbids.iter().copied().cloned().collect(), Some(denial));
        }
        if self.permits.is_empty() {
            let denial = Denial::new(ReasonCode::NoPermit, "no policy permits this");
            return (Effect::Deny, Vec::new(), Some(denial));
        }
        (Effect::Allow, self.permits.iter().copied().cloned().collect(), None)
    }
}

/// Whether a policy's failure must deny. A recursion limit or an internal error denies in every mode: on a larger
/// stack, or without the defect, the policy might have forbidden.
fn denies(error: &PolicyError, mode: OnPolicyError) -> bool {
    error.failure.kind != PolicyFailureKind::Data
        || match mode {
            OnPolicyError::Strict => true,
            OnPolicyError::Deny => error.policy.effect == PolicyEffect::Forbid,
            OnPolicyError::Cedar => false,
        }
}

/// The denial of a decision that would have to leave a policy out: a defect.
fn missing() -> Denial {
    Denial::new(ReasonCode::PolicyError, "a policy that covers the request is not there")
}

fn failed(error: &PolicyError) -> Denial {
    let id = &error.policy.id;
    Denial {
        code: ReasonCode::PolicyError,
        message: format!("policy `{id}` could not be evaluated, and what it might forbid is denied"),
        policy: Some(id.to_string()),
        grant: None,
    }
}

fn forbidden(forbids: &[&Arc<CompiledPolicy>]) -> Option<Denial> {
    let first = forbids.first()?;
    let explained = forbids.iter().find(|policy| policy.reason().is_some()).unwrap_or(first);
    let message = match explained.reason() {
        Some(reason) => reason.to_owned(),
        None => format!("policy `{}` forbids this", first.id),
    };
    Some(Denial { code: ReasonCode::Forbidden, message, policy: Some(explained.id.to_string()), grant: None })
}

impl Question {
    pub(super) fn denied(&self, denial: Denial) -> Decision {
        Decision::denied(self.principal.clone(), self.action.uid.clone(), denial)
    }
}

//! Deciding one question in one world.

use super::cedar::CedarValue;
use super::decision::{Decision, Denial};
use super::delegation::chain::Chain;
use super::delegation::{Hop, Seen, along};
use super::hop_question::HopQuestion;
use super::parties::Parties;
use super::presence;
use super::question::Question;
use super::request::{AuthzRequest, InvalidRequest};
use super::world::World;

/// The instant a question is asked, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now(pub i64);

/// Decides a request: along the chain that it shows, or for the principal alone.
///
/// # Errors
/// [`InvalidRequest`] if the question itself cannot be understood. A denial is not an error.
pub fn authorize(world: &World, request: &AuthzRequest, now: Now) -> Result<Decision, InvalidRequest> {
    authorize_by(world, request, now, &mut |hop| hop.decide())
}

/// How hops are decided that are to be: anew, or as is remembered.
pub type ByHop<'b> = dyn FnMut(&mut HopQuestion<'_>) -> Result<Decision, InvalidRequest> + 'b;

/// Decides a request as [`authorize`] does, and each of its hops in the way given: all that a request is held to besides the
/// policies, grants, suspensions and chains included, is held to whichever way that is (K6).
///
/// # Errors
/// [`InvalidRequest`] if the question itself cannot be understood.
pub fn authorize_by(
    world: &World,
    request: &AuthzRequest,
    now: Now,
    by: &mut ByHop<'_>,
) -> Result<Decision, InvalidRequest> {
    decide_question(world, Question::of(world, request)?, request.explain, now, by)
}

/// Decides a question as [`authorize_by`] does, once it is understood.
///
/// # Errors
/// [`InvalidRequest`] if what Mandate adds to the context cannot be built.
pub(super) fn decide_question(
    world: &World,
    mut question: Question,
    explain: bool,
    now: Now,
    by: &mut ByHop<'_>,
) -> Result<Decision, InvalidRequest> {
    let shown = std::mem::take(&mut question.shown);
    let token = shown.validity(now);
    if let Some(denial) = suspended(world, &question) {
        return Ok(question.denied(denial));
    }
    let decision = match Chain::of(world, &shown, &question.principal) {
        Ok(None) => alone(world, question, now, explain, by)?,
        Ok(Some(chain)) => along::decide(world, question, &chain, now, explain, by)?,
        Err(broken) => along::broken(question, *broken, explain),
    };
    Ok(Decision { validity: decision.validity.and(token), ..decision })
}

/// Why nothing is decided for these: somebody who takes part is suspended. Looked at before anything else, whatever is
/// remembered; the chain's other members are looked at hop by hop.
fn suspended(world: &World, question: &Question) -> Option<Denial> {
    world.suspensions.denial([&question.principal, &question.resource])
}

/// Decides a request that shows no delegation: the principal acts for itself.
fn alone(
    world: &World,
    mut question: Question,
    now: Now,
    explain: bool,
    by: &mut ByHop<'_>,
) -> Result<Decision, InvalidRequest> {
    let parties = Parties::of(world, &question);
    if let Err(denial) = presence::check_parties(world, &question, &parties) {
        return Ok(question.denied(denial));
    }
    match Hop::alone(&world.generation.catalog, &question.principal, parties.principal()) {
        Ok(hop) => {
            let declared = question.action.delegation.as_ref();
            if let Some(seen) = declared.map(|declared| parties.seen(&hop, declared)) {
                fill_place(&mut question, seen);
            }
            decide(world, &mut question, &parties, now, explain, by)
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
            decide(world, &mut question, &parties, now, request.explain, &mut |hop| hop.decide())
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
    by: &mut ByHop<'_>,
) -> Result<Decision, InvalidRequest> {
    match presence::check_references(world, question) {
        Ok(()) => by(&mut HopQuestion::new(world, question, parties, now, explain)),
        Err(denial) => Ok(question.denied(denial)),
    }
}

/// Adds what Mandate vouches for: the chain.
pub(super) fn fill_chain(question: &mut Question, hop: &Hop) {
    if let Some(seen) = question.action.delegation.as_ref().map(|declared| hop.seen(declared)) {
        fill_place(question, seen);
    }
}

/// Adds the chain as one of its principals sees it, where it is made already.
pub(super) fn fill_place(question: &mut Question, Seen { record, role }: Seen) {
    question.context.insert("delegation", CedarValue::record(record));
    question.role = role;
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

impl Question {
    pub(super) fn denied(&self, denial: Denial) -> Decision {
        Decision::denied(self.principal.clone(), self.action.uid.clone(), denial)
    }
}

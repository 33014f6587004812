//! Whether a question would be allowed, or could be once everything is known.

use cedar_policy::EntityUid;

use crate::engine::authorize::{self, Now};
use crate::engine::decision::{Decision, Effect};
use crate::engine::question::Question;
use crate::engine::request::{AuthzRequest, InvalidRequest};
use crate::engine::unknown::Unknown;
use crate::engine::world::World;

/// How sure it is that something is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// It is allowed, whatever is unknown: asked with arguments that its tool takes, it will be.
    Certain,
    /// It is not certain that nothing could be allowed.
    Possible,
}

/// What could be allowed.
#[derive(Debug)]
pub(super) struct Possibility {
    /// The action that decides.
    pub(super) action: EntityUid,
    /// How sure it is.
    pub(super) certainty: Certainty,
    /// On whose authority, root first; empty if on the principal's own.
    pub(super) chain: Vec<EntityUid>,
}

/// Whether a question would be allowed, or could be; none if it is certain that it is not.
///
/// # Errors
/// [`InvalidRequest`] if the question cannot be understood.
pub(super) fn of(
    world: &World,
    request: &AuthzRequest,
    unknown: &Unknown,
    now: Now,
) -> Result<Option<Possibility>, InvalidRequest> {
    let question = Question::with_unknown(world, request, unknown)?;
    let (known, input_alone) = (question.unknown.is_nothing(), question.unknown.is_input_alone());
    let Decision { effect, action, hops, .. } = decide(world, question, now)?;
    if effect != Effect::Allow {
        return Ok(None);
    }
    // What else is unknown may name what is not there, or what no grant covers.
    let certain = known || (input_alone && is_allowed_at_worst(world, request, unknown, now)?);
    let certainty = if certain { Certainty::Certain } else { Certainty::Possible };
    let chain = hops.into_iter().map(|hop| hop.decision.principal).collect();
    Ok(Some(Possibility { action, certainty, chain }))
}

fn is_allowed_at_worst(
    world: &World,
    request: &AuthzRequest,
    unknown: &Unknown,
    now: Now,
) -> Result<bool, InvalidRequest> {
    let question = Question::with_unknown(world, request, &unknown.at_worst())?;
    Ok(decide(world, question, now)?.effect == Effect::Allow)
}

/// What would be decided. It is no answer to anybody's question: an unknown part makes it a guess.
fn decide(world: &World, question: Question, now: Now) -> Result<Decision, InvalidRequest> {
    authorize::decide_question(world, question, false, now, &mut |hop| hop.decide())
}

//! Deciding a question along a chain: every principal of it in turn, in one world, at one instant.
//!
//! Each hop is an ordinary decision (D6): its principal, and the request's action, resource and context, in which
//! `context.delegation` says which place of the chain is judged. All of them must allow, and every grant must hold.

use super::chain::{Broken, Chain};
use super::check::{Check, check_root};
use super::coverage::Reach;
use super::hop::{Hop, Role};
#[cfg(test)]
use super::mutants::{Mutant, planted};
use crate::engine::authorize::{self, ByHop, Now};
use crate::engine::decision::{Decision, Denial, HopOutcome};
use crate::engine::explain::HopExplanation;
use crate::engine::parties::Parties;
use crate::engine::presence;
use crate::engine::question::Question;
use crate::engine::request::InvalidRequest;
use crate::engine::world::World;

/// Decides a question hop by hop. What comes after the first denial is decided too: for the record, and for whoever asks
/// why.
///
/// # Errors
/// [`InvalidRequest`] if what Mandate adds to the context cannot be built.
pub fn decide(
    world: &World,
    question: &Question,
    chain: &Chain<'_>,
    now: Now,
    explain: bool,
    by: &mut ByHop<'_>,
) -> Result<Decision, InvalidRequest> {
    let actor = Parties::of(world, question);
    let reach = Reach::of(world, question, &actor);
    let along = Along { check: Check { world, now, reach: &reach }, chain, explain };
    let mut hops = Vec::with_capacity(chain.links.len() + 1);
    for (place, (principal, hop)) in chain.principals().zip(chain.hops(&world.generation.catalog)).enumerate()
    {
        #[cfg(test)]
        if planted(Mutant::ChainDropped) && place < chain.links.len() {
            continue;
        }
        let grant = place.checked_sub(1).and_then(|before| chain.links.get(before));
        let parties = actor.acting(world, question, principal);
        hops.push(HopOutcome {
            hop: place,
            role: hop.role,
            grant: grant.map(|link| link.grant.name.clone()),
            decision: along.hop(place, question.by(principal), &hop, &parties, by)?,
        });
    }
    let decision = Decision::of_hops(question.principal.clone(), question.action.uid.clone(), hops);
    Ok(Decision { validity: decision.validity.and(chain.validity(now)), ..decision })
}

/// The denial of a request that shows no chain which could be decided along.
pub fn broken(question: &Question, broken: Broken, explain: bool) -> Decision {
    let Broken { hop, principal, denial } = broken;
    let role = if principal == question.principal && hop > 0 { Role::Actor } else { Role::Delegator };
    let grant = denial.grant.as_deref().cloned();
    let decision = refused(question.by(&principal), denial, explain);
    let hops = vec![HopOutcome { hop, role, grant, decision }];
    Decision::of_hops(question.principal.clone(), question.action.uid.clone(), hops)
}

fn refused(question: Question, denial: Denial, explain: bool) -> Decision {
    let explanation = explain.then(|| HopExplanation::without_policies(&question.principal));
    Decision { explanation, ..question.denied(denial) }
}

struct Along<'a> {
    check: Check<'a>,
    chain: &'a Chain<'a>,
    explain: bool,
}

impl Along<'_> {
    /// One hop: its grant first, then the policies (D11).
    fn hop(
        &self,
        place: usize,
        question: Question,
        hop: &Hop,
        parties: &Parties,
        by: &mut ByHop<'_>,
    ) -> Result<Decision, InvalidRequest> {
        let Check { world, now, .. } = self.check;
        let known = || presence::check_parties(world, &question, parties);
        let admitted = match place {
            0 => known().and_then(|()| check_root(world, self.chain, parties.principal())),
            _ => self.check.link(self.chain, place).and_then(|()| known()),
        };
        match admitted {
            Ok(()) => authorize::decide(world, question, parties, hop, now, self.explain, by),
            Err(denial) => Ok(refused(question, denial, self.explain)),
        }
    }
}

//! Deciding a question along a chain: every principal of it in turn, in one world, at one instant.
//!
//! Each hop is an ordinary decision (D6): its principal, and the request's action, resource and context, in which
//! `context.delegation` says which place of the chain is judged. All of them must allow, and every grant must hold. It is one
//! question, turned from principal to principal: what does not differ between hops is made once.

use std::sync::Arc;

use super::chain::{Broken, Chain, Link};
use super::check::{Check, check_root};
use super::coverage::Reach;
use super::hop::Role;
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
    mut question: Question,
    chain: &Chain<'_>,
    now: Now,
    explain: bool,
    by: &mut ByHop<'_>,
) -> Result<Decision, InvalidRequest> {
    let actor = question.principal.clone();
    let action = Arc::clone(&question.action);
    let of_actor = Parties::of(world, &question);
    let links = check_links(world, &question, &of_actor, chain, now);
    let along = Along { world, chain, now, explain };
    let mut hop = chain.first(&world.generation.catalog);
    let declared = action.delegation.as_ref().map(|declared| (declared, hop.record(declared)));
    let mut hops = Vec::with_capacity(chain.links.len() + 1);
    // The root is who no grant leads to.
    for (place, link) in [None].into_iter().chain(links.into_iter().map(Some)).enumerate() {
        #[cfg(test)]
        if planted(Mutant::ChainDropped) && place < chain.links.len() {
            continue;
        }
        chain.go_to(place, &mut hop);
        if let Some((declared, of_chain)) = &declared {
            authorize::fill_place(&mut question, hop.seen_in(of_chain, declared));
        }
        let (link, held) = link.unzip();
        let principal = link.map_or(&chain.root, |link| &link.to);
        question.principal.clone_from(principal);
        let parties = of_actor.acting(world, &question, principal);
        hops.push(HopOutcome {
            hop: place,
            role: hop.role,
            grant: link.map(|link| link.grant.name.clone()),
            decision: along.hop(held, &mut question, &parties, by)?,
        });
    }
    let decision = Decision::of_hops(actor, action.uid.clone(), hops);
    Ok(Decision { validity: decision.validity.and(chain.validity(now)), ..decision })
}

/// Each grant, and whether it holds for what is asked.
fn check_links<'c>(
    world: &World,
    question: &Question,
    parties: &Parties,
    chain: &'c Chain<'c>,
    now: Now,
) -> Vec<(&'c Link<'c>, Result<(), Denial>)> {
    let reach = Reach::of(world, question, parties);
    let check = Check { world, now, reach: &reach };
    let held = |(place, link)| (link, check.link(chain, place));
    (1..).zip(&chain.links).map(held).collect()
}

/// The denial of a request that shows no chain which could be decided along.
pub fn broken(mut question: Question, broken: Broken, explain: bool) -> Decision {
    let Broken { hop, principal, denial } = broken;
    let role = if principal == question.principal && hop > 0 { Role::Actor } else { Role::Delegator };
    let grant = denial.grant.as_deref().cloned();
    let actor = std::mem::replace(&mut question.principal, principal);
    let hops = vec![HopOutcome { hop, role, grant, decision: refused(&question, denial, explain) }];
    Decision::of_hops(actor, question.action.uid.clone(), hops)
}

fn refused(question: &Question, denial: Denial, explain: bool) -> Decision {
    let explanation = explain.then(|| HopExplanation::without_policies(&question.principal));
    Decision { explanation, ..question.denied(denial) }
}

struct Along<'a> {
    world: &'a World,
    chain: &'a Chain<'a>,
    now: Now,
    explain: bool,
}

impl Along<'_> {
    /// One hop: its grant first, then the policies (D11). Without a grant it is the root's.
    fn hop(
        &self,
        grant: Option<Result<(), Denial>>,
        question: &mut Question,
        parties: &Parties,
        by: &mut ByHop<'_>,
    ) -> Result<Decision, InvalidRequest> {
        let Self { world, chain, now, explain } = *self;
        if let Some(denial) = world.suspensions.denial([&question.principal]) {
            return Ok(refused(question, denial, explain));
        }
        let known = || presence::check_parties(world, question, parties);
        let admitted = match grant {
            None => known().and_then(|()| check_root(world, chain, parties.principal())),
            Some(held) => held.and_then(|()| known()),
        };
        match admitted {
            Ok(()) => authorize::decide(world, question, parties, now, explain, by),
            Err(denial) => Ok(refused(question, denial, explain)),
        }
    }
}

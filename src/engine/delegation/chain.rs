//! A chain of grants, walked from the leaf (D2). Whether its grants hold is asked one by one, in [`super::check`].

use cedar_policy::EntityUid;

use super::grant::Grant;
use super::hop::{Hop, Role};
#[cfg(test)]
use super::mutants::{Mutant, planted};
use super::shown::{Shown, ShownToken};
use crate::engine::authorize::Now;
use crate::engine::catalog::Catalog;
use crate::engine::decision::{Denial, GrantName, ReasonCode};
use crate::engine::guard::MAX_CHAIN;
use crate::engine::validity::Validity;
use crate::engine::world::World;

/// Principals p0 (the root) to pn (the actor), and grants g1 to gn, of which gi hands on from p(i−1) to pi (D1).
#[derive(Debug)]
pub struct Chain<'w> {
    /// p0.
    pub root: EntityUid,
    /// Each grant with the principal it must lead to: g1 and p1, and so on to gn and pn.
    pub links: Vec<Link<'w>>,
    /// What a token hands its actor, where one is shown besides delegations: the chain hands on no more.
    pub token: Option<&'w Grant<'w>>,
}

/// A grant, and the principal it must lead to.
#[derive(Debug)]
pub struct Link<'w> {
    /// The grant.
    pub grant: Grant<'w>,
    /// The principal.
    pub to: EntityUid,
}

/// Why there is no chain: what is shown leads to no root, or to another than was said.
#[derive(Debug)]
pub struct Broken {
    /// Where, as far as it can be counted: 0 is the root, and a grant that cannot be walked beyond leads to hop 1.
    pub hop: usize,
    /// Who would act there.
    pub principal: EntityUid,
    /// Why.
    pub denial: Denial,
}

impl<'w> Chain<'w> {
    /// The chain that is shown; none if the principal acts by itself.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn of(world: &'w World, shown: &'w Shown, actor: &EntityUid) -> Result<Option<Self>, Box<Broken>> {
        let Shown { delegations, token } = shown;
        match (delegations.last(), token) {
            (Some(leaf), token) => {
                let chain = Self::walked(world, leaf, actor)?;
                chain.check_shown(delegations)?;
                chain.agreeing(token.as_ref()).map(Some)
            }
            (None, Some(token)) if !token.actors.is_empty() => {
                Self::of_token(token)?.agreeing(Some(token)).map(Some)
            }
            (None, _) => Ok(None),
        }
    }

    /// Walks from the leaf over each grant's parent. Ends at the first without one, or where it cannot go on: so a circle
    /// ends too.
    fn walked(world: &'w World, leaf: &EntityUid, actor: &EntityUid) -> Result<Self, Box<Broken>> {
        let mut links: Vec<Link<'w>> = Vec::new();
        let mut next = (leaf.clone(), actor.clone());
        loop {
            let (uid, to) = next;
            let broken = |denial| Box::new(Broken { hop: 1, principal: to.clone(), denial });
            let grant = step(world, &links, &uid).map_err(broken)?;
            let giver = grant.giver().cloned().map_err(broken)?;
            let to = if links.is_empty() { to } else { grant.to.clone() };
            let parent = grant.parent.clone();
            links.push(Link { grant, to });
            match parent {
                Some(parent) => next = (parent, giver),
                None => {
                    links.reverse();
                    return Ok(Self { root: giver, links, token: None });
                }
            }
        }
    }

    /// The one grant that a token is: from its root straight to its actor (D8).
    fn of_token(token: &ShownToken) -> Result<Self, Box<Broken>> {
        let to = token.actor().clone();
        match &token.grant {
            Some(grant) => {
                let links = vec![Link { grant: grant.clone(), to }];
                Ok(Self { root: token.root.clone(), links, token: None })
            }
            None => {
                let message = format!(
                    "{to} acts for {} by a token that hands nothing on: show the delegations it acts under",
                    token.root
                );
                let denial = Denial::new(ReasonCode::ChainRequired, message);
                Err(Box::new(Broken { hop: 1, principal: to, denial }))
            }
        }
    }

    /// D2: entries besides the leaf, if given, are the walk.
    fn check_shown(&self, delegations: &[EntityUid]) -> Result<(), Box<Broken>> {
        let walked = || self.links.iter().filter_map(|link| link.grant.name.stored());
        if delegations.len() == 1 || walked().eq(delegations) {
            return Ok(());
        }
        let message =
            format!("the delegations shown are not those above the last, which are {}", listed(walked()));
        Err(self.broken(Denial::new(ReasonCode::ChainMismatch, message)))
    }

    /// D8: a token's root and actors are the chain's. Actors further in are compared if there are any, and prove nothing
    /// (RFC 8693 §4.1).
    fn agreeing(self, token: Option<&'w ShownToken>) -> Result<Self, Box<Broken>> {
        let Some(token) = token else { return Ok(self) };
        let actors = || self.links.iter().rev().map(|link| &link.to);
        let outermost = token.actors.len() == 1 && actors().next() == token.actors.first();
        if token.root == self.root && (outermost || actors().eq(&token.actors)) {
            return Ok(Self { token: token.grant.as_ref(), ..self });
        }
        let message = format!(
            "the token is of {}, and the chain of {}",
            listed([&token.root].into_iter().chain(token.actors.iter().rev())),
            listed(self.principals())
        );
        Err(self.broken(Denial::new(ReasonCode::TokenChain, message)))
    }

    fn broken(&self, denial: Denial) -> Box<Broken> {
        Box::new(Broken { hop: 0, principal: self.root.clone(), denial })
    }

    /// p0 to pn.
    pub fn principals(&self) -> impl Iterator<Item = &EntityUid> {
        [&self.root].into_iter().chain(self.links.iter().map(|link| &link.to))
    }

    /// The root's place, as policies see it (D6).
    pub fn first(&self, catalog: &Catalog) -> Hop {
        let person = catalog.user.as_ref() == Some(self.root.type_name());
        let agents = self.principals().filter(|uid| catalog.requires_chain(uid.type_name()));
        let mut first = Hop {
            role: Role::Delegator,
            hop: 0,
            length: number(self.links.len()),
            user: person.then(|| self.root.clone()),
            agents: agents.cloned().collect(),
            grants: self.links.iter().filter_map(|link| link.grant.name.stored()).cloned().collect(),
            purposes: self.links.iter().map(|link| link.grant.purpose.clone()).collect(),
        };
        self.go_to(0, &mut first);
        first
    }

    /// Turns one place of this chain into another.
    pub fn go_to(&self, place: usize, hop: &mut Hop) {
        hop.role = if place == self.links.len() { Role::Actor } else { Role::Delegator };
        #[cfg(test)]
        if planted(Mutant::RoleIgnored) {
            hop.role = Role::Itself;
        }
        hop.hop = number(place);
    }

    /// The instants around `now` at which every grant holds as it does, or does not as it does not.
    pub fn validity(&self, now: Now) -> Validity {
        let grants = self.links.iter().map(|link| link.grant.validity(now));
        grants.fold(Validity::ALWAYS, Validity::and)
    }
}

/// The next grant of a walk.
fn step<'w>(world: &'w World, walked: &[Link<'w>], uid: &EntityUid) -> Result<Grant<'w>, Denial> {
    let refuse = |code, message| Err(Denial::of_grant(code, GrantName::Stored(uid.clone()), message));
    if walked.iter().any(|link| link.grant.name.stored() == Some(uid)) {
        return refuse(ReasonCode::ChainCycle, format!("{uid} is above itself: no chain begins there"));
    }
    if walked.len() == MAX_CHAIN {
        return refuse(ReasonCode::ChainTooLong, format!("the chain has more than {MAX_CHAIN} delegations"));
    }
    Grant::stored(world, uid).map_or_else(
        || refuse(ReasonCode::GrantUnknown, format!("{uid} is no delegation that is known: ask for another")),
        Ok,
    )
}

/// Places are few.
fn number(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

fn listed<'u>(uids: impl IntoIterator<Item = &'u EntityUid>) -> String {
    uids.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

//! Whether a chain's root and each of its grants hold now, in this world (D4, D5). Never remembered: a grant that was
//! revoked or has run out since is noticed by the next request.

use std::fmt::Display;

use cedar_policy::EntityUid;

use super::chain::{Chain, Link};
use super::coverage::Reach;
use super::grant::Grant;
use super::hop::Hop;
#[cfg(test)]
use super::mutants::{Mutant, planted};
use crate::engine::authorize::Now;
use crate::engine::cedar::BuiltEntity;
use crate::engine::convert::datetime;
use crate::engine::decision::{Denial, ReasonCode};
use crate::engine::world::World;

/// What grants are held to.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    /// The world that decides.
    pub world: &'a World,
    /// The instant it decides at.
    pub now: Now,
    /// What is asked.
    pub reach: &'a Reach<'a>,
}

/// A chain begins with somebody who may act alone: a person, or an autonomous agent (D7).
///
/// # Errors
/// The [`Denial`] `chain_root`.
pub fn check_root(world: &World, chain: &Chain<'_>, stored: Option<&BuiltEntity>) -> Result<(), Denial> {
    let root = &chain.root;
    Hop::alone(&world.generation.catalog, root, stored).map(drop).map_err(|_denial| {
        let message =
            format!("{root} delegates, and may not act alone itself: its own delegation must be the parent");
        Denial::new(ReasonCode::ChainRoot, message)
    })
}

impl Check<'_> {
    /// Checks the grant that leads to hop `place`, counted from 1.
    ///
    /// # Errors
    /// The [`Denial`], by the first thing that is wrong with it.
    pub fn link(&self, chain: &Chain<'_>, place: usize) -> Result<(), Denial> {
        #[cfg(test)]
        if planted(Mutant::GrantNotChecked) {
            return Ok(());
        }
        let before = place.saturating_sub(1);
        let Some(link) = chain.links.get(before) else { return Ok(()) };
        check_giver(chain, before, link)?;
        check_taker(chain, before, link)?;
        let after = chain.links.len().saturating_sub(place);
        self.check_revoked(&link.grant, after)?;
        self.check_time(&link.grant)?;
        check_depth(&link.grant, after)?;
        self.check_covers(&link.grant)?;
        match chain.token.filter(|_| after == 0) {
            Some(token) => self.check_time(token).and_then(|()| self.check_covers(token)),
            None => Ok(()),
        }
    }

    /// Revoking a grant takes back what was handed on under it: the chain's other grants are asked in turn.
    #[cfg_attr(not(test), expect(unused_variables, reason = "a planted defect looks at it"))]
    fn check_revoked(&self, grant: &Grant<'_>, after: usize) -> Result<(), Denial> {
        #[cfg(test)]
        if planted(Mutant::RevokedAncestorIgnored) && after > 0 {
            return Ok(());
        }
        match grant.name.stored().filter(|uid| self.world.revocations.revokes(uid)) {
            Some(_) => refuse(
                grant,
                ReasonCode::GrantRevoked,
                format_args!("was revoked: {} would have to delegate anew", giver(grant)),
            ),
            None => Ok(()),
        }
    }

    fn check_time(&self, grant: &Grant<'_>) -> Result<(), Denial> {
        let Grant { not_before, expires, .. } = grant;
        if self.now < *not_before {
            return refuse(
                grant,
                ReasonCode::GrantNotYet,
                format_args!("holds from {} only: ask again then", time(*not_before)),
            );
        }
        if self.now >= *expires {
            return refuse(
                grant,
                ReasonCode::GrantExpired,
                format_args!("expired at {}: ask {} to delegate anew", time(*expires), giver(grant)),
            );
        }
        Ok(())
    }

    fn check_covers(&self, grant: &Grant<'_>) -> Result<(), Denial> {
        match self.reach.beyond(&grant.covers) {
            None => Ok(()),
            Some(beyond) => refuse(
                grant,
                ReasonCode::GrantNotCovering,
                format_args!("does not cover {beyond}: ask {} for one that does", giver(grant)),
            ),
        }
    }
}

/// Whoever gives is whoever the grant before was given to. The first grant is the root's by definition.
fn check_giver(chain: &Chain<'_>, before: usize, link: &Link<'_>) -> Result<(), Denial> {
    let giver = link.grant.giver()?;
    match chain.principals().nth(before) {
        Some(previous) if previous == giver => Ok(()),
        Some(previous) => {
            let message = format_args!(
                "was given by {giver}, and its parent to {previous}: {giver} can hand on only what it was given"
            );
            refuse(&link.grant, ReasonCode::GrantBrokenChain, message)
        }
        None => refuse(&link.grant, ReasonCode::GrantBrokenChain, "has nobody before it"),
    }
}

/// Whoever acts on a grant is whoever it was given to, and stands in the chain once.
fn check_taker(chain: &Chain<'_>, before: usize, link: &Link<'_>) -> Result<(), Denial> {
    let Link { grant, to } = link;
    if grant.to != *to {
        return refuse(
            grant,
            ReasonCode::GrantDelegate,
            format_args!("was given to {}, not to {to}: show one that was", grant.to),
        );
    }
    if chain.principals().take(before + 1).any(|principal| principal == to) {
        return refuse(
            grant,
            ReasonCode::ChainCycle,
            format_args!("leads back to {to}, who is in the chain already"),
        );
    }
    Ok(())
}

/// How many grants may follow.
fn check_depth(grant: &Grant<'_>, after: usize) -> Result<(), Denial> {
    if i64::try_from(after).is_ok_and(|after| after <= grant.max_depth) {
        return Ok(());
    }
    let message = format_args!(
        "may be passed on {} times, and was {after} times: ask for a shorter chain",
        grant.max_depth
    );
    refuse(grant, ReasonCode::GrantTooDeep, message)
}

/// Whom to ask for another grant.
fn giver<'g>(grant: &'g Grant<'_>) -> &'g EntityUid {
    grant.from.as_ref().unwrap_or(&grant.to)
}

fn refuse(grant: &Grant<'_>, code: ReasonCode, what: impl Display) -> Result<(), Denial> {
    let name = &grant.name;
    Err(Denial::of_grant(code, name.clone(), format!("{name} {what}")))
}

fn time(instant: Now) -> String {
    datetime(instant.0).unwrap_or_else(|| format!("{} ms", instant.0))
}

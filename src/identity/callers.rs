//! Everybody who may ask: who they are, and what of it they may.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::bundle::TrustBundles;
use super::caller::Caller;
use super::own::OwnPrincipals;
use super::peer::Peer;
use super::rights::{Asking, Lacking, Right, Rights};
use super::svid::SvidError;
use crate::engine::authorize::Now;
use crate::engine::datum::Reference;

/// Everybody who may ask.
#[derive(Debug)]
pub enum Callers {
    /// Whoever can reach the server, under one name (C2). What they may ask is not limited.
    Anonymous(Arc<Caller>),
    /// Those who show who they are, as far as they are entitled.
    Authenticated(Box<Gate>),
}

/// Who authenticates how, and what they may ask.
#[derive(Debug)]
pub struct Gate {
    bundles: Arc<ArcSwap<TrustBundles>>,
    own: OwnPrincipals,
    /// What callers may ask.
    pub rights: Rights,
    counts: AuthenticationCounts,
}

#[derive(Debug, Default)]
struct AuthenticationCounts {
    authenticated: AtomicU64,
    absent: AtomicU64,
    refused: AtomicU64,
}

/// What a call shows of its caller.
#[derive(Debug, Clone, Copy, Default)]
pub struct Presented<'a> {
    /// The other end of its connection, if it showed certificates.
    pub peer: Option<&'a Peer>,
    /// The text of its `authorization`, if it has one.
    pub authorization: Option<&'a [u8]>,
}

/// Why nobody knows who calls. Says nothing of what was shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// It shows nothing.
    #[error("show a certificate of a trusted domain")]
    Absent,
    /// It shows a certificate that is none here.
    #[error(transparent)]
    Certificate(#[from] SvidError),
    /// What it shows has come to its end.
    #[error("its certificate or token has expired")]
    Expired,
    /// It shows what nobody here can verify.
    #[error("tokens of callers are not accepted: no issuer is configured")]
    NoIssuers,
}

impl Callers {
    /// Everybody, under one name.
    #[must_use]
    pub fn anonymous(caller: Caller) -> Self {
        Self::Anonymous(Arc::new(caller))
    }

    /// Who calls.
    ///
    /// # Errors
    /// [`Unauthenticated`]; never where callers are not authenticated.
    pub fn identify(&self, presented: Presented<'_>, now: Now) -> Result<Arc<Caller>, Unauthenticated> {
        match self {
            Self::Anonymous(caller) => Ok(Arc::clone(caller)),
            Self::Authenticated(gate) => gate.identify(presented, now),
        }
    }

    /// Whether a caller may ask a question, with everything in it that it asserts.
    ///
    /// # Errors
    /// The first thing it may not.
    pub fn may_ask(&self, caller: &Caller, asking: &Asking<'_>) -> Result<(), Lacking> {
        match self {
            Self::Anonymous(_) => Ok(()),
            Self::Authenticated(gate) => gate.rights.may_ask(caller, asking),
        }
    }

    /// Whether a caller may do something that is no question.
    ///
    /// # Errors
    /// What it may not.
    pub fn may(&self, caller: &Caller, right: &Right<'_>) -> Result<(), Lacking> {
        match self {
            Self::Anonymous(_) => Ok(()),
            Self::Authenticated(gate) => gate.rights.may(caller, right),
        }
    }

    /// Whether a caller is a principal itself, by its name; never where callers are not authenticated.
    #[must_use]
    pub fn is_own(&self, caller: &Caller, principal: &Reference) -> bool {
        match self {
            Self::Anonymous(_) => false,
            Self::Authenticated(gate) => gate.own.is_own(caller, principal),
        }
    }

    /// How callers are authenticated, if they are.
    #[must_use]
    pub fn gate(&self) -> Option<&Gate> {
        match self {
            Self::Anonymous(_) => None,
            Self::Authenticated(gate) => Some(gate),
        }
    }
}

impl Gate {
    /// Those whom these bundles vouch for, as far as `rights` go.
    #[must_use]
    pub fn new(bundles: Arc<ArcSwap<TrustBundles>>, own: OwnPrincipals, rights: Rights) -> Self {
        Self { bundles, own, rights, counts: AuthenticationCounts::default() }
    }

    fn identify(&self, presented: Presented<'_>, now: Now) -> Result<Arc<Caller>, Unauthenticated> {
        let identified = self
            .verify(presented)
            .and_then(|caller| if caller.holds_at(now) { Ok(caller) } else { Err(Unauthenticated::Expired) });
        let AuthenticationCounts { authenticated, absent, refused } = &self.counts;
        let count = match &identified {
            Ok(_) => authenticated,
            Err(Unauthenticated::Absent) => absent,
            Err(_) => refused,
        };
        count.fetch_add(1, Ordering::Relaxed);
        identified
    }

    fn verify(&self, presented: Presented<'_>) -> Result<Arc<Caller>, Unauthenticated> {
        let workload = presented.peer.map(|peer| peer.caller(&self.bundles.load())).transpose()?;
        match (workload, presented.authorization) {
            // A token that is not looked at could name somebody else.
            (_, Some(_)) => Err(Unauthenticated::NoIssuers),
            (Some(workload), None) => Ok(workload),
            (None, None) => Err(Unauthenticated::Absent),
        }
    }

    /// How many calls showed who calls, by outcome.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 3] {
        let AuthenticationCounts { authenticated, absent, refused } = &self.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("authenticated", read(authenticated)), ("absent", read(absent)), ("refused", read(refused))]
    }
}

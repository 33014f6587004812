//! Everybody who may ask: who they are, and what of it they may.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::bundle::TrustBundles;
use super::caller::{Caller, Thumbprint};
use super::caller_tokens::{CallerToken, CallerTokens};
use super::own::OwnPrincipals;
use super::peer::Peer;
use super::rights::{Asking, Lacking, Right, Rights};
use super::shown::Shown;
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
    tokens: CallerTokens,
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

/// Who calls, and the token that says so, if one does.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Who calls.
    pub caller: Arc<Caller>,
    token: Option<CallerToken>,
}

/// Why nobody knows who calls. Says nothing of what was shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// It shows nothing.
    #[error("show a certificate of a trusted domain, or a bearer token of a trusted issuer")]
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
    /// Its `authorization` is no bearer token.
    #[error("`authorization` must be `Bearer` and a token")]
    Scheme,
    /// It shows a token that is not believed.
    #[error("its token is not accepted: {0}")]
    Token(String),
    /// Certificate and token name two callers.
    #[error("its certificate and its token name different callers")]
    Two,
}

impl Callers {
    /// Everybody, under one name.
    #[must_use]
    pub fn anonymous(caller: Caller) -> Self {
        Self::Anonymous(Arc::new(caller))
    }

    /// Who calls. May wait for keys of issuers: whoever calls bounds the time.
    ///
    /// # Errors
    /// [`Unauthenticated`]; never where callers are not authenticated.
    pub async fn identify(&self, presented: Presented<'_>, now: Now) -> Result<Identity, Unauthenticated> {
        match self {
            Self::Anonymous(caller) => Ok(Identity { caller: Arc::clone(caller), token: None }),
            Self::Authenticated(gate) => gate.identify(presented, now).await,
        }
    }

    /// Who still calls, later in the same call.
    ///
    /// # Errors
    /// [`Unauthenticated`] once nobody vouches for the caller any more.
    pub fn still(
        &self,
        identity: &Identity,
        peer: Option<&Peer>,
        now: Now,
    ) -> Result<Arc<Caller>, Unauthenticated> {
        match self {
            Self::Anonymous(caller) => Ok(Arc::clone(caller)),
            Self::Authenticated(gate) => gate.still(identity, peer, now),
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
    /// Those whom these bundles and issuers vouch for, as far as `rights` go.
    #[must_use]
    pub fn new(
        bundles: Arc<ArcSwap<TrustBundles>>,
        tokens: CallerTokens,
        own: OwnPrincipals,
        rights: Rights,
    ) -> Self {
        Self { bundles, tokens, own, rights, counts: AuthenticationCounts::default() }
    }

    async fn identify(&self, presented: Presented<'_>, now: Now) -> Result<Identity, Unauthenticated> {
        let identified = self.verify(presented, now).await.and_then(|identity| {
            if identity.caller.holds_at(now) { Ok(identity) } else { Err(Unauthenticated::Expired) }
        });
        let AuthenticationCounts { authenticated, absent, refused } = &self.counts;
        let count = match &identified {
            Ok(_) => authenticated,
            Err(Unauthenticated::Absent) => absent,
            Err(_) => refused,
        };
        count.fetch_add(1, Ordering::Relaxed);
        identified
    }

    /// A token that is shown is looked at, whatever else is: it could name somebody else.
    async fn verify(&self, presented: Presented<'_>, now: Now) -> Result<Identity, Unauthenticated> {
        let workload = presented.peer.map(|peer| peer.caller(&self.bundles.load())).transpose()?;
        let token = match presented.authorization {
            None => None,
            Some(authorization) => Some(self.token(authorization, workload.as_deref(), now).await?),
        };
        let caller = one(workload, token.as_ref())?;
        Ok(Identity { caller, token })
    }

    async fn token(
        &self,
        authorization: &[u8],
        workload: Option<&Caller>,
        now: Now,
    ) -> Result<CallerToken, Unauthenticated> {
        if self.tokens.issuers().is_empty() {
            return Err(Unauthenticated::NoIssuers);
        }
        let token = bearer(authorization).ok_or(Unauthenticated::Scheme)?;
        let verified = self.tokens.verify(token, &shown(workload), now).await;
        verified.map_err(|rejection| Unauthenticated::Token(rejection.to_string()))
    }

    fn still(
        &self,
        identity: &Identity,
        peer: Option<&Peer>,
        now: Now,
    ) -> Result<Arc<Caller>, Unauthenticated> {
        let workload = peer.map(|peer| peer.caller(&self.bundles.load())).transpose()?;
        if let Some(token) = &identity.token
            && !self.tokens.still(token, &shown(workload.as_deref()), now)
        {
            return Err(Unauthenticated::Expired);
        }
        let caller = one(workload, identity.token.as_ref())?;
        if caller.holds_at(now) { Ok(caller) } else { Err(Unauthenticated::Expired) }
    }

    /// How many calls showed who calls, by outcome.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 3] {
        let AuthenticationCounts { authenticated, absent, refused } = &self.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("authenticated", read(authenticated)), ("absent", read(absent)), ("refused", read(refused))]
    }
}

/// The one caller that a certificate and a token name.
fn one(workload: Option<Arc<Caller>>, token: Option<&CallerToken>) -> Result<Arc<Caller>, Unauthenticated> {
    match (workload, token.map(CallerToken::caller)) {
        (None, None) => Err(Unauthenticated::Absent),
        (Some(workload), None) => Ok(workload),
        (None, Some(holder)) => Ok(Arc::clone(holder)),
        (Some(workload), Some(holder)) => {
            let holder = holder.as_token_holder().cloned();
            holder.and_then(|holder| workload.with_token(holder)).map(Arc::new).ok_or(Unauthenticated::Two)
        }
    }
}

/// What a token may be bound to.
fn shown(workload: Option<&Caller>) -> Shown {
    Shown { certificate_sha256: workload.and_then(Caller::certificate).map(Thumbprint::bytes) }
}

/// The token of an `authorization` (RFC 6750 §2.1).
fn bearer(authorization: &[u8]) -> Option<&str> {
    let (scheme, token) = std::str::from_utf8(authorization).ok()?.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

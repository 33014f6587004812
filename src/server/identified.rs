//! Who calls, found out before anything of a call's message is read.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::identity::caller::Caller;
use crate::identity::callers::{Callers, Identity, Presented, Unauthenticated};
use crate::identity::peer::Peer;
use crate::pdp::{Refused, now};

/// Who makes a call, and what says so: kept as long as the call lasts, for who vouched for it may change meanwhile.
#[derive(Debug, Clone)]
pub struct Identified {
    identity: Identity,
    peer: Option<Arc<Peer>>,
}

/// What the decision log calls a caller of whom nobody knows who it is.
const UNKNOWN: &str = "unauthenticated";

/// Longest time to find out who calls: keys of an issuer may have to be fetched.
const MAX_IDENTIFYING: Duration = Duration::from_secs(10);

impl Identified {
    /// Who makes a request.
    ///
    /// # Errors
    /// Why nobody knows.
    pub async fn of(callers: &Callers, head: &Parts) -> Result<Self, Refused> {
        let peer = head.extensions.get::<Arc<Peer>>().cloned();
        let presented = Presented { peer: peer.as_deref(), authorization: authorization(&head.headers)? };
        let identifying = callers.identify(presented, now());
        match tokio::time::timeout(MAX_IDENTIFYING, identifying).await {
            Ok(identity) => Ok(Self { identity: identity.map_err(refused)?, peer }),
            Err(_late) => Err(Refused::Caller("its issuer's keys cannot be had in time".to_owned())),
        }
    }

    /// Who calls.
    #[must_use]
    pub fn caller(&self) -> &Arc<Caller> {
        &self.identity.caller
    }

    /// Who calls, as it is now: an error once nobody vouches for it any more.
    ///
    /// # Errors
    /// Why nobody knows.
    pub fn again(&self, callers: &Callers) -> Result<Arc<Caller>, Refused> {
        callers.still(&self.identity, self.peer.as_deref(), now()).map_err(refused)
    }
}

/// Stands for a caller of whom nobody knows who it is.
#[must_use]
pub fn nobody() -> Arc<Caller> {
    Arc::new(Caller::anonymous(UNKNOWN))
}

/// The one `authorization` of a request. Two could name two callers.
fn authorization(headers: &HeaderMap) -> Result<Option<&[u8]>, Refused> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (first, None) => Ok(first.map(|value| value.as_bytes())),
        _ => Err(Refused::Caller("there is more than one `authorization`".to_owned())),
    }
}

fn refused(error: Unauthenticated) -> Refused {
    Refused::Caller(error.to_string())
}

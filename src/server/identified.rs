//! Who calls, found out before anything of a call's message is read.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request, header};

use crate::identity::caller::Caller;
use crate::identity::callers::{Callers, Presented, Unauthenticated};
use crate::identity::peer::Peer;
use crate::pdp::{Refused, now};

/// What a call showed of its caller, kept as long as the call lasts: who vouched for it may change meanwhile.
#[derive(Debug, Clone)]
pub struct Identified {
    /// Who calls.
    pub caller: Arc<Caller>,
    peer: Option<Arc<Peer>>,
    authorization: Option<Box<[u8]>>,
}

/// What the decision log calls a caller of whom nobody knows who it is.
const UNKNOWN: &str = "unauthenticated";

impl Identified {
    /// Who makes a request.
    ///
    /// # Errors
    /// Why nobody knows.
    pub fn of(callers: &Callers, request: &Request<Body>) -> Result<Self, Refused> {
        let peer = request.extensions().get::<Arc<Peer>>().cloned();
        let authorization = authorization(request.headers())?.map(Box::from);
        let mut identified = Self { caller: nobody(), peer, authorization };
        identified.caller = identified.again(callers)?;
        Ok(identified)
    }

    /// Who calls, as it is now: an error once nobody vouches for it any more.
    ///
    /// # Errors
    /// Why nobody knows.
    pub fn again(&self, callers: &Callers) -> Result<Arc<Caller>, Refused> {
        let presented =
            Presented { peer: self.peer.as_deref(), authorization: self.authorization.as_deref() };
        callers.identify(presented, now()).map_err(refused)
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

//! Who may use the control listener: callers that authenticate, as far as they are entitled; or, where callers do not
//! administer, whoever shows the token of the data directory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::request::Parts;
use tonic::{Request as Asked, Status};

use super::control_token::Token;
use super::identified::Identified;
use super::status;
use crate::audit::record::Surface;
use crate::engine::datum::Reference;
use crate::identity::caller::Caller;
use crate::identity::callers::Callers;
use crate::identity::rights::Right;
use crate::pdp::{Call, Pdp, Refused, now};

/// What the audit trail calls whoever shows the token.
const TOKEN_HOLDER: &str = "control-token";

/// Who may administer.
#[derive(Debug, Clone)]
pub enum Administrators {
    /// Whoever shows this token. It opens everything.
    Token(Token),
    /// Callers, as far as they are entitled.
    Callers(Arc<Callers>),
}

/// Whoever makes a call on the control listener. Goes with every request that gets there.
#[derive(Debug, Clone)]
pub struct Administrator {
    by: By,
    pdp: Arc<Pdp>,
}

#[derive(Debug, Clone)]
enum By {
    Token(Arc<Caller>),
    Rights(Identified, Arc<Callers>),
}

impl Administrators {
    /// Lets an administrator in. `pdp` records what is refused to it then.
    pub(super) async fn admit(&self, pdp: &Arc<Pdp>, head: &Parts) -> Result<Administrator, Status> {
        Ok(Administrator { by: self.known(head).await?, pdp: Arc::clone(pdp) })
    }

    async fn known(&self, head: &Parts) -> Result<By, Status> {
        match self {
            Self::Token(token) if token.shown_in(&head.headers) => {
                Ok(By::Token(Arc::new(Caller::anonymous(TOKEN_HOLDER))))
            }
            Self::Token(_) => Err(Status::unauthenticated(
                "show the token of `control.token` in the data directory as a bearer token",
            )),
            Self::Callers(callers) => match &**callers {
                // Everybody who can reach the listener would administer.
                Callers::Anonymous(_) => Err(Status::unauthenticated("callers are not authenticated")),
                Callers::Authenticated(_) => {
                    let identified =
                        Identified::of(callers, head).await.map_err(|error| status::refused(&error))?;
                    Ok(By::Rights(identified, Arc::clone(callers)))
                }
            },
        }
    }
}

impl Administrator {
    /// Whoever makes a call.
    ///
    /// # Errors
    /// INTERNAL: the listener let something through that it does not know, which is a defect.
    pub fn of<T>(request: &Asked<T>) -> Result<Self, Status> {
        let known = request.extensions().get::<Self>().cloned();
        known.ok_or_else(|| Status::internal("nobody knows who calls"))
    }

    /// Who it is.
    #[must_use]
    pub fn caller(&self) -> &Arc<Caller> {
        match &self.by {
            By::Token(caller) => caller,
            By::Rights(identified, _) => identified.caller(),
        }
    }

    /// How long somebody vouches for it; none if nobody does anyway.
    #[must_use]
    pub fn expires(&self) -> Option<Duration> {
        let left = self.caller().expires()?.0.saturating_sub(now().0);
        // One millisecond later it has expired for certain.
        Some(Duration::from_millis(u64::try_from(left).unwrap_or(0) + 1))
    }

    /// Whether it is a principal itself.
    #[must_use]
    pub fn is_own(&self, principal: &Reference) -> bool {
        match &self.by {
            By::Token(_) => false,
            By::Rights(identified, callers) => callers.is_own(identified.caller(), principal),
        }
    }

    /// Holds it to its rights, as they are now: also during a call that lasts. What it lacks is recorded, as of a question.
    ///
    /// # Errors
    /// PERMISSION_DENIED naming what it may not; UNAUTHENTICATED once nobody vouches for it any more.
    pub fn may(&self, right: &Right<'_>) -> Result<(), Status> {
        let By::Rights(identified, callers) = &self.by else { return Ok(()) };
        let entitled = identified.again(callers).and_then(|caller| {
            callers.may(&caller, right).map_err(|lacking| Refused::NotEntitled(lacking.to_string()))
        });
        entitled.map_err(|refused| {
            let caller = self.caller().name();
            tracing::warn!(caller = %caller, right = %right, %refused, "a command was refused");
            let call = Call {
                caller: Arc::clone(self.caller()),
                surface: Surface::Control,
                request_id: String::new(),
                deadline: Instant::now(),
                origin: None,
                trace: None,
            };
            status::refused(&self.pdp.refuse(&call, refused))
        })
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn callers_that_nobody_authenticates_administer_nothing() {
        let callers = Callers::anonymous(Caller::anonymous("anonymous-loopback"));
        let (head, ()) = axum::http::Request::new(()).into_parts();
        let refused = Administrators::Callers(Arc::new(callers)).known(&head).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
    }
}

//! Who a question is about, where a token says so: verified before the world is loaded (W2), for whoever asks may have to
//! wait for keys.

use std::sync::Arc;

use super::{Asked, Call, Pdp, Refusal, Refused, now};
use crate::engine::request::InvalidRequest;
use crate::engine::subject::Subject;
use crate::identity::credentials::Credentials;
use crate::identity::shown::Shown;

impl Pdp {
    /// A question with its subject, if it shows a token.
    pub(super) async fn with_subject(
        &self,
        call: &Call,
        asked: Result<Asked, InvalidRequest>,
    ) -> Result<Asked, Refusal> {
        let mut asked = asked.map_err(|error| Refusal { refused: error.into(), asked: None })?;
        let Some(credentials) = asked.credentials.take() else { return Ok(asked) };
        match self.verified(call, &credentials).await {
            Ok(subject) => asked.about(Some(&subject)),
            Err(refused) => Err(Refusal { refused, asked: Some(Box::new(asked)) }),
        }
    }

    /// What a token says, if it is believed.
    pub(super) async fn verified(
        &self,
        call: &Call,
        credentials: &Credentials,
    ) -> Result<Arc<Subject>, Refused> {
        let certificate_sha256 = call.caller.certificate().map(|thumbprint| thumbprint.bytes());
        let shown = Shown { certificate_sha256 };
        let verifying = self.subjects.verify(credentials, &shown, now());
        let Ok(verified) = tokio::time::timeout_at(call.deadline.into(), verifying).await else {
            return Err(Refused::Late);
        };
        match verified {
            Ok(believed) => {
                self.metrics.token_verified(if believed.known { "known" } else { "accepted" });
                Ok(believed.subject)
            }
            Err(rejection) => {
                self.metrics.token_verified(rejection.check.as_str());
                Err(Refused::SubjectToken(rejection.to_string()))
            }
        }
    }
}

impl Asked {
    /// The question, about whom a token names: its principal is the token's actor, left empty or the same (C11).
    pub(super) fn about(mut self, subject: Option<&Arc<Subject>>) -> Result<Self, Refusal> {
        self.credentials = None;
        let Some(subject) = subject else { return Ok(self) };
        let actor = subject.actors.first().unwrap_or(&subject.root);
        let principal = &mut self.question.principal;
        if principal.type_name.is_empty() && principal.id.is_empty() {
            principal.clone_from(actor);
        }
        if principal != actor {
            let message = "is not who acts by the token: leave it empty, or name the same";
            let refused = InvalidRequest::field("principal", message).into();
            return Err(Refusal { refused, asked: Some(Box::new(self)) });
        }
        self.question.subject = Some(Arc::clone(subject));
        Ok(self)
    }
}

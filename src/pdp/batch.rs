//! Many questions at once: one world, one instant, one subject.

use std::sync::Arc;
use std::time::Instant;

use super::{Answer, Asked, Call, Decided, Pdp, Refusal, Refused, now};
use crate::engine::decision::Effect;
use crate::engine::request::InvalidRequest;
use crate::identity::credentials::Credentials;
use crate::store::Published;

/// Most questions in one batch, unless a server says otherwise.
pub const MAX_BATCH: usize = 100;

/// What came of a batch.
#[derive(Debug)]
pub struct Batch {
    /// Each item's own id, and its answer, in the order of the items, as far as they were decided.
    pub answers: Vec<(String, Result<Answer, Refused>)>,
    /// The world that decided them all.
    pub published: Arc<Published>,
}

/// Which item of a batch is the last that is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Until {
    /// The last there is.
    #[default]
    Last,
    /// The first that is not allowed: denied, or refused.
    Deny,
    /// The first that is allowed.
    Allow,
}

impl Until {
    fn ends(self, outcome: &Result<Decided, Refusal>) -> bool {
        let allowed = outcome.as_ref().is_ok_and(|decided| decided.answer.decision.effect == Effect::Allow);
        match self {
            Self::Last => false,
            Self::Deny => !allowed,
            Self::Allow => allowed,
        }
    }
}

impl Pdp {
    /// Decides many questions in one world, at one instant, about the subject of one token if there is one. One that cannot
    /// be understood fails alone.
    ///
    /// # Errors
    /// [`Refused::SubjectToken`]; [`Refused::Late`] once the deadline has passed, for nobody waits for the rest;
    /// [`Refused::Unrecorded`]. Each is one record.
    pub async fn authorize_batch(
        &self,
        call: &Call,
        credentials: Option<&Credentials>,
        items: impl ExactSizeIterator<Item = (String, Result<Asked, InvalidRequest>)>,
    ) -> Result<Batch, Refused> {
        self.authorize_until(Until::Last, call, credentials, items).await
    }

    /// The same, which ends with the item that decides the whole. What comes after is neither decided nor recorded.
    ///
    /// # Errors
    /// As [`Self::authorize_batch`].
    pub async fn authorize_until(
        &self,
        until: Until,
        call: &Call,
        credentials: Option<&Credentials>,
        items: impl ExactSizeIterator<Item = (String, Result<Asked, InvalidRequest>)>,
    ) -> Result<Batch, Refused> {
        self.hold_to_rate(call, items.len())?;
        let _place = self.place(call).await?;
        let mut room = self.room(items.len(), call).await?;
        let subject = match credentials {
            None => None,
            Some(credentials) => match self.verified(call, credentials).await {
                Ok(subject) => Some(subject),
                Err(refused) => return Err(self.refuse(call, refused)),
            },
        };
        let items: Vec<_> = items.collect();
        // What is consistent with the batch is so with each of it.
        let latest = items.iter().find_map(|(_, asked)| Some(asked.as_ref().ok()?.minimum_revision.as_str()));
        let (published, lease) = self.served(call, latest.unwrap_or_default()).await;
        let now = now();
        let mut outcomes = Vec::with_capacity(items.len());
        for (request_id, asked) in items {
            if Instant::now() >= call.deadline {
                return Err(self.refuse(call, Refused::Late));
            }
            let item = Call { request_id, ..call.clone() };
            let asked = asked.map_err(|error| Refusal { refused: error.into(), asked: None });
            let outcome = asked
                .and_then(|asked| asked.about(subject.as_ref()))
                .and_then(|asked| self.answer(&item, asked, &published, lease, now));
            let ends = until.ends(&outcome);
            outcomes.push((item, outcome));
            if ends {
                break;
            }
        }
        let mut answers = Vec::with_capacity(outcomes.len());
        let mut recordings = Vec::new();
        for (item, outcome) in outcomes {
            let settled = self.settle(&item, outcome, &mut room).map(|(answer, recording)| {
                recordings.push(recording);
                answer
            });
            answers.push((item.request_id, settled));
        }
        for recording in recordings {
            self.lasting(call, recording, lease).await?;
        }
        Ok(Batch { answers, published })
    }
}

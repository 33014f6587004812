//! The one door: every transport asks here, and nothing else decides. Whatever is answered is recorded here, once.

mod asking;
mod check;
mod outcomes;
mod recall;
mod recording;
mod refused;
mod remembering;
mod searching;
mod settling;
mod subject;
mod writing;

use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::audit::AuditLog;
use crate::audit::record::{CacheUse, Evidence, Mode, Surface};
use crate::engine::authorize::{Now, authorize};
use crate::engine::decision::Decision;
#[cfg(test)]
use crate::engine::mutants::{self, Mutant};
use crate::engine::request::{AuthzRequest, InvalidRequest};
use crate::engine::world::World;
use crate::identity::caller::Caller;
use crate::identity::callers::Callers;
use crate::identity::credentials::Credentials;
use crate::identity::subjects::Subjects;
use crate::store::entity_log::EntityLogHandle;
use crate::store::{Published, Store};
use crate::telemetry::metrics::Metrics;

pub use check::SampledCheck;
pub use refused::{Refused, RefusedCode};
pub use searching::{MAX_PAGE, SearchAnswer, SearchAsked, USUAL_PAGE, search_unrecorded};
pub use writing::Unwritten;

/// Most bytes that a batch may have once every item has taken what it inherits.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Most questions in one batch.
pub const MAX_BATCH: usize = 100;

/// The principal whose questions panic, in tests.
#[cfg(test)]
pub(crate) const PANIC_IN_EVALUATION: &str = "panic in evaluation";

/// The policy decision point.
#[derive(Debug)]
pub struct Pdp {
    store: Arc<Store>,
    audit: AuditLog,
    metrics: Arc<Metrics>,
    callers: Arc<Callers>,
    subjects: Arc<Subjects>,
    check: Option<SampledCheck>,
    verify_one_in: Option<NonZeroU64>,
    log: Option<EntityLogHandle>,
}

/// A question, and what its caller says of it. Nothing but the question is an input of policies.
#[derive(Debug)]
pub struct Asked {
    /// The question.
    pub question: AuthzRequest,
    /// What it shows of its subject.
    pub credentials: Option<Credentials>,
    /// Whether the answer will be enforced.
    pub mode: Mode,
    /// What the caller wants remembered with the answer.
    pub evidence: Option<Box<Evidence>>,
    /// The oldest world that may answer; empty: any that is published.
    pub minimum_revision: String,
    /// Decide anew even where the answer is known.
    pub bypass_cache: bool,
}

/// How a question came.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who asks.
    pub caller: Arc<Caller>,
    /// Through which door.
    pub surface: Surface,
    /// The caller's own id of the request; may be empty.
    pub request_id: String,
    /// When an answer stops being of use.
    pub deadline: Instant,
}

/// A decision, and what names it.
#[derive(Debug)]
pub struct Answer {
    /// What was decided.
    pub decision: Arc<Decision>,
    /// UUIDv7 of this answer.
    pub id: Uuid,
    /// When it was asked for.
    pub now: Now,
    /// The world that decided.
    pub published: Arc<Published>,
    /// What part the cache had.
    pub cache: CacheUse,
}

/// What came of a batch.
#[derive(Debug)]
pub struct Batch {
    /// Each item's own id, and its answer, in the order of the items.
    pub answers: Vec<(String, Result<Answer, Refused>)>,
    /// The world that decided them all.
    pub published: Arc<Published>,
}

impl From<AuthzRequest> for Asked {
    /// A question on the usual terms.
    fn from(question: AuthzRequest) -> Self {
        Self {
            question,
            credentials: None,
            mode: Mode::Enforce,
            evidence: None,
            minimum_revision: String::new(),
            bypass_cache: false,
        }
    }
}

impl Pdp {
    /// A decision point over a store, for everybody who may ask.
    pub fn new(store: Arc<Store>, audit: AuditLog, metrics: Arc<Metrics>, callers: Arc<Callers>) -> Self {
        let subjects = Arc::default();
        Self { store, audit, metrics, callers, subjects, check: None, verify_one_in: None, log: None }
    }

    /// The same, which has a sample of its decisions made once more by Cedar's own authorizer.
    #[must_use]
    pub fn checked(self, check: Option<SampledCheck>) -> Self {
        Self { check, ..self }
    }

    /// The same, which makes one in so many of its decisions from memory once more, to compare.
    #[must_use]
    pub fn verifying(self, verify_one_in: Option<NonZeroU64>) -> Self {
        Self { verify_one_in, ..self }
    }

    /// The same, which believes these tokens of subjects.
    #[must_use]
    pub fn believing(self, subjects: Arc<Subjects>) -> Self {
        Self { subjects, ..self }
    }

    /// Everybody who may ask.
    pub fn callers(&self) -> &Arc<Callers> {
        &self.callers
    }

    /// What holds the world that is served: a program that makes its own worlds publishes them there.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The world that is served now.
    pub fn current(&self) -> Arc<Published> {
        self.store.current()
    }

    /// Decides one question.
    ///
    /// # Errors
    /// [`Refused`]; it has been recorded. A denial is an answer.
    pub async fn authorize(
        &self,
        call: &Call,
        asked: Result<Asked, InvalidRequest>,
    ) -> Result<Answer, Refused> {
        #[cfg(test)]
        let early = mutants::planted(Mutant::WorldBeforeRoom).then(|| self.store.current());
        let mut room = self.room(1, call).await?;
        let outcome = match self.with_subject(call, asked).await {
            Ok(asked) => {
                // No sooner: whatever was acknowledged while the request waited counts (W2).
                let published = self.store.current();
                #[cfg(test)]
                let published = early.unwrap_or(published);
                self.answer(call, asked, &published, now())
            }
            Err(refusal) => Err(refusal),
        };
        let (answer, recording) = self.settle(call, outcome, &mut room)?;
        self.lasting(call, recording).await?;
        Ok(answer)
    }

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
        let mut room = self.room(items.len(), call).await?;
        let subject = match credentials {
            None => None,
            Some(credentials) => match self.verified(call, credentials).await {
                Ok(subject) => Some(subject),
                Err(refused) => return Err(self.refuse(call, refused)),
            },
        };
        let published = self.store.current();
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
                .and_then(|asked| self.answer(&item, asked, &published, now));
            outcomes.push((item, outcome));
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
            self.lasting(call, recording).await?;
        }
        Ok(Batch { answers, published })
    }

    /// Records that a call was refused before there was a question, and gives the refusal back.
    pub fn refuse(&self, call: &Call, refused: Refused) -> Refused {
        let refusal = Refusal { refused: refused.clone(), asked: None };
        // The answer is a refusal, whether or not that could be recorded.
        self.settle(call, Err(refusal), &mut self.audit.room_at_once()).err().unwrap_or(refused)
    }

    /// Counts a defect that was caught elsewhere.
    pub fn panicked(&self) {
        self.metrics.panicked();
    }
}

/// A question that was decided.
struct Decided {
    answer: Answer,
    asked: Asked,
    latency: Duration,
}

/// A question that was not.
struct Refusal {
    refused: Refused,
    asked: Option<Box<Asked>>,
}

impl Pdp {
    fn answer(
        &self,
        call: &Call,
        asked: Asked,
        published: &Arc<Published>,
        now: Now,
    ) -> Result<Decided, Refusal> {
        let started = Instant::now();
        let entitled = self.entitled(call, &asked, &asked.question, published, now);
        match entitled.and_then(|()| self.decide(&asked, published, now)) {
            Err(refused) => Err(Refusal { refused, asked: Some(Box::new(asked)) }),
            // An Allow that comes too late is no Allow.
            Ok(_) if Instant::now() >= call.deadline => {
                Err(Refusal { refused: Refused::Late, asked: Some(Box::new(asked)) })
            }
            Ok((decision, cache)) => {
                if let Some(check) = self.check.as_ref().filter(|check| check.is_due()) {
                    check.take(published, &asked.question, now, &decision);
                }
                let answer = Answer { decision, id: name(), now, published: Arc::clone(published), cache };
                Ok(Decided { answer, asked, latency: started.elapsed() })
            }
        }
    }

    fn decide(
        &self,
        asked: &Asked,
        published: &Published,
        now: Now,
    ) -> Result<(Arc<Decision>, CacheUse), Refused> {
        self.store.check_minimum(&asked.minimum_revision, published)?;
        // A defect in one decision is that decision's failure. Everything it could have left half done is its own.
        match catch_unwind(AssertUnwindSafe(|| self.decide_hops(asked, published, now))) {
            Ok(decided) => Ok(decided?),
            Err(_panic) => {
                self.metrics.panicked();
                Err(Refused::Internal)
            }
        }
    }
}

/// Decides one question in a world that nobody serves: for the command line. Leaves no record.
///
/// # Errors
/// [`Refused`].
pub fn decide_unrecorded(world: World, asked: &Asked) -> Result<Answer, Refused> {
    let store = Store::new(world);
    let published = store.current();
    store.check_minimum(&asked.minimum_revision, &published)?;
    let now = now();
    let decision = Arc::new(authorize(&published.world, &asked.question, now)?);
    Ok(Answer { decision, id: name(), now, published, cache: CacheUse::Bypass })
}

/// A name for an answer: UUIDv7 (RFC 9562 §5.7). Names grow within a millisecond too, which takes the crate's shared
/// context for a few nanoseconds.
fn name() -> Uuid {
    Uuid::now_v7()
}

/// The wall clock, read once for each request or batch.
#[must_use]
pub fn now() -> Now {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Now(match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        // A clock that far off should at least not look like 1970, when nothing had expired.
        Err(before) => -millis(before.duration()),
    })
}

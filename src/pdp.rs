//! The one door: every transport asks here, and nothing else decides. Whatever is answered is recorded here, once.

mod asking;
mod batch;
mod check;
mod currency;
mod outcomes;
mod overload;
pub mod places;
mod placing;
pub mod rates;
mod recall;
mod recording;
mod refused;
mod remembering;
mod searching;
mod settling;
mod subject;
mod traced;
mod writing;

use std::net::IpAddr;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::audit::AuditLog;
use crate::audit::record::{CacheUse, Evidence, Mode, Surface};
use crate::engine::asserted::Properties;
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
use crate::store::replica::following::Following;
use crate::store::replica::lease::LeaseEnd;
use crate::store::{Published, Store};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::Trace;

pub use batch::{Batch, MAX_BATCH, Until};
pub use check::SampledCheck;
use overload::RecordBudget;
pub use overload::{RateLimited, Shed};
use places::{Bounds, Places};
use rates::Rates;
pub use refused::{Refused, RefusedCode};
pub use searching::{MAX_PAGE, SearchAnswer, SearchAsked, USUAL_PAGE, search_unrecorded};
pub use writing::{Unwritten, follower};

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
    following: Option<Arc<Following>>,
    places: Arc<Places>,
    rates: Option<Rates>,
    turned_away: RecordBudget,
}

/// A question, and what its caller says of it. Nothing but the question is an input of policies.
#[derive(Debug)]
pub struct Asked {
    /// The question.
    pub question: AuthzRequest,
    /// What it says of its parts besides naming them, in words that the schema need not have.
    pub properties: Option<Box<Properties>>,
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
    /// The address that it came from, if it came over a network.
    pub origin: Option<IpAddr>,
    /// The trace it belongs to, if that is recorded.
    pub trace: Option<Arc<Trace>>,
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
    /// Paths of what the question said that the schema has no place for, and no policy could read.
    pub left_out: Vec<String>,
}

impl From<AuthzRequest> for Asked {
    /// A question on the usual terms.
    fn from(question: AuthzRequest) -> Self {
        Self {
            question,
            properties: None,
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
        Self {
            store,
            audit,
            metrics,
            callers,
            subjects,
            check: None,
            verify_one_in: None,
            log: None,
            following: None,
            places: Places::within(Bounds::default()),
            rates: None,
            turned_away: RecordBudget::default(),
        }
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

    /// The same, which decides no more than so many questions at once.
    #[must_use]
    pub fn bounded(self, bounds: Bounds) -> Self {
        Self { places: Places::within(bounds), ..self }
    }

    /// The same, which holds callers to what they may ask in a second.
    #[must_use]
    pub fn rating(self, rates: Option<Rates>) -> Self {
        Self { rates, ..self }
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
        self.hold_to_rate(call, 1)?;
        let _place = self.place(call).await?;
        let mut room = self.room(1, call).await?;
        let mut current = LeaseEnd::EVER;
        let outcome = match self.with_subject(call, asked).await {
            Ok(asked) => {
                // No sooner: whatever was acknowledged while the request waited counts (W2).
                let (published, until) = self.served(call, &asked.minimum_revision).await;
                #[cfg(test)]
                let published = early.unwrap_or(published);
                current = until;
                self.answer(call, asked, &published, until, now())
            }
            Err(refusal) => Err(refusal),
        };
        let (answer, recording) = self.settle(call, outcome, &mut room)?;
        self.lasting(call, recording, current).await?;
        Ok(answer)
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
    begun: Instant,
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
        mut asked: Asked,
        published: &Arc<Published>,
        until: LeaseEnd,
        now: Now,
    ) -> Result<Decided, Refusal> {
        let begun = Instant::now();
        if until.is_over() {
            return Err(Refusal { refused: Refused::NotCurrent, asked: Some(Box::new(asked)) });
        }
        // Rights are held to all that a question asserts, and come before what is wrong with it.
        let placed = asked.place(&published.world);
        let entitled = self.entitled(call, &asked, &asked.question, published, now);
        let placed = entitled.and_then(|()| Ok(placed?));
        let decided = placed.and_then(|left_out| Ok((self.decide(&asked, published, now)?, left_out)));
        match decided {
            Err(refused) => Err(Refusal { refused, asked: Some(Box::new(asked)) }),
            // An Allow that comes too late is no Allow.
            Ok(_) if Instant::now() >= call.deadline => {
                Err(Refusal { refused: Refused::Late, asked: Some(Box::new(asked)) })
            }
            // Nor is one by what may have changed since.
            Ok(_) if until.is_over() => {
                Err(Refusal { refused: Refused::NotCurrent, asked: Some(Box::new(asked)) })
            }
            Ok(((decision, cache), left_out)) => {
                if let Some(check) = self.check.as_ref().filter(|check| check.is_due()) {
                    check.take(published, &asked.question, now, &decision);
                }
                let published = Arc::clone(published);
                let answer = Answer { decision, id: name(), now, published, cache, left_out };
                Ok(Decided { answer, asked, begun, latency: begun.elapsed() })
            }
        }
    }

    fn decide(
        &self,
        asked: &Asked,
        published: &Published,
        now: Now,
    ) -> Result<(Arc<Decision>, CacheUse), Refused> {
        self.reached(&asked.minimum_revision, published)?;
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
    Ok(Answer { decision, id: name(), now, published, cache: CacheUse::Bypass, left_out: Vec::new() })
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

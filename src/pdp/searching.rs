//! Searches: the question asked of every candidate, each as it would be asked alone, by the same caller.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use cedar_policy::EntityUid;
use serde_json::json;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{Asked, Call, Pdp, Refusal, Refused, name, now, traced};
use crate::audit::{Facts, Record, Recording, Room, SearchRecord};
use crate::engine::authorize::Now;
use crate::engine::digest;
use crate::engine::request::{AuthzRequest, InvalidRequest};
use crate::engine::search::{Bounds, Certainty, Found, MAX_EXAMINED, Page, Search, Sought, search};
use crate::engine::unknown::Unknown;
use crate::store::replica::lease::LeaseEnd;
use crate::store::{Published, Store};

/// Results on a page, where nobody says how many.
pub const USUAL_PAGE: usize = 100;
/// Most results on a page.
pub const MAX_PAGE: usize = 1_000;
/// For how long a page is worked on, before it is cut.
const MAX_WORK: Duration = Duration::from_secs(1);
/// How many searches are answered at once: each keeps a processor busy.
static SEARCHING: Semaphore = Semaphore::const_new(2);

/// A search, and what its caller says of it.
#[derive(Debug)]
pub struct SearchAsked {
    /// The question, and the terms it is asked on. Of the part that is searched for, the type counts and not the id; of an action
    /// neither. Nothing is remembered of it, and it is never explained.
    pub asked: Asked,
    /// What is searched for.
    pub sought: Sought,
    /// What of the context nobody knows yet; and a tool's arguments, where the question has none.
    pub unknown: Vec<String>,
    /// Whether whoever acts is asked about under every delegation that was given to it and by itself, and no delegation is shown.
    pub any_delegation: bool,
    /// Most results that are wanted at once; nought: [`USUAL_PAGE`].
    pub page_size: usize,
    /// From the page before, of the same search; empty: from the beginning.
    pub page_token: String,
}

/// Some of what was found.
#[derive(Debug)]
pub struct SearchAnswer {
    /// UUIDv7 of this answer.
    pub id: Uuid,
    /// When it was asked for.
    pub now: Now,
    /// The world that decided all of it.
    pub published: Arc<Published>,
    /// What was found, and what else became of the candidates.
    pub page: Page,
    /// Brings what is behind it; empty if there is nothing.
    pub next_page_token: String,
}

/// A search that was answered.
struct Searched {
    answer: SearchAnswer,
    asked: SearchAsked,
    /// Until when it may be given.
    until: LeaseEnd,
    latency: Duration,
}

impl Pdp {
    /// Searches for what a question would be allowed for. Every candidate is held to all that the question would be held to if
    /// its caller asked about it alone: rights, token, grants, suspensions, policies.
    ///
    /// # Errors
    /// [`Refused`]; it has been recorded. That nothing is found is an answer.
    pub async fn search(
        self: &Arc<Self>,
        call: &Call,
        asked: Result<SearchAsked, InvalidRequest>,
    ) -> Result<SearchAnswer, Refused> {
        self.hold_to_rate(call, 1)?;
        let _place = self.place(call).await?;
        let mut room = self.room(1, call).await?;
        let outcome = match self.with_searched(call, asked).await {
            Ok(asked) => self.searched(call, asked).await,
            Err(refusal) => Err(refusal),
        };
        let current = outcome.as_ref().map_or(LeaseEnd::EVER, |searched| searched.until);
        let (answer, recording) = self.settle_search(call, outcome, &mut room)?;
        self.lasting(call, recording, current).await?;
        Ok(answer)
    }

    /// The search, about whom its token names.
    async fn with_searched(
        &self,
        call: &Call,
        asked: Result<SearchAsked, InvalidRequest>,
    ) -> Result<SearchAsked, Refusal> {
        let refuse = |error: InvalidRequest| Refusal { refused: error.into(), asked: None };
        let searched = asked.map_err(refuse)?;
        if searched.asked.credentials.is_some() && matches!(searched.sought, Sought::Principals(_)) {
            let message = "name who acts: no other principal could be found";
            return Err(refuse(InvalidRequest::field("credentials", message)));
        }
        let asked = self.with_subject(call, Ok(searched.asked)).await?;
        Ok(SearchAsked { asked, ..searched })
    }

    async fn searched(self: &Arc<Self>, call: &Call, asked: SearchAsked) -> Result<Searched, Refusal> {
        let late =
            |asked: SearchAsked| Refusal { refused: Refused::Late, asked: Some(Box::new(asked.asked)) };
        let Ok(Ok(turn)) = tokio::time::timeout_at(call.deadline.into(), SEARCHING.acquire()).await else {
            return Err(late(asked));
        };
        // No sooner: whatever was acknowledged while the request waited counts (W2).
        let served = self.served(call, &asked.asked.minimum_revision).await;
        let (pdp, own) = (Arc::clone(self), call.clone());
        // Not on a thread that answers others.
        let searched = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            pdp.answer_search(&own, asked, served)
        });
        match searched.await {
            Ok(Ok(searched)) if Instant::now() >= call.deadline => Err(late(searched.asked)),
            Ok(searched) => searched,
            Err(_panic) => {
                self.metrics.panicked();
                Err(Refusal { refused: Refused::Internal, asked: None })
            }
        }
    }

    fn answer_search(
        &self,
        call: &Call,
        asked: SearchAsked,
        (published, until): (Arc<Published>, LeaseEnd),
    ) -> Result<Searched, Refusal> {
        let (started, now) = (Instant::now(), now());
        if until.is_over() {
            return Err(Refusal { refused: Refused::NotCurrent, asked: Some(Box::new(asked.asked)) });
        }
        let mut may_ask =
            |question: &AuthzRequest| self.entitled(call, &asked.asked, question, &published, now);
        // A defect in one search is that search's failure.
        let found = catch_unwind(AssertUnwindSafe(|| {
            let searching = Searching { store: &self.store, published: &published, now, asked: &asked };
            self.reached(&asked.asked.minimum_revision, &published)?;
            searching.page(call.deadline, &mut may_ask)
        }));
        let found = found.unwrap_or_else(|_panic| {
            self.metrics.panicked();
            Err(Refused::Internal)
        });
        match found {
            Ok(_) if until.is_over() => {
                Err(Refusal { refused: Refused::NotCurrent, asked: Some(Box::new(asked.asked)) })
            }
            Ok((page, next_page_token)) => {
                let answer = SearchAnswer { id: name(), now, published, page, next_page_token };
                Ok(Searched { answer, asked, until, latency: started.elapsed() })
            }
            Err(refused) => Err(Refusal { refused, asked: Some(Box::new(asked.asked)) }),
        }
    }

    /// Counts an outcome and records it. What cannot be recorded is not given.
    fn settle_search(
        &self,
        call: &Call,
        outcome: Result<Searched, Refusal>,
        room: &mut Room,
    ) -> Result<(SearchAnswer, Recording), Refused> {
        match outcome {
            Ok(Searched { answer, mut asked, latency, .. }) => {
                if let Some(trace) = &call.trace {
                    traced::note(&mut asked.asked.evidence, trace, trace.own());
                }
                let Page { found, examined, .. } = &answer.page;
                self.metrics.searches().answered(asked.sought.as_str(), found.len(), *examined, latency);
                let record = || Record::Search(Box::new(search_record(call, &answer, asked, latency)));
                let recording = room.record(false, record);
                let recording = recording.map_err(|_not_recorded| Refused::Unrecorded)?;
                Ok((answer, recording))
            }
            Err(refusal) => match self.settle(call, Err(refusal), room) {
                Err(refused) => Err(refused),
                // A refusal settles as one.
                Ok(_) => Err(Refused::Internal),
            },
        }
    }
}

/// A search, in the world that answers it.
struct Searching<'s> {
    store: &'s Store,
    published: &'s Published,
    now: Now,
    asked: &'s SearchAsked,
}

impl Searching<'_> {
    /// A page, and the token of the next one.
    fn page(
        &self,
        deadline: Instant,
        may_ask: &mut dyn FnMut(&AuthzRequest) -> Result<(), Refused>,
    ) -> Result<(Page, String), Refused> {
        let SearchAsked { asked, sought, unknown, any_delegation, page_size, page_token } = self.asked;
        self.store.check_minimum(&asked.minimum_revision, self.published)?;
        let question = asked.question.clone();
        let unknown = Unknown::arguments_and(unknown)?;
        let properties = asked.properties.clone();
        let any_delegation = *any_delegation;
        let searched = Search { question, sought: sought.clone(), unknown, properties, any_delegation };
        let list = searched.digest()?;
        let bounds =
            Bounds { after: self.after(&list, page_token)?, size: size(*page_size)?, examined: MAX_EXAMINED };
        let enough = enough(deadline);
        let mut lacking = None;
        let page = search(
            &self.published.world,
            &searched,
            &bounds,
            self.now,
            &mut |question| match may_ask(question) {
                Ok(()) => true,
                Err(refused) => {
                    lacking.get_or_insert(refused);
                    false
                }
            },
            &mut || Instant::now() < enough,
        );
        let page = match page {
            // In words that the schema need not have, nothing is found where it has none.
            Err(error) if asked.properties.is_some() && names_nothing(&error) => Page::default(),
            page => page?,
        };
        if page.examined == 0 {
            // Nothing is answered that its caller may not ask, not even that there is nothing.
            may_ask(&asked.question)?;
        }
        match (lacking, &page.refusal) {
            (Some(lacking @ Refused::Caller(_)), _) => return Err(lacking),
            (Some(lacking), _) if page.asked == 0 => return Err(lacking),
            (_, Some(refusal)) if page.refused == page.asked && bounds.after.is_none() => {
                return Err(refusal.clone().into());
            }
            _ => {}
        }
        let next = page.last.as_ref().map(|last| self.store.page_token(&list, last));
        Ok((page, next.unwrap_or_default()))
    }

    fn after(&self, list: &str, token: &str) -> Result<Option<EntityUid>, InvalidRequest> {
        if token.is_empty() {
            return Ok(None);
        }
        let after = self.store.page_after(list, token);
        after.map(Some).map_err(|error| InvalidRequest::field("page_token", error.to_string()))
    }
}

/// Whether a search could not be understood because the schema does not declare what it names.
fn names_nothing(error: &InvalidRequest) -> bool {
    matches!(error.field.as_str(), "action" | "principal.type" | "resource.type")
}

fn size(asked: usize) -> Result<usize, InvalidRequest> {
    match asked {
        0 => Ok(USUAL_PAGE),
        size if size <= MAX_PAGE => Ok(size),
        size => Err(InvalidRequest::field("page_size", format!("is {size}; the limit is {MAX_PAGE}"))),
    }
}

/// When a page is cut: before nobody waits for it any more, after three quarters of what is left; and before others have waited
/// long for a processor.
fn enough(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + (deadline.saturating_duration_since(now) * 3 / 4).min(MAX_WORK)
}

fn search_record(call: &Call, answer: &SearchAnswer, asked: SearchAsked, latency: Duration) -> SearchRecord {
    let SearchAsked { mut asked, sought, any_delegation, .. } = asked;
    let SearchAnswer { id, published, page, next_page_token, .. } = answer;
    // Where an action was asked about. What is searched for may have no place in it.
    let _placed = asked.place(&published.world);
    let Asked { question, evidence, .. } = asked;
    let generation = &published.world.generation;
    let possible = page.found.iter().filter(|found| found.certainty == Certainty::Possible);
    let name =
        |found: &Found| json!({"type": found.uid.type_name().to_string(), "id": found.uid.id().unescaped()});
    SearchRecord {
        id: *id,
        at: SystemTime::now(),
        surface: call.surface,
        caller: Arc::clone(call.caller.name()),
        request_id: call.request_id.clone(),
        revision: Arc::clone(&published.revision),
        generation: Arc::clone(&generation.hash),
        sought: sought.as_str(),
        action: generation.catalog.action_named(&question.action).ok().cloned(),
        request: question,
        any_delegation,
        facts: Facts::default(),
        token_digest: None,
        examined: page.examined,
        found: page.found.len(),
        possible: possible.count(),
        found_digest: digest::of_json(&page.found.iter().map(name).collect()).unwrap_or_default(),
        more: !next_page_token.is_empty(),
        latency,
        evidence,
    }
}

/// Searches in a store that nobody serves: for the command line. Leaves no record.
///
/// # Errors
/// [`Refused`].
pub fn search_unrecorded(
    store: &Store,
    asked: &SearchAsked,
    deadline: Instant,
) -> Result<SearchAnswer, Refused> {
    let (published, now) = (store.current(), now());
    let (page, next_page_token) =
        Searching { store, published: &published, now, asked }.page(deadline, &mut |_question| Ok(()))?;
    Ok(SearchAnswer { id: name(), now, published, page, next_page_token })
}

#[cfg(test)]
#[path = "searching_tests.rs"]
mod tests;

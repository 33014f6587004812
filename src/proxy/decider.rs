//! Who decides: a decision point in this process, or a server that is asked over gRPC. Both take and give the contract's
//! messages, so that nothing depends on which.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::unprocessed::is_unprocessed;
use crate::audit::record::Surface;
use crate::engine::datum::Reference;
use crate::identity::caller::Caller;
use crate::pdp::{Call, MAX_BATCH, Pdp, Refused};
use crate::server::pb::authorization_service_client::AuthorizationServiceClient;
use crate::server::pb::decision_log_service_client::DecisionLogServiceClient;
use crate::server::pb::search_service_client::SearchServiceClient;
use crate::server::{answer, outcomes, pb, search, status, wire};

/// Whoever decides.
#[derive(Debug)]
pub enum Decider {
    /// In this process.
    Embedded(Embedded),
    /// At a server.
    Remote(Box<Remote>),
}

/// A decision point in this process.
#[derive(Debug)]
pub struct Embedded {
    pdp: Arc<Pdp>,
    caller: Arc<Caller>,
    within: Duration,
}

type Decisions = AuthorizationServiceClient<Channel>;
type Searches = SearchServiceClient<Channel>;
type Outcomes = DecisionLogServiceClient<Channel>;

/// A server.
#[derive(Debug)]
pub struct Remote {
    decisions: Decisions,
    searches: Searches,
    outcomes: Outcomes,
    within: Duration,
}

/// A decision, or why there is none. Nothing but an Allow in an answer allows.
pub(super) type Answered = Result<pb::AuthorizeResponse, Status>;

impl Decider {
    /// Asks for one decision.
    pub(super) async fn authorize(&self, request: pb::AuthorizeRequest) -> Answered {
        match self {
            Self::Embedded(embedded) => embedded.authorize(request).await,
            Self::Remote(remote) => {
                let ask = |mut client: Decisions, request| async move { client.authorize(request).await };
                told(remote.within, &remote.decisions, &request, ask).await
            }
        }
    }

    /// Asks for many, in their order. What all have in common stands in `defaults`.
    pub(super) async fn authorize_all(
        &self,
        defaults: &pb::AuthorizeRequest,
        requests: Vec<pb::AuthorizeRequest>,
    ) -> Vec<Answered> {
        let mut answers = Vec::with_capacity(requests.len());
        for requests in requests.chunks(MAX_BATCH) {
            match self {
                Self::Embedded(embedded) => {
                    for request in requests {
                        answers.push(embedded.authorize(whole(defaults, request)).await);
                    }
                }
                Self::Remote(remote) => {
                    answers.extend(remote.batch(defaults.clone(), requests.to_vec()).await)
                }
            }
        }
        answers
    }

    /// Searches among resources, to the last page: the ids of those that are allowed, or could be once their arguments are known.
    pub(super) async fn search(&self, mut request: pb::SearchRequest) -> Result<HashSet<String>, Status> {
        let mut ids = HashSet::new();
        loop {
            let answer = match self {
                Self::Embedded(embedded) => embedded.search(request.clone()).await,
                Self::Remote(remote) => {
                    let ask = |mut client: Searches, page| async move { client.search_resources(page).await };
                    told(remote.within, &remote.searches, &request, ask).await
                }
            }?;
            ids.extend(answer.found.into_iter().filter(is_possible).filter_map(|found| Some(found.uid?.id)));
            // A page that does not go on would be asked for ever.
            if answer.next_page_token.is_empty() || answer.next_page_token == request.page_token {
                return Ok(ids);
            }
            request.page_token = answer.next_page_token;
        }
    }

    /// The typed action that decides calls of a tool, if there is one and it can be known here.
    pub(super) fn typed_action(&self, tool: &pb::EntityRef) -> Option<String> {
        let Self::Embedded(Embedded { pdp, .. }) = self else { return None };
        let published = pdp.current();
        let catalog = &published.world.generation.catalog;
        let uid = catalog.uid(&Reference::new(tool.r#type.as_str(), tool.id.as_str()), "resource").ok()?;
        Some(catalog.typed_action(&uid)?.uid.id().unescaped().to_owned())
    }

    /// Whether somebody else decides.
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Remote(_))
    }

    /// Tells what became of a decision.
    pub(super) async fn report(&self, report: pb::ReportOutcomeRequest) -> Result<(), Status> {
        match self {
            Self::Embedded(embedded) => embedded.report(report).await,
            Self::Remote(remote) => {
                let ask = |mut client: Outcomes, report| async move { client.report_outcome(report).await };
                told(remote.within + REPORTING, &remote.outcomes, &report, ask).await.map(drop)
            }
        }
    }
}

/// How much longer a report may take than a decision: the decision may be on its way to the log still.
const REPORTING: Duration = Duration::from_secs(5);

/// A certainty that is not known is none.
fn is_possible(found: &pb::Found) -> bool {
    matches!(found.certainty(), pb::Certainty::Certain | pb::Certainty::Possible)
}

/// A request with what all have in common.
fn whole(defaults: &pb::AuthorizeRequest, request: &pb::AuthorizeRequest) -> pb::AuthorizeRequest {
    let pb::AuthorizeRequest { credentials, .. } = defaults.clone();
    pb::AuthorizeRequest { credentials, ..request.clone() }
}

impl Embedded {
    /// Decisions are made, or refused, within this time.
    #[must_use]
    pub fn new(pdp: Arc<Pdp>, asker: &str, within: Duration) -> Self {
        Self { pdp, caller: Arc::new(Caller::anonymous(asker)), within }
    }

    fn call(&self, request_id: String, within: Duration) -> Call {
        let deadline = Instant::now() + within;
        let caller = Arc::clone(&self.caller);
        Call { caller, surface: Surface::Mcp, request_id, deadline, origin: None, trace: None }
    }

    async fn authorize(&self, mut request: pb::AuthorizeRequest) -> Answered {
        let call = self.call(std::mem::take(&mut request.request_id), self.within);
        let asked = wire::asked(request, &call.request_id, None);
        let answered = match timeout(self.within, self.pdp.authorize(&call, asked)).await {
            Ok(answered) => answered,
            Err(_late) => Err(self.pdp.refuse(&call, Refused::Late)),
        };
        let answered = answered.map_err(|refused| status::refused(&refused))?;
        Ok(answer::response(answered, call.request_id))
    }

    async fn search(&self, mut request: pb::SearchRequest) -> Result<pb::SearchResponse, Status> {
        let request_id = request.question.as_mut().map(|question| std::mem::take(&mut question.request_id));
        let call = self.call(request_id.unwrap_or_default(), self.within);
        let asked = search::asked(search::Kind::Resources, request, &call.request_id, None);
        let answer = self.pdp.search(&call, asked).await.map_err(|refused| status::refused(&refused))?;
        Ok(search::response(answer, call.request_id))
    }

    async fn report(&self, report: pb::ReportOutcomeRequest) -> Result<(), Status> {
        let call = self.call(String::new(), self.within + REPORTING);
        let reported = match outcomes::report(report) {
            Ok(report) => self.pdp.report_outcome(&call, report).await,
            Err(invalid) => Err(self.pdp.refuse(&call, invalid.into())),
        };
        reported.map(drop).map_err(|refused| status::refused(&refused))
    }
}

impl Remote {
    /// Decisions are made at the other end of this channel, and waited for this long.
    #[must_use]
    pub fn new(channel: Channel, within: Duration) -> Self {
        let decisions = AuthorizationServiceClient::new(channel.clone());
        let searches = SearchServiceClient::new(channel.clone());
        Self { decisions, searches, outcomes: DecisionLogServiceClient::new(channel), within }
    }

    async fn batch(
        &self,
        defaults: pb::AuthorizeRequest,
        requests: Vec<pb::AuthorizeRequest>,
    ) -> Vec<Answered> {
        let asked = requests.len();
        let batch = pb::AuthorizeBatchRequest { defaults: Some(defaults), requests };
        let ask = |mut client: Decisions, batch| async move { client.authorize_batch(batch).await };
        let answered = told(self.within, &self.decisions, &batch, ask).await;
        let results = match answered {
            Ok(answered) if answered.results.len() == asked => answered.results,
            Ok(_) => return vec![Err(Status::internal("the batch was not answered whole")); asked],
            Err(status) => return vec![Err(status); asked],
        };
        results.into_iter().map(|result| one(result.outcome)).collect()
    }
}

fn one(outcome: Option<pb::authorize_result::Outcome>) -> Answered {
    use pb::authorize_result::Outcome;
    match outcome {
        Some(Outcome::Response(answer)) => Ok(answer),
        Some(Outcome::Status(status)) => Err(Status::new(status.code.into(), status.message)),
        None => Err(Status::internal("an item was not answered")),
    }
}

/// Asks, and waits no longer than told, whether or not the server keeps to it. What nobody looked at is asked once more.
async fn told<C: Clone, M: Clone, A, F>(
    within: Duration,
    client: &C,
    message: &M,
    ask: impl Fn(C, Request<M>) -> F,
) -> Result<A, Status>
where
    F: Future<Output = Result<tonic::Response<A>, Status>>,
{
    let begun = Instant::now();
    let mut once_more = true;
    let asked = async {
        loop {
            let mut request = Request::new(message.clone());
            request.set_timeout(within.saturating_sub(begun.elapsed()));
            match ask(client.clone(), request).await {
                Err(status) if once_more && is_unprocessed(&status) => once_more = false,
                answered => return answered,
            }
        }
    };
    match timeout(within, asked).await {
        Ok(answered) => answered.map(tonic::Response::into_inner),
        Err(_late) => Err(Status::deadline_exceeded(format!("no answer within {within:?}"))),
    }
}

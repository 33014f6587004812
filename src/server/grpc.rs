//! `mandate.v1.AuthorizationService`, with health and reflection: the data listener.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tonic::server::NamedService as _;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::admission::Admission;
use super::call::{self, Entrance, Underway};
use super::connections::Leaving;
use super::outcomes::Outcomes;
use super::pb::authorization_service_server::{AuthorizationService, AuthorizationServiceServer};
use super::pb::decision_log_service_server::DecisionLogServiceServer;
use super::pb::search_service_server::SearchServiceServer;
use super::search::{self, Searches};
use super::stream::{Answers, Ends};
use super::{answer, ext_authz, pb, status, wire};
use crate::identity::credentials::Credentials;
use crate::identity::rights::Right;
use crate::pdp::{Call, Pdp, Refused};

/// Largest message that reports an outcome, in bytes.
const MAX_OUTCOME_BYTES: usize = 16 * 1024;

/// How often is looked whether this server may answer.
const LOOK: Duration = Duration::from_millis(50);

/// What reflection lists, whatever is configured.
const SERVICES: [&str; 4] = [
    "mandate.v1.AuthorizationService",
    "mandate.v1.DecisionLogService",
    "mandate.v1.SearchService",
    "grpc.health.v1.Health",
];

/// What this build does beyond the least of the contract.
const FEATURES: [&str; 12] = [
    "authorize",
    "authorize-batch",
    "authorize-stream",
    "decision-cache",
    "delegations",
    "explain",
    "minimum-revision",
    "observe",
    "outcomes",
    "request-entities",
    "search",
    "subject-tokens",
];

/// The service, over one decision point.
#[derive(Debug, Clone)]
pub struct Grpc {
    pdp: Arc<Pdp>,
    admission: Arc<Admission>,
    stopping: watch::Receiver<bool>,
}

/// Everything the data listener serves, Envoy's own service if there is something to serve it by. Streams end once
/// `stopping` holds.
///
/// # Errors
/// The descriptors of the contract are not ones reflection can serve: a defect of the build.
pub async fn router(
    entrance: Entrance,
    envoy: Option<ext_authz::Settings>,
    stopping: watch::Receiver<bool>,
) -> Result<(Router, Health), tonic_reflection::server::Error> {
    let Entrance { pdp, admission, .. } = entrance.clone();
    let (reporter, health) = tonic_health::server::health_reporter();
    let service = AuthorizationServiceServer::new(Grpc {
        pdp: Arc::clone(&pdp),
        admission: Arc::clone(&admission),
        stopping,
    })
    .max_decoding_message_size(admission.sizes().message_bytes);
    reporter.set_serving::<AuthorizationServiceServer<Grpc>>().await;
    let listed = SERVICES.into_iter().chain(envoy.is_some().then_some(ext_authz::SERVICE));
    let reflection = || {
        let all = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        listed.clone().fold(all, tonic_reflection::server::Builder::with_service_name)
    };
    let outcomes = DecisionLogServiceServer::new(Outcomes { pdp: Arc::clone(&pdp) })
        .max_decoding_message_size(MAX_OUTCOME_BYTES);
    let searches = SearchServiceServer::new(Searches { pdp: Arc::clone(&pdp) })
        .max_decoding_message_size(search::MAX_MESSAGE_BYTES);
    let envoy = envoy.map(|settings| ext_authz::service(Arc::clone(&pdp), settings));
    let mut routes = Routes::builder();
    routes
        .add_service(service)
        .add_service(outcomes)
        .add_service(searches)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    if let Some(envoy) = envoy {
        routes.add_service(envoy);
    }
    let attend = axum::middleware::from_fn_with_state(entrance, call::attend);
    Ok((routes.routes().into_axum_router().layer(attend), Health(reporter)))
}

/// What `grpc.health.v1.Health` says.
#[derive(Debug, Clone)]
pub struct Health(HealthReporter);

impl Health {
    /// Tells balancers whether this server may answer, for as long as this is polled: a follower may not always.
    pub async fn keep(&self, pdp: &Pdp) -> Infallible {
        let mut told = true;
        loop {
            let current = pdp.is_current();
            if current != told {
                self.set(current).await;
                told = current;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn set(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.0.set_service_status(AuthorizationServiceServer::<Grpc>::NAME, status).await;
        self.0.set_service_status("", status).await;
    }

    /// Tells balancers to send nobody here any more.
    pub async fn stop_serving(&self) {
        self.set(false).await;
    }
}

#[tonic::async_trait]
impl AuthorizationService for Grpc {
    async fn authorize(
        &self,
        request: Request<pb::AuthorizeRequest>,
    ) -> Result<Response<pb::AuthorizeResponse>, Status> {
        let underway = underway(&request)?;
        let traceparent = traceparent(&request);
        let mut message = request.into_inner();
        let call = underway.hand_over(std::mem::take(&mut message.request_id));
        let asked = wire::asked(message, &call.request_id, traceparent);
        let answer = self.pdp.authorize(&call, asked).await.map_err(|error| status::refused(&error))?;
        Ok(Response::new(answer::response(answer, call.request_id)))
    }

    async fn authorize_batch(
        &self,
        request: Request<pb::AuthorizeBatchRequest>,
    ) -> Result<Response<pb::AuthorizeBatchResponse>, Status> {
        let underway = underway(&request)?;
        let traceparent = traceparent(&request);
        let pb::AuthorizeBatchRequest { defaults, requests } = request.into_inner();
        let defaults = defaults.unwrap_or_default();
        let call = underway.hand_over(defaults.request_id.clone());
        let answered = self.batch(&call, &defaults, requests, traceparent).await;
        answered.map(Response::new).map_err(|error| status::refused(&error))
    }

    type AuthorizeStreamStream = tonic::codegen::BoxStream<pb::AuthorizeStreamResponse>;

    async fn authorize_stream(
        &self,
        request: Request<Streaming<pb::AuthorizeRequest>>,
    ) -> Result<Response<Self::AuthorizeStreamStream>, Status> {
        let underway = underway(&request)?;
        let traceparent = traceparent(&request);
        let leaving = request.extensions().get::<Leaving>().map(|Leaving(leaving)| leaving.clone());
        let ends = Ends { stopping: self.stopping.clone(), leaving };
        let (pdp, admission) = (Arc::clone(&self.pdp), Arc::clone(&self.admission));
        let answers = Answers::new(pdp, admission, underway, traceparent, request.into_inner(), ends);
        Ok(Response::new(answers.into_stream().boxed()))
    }

    async fn get_server_info(
        &self,
        request: Request<pb::GetServerInfoRequest>,
    ) -> Result<Response<pb::GetServerInfoResponse>, Status> {
        let callers = self.pdp.callers();
        let entitled = underway(&request)?.caller(callers).and_then(|caller| {
            let lacking = callers.may(&caller, &Right::ReadInfo);
            lacking.map_err(|lacking| Refused::NotEntitled(lacking.to_string()))
        });
        entitled.map_err(|error| status::refused(&error))?;
        let published = self.pdp.current();
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Ok(Response::new(pb::GetServerInfoResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: published.revision.to_string(),
            cedar_version: cedar_policy::get_lang_version().to_string(),
            policies: count(published.world.generation.policies.len()),
            entities: count(published.world.entities.len()),
            published_at: Some(published.at.into()),
            features: FEATURES.map(str::to_owned).to_vec(),
            generation: published.world.generation.hash.to_string(),
        }))
    }
}

impl Grpc {
    async fn batch(
        &self,
        call: &Call,
        defaults: &pb::AuthorizeRequest,
        requests: Vec<pb::AuthorizeRequest>,
        traceparent: Option<String>,
    ) -> Result<pb::AuthorizeBatchResponse, Refused> {
        let inherited = ("defaults", prost::Message::encoded_len(defaults));
        let checked = self.admission.sizes().check_batch(("requests", requests.len()), inherited);
        checked.map_err(|error| self.pdp.refuse(call, error.into()))?;
        // One item at a time takes what it inherits: a hundred copies of large defaults never stand side by side.
        let items = requests.into_iter().map(|item| {
            let request_id = wire::or_default(&item.request_id, &defaults.request_id).to_owned();
            let asked = wire::with_defaults(item, defaults)
                .and_then(|item| wire::asked(item, &request_id, traceparent.clone()));
            (request_id, asked)
        });
        let credentials = Credentials::shown(defaults.credentials.clone());
        let decided = self.pdp.authorize_batch(call, credentials.as_ref(), items).await?;
        let results = decided.answers.into_iter().map(|(request_id, answer)| {
            use pb::authorize_result::Outcome;
            let outcome = match answer {
                Ok(answer) => Outcome::Response(answer::response(answer, request_id)),
                Err(refused) => Outcome::Status(wire::item_status(&refused)),
            };
            pb::AuthorizeResult { outcome: Some(outcome) }
        });
        Ok(pb::AuthorizeBatchResponse {
            results: results.collect(),
            revision: decided.published.revision.to_string(),
        })
    }
}

pub(super) fn traceparent<T>(request: &Request<T>) -> Option<String> {
    wire::traceparent(request.metadata().get("traceparent").and_then(|value| value.to_str().ok()))
}

/// The call that brought a request.
pub(super) fn underway<T>(request: &Request<T>) -> Result<Arc<Underway>, Status> {
    let underway = request.extensions().get::<Arc<Underway>>();
    underway.cloned().ok_or_else(|| Status::internal("the call has no deadline"))
}

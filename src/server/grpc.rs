//! `mandate.v1.AuthorizationService`, with health and reflection: the data listener.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::deadline::{self, Deadline};
use super::pb::authorization_service_server::{AuthorizationService, AuthorizationServiceServer};
use super::{pb, protocol, status, wire};
use crate::engine::request::{AuthzRequest, InvalidRequest};
use crate::pdp::{Late, MAX_BATCH, MAX_BATCH_BYTES, Pdp};

/// Largest request message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// What this build does beyond the least of the contract.
const FEATURES: [&str; 4] = ["authorize", "authorize-batch", "explain", "request-entities"];

/// The service, over one decision point.
#[derive(Debug, Clone)]
pub struct Grpc {
    pdp: Arc<Pdp>,
}

/// Everything the data listener serves.
///
/// # Errors
/// The descriptors of the contract are not ones reflection can serve: a defect of the build.
pub async fn router(pdp: Arc<Pdp>) -> Result<Router, tonic_reflection::server::Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let service = AuthorizationServiceServer::new(Grpc { pdp }).max_decoding_message_size(MAX_MESSAGE_BYTES);
    reporter.set_serving::<AuthorizationServiceServer<Grpc>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("mandate.v1.AuthorizationService")
            .with_service_name("grpc.health.v1.Health")
    };
    let routes = Routes::new(service)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    let deadline = axum::middleware::from_fn(deadline::enforce);
    let protocol = axum::middleware::from_fn(protocol::require_grpc);
    Ok(routes.into_axum_router().layer(deadline).layer(protocol))
}

#[tonic::async_trait]
impl AuthorizationService for Grpc {
    async fn authorize(
        &self,
        request: Request<pb::AuthorizeRequest>,
    ) -> Result<Response<pb::AuthorizeResponse>, Status> {
        check_deadline(&request)?;
        let wire = request.into_inner();
        let request_id = wire.request_id.clone();
        let answer = AuthzRequest::try_from(wire)
            .and_then(|request| self.pdp.authorize(&request))
            .map_err(|error| status::invalid(&error))?;
        Ok(Response::new(wire::response(answer, request_id)))
    }

    async fn authorize_batch(
        &self,
        request: Request<pb::AuthorizeBatchRequest>,
    ) -> Result<Response<pb::AuthorizeBatchResponse>, Status> {
        let deadline = check_deadline(&request)?;
        let pb::AuthorizeBatchRequest { defaults, requests } = request.into_inner();
        let defaults = defaults.unwrap_or_default();
        check_batch(&defaults, requests.len()).map_err(|error| status::invalid(&error))?;
        let own_or_default = |id: &String| if id.is_empty() { &defaults.request_id } else { id }.clone();
        let ids: Vec<_> = requests.iter().map(|item| own_or_default(&item.request_id)).collect();
        // One item at a time takes what it inherits: a hundred copies of large defaults never stand side by side.
        let items = requests
            .into_iter()
            .map(|item| wire::with_defaults(item, &defaults).and_then(AuthzRequest::try_from));
        let answers =
            self.pdp.authorize_batch(items, deadline).map_err(|Late| status::deadline_exceeded())?;
        let results = answers.into_iter().zip(ids).map(|(answer, request_id)| {
            use pb::authorize_result::Outcome;
            let outcome = match answer {
                Ok(answer) => Outcome::Response(wire::response(answer, request_id)),
                Err(error) => Outcome::Status(wire::item_status(&error)),
            };
            pb::AuthorizeResult { outcome: Some(outcome) }
        });
        let response = pb::AuthorizeBatchResponse { results: results.collect(), revision: String::new() };
        Ok(Response::new(response))
    }

    type AuthorizeStreamStream = tonic::codegen::BoxStream<pb::AuthorizeStreamResponse>;

    async fn authorize_stream(
        &self,
        _request: Request<Streaming<pb::AuthorizeRequest>>,
    ) -> Result<Response<Self::AuthorizeStreamStream>, Status> {
        Err(Status::unimplemented(
            "this build answers Authorize and AuthorizeBatch; AuthorizeStream comes later",
        ))
    }

    async fn get_server_info(
        &self,
        _request: Request<pb::GetServerInfoRequest>,
    ) -> Result<Response<pb::GetServerInfoResponse>, Status> {
        let published = self.pdp.current();
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Ok(Response::new(pb::GetServerInfoResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: String::new(),
            cedar_version: cedar_policy::get_lang_version().to_string(),
            policies: count(published.world.generation.policies.len()),
            entities: count(published.world.stored),
            published_at: Some(published.at.into()),
            features: FEATURES.map(str::to_owned).to_vec(),
            generation: published.world.generation.hash.clone(),
        }))
    }
}

/// When the call's answer stops being of use, if it has not yet.
fn check_deadline<T>(request: &Request<T>) -> Result<Instant, Status> {
    match request.extensions().get::<Deadline>() {
        Some(deadline) => deadline.check(),
        None => Err(Status::internal("the call has no deadline")),
    }
}

fn check_batch(defaults: &pb::AuthorizeRequest, items: usize) -> Result<(), InvalidRequest> {
    if items > MAX_BATCH {
        return Err(InvalidRequest::field(
            "requests",
            format!("has {items} items; the limit is {MAX_BATCH}"),
        ));
    }
    let inherited = prost::Message::encoded_len(defaults).saturating_mul(items);
    if inherited > MAX_BATCH_BYTES {
        let message = format!("come to {inherited} bytes over all items; the limit is {MAX_BATCH_BYTES}");
        return Err(InvalidRequest::field("defaults", message));
    }
    wire::check_honoured(defaults).map_err(|error| error.inside("defaults"))
}

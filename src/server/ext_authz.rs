//! Envoy's `ext_authz` (v3): may this HTTP request go to its upstream?
//!
//! In reading order: `settings` and `route` are what the operator says; `fields`, `target`, `body` and `mcp` what
//! the request says, and what of it nobody decides on; `principal` is who acts; `reading` makes the question of it, and
//! `reply` the answer. What is decided is decided where all doors ask.

mod body;
mod fields;
mod mcp;
mod principal;
mod reading;
mod refusal;
mod reply;
mod route;
mod settings;
mod target;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response as HttpResponse, header};
use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::envoy::auth::authorization_server::{Authorization, AuthorizationServer};
use super::envoy::auth::{CheckRequest, CheckResponse};
use super::grpc;
use crate::audit::outcome::{Outcome, Report};
use crate::pdp::{Answer, Call, Pdp, Refused};
use reading::Reading;
pub use settings::{PrincipalSource, Protocol, Settings};

/// Where `Check` is served.
pub(super) const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// The service's name, for reflection.
pub(super) const SERVICE: &str = "envoy.service.auth.v3.Authorization";

/// Largest message of Envoy's, in bytes. More than any body that is decided on: that a body is too long is an answer.
const MAX_CHECK_BYTES: usize = 2 * 1024 * 1024;

/// The service, over one decision point.
#[derive(Debug, Clone)]
pub(super) struct ExtAuthz {
    pdp: Arc<Pdp>,
    settings: Arc<Settings>,
}

/// The service, to be added to the data listener.
pub(super) fn service(pdp: Arc<Pdp>, settings: Settings) -> AuthorizationServer<ExtAuthz> {
    let limit = MAX_CHECK_BYTES.max(2 * settings.max_body_bytes);
    let service = ExtAuthz { pdp, settings: Arc::new(settings) };
    AuthorizationServer::new(service).max_decoding_message_size(limit)
}

/// The answer to a `Check` that is turned away unread: a denial, as of any other. (gRPC over HTTP/2, "Responses".)
pub(super) fn turned_away(refused: &Refused) -> HttpResponse<Body> {
    let mut response =
        HttpResponse::new(Body::new(Full::new(framed(&reply::unread(refused))).with_trailers(
            std::future::ready(Some(Ok(HeaderMap::from_iter([(
                header::HeaderName::from_static("grpc-status"),
                HeaderValue::from_static("0"),
            )])))),
        )));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// A message with the five bytes before it that say that it is not compressed, and how long it is.
fn framed(message: &CheckResponse) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(5 + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    bytes.put_slice(&message.encode_to_vec());
    bytes.freeze()
}

#[tonic::async_trait]
impl Authorization for ExtAuthz {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let underway = grpc::underway(&request)?;
        let attributes = request.into_inner().attributes.unwrap_or_default();
        let published = self.pdp.current();
        let Reading { request_id, voice, spoofed, asked } =
            Reading::of(&self.settings, &published.world, attributes);
        drop(published);
        let call = underway.hand_over(request_id);
        let response = match asked {
            Err(refusal) => {
                let refused = self.pdp.refuse(&call, refusal.refused());
                reply::refused(&refusal, &refused, &voice)
            }
            Ok(asked) => match self.pdp.authorize(&call, Ok(asked)).await {
                Ok(answer) => {
                    self.report_unfulfilled(&call, &answer);
                    reply::decided(&answer, &voice, spoofed)
                }
                Err(refused) => reply::undecided(&refused, &voice),
            },
        };
        Ok(Response::new(response))
    }
}

impl ExtAuthz {
    /// Envoy can fulfil no obligation, so an Allow with one is not acted on (C15): the log is told, as by any enforcement
    /// point that does not act.
    fn report_unfulfilled(&self, call: &Call, answer: &Answer) {
        let Some((policy, obligation)) = answer.decision.obligations().next() else { return };
        let detail = format!("obligation `{}` of policy `{}` cannot be fulfilled", obligation.id, policy.id);
        let report = Report {
            of: answer.id,
            outcome: Outcome::Blocked,
            input_digest: String::new(),
            result_digest: String::new(),
            detail,
        };
        let (pdp, call) = (Arc::clone(&self.pdp), call.clone());
        // Envoy does not wait for it. What comes of it is in the record.
        tokio::spawn(async move { drop(pdp.report_outcome(&call, report).await) });
    }
}

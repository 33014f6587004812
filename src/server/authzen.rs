//! AuthZEN 1.0 `POST /access/v1/evaluation` over HTTP and JSON (OpenID Authorization API 1.0), and `GET /healthz`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::json;

use super::grpc::MAX_MESSAGE_BYTES;
use super::status;
use crate::engine::datum::{Datum, Reference};
use crate::engine::decision::Effect;
use crate::engine::request::{AuthzRequest, InvalidRequest};
use crate::pdp::{Answer, Pdp};

/// Most bytes of a body over the limit that are read all the same.
const MAX_DISCARDED_BYTES: usize = 8 * MAX_MESSAGE_BYTES;

/// Longest time for a body to arrive.
const MAX_READ: Duration = Duration::from_secs(10);

/// Echoed as it came (AuthZEN §"Request Identification").
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Everything the HTTP listener serves.
pub fn router(pdp: Arc<Pdp>) -> Router {
    Router::new()
        .route("/access/v1/evaluation", post(evaluation))
        .route("/healthz", get(|| async { "ok" }))
        .with_state(pdp)
}

/// The request's members this build reads; others are ignored, as AuthZEN demands.
#[derive(Deserialize)]
struct Evaluation {
    subject: Option<Named>,
    action: Option<Action>,
    resource: Option<Named>,
    context: Option<Datum>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "type")]
    type_name: Option<String>,
    id: Option<String>,
    properties: Option<Datum>,
}

#[derive(Deserialize)]
struct Action {
    name: Option<String>,
    properties: Option<Datum>,
}

/// Why there is no decision: a status and a sentence.
struct Refusal(StatusCode, String);

impl From<InvalidRequest> for Refusal {
    fn from(error: InvalidRequest) -> Self {
        Self(status::invalid_http(&error), error.to_string())
    }
}

async fn evaluation(State(pdp): State<Arc<Pdp>>, request: Request) -> Response {
    let request_id = request.headers().get(REQUEST_ID).cloned();
    let mut response = match evaluate(&pdp, request).await {
        Ok(answer) => (StatusCode::OK, as_json(&body(&answer))).into_response(),
        Err(Refusal(status, message)) => (status, as_json(&json!(message))).into_response(),
    };
    if let Some(request_id) = request_id {
        response.headers_mut().insert(REQUEST_ID, request_id);
    }
    response
}

async fn evaluate(pdp: &Pdp, request: Request) -> Result<Answer, Refusal> {
    check_content_type(request.headers())?;
    let reading = tokio::time::timeout(MAX_READ, read(request.into_body()));
    let late = |_| Refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive".to_owned());
    let bytes = reading.await.map_err(late)??;
    let malformed =
        |error| Refusal(StatusCode::BAD_REQUEST, format!("the body is not an AuthZEN request: {error}"));
    // Read whole first: a second member of the same name is refused wherever it stands (I-JSON).
    check_objects(&serde_json::from_slice(&bytes).map_err(malformed)?)?;
    let evaluation: Evaluation = serde_json::from_slice(&bytes).map_err(malformed)?;
    let request = AuthzRequest::try_from(evaluation)?;
    Ok(pdp.authorize(&request)?)
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Refusal(StatusCode::BAD_REQUEST, "the content type must be application/json".to_owned()))
}

/// The body, if it keeps to the limit. What is over it is read and forgotten for a while: a caller that is still sending
/// would otherwise lose the answer that says why.
async fn read(mut body: Body) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let mut size = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        size += data.len();
        if size <= MAX_MESSAGE_BYTES {
            bytes.extend_from_slice(&data);
        } else if size > MAX_DISCARDED_BYTES {
            break;
        }
    }
    if size <= MAX_MESSAGE_BYTES {
        return Ok(bytes);
    }
    let message = format!("the body is over the limit of {MAX_MESSAGE_BYTES} bytes: it has {size} or more");
    Err(Refusal(StatusCode::BAD_REQUEST, message))
}

impl TryFrom<Evaluation> for AuthzRequest {
    type Error = InvalidRequest;

    fn try_from(evaluation: Evaluation) -> Result<Self, InvalidRequest> {
        let subject = named(evaluation.subject, "subject")?;
        let resource = named(evaluation.resource, "resource")?;
        let action = evaluation.action.ok_or_else(|| missing("action"))?;
        let name = action.name.ok_or_else(|| missing("action.name"))?;
        // An empty type is the default namespace's `Action`.
        let mut request = Self::new(subject, Reference::new("", name), resource);
        request.arguments = arguments(action.properties)?;
        request.context = match evaluation.context {
            None | Some(Datum::Null) => Vec::new(),
            Some(Datum::Record(members)) => members,
            Some(other) => {
                let message = format!("must be an object; it is {}", other.kind());
                return Err(InvalidRequest::field("context", message));
            }
        };
        Ok(request)
    }
}

/// The reader below would take a list for an object.
fn check_objects(body: &Datum) -> Result<(), InvalidRequest> {
    let parts = ["subject", "action", "resource"].map(|name| (name, body.member(name)));
    for (name, part) in [("the body", Some(body))].into_iter().chain(parts) {
        if let Some(part) = part.filter(|part| !matches!(part, Datum::Record(_) | Datum::Null)) {
            return Err(InvalidRequest::field(name, format!("must be an object; it is {}", part.kind())));
        }
    }
    Ok(())
}

fn named(named: Option<Named>, field: &str) -> Result<Reference, InvalidRequest> {
    let named = named.ok_or_else(|| missing(field))?;
    let part = |name| format!("{field}.{name}");
    if !is_empty(named.properties.as_ref()) {
        return Err(InvalidRequest::not_honoured(part("properties")));
    }
    Ok(Reference {
        type_name: named.type_name.ok_or_else(|| missing(&part("type")))?,
        id: named.id.ok_or_else(|| missing(&part("id")))?,
    })
}

/// A tool call's arguments stand in `action.properties.arguments`; no other property of an action is honoured.
fn arguments(properties: Option<Datum>) -> Result<Option<Datum>, InvalidRequest> {
    let Some(Datum::Record(members)) = properties else {
        return if is_empty(properties.as_ref()) {
            Ok(None)
        } else {
            Err(InvalidRequest::not_honoured("action.properties"))
        };
    };
    let mut arguments = None;
    for (name, value) in members {
        match (name.as_str(), value) {
            (_, Datum::Null) => {}
            ("arguments", value) => arguments = Some(value),
            (name, _) => return Err(InvalidRequest::not_honoured(format!("action.properties.{name}"))),
        }
    }
    Ok(arguments)
}

fn is_empty(properties: Option<&Datum>) -> bool {
    match properties {
        None | Some(Datum::Null) => true,
        Some(Datum::Record(members)) => members.is_empty(),
        Some(_) => false,
    }
}

fn missing(field: &str) -> InvalidRequest {
    InvalidRequest::field(field, "is required")
}

/// `decision`, and in `context` what a person and a log need.
fn body(answer: &Answer) -> serde_json::Value {
    let decision = &answer.decision;
    let mut context = json!({
        "decision_id": answer.id.to_string(),
        "generation": answer.generation,
        "policies": decision.determining.iter().map(|policy| policy.id.as_str()).collect::<Vec<_>>(),
    });
    if let (Some(denial), Some(members)) = (&decision.denial, context.as_object_mut()) {
        members.insert("reason".to_owned(), json!({"code": denial.code.as_str(), "message": denial.message}));
    }
    json!({ "decision": decision.effect == Effect::Allow, "context": context })
}

fn as_json(value: &serde_json::Value) -> ([(HeaderName, HeaderValue); 1], String) {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], value.to_string())
}

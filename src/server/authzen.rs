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
    let request = question(serde_json::from_slice(&bytes).map_err(malformed)?)?;
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

/// The question an evaluation request asks. Members that AuthZEN does not name are ignored, as it demands; a null
/// member is an absent one.
fn question(body: Datum) -> Result<AuthzRequest, InvalidRequest> {
    let mut body = object(Some(body), "the body")?.ok_or_else(|| missing("the body"))?;
    let subject = named(&mut body, "subject")?;
    let resource = named(&mut body, "resource")?;
    let mut action = object(take(&mut body, "action"), "action")?.ok_or_else(|| missing("action"))?;
    let name = text(&mut action, "action", "name")?;
    // An empty type is the default namespace's `Action`.
    let mut request = AuthzRequest::new(subject, Reference::new("", name), resource);
    request.arguments = arguments(take(&mut action, "properties"))?;
    request.context = object(take(&mut body, "context"), "context")?.unwrap_or_default();
    Ok(request)
}

type Members = Vec<(String, Datum)>;

/// Takes a member out of an object; none if it is absent or null.
fn take(members: &mut Members, name: &str) -> Option<Datum> {
    let at = members.iter().position(|(member, _)| member == name)?;
    Some(members.swap_remove(at).1).filter(|value| *value != Datum::Null)
}

fn object(value: Option<Datum>, field: &str) -> Result<Option<Members>, InvalidRequest> {
    match value {
        None | Some(Datum::Null) => Ok(None),
        Some(Datum::Record(members)) => Ok(Some(members)),
        Some(other) => {
            Err(InvalidRequest::field(field, format!("must be an object; it is {}", other.kind())))
        }
    }
}

fn text(members: &mut Members, owner: &str, name: &str) -> Result<String, InvalidRequest> {
    let field = format!("{owner}.{name}");
    match take(members, name) {
        None => Err(missing(&field)),
        Some(Datum::String(text)) => Ok(text),
        Some(other) => Err(InvalidRequest::field(field, format!("must be a string; it is {}", other.kind()))),
    }
}

fn named(body: &mut Members, field: &str) -> Result<Reference, InvalidRequest> {
    let mut named = object(take(body, field), field)?.ok_or_else(|| missing(field))?;
    if !is_empty(take(&mut named, "properties").as_ref()) {
        return Err(InvalidRequest::not_honoured(format!("{field}.properties")));
    }
    Ok(Reference { type_name: text(&mut named, field, "type")?, id: text(&mut named, field, "id")? })
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

//! AuthZEN 1.0 `POST /access/v1/evaluation` over HTTP and JSON (OpenID Authorization API 1.0), and `GET /healthz`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cedar_policy::EntityUid;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use serde_json::json;

use super::grpc::MAX_MESSAGE_BYTES;
use super::identified::{Identified, nobody};
use super::{status, terms, wire};
use crate::audit::record::{Evidence, Surface};
use crate::engine::datum::{Datum, Reference};
use crate::engine::decision::{Effect, GrantName, HopOutcome};
use crate::engine::request::{AuthzRequest, InvalidRequest};
use crate::identity::credentials::Credentials;
use crate::pdp::{Answer, Asked, Call, Pdp, Refused};

/// Most bytes of a body over the limit that are read all the same.
const MAX_DISCARDED_BYTES: usize = 8 * MAX_MESSAGE_BYTES;

/// Longest time for a body that nobody reads.
const MAX_FORGETTING: Duration = Duration::from_secs(1);

/// Longest time for a body to arrive.
const MAX_READ: Duration = Duration::from_secs(10);

/// What a caller of whom nobody knows who it is is told to show (AuthZEN 1.0, "Error Responses"; RFC 9110 §11.6.1).
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"mandate\"");

/// Echoed as it came (AuthZEN §"Request Identification").
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A bearer token of the subject. Not `Authorization`, which is the caller's own, nor in the body, which is logged and kept
/// as tokens must not be.
const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("mandate-subject-token");

/// Everything the HTTP listener serves.
pub fn router(pdp: Arc<Pdp>) -> Router {
    Router::new()
        .route("/access/v1/evaluation", post(evaluation))
        .route("/healthz", get(|| async { "ok" }))
        .with_state(pdp)
}

/// Longest time for an answer, once the body is there.
const MAX_CALL: Duration = Duration::from_secs(30);

async fn evaluation(State(pdp): State<Arc<Pdp>>, request: Request) -> Response {
    let request_id = request.headers().get(REQUEST_ID).cloned();
    let (head, unread) = request.into_parts();
    let identified =
        Identified::of(pdp.callers(), &head).await.map(|identified| Arc::clone(identified.caller()));
    let request = Request::from_parts(head, unread);
    let call = Call {
        caller: identified.as_ref().map_or_else(|_unknown| nobody(), Arc::clone),
        surface: Surface::Authzen,
        request_id: text_of(request_id.as_ref()),
        deadline: Instant::now() + MAX_READ + MAX_CALL,
    };
    let evaluated = async {
        match identified {
            Ok(_caller) => evaluate(&pdp, &call, request).await,
            Err(refused) => {
                let refused = pdp.refuse(&call, refused);
                forget(request.into_body()).await;
                Err(refused)
            }
        }
    };
    let evaluated = AssertUnwindSafe(evaluated).catch_unwind().await;
    let evaluated = evaluated.unwrap_or_else(|_panic| {
        pdp.panicked();
        Err(pdp.refuse(&call, Refused::Internal))
    });
    let mut response = match evaluated {
        Ok(answer) => (StatusCode::OK, as_json(&body(&answer))).into_response(),
        Err(refused) => {
            let mut response = (status::http(&refused), as_json(&json!(refused.to_string()))).into_response();
            if let Refused::Caller(_) = refused {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
            }
            response
        }
    };
    if let Some(request_id) = request_id {
        response.headers_mut().insert(REQUEST_ID, request_id);
    }
    response
}

async fn evaluate(pdp: &Pdp, call: &Call, request: Request) -> Result<Answer, Refused> {
    let traceparent =
        wire::traceparent(request.headers().get("traceparent").and_then(|value| value.to_str().ok()));
    let (credentials, body) = match subject_token(request.headers()) {
        Ok(credentials) => (credentials, body_of(request).await),
        Err(refused) => (None, Err(refused)),
    };
    let body = match body {
        Ok(body) => body,
        Err(refused) => return Err(pdp.refuse(call, refused)),
    };
    let asked = question(body).map(|question| Asked {
        credentials,
        evidence: traceparent.map(|traceparent| Box::new(Evidence { traceparent, ..Evidence::default() })),
        ..Asked::from(question)
    });
    pdp.authorize(call, asked).await
}

/// The subject's token, if there is one.
fn subject_token(headers: &HeaderMap) -> Result<Option<Credentials>, Refused> {
    let mut tokens = headers.get_all(SUBJECT_TOKEN).into_iter();
    match (tokens.next(), tokens.next()) {
        (None, _) => Ok(None),
        (Some(token), None) => {
            match token.to_str().ok().and_then(|token| Credentials::shown(token.to_owned())) {
                Some(token) => Ok(Some(token)),
                None => Err(Refused::SubjectToken(format!("`{SUBJECT_TOKEN}` is empty, or no text"))),
            }
        }
        (Some(_), Some(_)) => Err(Refused::SubjectToken(format!("`{SUBJECT_TOKEN}` stands twice"))),
    }
}

/// The caller's own id of the request, as far as it is text of a reasonable length.
fn text_of(request_id: Option<&HeaderValue>) -> String {
    let text = request_id.and_then(|id| id.to_str().ok()).unwrap_or_default();
    if wire::check_length("x-request-id", text).is_ok() { text.to_owned() } else { String::new() }
}

async fn body_of(request: Request) -> Result<Datum, Refused> {
    check_content_type(request.headers())?;
    let late = |_| Refused::Unreadable("the body took too long to arrive".to_owned());
    let bytes = tokio::time::timeout(MAX_READ, read(request.into_body())).await.map_err(late)??;
    serde_json::from_slice(&bytes)
        .map_err(|error| Refused::Unreadable(format!("the body is not an AuthZEN request: {error}")))
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Refused> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Refused::Unreadable("the content type must be application/json".to_owned()))
}

/// The body, if it keeps to the limit. What is over it is read and forgotten for a while: a caller that is still sending
/// would otherwise lose the answer that says why.
async fn read(mut body: Body) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    let mut size = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refused::Unreadable(error.to_string()))?;
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
    Err(Refused::Unreadable(format!(
        "the body is over the limit of {MAX_MESSAGE_BYTES} bytes: it has {size} or more"
    )))
}

/// Lets a body of the usual size go by, unread: whoever still sends it would otherwise lose the answer.
async fn forget(mut body: Body) {
    let passing = async {
        let mut size = 0_usize;
        while let Some(Ok(frame)) = body.frame().await {
            size += frame.data_ref().map_or(0, |data| data.len());
            if size > MAX_MESSAGE_BYTES {
                return;
            }
        }
    };
    drop(tokio::time::timeout(MAX_FORGETTING, passing).await);
}

/// The question an evaluation request asks. Members that AuthZEN does not name are ignored, as it demands; a null
/// member is an absent one.
fn question(body: Datum) -> Result<AuthzRequest, InvalidRequest> {
    let mut body = object(Some(body), "the body")?.ok_or_else(|| missing("the body"))?;
    let (subject, properties) = named(&mut body, "subject")?;
    let (resource, none) = named(&mut body, "resource")?;
    only(none, "resource", None)?;
    let mut action = object(take(&mut body, "action"), "action")?.ok_or_else(|| missing("action"))?;
    let name = text(&mut action, "action", "name")?;
    // An empty type is the default namespace's `Action`.
    let mut request = AuthzRequest::new(subject, Reference::new("", name), resource);
    request.arguments = only(take(&mut action, "properties"), "action", Some("arguments"))?;
    request.delegations = delegations(only(properties, "subject", Some("delegations"))?)?;
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

/// What a part of the question names, and the part's properties.
fn named(body: &mut Members, field: &str) -> Result<(Reference, Option<Datum>), InvalidRequest> {
    let mut named = object(take(body, field), field)?.ok_or_else(|| missing(field))?;
    let properties = take(&mut named, "properties");
    Ok((reference(&mut named, field)?, properties))
}

fn reference(members: &mut Members, field: &str) -> Result<Reference, InvalidRequest> {
    Ok(Reference { type_name: text(members, field, "type")?, id: text(members, field, "id")? })
}

/// The delegations that a subject shows, the leaf last: `{type, id}` each.
fn delegations(shown: Option<Datum>) -> Result<Vec<Reference>, InvalidRequest> {
    const FIELD: &str = "subject.properties.delegations";
    let elements = match shown {
        None => return Ok(Vec::new()),
        Some(Datum::List(elements)) => elements,
        Some(other) => {
            return Err(InvalidRequest::field(FIELD, format!("must be a list; it is {}", other.kind())));
        }
    };
    let element = |(index, element)| {
        let field = format!("{FIELD}[{index}]");
        let mut members = object(Some(element), &field)?.ok_or_else(|| missing(&field))?;
        reference(&mut members, &field)
    };
    elements.into_iter().enumerate().map(element).collect()
}

/// The one property of a part that is honoured, if it has it: a tool call's arguments stand in
/// `action.properties.arguments`, the subject's delegations in `subject.properties.delegations`.
fn only(
    properties: Option<Datum>,
    part: &str,
    honoured: Option<&str>,
) -> Result<Option<Datum>, InvalidRequest> {
    let Some(Datum::Record(members)) = properties else {
        return if is_empty(properties.as_ref()) {
            Ok(None)
        } else {
            Err(InvalidRequest::not_honoured(format!("{part}.properties")))
        };
    };
    let mut found = None;
    for (name, value) in members.into_iter().filter(|(_, value)| *value != Datum::Null) {
        if honoured != Some(name.as_str()) {
            return Err(InvalidRequest::not_honoured(format!("{part}.properties.{name}")));
        }
        found = Some(value);
    }
    Ok(found)
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
        "generation": answer.published.world.generation.hash.as_ref(),
        "revision": answer.published.revision.as_ref(),
        "policies": decision.determining.iter().map(|policy| policy.id.as_str()).collect::<Vec<_>>(),
    });
    if let Some(members) = context.as_object_mut() {
        if let Some(denial) = &decision.denial {
            let reason = json!({"code": denial.code.as_str(), "message": denial.message});
            members.insert("reason".to_owned(), reason);
        }
        if !decision.hops.is_empty() {
            members.insert("chain".to_owned(), decision.hops.iter().map(hop).collect());
        }
        let terms = terms::members(decision, answer.now);
        members.extend(terms.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    json!({ "decision": decision.effect == Effect::Allow, "context": context })
}

/// One principal of a chain.
fn hop(hop: &HopOutcome) -> serde_json::Value {
    let named = |uid: &EntityUid| json!({"type": uid.type_name().to_string(), "id": uid.id().unescaped()});
    json!({
        "principal": named(&hop.decision.principal),
        "role": hop.role.as_str(),
        "grant": hop.grant.as_ref().and_then(GrantName::stored).map(named),
        "decision": hop.decision.effect == Effect::Allow,
    })
}

fn as_json(value: &serde_json::Value) -> ([(HeaderName, HeaderValue); 1], String) {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], value.to_string())
}

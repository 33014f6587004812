//! Answers that are no decisions ("Error Responses"): a status, and a body that is one JSON string.

use std::borrow::Cow;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::pdp::Refused;
use crate::server::status;

/// What a caller of whom nobody knows who it is is told to show (RFC 9110 §11.6.1).
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"mandate\"");

/// Paths of refusals, and what they are in AuthZEN's words.
const WRITTEN: [(&str, &str); 9] = [
    ("context.asserted.subject", "subject.properties"),
    ("context.asserted.action", "action.properties"),
    ("context.asserted.resource", "resource.properties"),
    ("entities[0].attributes", "resource.properties"),
    ("arguments", "action.properties.arguments"),
    ("delegations", "subject.properties.delegations"),
    ("principal", "subject"),
    ("page_token", "page.token"),
    ("page_size", "page.limit"),
];

/// A refusal.
pub(super) fn answer(refused: &Refused) -> Response {
    let mut response = (status::http(refused), as_json(&json!(message(refused)))).into_response();
    if let Refused::Caller(_) = refused {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
    }
    if let Some(seconds) = status::retry_seconds(refused) {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// What a refusal says, at the path that its caller wrote.
pub(super) fn message(refused: &Refused) -> String {
    match refused {
        Refused::Invalid(error) => format!("{}: {}", as_written(&error.field), error.message),
        other => other.to_string(),
    }
}

fn as_written(field: &str) -> Cow<'_, str> {
    let written = WRITTEN.iter().find_map(|(inner, outer)| {
        let rest = field.strip_prefix(inner)?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then(|| format!("{outer}{rest}"))
    });
    written.map_or(Cow::Borrowed(field), Cow::Owned)
}

/// An answer that is as it should be.
pub(super) fn no_problem(answer: &Value) -> Response {
    (StatusCode::OK, as_json(answer)).into_response()
}

/// A path that is none of AuthZEN's.
pub(super) async fn no_such_path() -> Response {
    (StatusCode::NOT_FOUND, as_json(&json!("nothing is served here"))).into_response()
}

/// A method that a path does not have; `Allow` says which it has.
pub(super) async fn no_such_method() -> Response {
    let message = "this path is not asked so: see the Allow header";
    (StatusCode::METHOD_NOT_ALLOWED, as_json(&json!(message))).into_response()
}

fn as_json(value: &Value) -> ([(HeaderName, HeaderValue); 1], String) {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], value.to_string())
}

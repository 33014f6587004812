//! `X-Request-ID`: the caller's own name for a request (AuthZEN 1.0, "Request Identification").

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;

use crate::server::wire;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the name back with whatever is answered, as it came.
pub(super) async fn echo(request: Request, next: Next) -> Response {
    let request_id = request.headers().get(REQUEST_ID).cloned();
    let mut response = next.run(request).await;
    if let Some(request_id) = request_id {
        response.headers_mut().insert(REQUEST_ID, request_id);
    }
    response
}

/// The name, for the record: as far as it is text of a reasonable length.
pub(super) fn text(headers: &HeaderMap) -> String {
    let text = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    if wire::check_length("x-request-id", text).is_ok() { text.to_owned() } else { String::new() }
}

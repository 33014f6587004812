//! What a listener speaks, checked before anything is read.
//!
//! A browser can send plain forms to any address its user can reach, loopback included, and a name that an attacker
//! controls can be made to resolve there. What is not the listener's protocol, or is addressed to somebody else, is
//! refused.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::ops::Readiness;

/// What to answer to a request that is no gRPC, which is HTTP/2 of content type `application/grpc` or a variant of it.
#[must_use]
pub fn refuse_other_than_grpc(request: &Request) -> Option<Response> {
    if request.version() != Version::HTTP_2 {
        let message = "this listener speaks gRPC over HTTP/2";
        return Some(refuse(StatusCode::HTTP_VERSION_NOT_SUPPORTED, message));
    }
    if !content_type(request.headers()).starts_with("application/grpc") {
        return Some(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this listener speaks gRPC"));
    }
    None
}

/// Lets only requests through that are addressed to this host by number or as `localhost`: for a listener on loopback.
pub async fn require_local_host(request: Request, next: Next) -> Response {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = request.uri().authority().map(|authority| authority.as_str());
    if named.or(authority).is_some_and(is_local) {
        return next.run(request).await;
    }
    refuse(StatusCode::MISDIRECTED_REQUEST, "this listener answers this host only")
}

/// Over HTTP/1, has every answer say that it is the connection's last while requests should be sent elsewhere. A client that went on over it
/// would send one just when the connection is closed, and could not know whether it was heard; HTTP/2 has GOAWAY for that.
pub async fn send_elsewhere(State(readiness): State<Readiness>, request: Request, next: Next) -> Response {
    let is_http_1 = request.version() < Version::HTTP_2;
    let mut response = next.run(request).await;
    if is_http_1 && !readiness.get() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn is_local(host: &str) -> bool {
    let without_port = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    without_port.eq_ignore_ascii_case("localhost")
        || without_port.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn refuse(status: StatusCode, message: &'static str) -> Response {
    (status, Body::from(message)).into_response()
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_this_host_is_local() {
        for local in ["127.0.0.1:4467", "127.0.0.1", "localhost", "LocalHost:1", "[::1]:4467", "[::1]"] {
            assert!(is_local(local), "{local}");
        }
        for other in
            ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "localhost.evil.example:80", "[::2]:1"]
        {
            assert!(!is_local(other), "{other}");
        }
    }
}

//! The only mapping from failures to what a wire says of them (C12).

use axum::http::StatusCode;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::pdp::{Refused, RefusedCode};

/// Domain of the reasons in `google.rpc.ErrorInfo`.
pub const ERROR_DOMAIN: &str = "mandate";

/// A refusal, as gRPC says it: the reason in `google.rpc.ErrorInfo`, the path of a refused field in
/// `google.rpc.BadRequest`.
#[must_use]
pub fn refused(refused: &Refused) -> Status {
    let field = refused.field();
    let mut details = ErrorDetails::new();
    let mut named = Vec::new();
    if !field.is_empty() {
        let message = match refused {
            Refused::Invalid(error) => error.message.clone(),
            other => other.to_string(),
        };
        details.add_bad_request_violation(field, message);
        named.push(("field".to_owned(), field.to_owned()));
    }
    if let Some(retry) = refused.retry_after() {
        details.set_retry_info(Some(retry));
    }
    details.set_error_info(
        refused.reason(),
        ERROR_DOMAIN,
        named.into_iter().collect::<std::collections::HashMap<_, _>>(),
    );
    Status::with_error_details(code(refused.code()), refused.to_string(), details)
}

fn code(code: RefusedCode) -> Code {
    match code {
        RefusedCode::InvalidArgument => Code::InvalidArgument,
        RefusedCode::Unimplemented => Code::Unimplemented,
        RefusedCode::FailedPrecondition => Code::FailedPrecondition,
        RefusedCode::Unauthenticated => Code::Unauthenticated,
        RefusedCode::PermissionDenied => Code::PermissionDenied,
        RefusedCode::DeadlineExceeded => Code::DeadlineExceeded,
        RefusedCode::Unavailable => Code::Unavailable,
        RefusedCode::NotFound => Code::NotFound,
        RefusedCode::AlreadyExists => Code::AlreadyExists,
        RefusedCode::Aborted => Code::Aborted,
        RefusedCode::ResourceExhausted => Code::ResourceExhausted,
        RefusedCode::Internal => Code::Internal,
    }
}

/// The HTTP status of a refusal (AuthZEN 1.0, "Error Responses").
#[must_use]
pub fn http(refused: &Refused) -> StatusCode {
    match refused.code() {
        RefusedCode::InvalidArgument => StatusCode::BAD_REQUEST,
        RefusedCode::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        RefusedCode::FailedPrecondition => StatusCode::PRECONDITION_FAILED,
        RefusedCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        RefusedCode::PermissionDenied => StatusCode::FORBIDDEN,
        RefusedCode::DeadlineExceeded => StatusCode::REQUEST_TIMEOUT,
        RefusedCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        RefusedCode::NotFound => StatusCode::NOT_FOUND,
        RefusedCode::AlreadyExists | RefusedCode::Aborted => StatusCode::CONFLICT,
        RefusedCode::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        RefusedCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// `Retry-After` of a refusal: whole seconds, at least one (RFC 9110 §10.2.3).
#[must_use]
pub fn retry_seconds(refused: &Refused) -> Option<u64> {
    let retry = refused.retry_after()?;
    Some(retry.as_secs() + u64::from(retry.subsec_nanos() > 0 || retry.is_zero()))
}

/// What tonic says with INTERNAL of a message that is the caller's mistake: no protobuf, none at all, cut short, or framed
/// or compressed as nobody agreed.
const UNREADABLE: [&str; 4] = [
    "decode Protobuf",
    "Missing request message",
    "Unexpected EOF decoding",
    "protocol error: received message with",
];

/// What a status that tonic itself chose really says: OUT_OF_RANGE for a message over the limit and INTERNAL for one that
/// cannot be read are the caller's mistake.
#[must_use]
pub fn unreadable(status: &Status) -> Option<Refused> {
    let refused = match status.code() {
        Code::OutOfRange => true,
        Code::Internal => UNREADABLE.iter().any(|said| status.message().contains(said)),
        _ => false,
    };
    refused.then(|| Refused::Unreadable(status.message().to_owned()))
}

/// Whether tonic refused a message for its encoding. Its own answer names those that would do, as gRPC asks.
#[must_use]
pub fn unknown_encoding(status: &Status) -> bool {
    status.code() == Code::Unimplemented && status.message().starts_with("Content is compressed with")
}

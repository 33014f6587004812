//! The only mapping from failures to what a wire says of them (C12).

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::engine::request::{InvalidKind, InvalidRequest};

/// Domain of the reasons in `google.rpc.ErrorInfo`.
pub const ERROR_DOMAIN: &str = "mandate";

/// A question that cannot be understood, as gRPC says it: INVALID_ARGUMENT or UNIMPLEMENTED, with the field's path
/// in `google.rpc.BadRequest`.
#[must_use]
pub fn invalid(error: &InvalidRequest) -> Status {
    let (code, reason) = match error.kind {
        InvalidKind::Malformed => (Code::InvalidArgument, "INVALID_REQUEST"),
        InvalidKind::NotHonoured => (Code::Unimplemented, "FIELD_NOT_HONOURED"),
    };
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation(&error.field, &error.message);
    details.set_error_info(reason, ERROR_DOMAIN, [("field".to_owned(), error.field.clone())]);
    Status::with_error_details(code, error.to_string(), details)
}

/// The caller's deadline passed: DEADLINE_EXCEEDED. Nothing was decided.
#[must_use]
pub fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("the deadline passed before the decision was made")
}

/// Rewrites statuses that tonic itself chose differently than gRPC defines them: OUT_OF_RANGE for a message over the
/// limit, INTERNAL for one that is no protobuf, both the caller's mistake.
#[must_use]
pub fn rewritten(status: &Status) -> Option<Status> {
    let undecodable = status.code() == Code::Internal && status.message().contains("decode Protobuf");
    let refused = status.code() == Code::OutOfRange || undecodable;
    refused.then(|| Status::invalid_argument(status.message()))
}

/// The HTTP status of a question that cannot be understood.
#[must_use]
pub fn invalid_http(error: &InvalidRequest) -> axum::http::StatusCode {
    match error.kind {
        InvalidKind::Malformed => axum::http::StatusCode::BAD_REQUEST,
        InvalidKind::NotHonoured => axum::http::StatusCode::NOT_IMPLEMENTED,
    }
}

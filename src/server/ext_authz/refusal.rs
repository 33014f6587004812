//! Why a request is not even decided. Whose doing it is makes a difference: what a client can bring about must never look to
//! Envoy like a failure of the decision point, which `failure_mode_allow` lets pass.

use crate::engine::request::InvalidRequest;
use crate::mcp::message::{INVALID_REQUEST, Unfit};
use crate::pdp::Refused;

/// Why a request is not decided.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Refusal {
    /// It is its client's mistake.
    Request(BadRequest),
    /// It shows no token, or not one alone.
    Subject(String),
    /// What is said of its route is not enough, or contradicts itself.
    Route(InvalidRequest),
}

/// A mistake of a client, and how HTTP and JSON-RPC call it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BadRequest {
    /// The status of HTTP.
    pub(super) status: u16,
    /// The code of JSON-RPC.
    pub(super) code: i64,
    /// What is wrong.
    pub(super) error: InvalidRequest,
}

impl Refusal {
    /// A request that could be understood in two ways, or in none.
    pub(super) fn bad(field: &str, message: impl Into<String>) -> Self {
        Self::with_status(400, field, message)
    }

    /// The same, which HTTP has a status of its own for.
    pub(super) fn with_status(status: u16, field: &str, message: impl Into<String>) -> Self {
        let error = InvalidRequest::field(format!("request.http.{field}"), message);
        Self::Request(BadRequest { status, code: INVALID_REQUEST, error })
    }

    /// As the decision point records it.
    pub(super) fn refused(&self) -> Refused {
        match self {
            Self::Request(BadRequest { error, .. }) | Self::Route(error) => Refused::Invalid(error.clone()),
            Self::Subject(problem) => Refused::SubjectToken(problem.clone()),
        }
    }
}

impl From<Unfit> for Refusal {
    fn from(Unfit { code, error, .. }: Unfit) -> Self {
        Self::Request(BadRequest { status: 400, code, error: error.inside("request.http") })
    }
}

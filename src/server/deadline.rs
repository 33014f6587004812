//! When a call on the control listener stops being of use: by its `grpc-timeout`, and never later than any call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Request;
use tonic::{Request as Asked, Status};

use super::administrators::Administrator;
use super::call;
use crate::audit::record::Surface;
use crate::pdp::Call;

/// Longest time a call may take that is no stream.
const MAX_CALL: Duration = Duration::from_secs(30);

/// When a call ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(pub(super) Instant);

impl Deadline {
    /// That of a request.
    pub(super) fn of(request: &Request) -> Self {
        let asked = request.headers().get("grpc-timeout").and_then(call::parse);
        Self(Instant::now() + asked.unwrap_or(MAX_CALL).min(MAX_CALL))
    }
}

/// A call, as the decision point knows it.
///
/// # Errors
/// INTERNAL: nobody knows who calls.
pub(super) fn call<T>(request: &Asked<T>) -> Result<Call, Status> {
    let deadline = request.extensions().get::<Deadline>().map(|Deadline(deadline)| *deadline);
    Ok(Call {
        caller: Arc::clone(Administrator::of(request)?.caller()),
        surface: Surface::Control,
        request_id: String::new(),
        deadline: deadline.unwrap_or_else(|| Instant::now() + MAX_CALL),
        origin: None,
        // No decision is made on its behalf that has a span of its own.
        trace: None,
    })
}

//! `mandate.v1.DecisionLogService` on the data listener: outcomes are reported here, and the log is read on the control listener.

use std::sync::Arc;

use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::call::Underway;
use super::grpc::underway;
use super::pb::decision_log_service_server::DecisionLogService;
use super::wire::{Read, check_length};
use super::{pb, status};
use crate::audit::outcome::{Outcome, Report};
use crate::engine::request::InvalidRequest;
use crate::pdp::Pdp;

/// Outcomes, as enforcement points report them.
#[derive(Debug, Clone)]
pub(super) struct Outcomes {
    pub(super) pdp: Arc<Pdp>,
}

#[tonic::async_trait]
impl DecisionLogService for Outcomes {
    async fn report_outcome(
        &self,
        request: Request<pb::ReportOutcomeRequest>,
    ) -> Result<Response<pb::ReportOutcomeResponse>, Status> {
        let call = Underway::hand_over(&*underway(&request)?, String::new());
        let reported = match report(request.into_inner()) {
            Ok(report) => self.pdp.report_outcome(&call, report).await,
            Err(invalid) => Err(self.pdp.refuse(&call, invalid.into())),
        };
        reported.map_err(|refused| status::refused(&refused))?;
        Ok(Response::new(pb::ReportOutcomeResponse {}))
    }

    type QueryStream = BoxStream<pb::LogRecord>;

    async fn query(
        &self,
        _request: Request<pb::QueryRequest>,
    ) -> Result<Response<Self::QueryStream>, Status> {
        Err(elsewhere())
    }

    type TailStream = BoxStream<pb::LogRecord>;

    async fn tail(&self, _request: Request<pb::TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        Err(elsewhere())
    }
}

fn elsewhere() -> Status {
    Status::unimplemented("the decision log is read on the control listener")
}

/// Reads a message.
///
/// # Errors
/// [`InvalidRequest`] naming the field.
pub fn report(message: pb::ReportOutcomeRequest) -> Read<Report> {
    let outcome = match message.outcome() {
        pb::Outcome::Unspecified => return Err(InvalidRequest::field("outcome", "is required")),
        pb::Outcome::Executed => Outcome::Executed,
        pb::Outcome::Failed => Outcome::Failed,
        pb::Outcome::Blocked => Outcome::Blocked,
        pb::Outcome::Overridden => Outcome::Overridden,
    };
    let pb::ReportOutcomeRequest { decision_id, input_digest, result_digest, detail, .. } = message;
    let of = Uuid::try_parse(&decision_id)
        .map_err(|_error| InvalidRequest::field("decision_id", "must be the id of an answer, a UUID"))?;
    check_digest("input_digest", &input_digest)?;
    check_digest("result_digest", &result_digest)?;
    check_length("detail", &detail)?;
    Ok(Report { of, outcome, input_digest, result_digest, detail })
}

/// Empty, or `sha256:` and 64 lower-case hex digits: another writing of a digest would seem another digest.
fn check_digest(field: &'static str, text: &str) -> Read<()> {
    let is_hex = |digits: &str| digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let digits = text.strip_prefix("sha256:");
    if text.is_empty() || digits.is_some_and(|digits| digits.len() == 64 && is_hex(digits)) {
        return Ok(());
    }
    Err(InvalidRequest::field(field, "must be `sha256:` and 64 lower-case hex digits"))
}

//! `mandate.v1.AdminService`, and beside it `entities` and `log_reading`: the control listener. Never anonymous (C2): see [`super::administrators`].

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tonic::service::Routes;
use tonic::{Request as Asked, Response as Answer, Status};

use super::administrators::{Administrator, Administrators};
use super::deadline::{self, Deadline};
use super::entities::Entities;
use super::log_reading::LogReading;
use super::observing::Observer;
use super::pb::admin_service_server::{AdminService, AdminServiceServer};
use super::pb::decision_log_service_server::DecisionLogServiceServer;
use super::pb::entity_service_server::EntityServiceServer;
use super::report::ServiceReport;
use super::watching::Beat;
use super::{pb, protocol, status};
use crate::identity::rights::Right;
use crate::pdp::{self, Pdp, Refused};
use crate::store::loader::{Command, CommandError, Commands};

/// Largest message, in bytes: commands are short.
const MAX_MESSAGE_BYTES: usize = 16 * 1024;
/// Largest message that holds entities, in bytes.
const MAX_ENTITIES_BYTES: usize = 4 * 1024 * 1024;

/// Everything the control listener serves. Those who watch may go by what they are told for a `lease`.
pub fn router(
    commands: Commands,
    report: ServiceReport,
    administrators: Administrators,
    pdp: Arc<Pdp>,
    observer: Arc<Observer>,
    lease: Duration,
) -> Router {
    let door = (administrators, Arc::clone(&pdp), observer);
    let log = DecisionLogServiceServer::new(LogReading::new(Arc::clone(&pdp)));
    let log = log.max_decoding_message_size(MAX_MESSAGE_BYTES);
    let entities = Entities { pdp, lists: Arc::default(), beat: Beat(lease) };
    let control = Control { commands, report, entities: entities.clone() };
    let service = AdminServiceServer::new(control).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let entities = EntityServiceServer::new(entities).max_decoding_message_size(MAX_ENTITIES_BYTES);
    let known = axum::middleware::from_fn_with_state(door, require_administrator);
    Routes::new(service).add_service(entities).add_service(log).into_axum_router().layer(known)
}

/// Lets only administrators through, and calls what tonic cannot read what gRPC calls it.
async fn require_administrator(
    State((administrators, pdp, observer)): State<(Administrators, Arc<Pdp>, Arc<Observer>)>,
    request: Request,
    next: Next,
) -> Response {
    if let Some(refused) = protocol::refuse_other_than_grpc(&request) {
        return refused;
    }
    let observed = observer.call(request.uri().path(), request.headers());
    observed.answered(admitted(&administrators, &pdp, request, next).await)
}

async fn admitted(administrators: &Administrators, pdp: &Arc<Pdp>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match administrators.admit(pdp, &head).await {
        Ok(administrator) => {
            let mut request = Request::from_parts(head, body);
            let deadline = Deadline::of(&request);
            request.extensions_mut().insert(administrator);
            request.extensions_mut().insert(deadline);
            let answered = tokio::time::timeout_at(deadline.0.into(), next.run(request)).await;
            let Ok(response) = answered else { return status::refused(&Refused::Late).into_http() };
            let unreadable =
                Status::from_header_map(response.headers()).and_then(|said| status::unreadable(&said));
            unreadable.map_or(response, |refused| status::refused(&refused).into_http())
        }
        Err(refused) => refused.into_http(),
    }
}

/// What administrators can do.
#[derive(Debug)]
struct Control {
    commands: Commands,
    report: ServiceReport,
    entities: Entities,
}

#[tonic::async_trait]
impl AdminService for Control {
    async fn get_status(
        &self,
        request: Asked<pb::GetStatusRequest>,
    ) -> Result<Answer<pb::GetStatusResponse>, Status> {
        Administrator::of(&request)?.may(&Right::GetStatus)?;
        let json = serde_json::to_string(&self.report.status());
        let json = json.map_err(|error| Status::internal(format!("the status is no JSON: {error}")))?;
        Ok(Answer::new(pb::GetStatusResponse { json }))
    }

    async fn rollback(
        &self,
        request: Asked<pb::RollbackRequest>,
    ) -> Result<Answer<pb::RollbackResponse>, Status> {
        Administrator::of(&request)?.may(&Right::Rollback)?;
        let pb::RollbackRequest { generation, release } = request.into_inner();
        let command = match (generation.is_empty(), release) {
            (false, false) => Command::Rollback { generation },
            (true, true) => Command::Release,
            _ => {
                return Err(Status::invalid_argument(
                    "give a generation to roll back to, or `release`, not both",
                ));
            }
        };
        let served = self.commands.give(command).await.map_err(|error| refused(&error))?;
        Ok(Answer::new(pb::RollbackResponse { generation: served.generation }))
    }

    async fn suspend(&self, request: Asked<pb::SuspendRequest>) -> Result<Answer<pb::WriteResponse>, Status> {
        let (administrator, call) = (Administrator::of(&request)?, deadline::call(&request)?);
        administrator.may(&Right::Suspend)?;
        self.entities.suspend(&call, request.into_inner()).await
    }

    type BackupStream = tonic::codegen::BoxStream<pb::BackupResponse>;

    async fn backup(&self, request: Asked<pb::BackupRequest>) -> Result<Answer<Self::BackupStream>, Status> {
        let (administrator, call) = (Administrator::of(&request)?, deadline::call(&request)?);
        administrator.may(&Right::Backup)?;
        self.entities.back_up(administrator, &call).map(Answer::new)
    }
}

fn refused(error: &CommandError) -> Status {
    let message = error.to_string();
    match error {
        CommandError::Follower(primary) => status::refused(&pdp::follower(primary)),
        CommandError::Malformed(_) | CommandError::Ambiguous(_) => Status::invalid_argument(message),
        CommandError::Unknown(_) => Status::not_found(message),
        CommandError::Damaged(_) => Status::data_loss(message),
        CommandError::Rejected(_) | CommandError::Unsigned | CommandError::NotPinned => {
            Status::failed_precondition(message)
        }
        CommandError::Ended | CommandError::Busy => Status::unavailable(message),
    }
}

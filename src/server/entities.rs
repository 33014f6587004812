//! `mandate.v1.EntityService`, as far as this build has it: it decides whether a grant may be cut, and keeps none yet.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tonic::{Request as Asked, Response as Answer, Status};

use super::administrators::Administrator;
use super::delegating::Delegating;
use super::pb::entity_service_server::EntityService;
use super::{pb, status};
use crate::audit::record::Surface;
use crate::engine::decision::Effect;
use crate::identity::rights::Right;
use crate::pdp::{Call, Pdp, Refused};

/// Longest time a call may take.
const MAX_CALL: Duration = Duration::from_secs(30);

/// Entities, as administrators and delegators change them.
#[derive(Debug)]
pub(super) struct Entities(pub(super) Arc<Pdp>);

impl Entities {
    /// Decides whether a grant may be cut: along the parent's whole chain, by the policies on action `delegate` (D9).
    async fn decide(
        &self,
        administrator: &Administrator,
        message: pb::DelegateRequest,
    ) -> Result<(), Status> {
        let call = Call {
            caller: Arc::clone(administrator.caller()),
            surface: Surface::Control,
            request_id: String::new(),
            deadline: Instant::now() + MAX_CALL,
        };
        let refuse = |refused: Refused| status::refused(&self.0.refuse(&call, refused));
        let published = self.0.current();
        let names = &published.world.generation.catalog.domain.delegation;
        let delegating = Delegating::read(message, names).map_err(|error| refuse(error.into()))?;
        let Delegating { grant, delegator, asked } = delegating;
        let own = administrator.is_own(&delegator);
        administrator.may(&Right::Delegate { delegator: &delegator, own })?;
        if asked.credentials.is_none() && !own {
            let message = "a grant is cut by its delegator: show the delegator's token in `credentials`";
            return Err(refuse(Refused::NotEntitled(message.to_owned())));
        }
        let answer = self.0.authorize(&call, Ok(asked)).await.map_err(|refused| status::refused(&refused))?;
        match (&answer.decision.effect, &answer.decision.denial) {
            (Effect::Allow, _) => Err(Status::unimplemented(format!(
                "decision {} allows {}::\"{}\"; this build keeps no entity log yet, so nothing was stored",
                answer.id, grant.type_name, grant.id
            ))),
            (Effect::Deny, denial) => {
                let reason = denial.as_ref().map_or("", |denial| denial.message.as_str());
                Err(Status::permission_denied(format!("decision {} denies: {reason}", answer.id)))
            }
        }
    }
}

/// What a method of the contract answers that this build does not have.
fn not_yet<T>(method: &str) -> Result<T, Status> {
    Err(Status::unimplemented(format!(
        "EntityService.{method}: this build keeps no entity log yet; entities come from files"
    )))
}

#[tonic::async_trait]
impl EntityService for Entities {
    async fn delegate(
        &self,
        request: Asked<pb::DelegateRequest>,
    ) -> Result<Answer<pb::DelegateResponse>, Status> {
        let administrator = Administrator::of(&request)?;
        self.decide(&administrator, request.into_inner()).await.and_then(|()| not_yet("Delegate"))
    }

    async fn put_entities(
        &self,
        _request: Asked<pb::PutEntitiesRequest>,
    ) -> Result<Answer<pb::WriteResponse>, Status> {
        not_yet("PutEntities")
    }

    async fn delete_entities(
        &self,
        _request: Asked<pb::DeleteEntitiesRequest>,
    ) -> Result<Answer<pb::WriteResponse>, Status> {
        not_yet("DeleteEntities")
    }

    async fn get_entity(
        &self,
        _request: Asked<pb::GetEntityRequest>,
    ) -> Result<Answer<pb::GetEntityResponse>, Status> {
        not_yet("GetEntity")
    }

    async fn list_entities(
        &self,
        _request: Asked<pb::ListEntitiesRequest>,
    ) -> Result<Answer<pb::ListEntitiesResponse>, Status> {
        not_yet("ListEntities")
    }

    async fn revoke_delegation(
        &self,
        _request: Asked<pb::RevokeDelegationRequest>,
    ) -> Result<Answer<pb::WriteResponse>, Status> {
        not_yet("RevokeDelegation")
    }

    type WatchStream = tonic::codegen::BoxStream<pb::WatchResponse>;

    async fn watch(&self, _request: Asked<pb::WatchRequest>) -> Result<Answer<Self::WatchStream>, Status> {
        not_yet("Watch")
    }
}

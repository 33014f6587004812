//! `mandate.v1.EntityService`: what decisions read, changed and read at run time.

use std::sync::Arc;

use futures_util::stream;
use tokio::sync::mpsc;
use tonic::codegen::BoxStream;
use tonic::{Request as Asked, Response as Answer, Status};

use super::administrators::Administrator;
use super::delegating::Delegating;
use super::leading::Leading;
use super::listing::Listings;
use super::pb::entity_service_server::EntityService;
use super::watching::{Beat, Watching};
use super::{deadline, pb, status, stored, wire};
use crate::engine::decision::Effect;
use crate::engine::request::InvalidRequest;
use crate::engine::suspensions::Suspended;
use crate::engine::world::World;
use crate::engine::written::reference;
use crate::identity::rights::Right;
use crate::pdp::{Call, Pdp, Refused, RefusedCode, Unwritten};
use crate::store::entity_log::{PrimaryBehind, Write, Written};

/// Pieces of a copy that wait for whoever takes it.
const PIECES: usize = 4;

/// Entities, as administrators and delegators change them.
#[derive(Debug, Clone)]
pub(super) struct Entities {
    pub(super) pdp: Arc<Pdp>,
    pub(super) lists: Arc<Listings>,
    /// How those who watch are kept current.
    pub(super) beat: Beat,
}

impl Entities {
    /// Refuses a call, and records that.
    fn refuse(&self, call: &Call, refused: impl Into<Refused>) -> Status {
        status::refused(&self.pdp.refuse(call, refused.into()))
    }

    /// Writes for whoever calls. `field` is where the message has what is written.
    async fn write(
        &self,
        call: &Call,
        write: Write,
        if_revision: String,
        field: &str,
    ) -> Result<Written, Status> {
        wire::check_length("if_revision", &if_revision).map_err(|error| self.refuse(call, error))?;
        let written = self.pdp.commit(call, write, if_revision).await;
        written.map_err(|refused| status::refused(&at_field(refused, field)))
    }

    /// Decides whether a grant may be cut, along the parent's whole chain, by the policies on action `delegate` (D9); and
    /// cuts it.
    async fn cut(
        &self,
        administrator: &Administrator,
        call: &Call,
        message: pb::DelegateRequest,
    ) -> Result<Answer<pb::DelegateResponse>, Status> {
        self.pdp.entity_log().map_err(|refused| self.refuse(call, refused))?;
        let published = self.pdp.current();
        let names = &published.world.generation.catalog.domain.delegation;
        let grant = message.grant.as_ref().and_then(|grant| grant.uid.clone());
        let delegating = Delegating::read(message, names).map_err(|error| self.refuse(call, error))?;
        let Delegating { text, delegator, asked } = delegating;
        let own = administrator.is_own(&delegator);
        administrator.may(&Right::Delegate { delegator: &delegator, own })?;
        if asked.credentials.is_none() && !own {
            let message = "a grant is cut by its delegator: show the delegator's token in `credentials`";
            return Err(self.refuse(call, Refused::NotEntitled(message.to_owned())));
        }
        let answer =
            self.pdp.authorize(call, Ok(asked)).await.map_err(|refused| status::refused(&refused))?;
        if answer.decision.effect != Effect::Allow {
            let reason = answer.decision.denial.as_ref().map_or("", |denial| denial.message.as_str());
            return Err(Status::permission_denied(format!("decision {} denies: {reason}", answer.id)));
        }
        let written = self.write(call, Write::Cut(text), String::new(), "grant").await?;
        Ok(Answer::new(pb::DelegateResponse { grant, revision: written.published.revision.to_string() }))
    }

    /// Suspends a principal or everybody, or lifts that.
    pub(super) async fn suspend(
        &self,
        call: &Call,
        message: pb::SuspendRequest,
    ) -> Result<Answer<pb::WriteResponse>, Status> {
        let pb::SuspendRequest { principal, reason, lift } = message;
        let suspended = match principal.filter(|uid| !uid.r#type.is_empty() || !uid.id.is_empty()) {
            None => Suspended::All,
            Some(uid) => {
                let published = self.pdp.current();
                let uid = stored::uid(&published.world, &wire::reference(uid), "principal");
                Suspended::Principal(uid.map_err(|error| self.refuse(call, error))?)
            }
        };
        let write = if lift { Write::Lift(suspended, reason) } else { Write::Suspend(suspended, reason) };
        self.write(call, write, String::new(), "reason").await.map(|written| answer(&written))
    }

    /// A copy of what the log holds, for as long as who asks for it may have it.
    pub(super) fn back_up(
        &self,
        administrator: Administrator,
        call: &Call,
    ) -> Result<BoxStream<pb::BackupResponse>, Status> {
        let log = self.pdp.entity_log().map_err(|refused| self.refuse(call, refused))?;
        let backup = log.backup().map_err(|error| Status::unavailable(error.to_string()))?;
        let (pieces, taken) = mpsc::channel(PIECES);
        tokio::task::spawn_blocking(move || {
            let sent = backup.write(|chunk| {
                let may = administrator.may(&Right::Backup);
                let goes_on = may.is_ok();
                pieces.blocking_send(may.map(|()| pb::BackupResponse { chunk })).is_ok() && goes_on
            });
            if let Err(error) = sent {
                // Whoever takes it may have gone.
                let _gone = pieces.blocking_send(Err(Status::unavailable(error.to_string())));
            }
        });
        let next = |mut taken: mpsc::Receiver<_>| async move { Some((taken.recv().await?, taken)) };
        Ok(Box::pin(stream::unfold(taken, next)))
    }

    /// Who handed on what a grant says; of one that is not stored, the grant itself stands for them.
    fn giver(world: &World, grant: &cedar_policy::EntityUid) -> crate::engine::datum::Reference {
        let names = &world.generation.catalog.domain.delegation;
        let stored = world.entities.get(grant);
        let giver = names.from.iter().find_map(|name| stored?.attribute(name)?.as_entity());
        reference(giver.as_ref().unwrap_or(grant))
    }
}

/// The same refusal, which names a field of the message rather than one of what is written.
fn at_field(refused: Refused, field: &str) -> Refused {
    match refused {
        Refused::Unwritten(unwritten) if unwritten.field.starts_with('[') => {
            let index =
                if field.ends_with('s') && unwritten.field != "[]" { unwritten.field.as_str() } else { "" };
            let field = format!("{field}{index}");
            let message = format!("{field}: {}", unwritten.message);
            Refused::Unwritten(Box::new(Unwritten { field, message, ..*unwritten }))
        }
        other => other,
    }
}

fn answer(written: &Written) -> Answer<pb::WriteResponse> {
    Answer::new(pb::WriteResponse { revision: written.published.revision.to_string() })
}

#[tonic::async_trait]
impl EntityService for Entities {
    async fn delegate(
        &self,
        request: Asked<pb::DelegateRequest>,
    ) -> Result<Answer<pb::DelegateResponse>, Status> {
        let (administrator, call) = (Administrator::of(&request)?, deadline::call(&request)?);
        self.cut(&administrator, &call, request.into_inner()).await
    }

    async fn put_entities(
        &self,
        request: Asked<pb::PutEntitiesRequest>,
    ) -> Result<Answer<pb::WriteResponse>, Status> {
        let (administrator, call) = (Administrator::of(&request)?, deadline::call(&request)?);
        let pb::PutEntitiesRequest { entities, if_revision } = request.into_inner();
        for (at, entity) in entities.iter().enumerate() {
            let uid = entity.uid.as_ref().ok_or_else(|| {
                self.refuse(&call, InvalidRequest::field(format!("entities[{at}].uid"), "is required"))
            })?;
            administrator.may(&Right::WriteEntities(&uid.r#type))?;
        }
        let texts = entities
            .into_iter()
            .enumerate()
            .map(|(at, entity)| stored::text(entity, &format!("entities[{at}]")));
        let texts: Vec<_> = texts.collect::<Result<_, _>>().map_err(|error| self.refuse(&call, error))?;
        let written = self.write(&call, Write::Put(texts), if_revision, "entities").await?;
        Ok(answer(&written))
    }

    async fn delete_entities(
        &self,
        request: Asked<pb::DeleteEntitiesRequest>,
    ) -> Result<Answer<pb::WriteResponse>, Status> {
        let (administrator, call) = (Administrator::of(&request)?, deadline::call(&request)?);
        let pb::DeleteEntitiesRequest { uids, if_revision } = request.into_inner();
        let published = self.pdp.current();
        let mut names = Vec::with_capacity(uids.len());
        for (at, uid) in uids.into_iter().enumerate() {
            administrator.may(&Right::WriteEntities(&uid.r#type))?;
            let name = stored::uid(&published.world, &wire::reference(uid), &format!("uids[{at}]"));
            names.push(name.map_err(|error| self.refuse(&call, error))?);
        }
        let written = self.write(&call, Write::Delete(names), if_revision, "uids").await?;
        Ok(answer(&written))
    }

    async fn get_entity(
        &self,
        request: Asked<pb::GetEntityRequest>,
    ) -> Result<Answer<pb::GetEntityResponse>, Status> {
        let (administrator, call) = (Administrator::of(&request)?, deadline::call(&request)?);
        let uid = request.into_inner().uid.unwrap_or_default();
        administrator.may(&Right::ReadEntities(&uid.r#type))?;
        let published = self.pdp.current();
        let world = &published.world;
        let uid =
            stored::uid(world, &wire::reference(uid), "uid").map_err(|error| self.refuse(&call, error))?;
        let (Some(entity), Some(owner)) = (stored::message(world, &uid), world.owner(&uid)) else {
            return Err(Status::not_found(format!("uid: {uid} is not stored")));
        };
        let (owner, revision) = (owner.as_str().to_owned(), published.revision.to_string());
        Ok(Answer::new(pb::GetEntityResponse { entity: Some(entity), owner, revision }))
    }

    async fn list_entities(
        &self,
        request: Asked<pb::ListEntitiesRequest>,
    ) -> Result<Answer<pb::ListEntitiesResponse>, Status> {
        let (administrator, call) = (Administrator::of(&request)?, deadline::call(&request)?);
        let message = request.into_inner();
        administrator.may(&Right::ReadEntities(&message.r#type))?;
        let published = self.pdp.current();
        let of = stored::entity_type(&published.world, &message.r#type, "type");
        let of = of.map_err(|error| self.refuse(&call, error))?.clone();
        let page = self.lists.page(&message, &published).map_err(|error| self.refuse(&call, error))?;
        let lists = Arc::clone(&self.lists);
        let turned = tokio::task::spawn_blocking(move || lists.turn(page, &of)).await;
        turned.map(Answer::new).map_err(|_panic| self.refuse(&call, Refused::Internal))
    }

    async fn revoke_delegation(
        &self,
        request: Asked<pb::RevokeDelegationRequest>,
    ) -> Result<Answer<pb::WriteResponse>, Status> {
        let (administrator, call) = (Administrator::of(&request)?, deadline::call(&request)?);
        let pb::RevokeDelegationRequest { grant, reason } = request.into_inner();
        let published = self.pdp.current();
        let grant = wire::reference(grant.unwrap_or_default());
        let grant =
            stored::uid(&published.world, &grant, "grant").map_err(|error| self.refuse(&call, error))?;
        let delegator = Self::giver(&published.world, &grant);
        let own = administrator.is_own(&delegator);
        administrator.may(&Right::Revoke { delegator: &delegator, own })?;
        let written = self.write(&call, Write::Revoke(grant, reason), String::new(), "grant").await?;
        Ok(answer(&written))
    }

    type WatchStream = tonic::codegen::BoxStream<pb::WatchResponse>;

    async fn watch(&self, request: Asked<pb::WatchRequest>) -> Result<Answer<Self::WatchStream>, Status> {
        let (administrator, call) = (Administrator::of(&request)?, deadline::call(&request)?);
        administrator.may(&Right::Watch)?;
        let pb::WatchRequest { from_revision, include_entities, follow, last_write } = request.into_inner();
        let log = self.pdp.entity_log().map_err(|refused| self.refuse(&call, refused))?;
        let refuse = |error: InvalidRequest| self.refuse(&call, error);
        wire::check_length("from_revision", &from_revision).map_err(refuse)?;
        wire::check_length("last_write", &last_write).map_err(refuse)?;
        if follow {
            let behind = |error: PrimaryBehind| {
                let message = error.to_string();
                let (code, reason) = (RefusedCode::FailedPrecondition, "PRIMARY_BEHIND");
                let field = "last_write".to_owned();
                self.refuse(&call, Refused::Unwritten(Box::new(Unwritten { code, reason, field, message })))
            };
            let lead = log.lead(&from_revision, &last_write).map_err(behind)?;
            return Ok(Answer::new(Box::pin(Leading::new(lead, administrator, self.beat).into_stream())));
        }
        let watcher = log.watch(&from_revision).map_err(|error| {
            let refused = self.pdp.refuse(&call, Refused::Revision(error));
            Status::new(status::refused(&refused).code(), format!("from_revision: {error}"))
        })?;
        let now = self.pdp.current();
        let watching = Watching::new(watcher, administrator, include_entities, self.beat, &now);
        Ok(Answer::new(Box::pin(watching.into_stream())))
    }

    async fn renew(&self, request: Asked<pb::RenewRequest>) -> Result<Answer<pb::RenewResponse>, Status> {
        let (administrator, call) = (Administrator::of(&request)?, deadline::call(&request)?);
        administrator.may(&Right::Watch)?;
        self.pdp.entity_log().map_err(|refused| self.refuse(&call, refused))?;
        // No sooner: whoever asked may answer for a lease from then on.
        let (process, world) = (self.pdp.store().process().to_vec(), self.pdp.current().number);
        Ok(Answer::new(pb::RenewResponse { world, process, lease: self.beat.lease() }))
    }
}

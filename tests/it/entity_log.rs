//! What is written at run time, through the real server: entities, revocations, suspensions.

mod commands;
mod durability;
mod ownership;
mod service;
mod watching;

pub(crate) use durability::kill;

use std::collections::HashMap;

use mandate::server::pb;
use mandate::server::pb::admin_service_client::AdminServiceClient;
use mandate::server::pb::entity_service_client::EntityServiceClient;
use mandate::server::pb::value::Kind;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::support::{Client, Process, Sources, TestServer, bearer, question, reference, token};

const SCHEMA: &str = r#"namespace Mandate {
  entity User = { level: Long };
  entity Doc in [Doc] = { level: Long, owner?: User, at?: datetime } tags String;
  entity Delegation = { from_user?: User, from_agent?: User, to: User, parent?: Delegation,
    actions: Set<Action>, tools: Set<Doc>, toolsets: Set<Doc>, data: Set<Doc>, agents: Set<Doc>, servers: Set<Doc>,
    not_before: datetime, expires: datetime, max_depth: Long, purpose: String };
  action view appliesTo { principal: [User], resource: [Doc] };
}
"#;

pub(crate) fn sources() -> Sources {
    Sources::small().schema("small.cedarschema", SCHEMA)
}

/// Somebody who administers.
pub(crate) struct Admin {
    pub(crate) client: Client,
    shown: String,
}

impl Admin {
    pub(crate) fn of(server: &TestServer) -> Self {
        let shown = format!("Bearer {}", token(&server.folder.path().join("data")));
        Self { client: Client::connect(&server.control), shown }
    }

    pub(crate) fn of_process(process: &Process, sources: &Sources) -> Self {
        let shown = format!("Bearer {}", token(&sources.path("data")));
        Self { client: Client::connect(&process.control), shown }
    }

    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        bearer(message, &self.shown)
    }

    pub(crate) fn entities(&self) -> EntityServiceClient<Channel> {
        EntityServiceClient::new(self.client.channel())
    }

    fn put_if(&self, entities: Vec<pb::Entity>, if_revision: &str) -> Result<String, Status> {
        let request = pb::PutEntitiesRequest { entities, if_revision: if_revision.to_owned() };
        let written = self.client.wait(self.entities().put_entities(self.request(request)));
        written.map(|written| written.into_inner().revision)
    }

    pub(crate) fn put(&self, entities: Vec<pb::Entity>) -> Result<String, Status> {
        self.put_if(entities, "")
    }

    pub(crate) fn delete(&self, uids: Vec<pb::EntityRef>) -> Result<String, Status> {
        let request = pb::DeleteEntitiesRequest { uids, if_revision: String::new() };
        let written = self.client.wait(self.entities().delete_entities(self.request(request)));
        written.map(|written| written.into_inner().revision)
    }

    pub(crate) fn get(&self, uid: pb::EntityRef) -> Result<pb::GetEntityResponse, Status> {
        let request = pb::GetEntityRequest { uid: Some(uid) };
        self.client.wait(self.entities().get_entity(self.request(request))).map(|got| got.into_inner())
    }

    fn list(&self, request: pb::ListEntitiesRequest) -> Result<pb::ListEntitiesResponse, Status> {
        self.client.wait(self.entities().list_entities(self.request(request))).map(|page| page.into_inner())
    }

    pub(crate) fn revoke(&self, id: &str) -> Result<String, Status> {
        let grant = Some(reference("Mandate::Delegation", id));
        let request = pb::RevokeDelegationRequest { grant, reason: "left".to_owned() };
        let written = self.client.wait(self.entities().revoke_delegation(self.request(request)));
        written.map(|written| written.into_inner().revision)
    }

    pub(crate) fn suspend(&self, principal: Option<pb::EntityRef>, lift: bool) -> Result<String, Status> {
        let mut admin = AdminServiceClient::new(self.client.channel());
        let request = pb::SuspendRequest { principal, reason: "odd calls".to_owned(), lift };
        let written = self.client.wait(admin.suspend(self.request(request)));
        written.map(|written| written.into_inner().revision)
    }
}

fn value(kind: Kind) -> pb::Value {
    pb::Value { kind: Some(kind) }
}

pub(crate) fn uid(id: &str) -> pb::EntityRef {
    reference("Mandate::Doc", id)
}

/// A document at a level, in others.
pub(crate) fn doc(id: &str, level: i64, parents: &[&str]) -> pb::Entity {
    let attributes = HashMap::from([("level".to_owned(), value(Kind::Long(level)))]);
    pb::Entity {
        uid: Some(uid(id)),
        attributes: Some(pb::Record { attributes }),
        parents: parents.iter().map(|id| uid(id)).collect(),
        tags: None,
    }
}

pub(crate) fn level(entity: &pb::Entity) -> Option<&pb::Value> {
    entity.attributes.as_ref()?.attributes.get("level")
}

/// May ana view it?
pub(crate) fn view(id: &str) -> pb::AuthorizeRequest {
    question(("User", "ana"), "view", ("Doc", id))
}

/// The same, answered from this revision or a later one.
pub(crate) fn view_since(id: &str, revision: &str) -> pb::AuthorizeRequest {
    let consistency = pb::Consistency { minimum_revision: revision.to_owned(), bypass_cache: false };
    pb::AuthorizeRequest { consistency: Some(consistency), ..view(id) }
}

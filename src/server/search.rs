//! `mandate.v1.SearchService`: searches and what they find, to and from the contract's messages.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::grpc::{traceparent, underway};
use super::pb::search_service_server::SearchService;
use super::wire::{Read, check_length};
use super::{pb, status, stored, structs, wire};
use crate::engine::convert::Form;
use crate::engine::request::InvalidRequest;
use crate::engine::search::{Among, Certainty, Found, MAX_NAMED, Named, Sought, Through};
use crate::pdp::{Pdp, SearchAnswer, SearchAsked};

/// Largest message, in bytes: it may name ten thousand tools.
pub const MAX_MESSAGE_BYTES: usize = 2 * 1024 * 1024;
/// Longest page token, in bytes: it holds a name.
const MAX_TOKEN_BYTES: usize = 4 * 1024;

/// The service, over one decision point.
#[derive(Debug, Clone)]
pub(super) struct Searches {
    pub(super) pdp: Arc<Pdp>,
}

/// What is searched for, as the name of the method says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `SearchActions`
    Actions,
    /// `SearchResources`
    Resources,
    /// `SearchPrincipals`
    Principals,
}

#[tonic::async_trait]
impl SearchService for Searches {
    async fn search_actions(
        &self,
        request: Request<pb::SearchRequest>,
    ) -> Result<Response<pb::SearchResponse>, Status> {
        self.search(Kind::Actions, request).await
    }

    async fn search_resources(
        &self,
        request: Request<pb::SearchRequest>,
    ) -> Result<Response<pb::SearchResponse>, Status> {
        self.search(Kind::Resources, request).await
    }

    async fn search_principals(
        &self,
        request: Request<pb::SearchRequest>,
    ) -> Result<Response<pb::SearchResponse>, Status> {
        self.search(Kind::Principals, request).await
    }
}

impl Searches {
    async fn search(
        &self,
        kind: Kind,
        request: Request<pb::SearchRequest>,
    ) -> Result<Response<pb::SearchResponse>, Status> {
        let underway = underway(&request)?;
        let traceparent = traceparent(&request);
        let mut message = request.into_inner();
        let request_id = message.question.as_mut().map(|question| std::mem::take(&mut question.request_id));
        let call = underway.hand_over(request_id.unwrap_or_default());
        let asked = asked(kind, message, &call.request_id, traceparent);
        let answer = self.pdp.search(&call, asked).await.map_err(|refused| status::refused(&refused))?;
        Ok(Response::new(response(answer, call.request_id)))
    }
}

/// The search that a message asks for. The question's `request_id` has been taken out.
///
/// # Errors
/// [`InvalidRequest`] at the first field that is not honoured, or cannot be understood without the schema.
pub fn asked(
    kind: Kind,
    message: pb::SearchRequest,
    request_id: &str,
    traceparent: Option<String>,
) -> Read<SearchAsked> {
    let pb::SearchRequest { question, candidates, unknown, any_delegation, page_size, page_token } = message;
    let mut question = question.ok_or_else(|| InvalidRequest::field("question", "is required"))?;
    if question.explain {
        return Err(InvalidRequest::field("question.explain", "is not for searches: explain what was found"));
    }
    leave_open(kind, &mut question)?;
    if page_token.len() > MAX_TOKEN_BYTES {
        let message = format!("is {} bytes long; the limit is {MAX_TOKEN_BYTES}", page_token.len());
        return Err(InvalidRequest::field("page_token", message));
    }
    unknown
        .iter()
        .enumerate()
        .try_for_each(|(place, name)| check_length(&format!("unknown[{place}]"), name))?;
    let asked = wire::asked(question, request_id, traceparent)?;
    let among = among(candidates, asked.question.context_form)?;
    let sought = match (kind, among) {
        (Kind::Actions, Among::Stored) => Sought::Actions,
        (Kind::Actions, Among::Named(_)) => {
            return Err(InvalidRequest::field("candidates", "are resources or principals, not actions"));
        }
        (Kind::Resources, among) => Sought::Resources(among),
        (Kind::Principals, among) => Sought::Principals(among),
    };
    let page_size = usize::try_from(page_size).unwrap_or(usize::MAX);
    Ok(SearchAsked { asked, sought, unknown, any_delegation, page_size, page_token })
}

/// Holds the part that is searched for to its type: whoever gives more would be surprised by what is found.
fn leave_open(kind: Kind, question: &mut pb::AuthorizeRequest) -> Read<()> {
    let only_type = |part: &Option<pb::EntityRef>, field: &str| match part {
        Some(part) if !part.id.is_empty() => Err(InvalidRequest::field(
            format!("question.{field}.id"),
            "is what is searched for: give the type only",
        )),
        _ => Ok(()),
    };
    match kind {
        Kind::Actions if question.action.is_some() => {
            Err(InvalidRequest::field("question.action", "is what is searched for: leave it out"))
        }
        Kind::Actions => {
            question.action = Some(pb::EntityRef::default());
            Ok(())
        }
        Kind::Resources => only_type(&question.resource, "resource"),
        Kind::Principals => only_type(&question.principal, "principal"),
    }
}

fn among(candidates: Vec<pb::Candidate>, form: Form) -> Read<Among> {
    if candidates.is_empty() {
        return Ok(Among::Stored);
    }
    if candidates.len() > MAX_NAMED {
        let message = format!("has {} members; the limit is {MAX_NAMED}", candidates.len());
        return Err(InvalidRequest::field("candidates", message));
    }
    let named = candidates.into_iter().enumerate().map(|(place, pb::Candidate { id, context })| {
        if context.is_some() && form != Form::Plain {
            let message = "is a Struct, and so must the question's context be: `question.context`";
            return Err(InvalidRequest::field(format!("candidates[{place}].context"), message));
        }
        Ok(Named { id, context: structs::members(context.unwrap_or_default()) })
    });
    named.collect::<Read<_>>().map(Among::Named)
}

/// An answer, as the contract carries it.
#[must_use]
pub fn response(answer: SearchAnswer, request_id: String) -> pb::SearchResponse {
    let SearchAnswer { id, published, page, next_page_token, .. } = answer;
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    pb::SearchResponse {
        found: page.found.iter().map(found).collect(),
        next_page_token,
        revision: published.revision.to_string(),
        generation: published.world.generation.hash.to_string(),
        decision_id: id.to_string(),
        request_id,
        examined: count(page.examined),
        refused: count(page.refused),
        refusal: page.refusal.map(|refusal| refusal.to_string()).unwrap_or_default(),
    }
}

fn found(found: &Found) -> pb::Found {
    let certainty = match found.certainty {
        Certainty::Certain => pb::Certainty::Certain,
        Certainty::Possible => pb::Certainty::Possible,
    };
    let through = |Through { delegation, chain }: &Through| pb::Through {
        delegation: delegation.as_ref().map(stored::name),
        chain: chain.iter().map(stored::name).collect(),
    };
    pb::Found {
        uid: Some(stored::name(&found.uid)),
        action: Some(stored::name(&found.action)),
        certainty: certainty.into(),
        through: found.through.iter().map(through).collect(),
    }
}

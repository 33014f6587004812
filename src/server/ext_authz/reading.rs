//! From what Envoy tells of a request to the question it asks.

use super::fields::Fields;
use super::mcp;
use super::principal::Acting;
use super::refusal::Refusal;
use super::route::{Route, over};
use super::settings::{Protocol, Settings};
use super::target::Target;
use crate::audit::record::Evidence;
use crate::engine::cedar::CedarValue;
use crate::engine::datum::{Datum, Reference};
use crate::engine::request::AuthzRequest;
use crate::engine::world::World;
use crate::pdp::Asked;
use crate::server::envoy::auth::AttributeContext;
use crate::server::envoy::auth::attribute_context::HttpRequest;
use crate::server::wire;

/// What a plain request of HTTP does, unless its route says otherwise: the action.
const HTTP_REQUEST: &str = "http_request";

/// What headers begin with that Mandate alone sets.
const OWN_HEADERS: &str = "x-mandate-";

/// A request, read.
#[derive(Debug)]
pub(super) struct Reading {
    /// Envoy's or the client's own id of it.
    pub(super) request_id: String,
    /// How its client is spoken to.
    pub(super) voice: Voice,
    /// Headers in Mandate's name, which only a client can have set.
    pub(super) spoofed: Vec<String>,
    pub(super) asked: Result<Asked, Refusal>,
}

/// How a client is spoken to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Voice {
    /// In JSON.
    Http,
    /// In JSON-RPC, with the id of its message.
    Mcp(Option<Datum>),
}

/// What a request does.
struct Deed {
    action: String,
    resource: Reference,
    arguments: Option<Datum>,
    facts: Vec<(String, Datum)>,
}

impl Reading {
    /// Reads a request, in a world whose schema says which facts an action takes.
    pub(super) fn of(settings: &Settings, world: &World, mut attributes: AttributeContext) -> Self {
        let http = attributes.request.take().and_then(|request| request.http).unwrap_or_default();
        let fields = Fields::of(&http);
        let own = fields.names().filter(|name| name.starts_with(OWN_HEADERS));
        let mut reading = Self {
            request_id: request_id(&http, &fields),
            voice: Voice::Http,
            spoofed: own.map(str::to_owned).collect(),
            asked: Err(Refusal::bad("path", "is missing")),
        };
        reading.asked = reading.ask(settings, world, &http, &fields, &mut attributes);
        reading
    }

    fn ask(
        &mut self,
        settings: &Settings,
        world: &World,
        http: &HttpRequest,
        fields: &Fields<'_>,
        attributes: &mut AttributeContext,
    ) -> Result<Asked, Refusal> {
        let extensions = std::mem::take(&mut attributes.context_extensions);
        let route = Route::of(settings, extensions).map_err(Refusal::Route)?;
        if route.protocol == Protocol::Mcp {
            self.voice = Voice::Mcp(None);
        }
        let target = Target::of(http, fields)?;
        let peer = attributes.source.as_ref().map_or("", |source| source.principal.as_str());
        let acting = Acting::of(settings, &route, fields, peer)?;
        let deed = match route.protocol {
            Protocol::Http => http_deed(settings, &route, target)?,
            Protocol::Mcp => {
                let server = route.server().map_err(Refusal::Route)?;
                let metadata = attributes.metadata_context.as_ref();
                let heard = mcp::hear(http, fields, metadata, server, settings);
                self.voice = Voice::Mcp(heard.id);
                let crate::mcp::methods::Asked { action, resource, arguments, facts, .. } = heard.asked?;
                Deed { action, resource, arguments, facts }
            }
        };
        let facts = facts(settings, world, &route, &deed);
        let mut question =
            AuthzRequest::new(acting.principal, Reference::new("", deed.action), deed.resource);
        question.context = facts;
        question.arguments = deed.arguments;
        question.delegations = acting.delegations;
        Ok(Asked { credentials: acting.credentials, evidence: evidence(fields)?, ..Asked::from(question) })
    }
}

/// What a plain request does: the operator says to what, and the request how.
fn http_deed(settings: &Settings, route: &Route, target: Target) -> Result<Deed, Refusal> {
    let resource = match &route.resource {
        Some(resource) => resource.clone(),
        None => {
            let server = route.server().map_err(Refusal::Route)?;
            Reference::new(settings.domain.in_own_namespace("ToolServer"), server)
        }
    };
    let Target { method, path, query, host } = target;
    let facts = [("method", method), ("path", path), ("query", query), ("host", host)];
    Ok(Deed {
        action: route.action.clone().unwrap_or_else(|| HTTP_REQUEST.to_owned()),
        resource,
        arguments: None,
        facts: facts.map(|(name, text)| (name.to_owned(), Datum::String(text))).into(),
    })
}

/// The facts that are asserted: what was read of the request over what the operator says, as far as the action takes them.
fn facts(settings: &Settings, world: &World, route: &Route, deed: &Deed) -> Vec<(String, Datum)> {
    let mut facts = over(&route.context, deed.facts.clone());
    let catalog = &world.generation.catalog;
    let action = catalog.action_named(&Reference::new("", deed.action.as_str()));
    let (Ok(action), Ok(resource)) = (action, catalog.uid(&deed.resource, "resource")) else {
        return facts;
    };
    if settings.digest_approved && deed.resource.type_name == settings.domain.tool {
        let stored = world.entities.get(&resource).and_then(|tool| tool.attribute("digest"));
        // A tool that is not stored has none; whatever stands here, it is denied.
        let digest = stored.and_then(CedarValue::as_text).unwrap_or_default();
        facts = over(&facts, vec![("digest".to_owned(), Datum::String(digest.to_owned()))]);
    }
    let deciding = catalog.typed_action(&resource).unwrap_or(action);
    facts.retain(|(name, _)| deciding.supplied.attributes.contains_key(name.as_str()));
    facts
}

/// What the request's own headers say of where it belongs: for the record alone.
fn evidence(fields: &Fields<'_>) -> Result<Option<Box<Evidence>>, Refusal> {
    let session_id = fields.one("mcp-session-id")?.unwrap_or_default();
    wire::check_length("headers.mcp-session-id", session_id)
        .map_err(|error| Refusal::bad("headers.mcp-session-id", error.message))?;
    // Who is wrong about a trace may be so.
    let traceparent = wire::traceparent(fields.verbatim("traceparent").ok().flatten()).unwrap_or_default();
    let evidence = Evidence { session_id: session_id.to_owned(), traceparent, ..Evidence::default() };
    Ok((evidence != Evidence::default()).then(|| Box::new(evidence)))
}

/// The request's own id, which Envoy gives it unless told not to, or Envoy's number of its stream.
fn request_id(http: &HttpRequest, fields: &Fields<'_>) -> String {
    let given = fields.verbatim("x-request-id").ok().flatten();
    let id = given.filter(|id| wire::check_length("x-request-id", id).is_ok());
    id.unwrap_or(&http.id).to_owned()
}

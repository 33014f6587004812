//! What is said of the route that a request takes: the configuration, and over it what Envoy's own configuration says of
//! the route in `context_extensions`. Nothing of it comes from the client.

use std::collections::HashMap;

use super::settings::{PrincipalSource, Protocol, Settings};
use crate::engine::datum::{Datum, Reference};
use crate::engine::request::InvalidRequest;

/// What the names of Mandate's own extensions begin with. Others are somebody else's.
const PREFIX: &str = "mandate.";

/// A route, as far as a decision has to know it.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) protocol: Protocol,
    server: Option<String>,
    pub(super) principal: PrincipalSource,
    pub(super) fixed: Option<Reference>,
    pub(super) delegation: Option<String>,
    /// The action of a request that is not MCP.
    pub(super) action: Option<String>,
    /// What such a request is on.
    pub(super) resource: Option<Reference>,
    pub(super) context: Vec<(String, Datum)>,
}

/// What a route says for itself.
#[derive(Debug, Default)]
struct Written {
    protocol: Option<Protocol>,
    server: Option<String>,
    principal: Option<PrincipalSource>,
    principal_type: Option<String>,
    principal_id: Option<String>,
    delegation: Option<String>,
    action: Option<String>,
    resource_type: Option<String>,
    resource_id: Option<String>,
    context: Vec<(String, Datum)>,
}

impl Route {
    /// The route of these extensions.
    ///
    /// # Errors
    /// [`InvalidRequest`] naming the extension that says nothing, contradicts another, or is missing.
    pub(super) fn of(
        settings: &Settings,
        extensions: HashMap<String, String>,
    ) -> Result<Self, InvalidRequest> {
        let written = Written::read(extensions)?;
        let missing =
            |name, what| wrong(name, format!("is missing, and `ext_authz` in the configuration says {what}"));
        let protocol = written.protocol.or(settings.protocol);
        let protocol = protocol.ok_or_else(|| missing("protocol", "no `protocol` either"))?;
        let principal = written.principal.or(settings.principal);
        let fixed = pair("principal", written.principal_type, written.principal_id)?;
        let resource = pair("resource", written.resource_type, written.resource_id)?;
        if protocol == Protocol::Mcp && (written.action.is_some() || resource.is_some()) {
            return Err(wrong(
                "action",
                "and `mandate.resource_…` are for HTTP: of MCP, the message says both",
            ));
        }
        Ok(Self {
            protocol,
            server: written.server.or_else(|| settings.server.clone()),
            principal: principal.ok_or_else(|| missing("principal", "no `principal` either"))?,
            fixed: fixed.or_else(|| settings.fixed.clone()),
            delegation: written.delegation.or_else(|| settings.delegation.clone()),
            action: written.action,
            resource,
            context: over(&settings.context, written.context),
        })
    }

    /// The tool server behind the route.
    ///
    /// # Errors
    /// [`InvalidRequest`]: nobody says which it is.
    pub(super) fn server(&self) -> Result<&str, InvalidRequest> {
        self.server.as_deref().ok_or_else(|| {
            wrong("server", "is missing, and `ext_authz` in the configuration says no `server` either")
        })
    }
}

/// An extension that is wrong.
pub(super) fn wrong(name: &str, message: impl Into<String>) -> InvalidRequest {
    InvalidRequest::field(format!("context_extensions.{PREFIX}{name}"), message)
}

impl Written {
    fn read(extensions: HashMap<String, String>) -> Result<Self, InvalidRequest> {
        let mut written = Self::default();
        for (key, value) in extensions {
            let Some(name) = key.strip_prefix(PREFIX) else { continue };
            written.take(name, value)?;
        }
        Ok(written)
    }

    fn take(&mut self, name: &str, value: String) -> Result<(), InvalidRequest> {
        match name {
            "protocol" => {
                let named = Protocol::named(&value);
                self.protocol = Some(named.ok_or_else(|| wrong(name, "must be `mcp` or `http`"))?);
            }
            "principal" => {
                let named = PrincipalSource::named(&value);
                let known = "must be `token`, `peer`, `header` or `fixed`";
                self.principal = Some(named.ok_or_else(|| wrong(name, known))?);
            }
            "server" if value.is_empty() || value.contains('/') => {
                return Err(wrong(name, "must be the name of a server, without `/`"));
            }
            "server" => self.server = Some(value),
            "principal_type" => self.principal_type = Some(value),
            "principal_id" => self.principal_id = Some(value),
            "delegation" => self.delegation = Some(value),
            "action" => self.action = Some(value),
            "resource_type" => self.resource_type = Some(value),
            "resource_id" => self.resource_id = Some(value),
            "context" => self.context = facts(&value)?,
            _ => return Err(wrong(name, "is no name that means something here")),
        }
        Ok(())
    }
}

fn facts(text: &str) -> Result<Vec<(String, Datum)>, InvalidRequest> {
    match serde_json::from_str(text) {
        Ok(Datum::Record(members)) => Ok(members),
        Ok(other) => Err(wrong("context", format!("must be a JSON object; it is {}", other.kind()))),
        Err(error) => Err(wrong("context", format!("is not JSON: {error}"))),
    }
}

/// A reference that a type and an id make.
fn pair(
    what: &str,
    type_name: Option<String>,
    id: Option<String>,
) -> Result<Option<Reference>, InvalidRequest> {
    match (type_name, id) {
        (None, None) => Ok(None),
        (Some(type_name), Some(id)) => Ok(Some(Reference { type_name, id })),
        (Some(_), None) => Err(wrong(&format!("{what}_id"), "is missing beside its type")),
        (None, Some(_)) => Err(wrong(&format!("{what}_type"), "is missing beside its id")),
    }
}

/// Facts, with others over them: each member replaces the one of its name whole (as in C9).
pub(super) fn over(below: &[(String, Datum)], above: Vec<(String, Datum)>) -> Vec<(String, Datum)> {
    let kept = below.iter().filter(|(name, _)| above.iter().all(|(other, _)| other != name));
    let mut facts: Vec<_> = kept.cloned().collect();
    facts.extend(above);
    facts
}

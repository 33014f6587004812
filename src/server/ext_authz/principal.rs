//! Who acts, and on whose behalf: from where the operator says, and from nowhere else.

use super::fields::Fields;
use super::refusal::Refusal;
use super::route::{Route, wrong};
use super::settings::{PrincipalSource, Settings};
use crate::engine::datum::Reference;
use crate::identity::credentials::Credentials;
use crate::server::wire;

/// Who acts.
#[derive(Debug)]
pub(super) struct Acting {
    /// By name; empty where a token says it.
    pub(super) principal: Reference,
    pub(super) credentials: Option<Credentials>,
    pub(super) delegations: Vec<Reference>,
}

impl Acting {
    /// Who acts in a request that came over a connection whose other end is named `peer`.
    ///
    /// # Errors
    /// [`Refusal`]: it does not say, or not once.
    pub(super) fn of(
        settings: &Settings,
        route: &Route,
        fields: &Fields<'_>,
        peer: &str,
    ) -> Result<Self, Refusal> {
        let (principal, credentials) = match route.principal {
            PrincipalSource::Token => (Reference::new("", ""), Some(token(settings, fields)?)),
            PrincipalSource::Peer => {
                let unknown = || Refusal::Subject("its certificate names no principal".to_owned());
                (settings.peers.principal(peer).ok_or_else(unknown)?, None)
            }
            PrincipalSource::Header => (header(settings, fields)?, None),
            PrincipalSource::Fixed => {
                let missing = || wrong("principal_id", "is missing, and the configuration has none either");
                (route.fixed.clone().ok_or_else(missing).map_err(Refusal::Route)?, None)
            }
        };
        let delegations = delegations(settings, route, fields)?;
        Ok(Self { principal, credentials, delegations })
    }
}

/// The subject's bearer token (RFC 6750 §2.1).
fn token(settings: &Settings, fields: &Fields<'_>) -> Result<Credentials, Refusal> {
    let name = &settings.token_header;
    let refuse = |problem: &str| Refusal::Subject(format!("`{name}` {problem}"));
    let value = fields.one(name).map_err(|_| refuse("does not stand there once, as plain text"))?;
    let value = value.ok_or_else(|| refuse("is missing: it must be `Bearer` and a token"))?;
    let token = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim_start(),
        _ => return Err(refuse("must be `Bearer` and a token")),
    };
    Credentials::shown(token.to_owned()).ok_or_else(|| refuse("holds no token"))
}

/// An id that a client may have written: one that is too long is its mistake, and no failure.
fn id<'a>(fields: &Fields<'a>, name: &str) -> Result<Option<&'a str>, Refusal> {
    let id = fields.one(name)?;
    wire::check_length(name, id.unwrap_or_default())
        .map_err(|error| Refusal::bad(&format!("headers.{name}"), error.message))?;
    Ok(id)
}

/// Whom a header names that the operator trusts.
fn header(settings: &Settings, fields: &Fields<'_>) -> Result<Reference, Refusal> {
    let Some((name, type_name)) = &settings.principal_header else {
        let message = "is `header`, and the configuration names no `ext_authz.principal_header`";
        return Err(Refusal::Route(wrong("principal", message)));
    };
    match id(fields, name)? {
        Some(id) if !id.is_empty() => Ok(Reference::new(type_name.as_str(), id)),
        _ => Err(Refusal::Subject(format!("`{name}` names nobody"))),
    }
}

/// The one delegation that is shown, the leaf: those above it are found in the store (D2).
fn delegations(settings: &Settings, route: &Route, fields: &Fields<'_>) -> Result<Vec<Reference>, Refusal> {
    let shown = match &settings.delegation_header {
        Some(name) => id(fields, name)?,
        None => None,
    };
    let id = shown.or(route.delegation.as_deref()).filter(|id| !id.is_empty());
    let type_name = &settings.domain.delegation.type_name;
    Ok(id.into_iter().map(|id| Reference::new(type_name.as_str(), id)).collect())
}

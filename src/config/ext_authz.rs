//! `[ext_authz]`: what is said of the requests that Envoy asks about.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::ConfigError;
use crate::engine::datum::Reference;
use crate::identity::own::{OwnPrincipal, OwnPrincipals};

/// What is said of the requests that Envoy asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtAuthzConfig {
    /// What routes carry.
    pub protocol: Option<ExtAuthzProtocol>,
    /// The tool server behind them.
    pub server: Option<String>,
    /// Where it is said who acts.
    pub principal: Option<ExtAuthzPrincipal>,
    /// Who acts, where that is fixed.
    pub fixed: Option<Reference>,
    /// The header that holds the subject's token, in lower case.
    pub token_header: String,
    /// The header that names who acts, in lower case, and the type of whom it names.
    pub principal_header: Option<(String, String)>,
    /// Who acts, by the name in the client's certificate.
    pub peers: OwnPrincipals,
    /// The delegation that is shown.
    pub delegation: Option<String>,
    /// The header in which a client shows one, in lower case.
    pub delegation_header: Option<String>,
    /// Whether a tool is taken to be as it was approved.
    pub digest_approved: bool,
    /// Facts that are asserted with each question.
    pub context: Map<String, Value>,
}

/// What a route carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExtAuthzProtocol {
    /// MCP over HTTP.
    Mcp,
    /// Any other use of HTTP.
    Http,
}

/// Where it is said who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExtAuthzPrincipal {
    /// In a token.
    Token,
    /// In the client's certificate.
    Peer,
    /// In a header.
    Header,
    /// Here.
    Fixed,
}

/// `[ext_authz]`, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    /// What routes carry, unless a route says so itself: `mcp` or `http`.
    protocol: Option<ExtAuthzProtocol>,
    /// The tool server behind them.
    server: Option<String>,
    /// Where it is said who acts: in a `token`, in the client's certificate (`peer`), in a `header`, or
    /// `fixed`.
    principal: Option<ExtAuthzPrincipal>,
    /// Of whom `principal_header` or `principal_id` names.
    principal_type: Option<String>,
    /// Who acts, with `fixed`.
    principal_id: Option<String>,
    /// The header of the token, with `token`.
    ///
    /// Default `"authorization"`.
    token_header: Option<String>,
    /// The header that names who acts, with `header`. Whoever is before Envoy must set or remove it on every
    /// request.
    principal_header: Option<String>,
    /// With `peer`: whom certificates name.
    peers: Vec<Peer>,
    /// The delegation that is shown.
    delegation: Option<String>,
    /// The header in which a client shows one.
    delegation_header: Option<String>,
    /// `approved`: tools are taken to be as they were approved.
    digest: Option<WrittenDigest>,
    /// Facts that are asserted with each question, as far as its action declares them.
    context: Map<String, Value>,
}

/// `[[ext_authz.peers]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Peer {
    /// The name in the certificate; `*` at the end stands for one part of it.
    ///
    /// Required.
    peer: String,
    /// The principal's type.
    ///
    /// Required.
    principal_type: String,
    /// Its id, where `peer` does not end with `*`.
    principal_id: Option<String>,
}

/// What is said of the definitions that agents saw. Nothing but this can be said without having seen them.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenDigest {
    Approved,
}

fn refuse(key: &str, problem: &str) -> ConfigError {
    ConfigError::ExtAuthz { key: key.to_owned(), problem: problem.to_owned() }
}

impl Written {
    pub(super) fn meaning(self) -> Result<ExtAuthzConfig, ConfigError> {
        if self.server.as_deref().is_some_and(|server| server.is_empty() || server.contains('/')) {
            return Err(refuse("server", "must be the name of a server, without `/`"));
        }
        let peers = self.peers.iter().map(|Peer { peer, principal_type, principal_id }| {
            OwnPrincipal::new(peer, principal_type, principal_id.as_deref())
                .map_err(|error| refuse("peers", &format!("`{peer}`: {error}")))
        });
        let peers = OwnPrincipals::new(peers.collect::<Result<_, _>>()?);
        let principal_header = header("principal_header", self.principal_header)?;
        let (principal_header, fixed) = named(principal_header, self.principal_type, self.principal_id)?;
        match self.principal {
            Some(ExtAuthzPrincipal::Header) if principal_header.is_none() => {
                return Err(refuse("principal_header", "must be set where `principal` is \"header\""));
            }
            Some(ExtAuthzPrincipal::Fixed) if fixed.is_none() => {
                return Err(refuse("principal_id", "must be set where `principal` is \"fixed\""));
            }
            _ => {}
        }
        Ok(ExtAuthzConfig {
            protocol: self.protocol,
            server: self.server,
            principal: self.principal,
            fixed,
            token_header: header("token_header", self.token_header)?
                .unwrap_or_else(|| "authorization".to_owned()),
            principal_header,
            peers,
            delegation: self.delegation,
            delegation_header: header("delegation_header", self.delegation_header)?,
            digest_approved: matches!(self.digest, Some(WrittenDigest::Approved)),
            context: self.context,
        })
    }
}

/// The header with the type of whom it names, and who acts where that is fixed.
type Named = (Option<(String, String)>, Option<Reference>);

fn named(
    header: Option<String>,
    type_name: Option<String>,
    id: Option<String>,
) -> Result<Named, ConfigError> {
    match (header, type_name, id) {
        (None, None, None) => Ok((None, None)),
        (None, Some(type_name), Some(id)) => Ok((None, Some(Reference { type_name, id }))),
        (Some(header), Some(type_name), id) => {
            let fixed = id.map(|id| Reference::new(type_name.as_str(), id));
            Ok((Some((header, type_name)), fixed))
        }
        (_, None, _) => Err(refuse("principal_type", "must be set: a name alone names nobody")),
        (None, Some(_), None) => {
            Err(refuse("principal_type", "is for `principal_header` or `principal_id`; neither is set"))
        }
    }
}

/// A header's name in lower case.
fn header(key: &str, name: Option<String>) -> Result<Option<String>, ConfigError> {
    let Some(name) = name else { return Ok(None) };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(refuse(key, "must be the name of a header"));
    }
    Ok(Some(name.to_ascii_lowercase()))
}

//! What the operator says of the requests that Envoy asks about.

use crate::engine::catalog::Domain;
use crate::engine::datum::{Datum, Reference};
use crate::identity::own::OwnPrincipals;

/// What the configuration says. A route may say otherwise where `Route` says so.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What routes carry.
    pub protocol: Option<Protocol>,
    /// The tool server behind them.
    pub server: Option<String>,
    /// Where it is said who acts.
    pub principal: Option<PrincipalSource>,
    /// Who acts, where that is fixed.
    pub fixed: Option<Reference>,
    /// The header, in lower case, that holds the subject's token.
    pub token_header: String,
    /// The header, in lower case, that names who acts, and the type of whom it names.
    pub principal_header: Option<(String, String)>,
    /// Who acts, by the name in the client's certificate.
    pub peers: OwnPrincipals,
    /// The delegation that is shown.
    pub delegation: Option<String>,
    /// The header, in lower case, in which a client shows a delegation.
    pub delegation_header: Option<String>,
    /// Whether a tool is taken to be as it was approved: nobody here sees the definitions that agents see.
    pub digest_approved: bool,
    /// Facts that are asserted with each question.
    pub context: Vec<(String, Datum)>,
    /// Names of the agent domain.
    pub domain: Domain,
    /// Longest body that is decided on, in bytes.
    pub max_body_bytes: usize,
}

/// What a route carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// MCP over HTTP: what a request does is in its body.
    Mcp,
    /// Any other use of HTTP: what a request does is its method and path.
    Http,
}

impl Protocol {
    /// The protocol of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "mcp" => Some(Self::Mcp),
            "http" => Some(Self::Http),
            _ => None,
        }
    }
}

/// Where it is said who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrincipalSource {
    /// In the subject's token.
    Token,
    /// In the client's certificate, which Envoy verified.
    Peer,
    /// In a header that something before this filter sets.
    Header,
    /// In what the operator wrote.
    Fixed,
}

impl PrincipalSource {
    /// The source of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "token" => Some(Self::Token),
            "peer" => Some(Self::Peer),
            "header" => Some(Self::Header),
            "fixed" => Some(Self::Fixed),
            _ => None,
        }
    }
}

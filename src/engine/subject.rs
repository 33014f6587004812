//! What a verified token says of the subject, in the domain's terms. Whoever verified it stands behind it; the engine
//! takes it as data.

use super::authorize::Now;
use super::datum::{Datum, Reference};
use super::request::RequestEntity;

/// The subject of a verified token (D8).
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Who the token was issued for: the chain's root.
    pub root: Reference,
    /// Who acts for it, from the outermost `act` inwards (RFC 8693 §4.1): the first is the actor. The others prove nothing
    /// alone; they must be the chain's, or the request is denied. Empty: the root acts itself.
    pub actors: Vec<Reference>,
    /// What the token hands its actor, if its issuer's profile makes the token a grant. It covers this and no more.
    pub grant: Option<TokenGrant>,
    /// Members of `context.token`.
    pub facts: Vec<(String, Datum)>,
    /// The principal that the issuer's profile makes of the token, of a type marked `@token_scoped`, where none is stored.
    pub principal: Option<RequestEntity>,
    /// When the token expires, in milliseconds since 1970-01-01T00:00:00Z.
    pub expires: Now,
    /// Names the token without telling it: `sha256:` over its whole text.
    pub digest: String,
}

/// A token that is a grant from its root to its actor: what it covers, as a stored grant would say it (D5, D8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenGrant {
    /// Actions, and everything in them.
    pub actions: Vec<Reference>,
    /// Resources, and everything in them.
    pub scopes: Vec<Reference>,
    /// Why.
    pub purpose: String,
}

//! Who asks: an enforcement point, or an agent that asks about itself.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use spiffe::SpiffeId;

use crate::engine::authorize::Now;

/// Whoever is on the other end of a connection or a call (C1): what was verified of it, and nothing that it merely says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    name: Arc<str>,
    workload: Option<Workload>,
    token: Option<TokenHolder>,
    certificate: Option<Thumbprint>,
    expires: Option<Now>,
    fingerprint: Fingerprint,
}

/// Stands for everything that rights can depend on: two callers that differ in any of it differ in this.
pub(super) type Fingerprint = [u8; 32];

/// A workload, by its SPIFFE ID.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Workload {
    /// The SPIFFE ID: `spiffe://example.org/gateways/mcp`.
    pub id: String,
    /// Whose bundle vouches for it: `example.org`.
    pub trust_domain: String,
    /// What stands after the trust domain: `/gateways/mcp`.
    pub path: String,
}

impl Workload {
    /// The workload that a SPIFFE ID names.
    #[must_use]
    pub fn of(id: &SpiffeId) -> Self {
        Self {
            id: id.to_string(),
            trust_domain: id.trust_domain_name().to_owned(),
            path: id.path().to_owned(),
        }
    }
}

/// Whom an issuer's token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHolder {
    /// `iss`, as it is configured.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// The token's scopes, in order and each once.
    pub scopes: Vec<String>,
    /// When the token expires.
    pub expires: Now,
}

/// SHA-256 over a certificate's DER (RFC 8705 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// The thumbprint of a certificate.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 32] {
        self.0
    }

    /// As `cnf` says it in `x5t#S256`: base64url without padding.
    #[must_use]
    pub fn x5t(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.x5t())
    }
}

impl Caller {
    /// A caller that has shown nothing: everybody, while callers are not authenticated (C2).
    #[must_use]
    pub fn anonymous(name: &str) -> Self {
        Self::new(name, None, None, None, None)
    }

    fn new(
        name: &str,
        workload: Option<Workload>,
        token: Option<TokenHolder>,
        certificate: Option<Thumbprint>,
        expires: Option<Now>,
    ) -> Self {
        let fingerprint = fingerprint(name, workload.as_ref(), token.as_ref());
        Self { name: Arc::from(name), workload, token, certificate, expires, fingerprint }
    }

    /// A workload that has proved to hold its certificate's key. `expires` is the end of the path that vouches for it.
    #[must_use]
    pub fn workload(workload: Workload, certificate: Thumbprint, expires: Now) -> Self {
        let name = workload.id.clone();
        Self::new(&name, Some(workload), None, Some(certificate), Some(expires))
    }

    /// Whoever shows a token, which has been verified.
    #[must_use]
    pub fn token_holder(token: TokenHolder) -> Self {
        let (name, expires) = (format!("{}#{}", token.issuer, token.subject), token.expires);
        Self::new(&name, None, Some(token), None, Some(expires))
    }

    /// A workload that shows a token of its trust domain (JWT-SVID). Whoever holds the token can show it.
    #[must_use]
    pub fn workload_by_token(workload: Workload, token: TokenHolder) -> Self {
        let (name, expires) = (workload.id.clone(), token.expires);
        Self::new(&name, Some(workload), Some(token), None, Some(expires))
    }

    /// The same workload, which shows a token besides. None if the token names somebody else: a call has one identity.
    #[must_use]
    pub fn with_token(&self, token: TokenHolder) -> Option<Self> {
        let workload = self.workload.as_ref()?;
        if token.subject != workload.id {
            return None;
        }
        let expires = self.expires.map_or(token.expires, |expires| Now(expires.0.min(token.expires.0)));
        Some(Self::new(&self.name, Some(workload.clone()), Some(token), self.certificate, Some(expires)))
    }

    /// What the decision log calls it: its SPIFFE ID, or `issuer#subject`.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The workload it is, if a certificate says so.
    #[must_use]
    pub fn as_workload(&self) -> Option<&Workload> {
        self.workload.as_ref()
    }

    /// What its token says, if it showed one.
    #[must_use]
    pub fn as_token_holder(&self) -> Option<&TokenHolder> {
        self.token.as_ref()
    }

    /// The certificate on whose connection it calls: what a token with `cnf` must be bound to (C11).
    #[must_use]
    pub fn certificate(&self) -> Option<Thumbprint> {
        self.certificate
    }

    /// When nobody vouches for it any more; none if nobody does anyway.
    #[must_use]
    pub fn expires(&self) -> Option<Now> {
        self.expires
    }

    pub(super) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Whether somebody vouches for it now.
    #[must_use]
    pub fn holds_at(&self, now: Now) -> bool {
        self.expires.is_none_or(|expires| now.0 < expires.0)
    }
}

/// A digest over tagged bytes: no two lists of parts have the same.
fn fingerprint(name: &str, workload: Option<&Workload>, token: Option<&TokenHolder>) -> Fingerprint {
    let mut hasher = Sha256::new();
    let mut add = |parts: &[&str]| {
        for part in parts {
            hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(part);
        }
    };
    add(&[name]);
    match workload {
        Some(Workload { id, trust_domain, path }) => add(&["workload", id, trust_domain, path]),
        None => add(&[""]),
    }
    match token {
        // When a token expires no policy can read.
        Some(TokenHolder { issuer, subject, scopes, expires: _ }) => {
            add(&["token", issuer, subject]);
            scopes.iter().for_each(|scope| add(&[scope]));
        }
        None => add(&[""]),
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload() -> Caller {
        let workload = Workload {
            id: "spiffe://example.org/gateway".to_owned(),
            trust_domain: "example.org".to_owned(),
            path: "/gateway".to_owned(),
        };
        Caller::workload(workload, Thumbprint::of(b"certificate"), Now(2000))
    }

    fn token(subject: &str, expires: i64) -> TokenHolder {
        TokenHolder {
            issuer: "https://idp".to_owned(),
            subject: subject.to_owned(),
            scopes: Vec::new(),
            expires: Now(expires),
        }
    }

    #[test]
    fn a_certificate_and_a_token_are_one_caller_or_none() {
        let both = workload().with_token(token("spiffe://example.org/gateway", 1000)).unwrap();
        assert_eq!(&**both.name(), "spiffe://example.org/gateway");
        assert_eq!(both.expires(), Some(Now(1000)), "whichever ends first");
        assert_eq!(workload().with_token(token("spiffe://example.org/other", 1000)), None);
        assert_eq!(workload().with_token(token("gateway", 1000)), None);
    }

    #[test]
    fn callers_that_rights_could_tell_apart_have_fingerprints_of_their_own() {
        let holder = |subject: &str, scopes: &[&str]| {
            let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
            Caller::token_holder(TokenHolder { scopes, ..token(subject, 1000) })
        };
        let id = "spiffe://example.org/gateway";
        let callers = [
            workload(),
            workload().with_token(token(id, 1000)).unwrap(),
            holder(id, &[]),
            holder("a", &[]),
            holder("a", &["b", "c"]),
            holder("a", &["bc"]),
            Caller::anonymous("https://idp#a"),
        ];
        let fingerprints: std::collections::HashSet<_> = callers.iter().map(|one| one.fingerprint).collect();
        assert_eq!(fingerprints.len(), callers.len());
    }

    #[test]
    fn nobody_vouches_for_a_caller_from_the_instant_of_expiry_on() {
        assert!(workload().holds_at(Now(1999)));
        assert!(!workload().holds_at(Now(2000)));
        assert!(Caller::anonymous("anonymous").holds_at(Now(i64::MAX)));
    }
}

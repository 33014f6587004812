//! What a token's header may say, and what it must.

use jsonwebtoken::Algorithm;

use super::compact::{Members, member, text};
use super::profile::HeaderRules;
use super::rejection::{Check, Rejection};
use crate::engine::datum::Datum;

/// Members by which a token would choose its own key, or have itself read differently (RFC 7515 §4.1, RFC 7797).
const REFUSED: [&str; 6] = ["jku", "jwk", "x5u", "x5c", "crit", "b64"];
/// Longest key id, in bytes.
const MAX_KID_BYTES: usize = 512;

/// The part of a header that says how to verify.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    /// How the token is signed.
    pub algorithm: Algorithm,
    /// Which of its issuer's keys signed it; none only where the profile lets it be absent.
    pub kid: Option<String>,
}

impl Header {
    /// Reads a header as an issuer's profile says.
    ///
    /// # Errors
    /// [`Rejection`] at the first member that must not be there, or is not what it must be.
    pub fn read(members: &Members, rules: &HeaderRules, algorithms: &[Algorithm]) -> Result<Self, Rejection> {
        if let Some(name) = REFUSED.iter().find(|name| member(members, name).is_some()) {
            let message =
                format!("`{name}` must not be there: keys are its issuer's, and no extension is known");
            return Err(Rejection::new(Check::Header, message));
        }
        check_type(members, rules)?;
        Ok(Self { algorithm: algorithm(members, algorithms)?, kid: kid(members, rules)? })
    }
}

fn check_type(members: &Members, rules: &HeaderRules) -> Result<(), Rejection> {
    let accepted = || rules.typ.join("` or `");
    let typ = match member(members, "typ") {
        None if rules.typ_may_be_absent => return Ok(()),
        Some(Datum::String(typ)) => typ.to_ascii_lowercase(),
        _ => {
            let message = format!("`typ` must be the text `{}`", accepted());
            return Err(Rejection::new(Check::Type, message));
        }
    };
    // A media type without a slash is short for `application/` before it (RFC 7515 §4.1.9).
    let typ = typ.strip_prefix("application/").filter(|rest| !rest.contains('/')).unwrap_or(&typ);
    if rules.typ.iter().any(|accepted| accepted.eq_ignore_ascii_case(typ)) {
        return Ok(());
    }
    Err(Rejection::new(Check::Type, format!("`typ` is another kind of token's; it must be `{}`", accepted())))
}

fn algorithm(members: &Members, allowed: &[Algorithm]) -> Result<Algorithm, Rejection> {
    let algorithm = text(members, "alg").and_then(asymmetric).filter(|found| allowed.contains(found));
    algorithm.ok_or_else(|| {
        let allowed: Vec<_> = allowed.iter().map(|algorithm| format!("{algorithm:?}")).collect();
        Rejection::new(Check::Algorithm, format!("`alg` must be one of {}", allowed.join(", ")))
    })
}

fn kid(members: &Members, rules: &HeaderRules) -> Result<Option<String>, Rejection> {
    match member(members, "kid") {
        None if rules.kid_may_be_absent => Ok(None),
        Some(Datum::String(kid)) if !kid.is_empty() && kid.len() <= MAX_KID_BYTES => Ok(Some(kid.clone())),
        _ => {
            let message = format!("`kid` must name the key, in at most {MAX_KID_BYTES} bytes");
            Err(Rejection::new(Check::Header, message))
        }
    }
}

/// The signature algorithm of that name, if it has a public key: a shared secret, or none, verifies nothing that its
/// holder could not have made (RFC 8725 §2.1).
#[must_use]
pub fn asymmetric(name: &str) -> Option<Algorithm> {
    Some(match name {
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        "EdDSA" => Algorithm::EdDSA,
        _ => return None,
    })
}

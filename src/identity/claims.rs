//! The claims that every token has, strictly typed (RFC 7519 §4.1), and what it is bound to (RFC 7800, RFC 8705 §3.1).

use super::compact::{Members, decode, member};
use super::rejection::{Check, Rejection};
use crate::engine::datum::Datum;

/// The last instant that has a year of four digits, in seconds: what lies beyond is no time anybody meant.
const LAST_SECOND: f64 = 253_402_300_799.0;
/// Most audiences of one token.
const MAX_AUDIENCES: usize = 100;

/// Registered claims. Instants are milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Who says it issued the token.
    pub issuer: Option<String>,
    /// For whom it was issued; never empty.
    pub audience: Vec<String>,
    /// When it expires.
    pub expires: i64,
    /// From when on it is valid.
    pub not_before: Option<i64>,
    /// When it was issued.
    pub issued: Option<i64>,
    /// SHA-256 of the certificate it is bound to.
    pub certificate: Option<[u8; 32]>,
}

impl Registered {
    /// Reads them.
    ///
    /// # Errors
    /// [`Rejection`] at the first that is missing, of another type, or binds the token to what this build cannot check.
    pub fn read(claims: &Members, required: &[String]) -> Result<Self, Rejection> {
        if let Some(missing) = required.iter().find(|name| member(claims, name).is_none()) {
            return Err(Rejection::new(Check::Claims, format!("`{missing}` is required")));
        }
        Ok(Self {
            issuer: optional_text(claims, "iss")?,
            audience: audience(claims)?,
            expires: instant(claims, "exp")?
                .ok_or_else(|| Rejection::new(Check::Claims, "`exp` is required"))?,
            not_before: instant(claims, "nbf")?,
            issued: instant(claims, "iat")?,
            certificate: confirmation(claims)?,
        })
    }

    /// The audiences, if they are written as they must be.
    #[must_use]
    pub fn audience_of(claims: &Members) -> Option<Vec<String>> {
        audience(claims).ok()
    }
}

/// A claim that must be text where it is there.
pub(super) fn optional_text(claims: &Members, name: &str) -> Result<Option<String>, Rejection> {
    match member(claims, name) {
        None => Ok(None),
        Some(Datum::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(Rejection::new(Check::Claims, format!("`{name}` must be text that is not empty"))),
    }
}

fn audience(claims: &Members) -> Result<Vec<String>, Rejection> {
    let wrong =
        || Rejection::new(Check::Claims, format!("`aud` must be a text, or a list of 1 to {MAX_AUDIENCES}"));
    match member(claims, "aud") {
        Some(Datum::String(one)) => Ok(vec![one.clone()]),
        Some(Datum::List(many)) if (1..=MAX_AUDIENCES).contains(&many.len()) => many
            .iter()
            .map(|one| match one {
                Datum::String(one) => Ok(one.clone()),
                _ => Err(wrong()),
            })
            .collect(),
        _ => Err(wrong()),
    }
}

/// A `NumericDate`: a JSON number of seconds, perhaps with a fraction (RFC 7519 §2). Never text: a checker that skips what
/// it cannot read would never see the token expire.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the range is checked first"
)]
fn instant(claims: &Members, name: &str) -> Result<Option<i64>, Rejection> {
    let seconds = match member(claims, name) {
        None => return Ok(None),
        Some(Datum::Long(seconds)) => *seconds as f64,
        Some(Datum::Number(seconds)) => *seconds,
        Some(_) => {
            return Err(Rejection::new(Check::Claims, format!("`{name}` must be a number of seconds")));
        }
    };
    if !(0.0..=LAST_SECOND).contains(&seconds) {
        let message = format!("`{name}` must be a number of seconds since 1970, not beyond the year 9999");
        return Err(Rejection::new(Check::Claims, message));
    }
    Ok(Some((seconds * 1000.0).floor() as i64))
}

/// What the token is bound to. All of it must be shown, so what cannot be checked is refused (C11).
fn confirmation(claims: &Members) -> Result<Option<[u8; 32]>, Rejection> {
    let refuse = |message: &'static str| Err(Rejection::new(Check::Confirmation, message));
    let members = match member(claims, "cnf") {
        None => return Ok(None),
        Some(Datum::Record(members)) => members.as_slice(),
        Some(_) => return refuse("`cnf` must be an object"),
    };
    match members {
        [(name, Datum::String(digest))] if name == "x5t#S256" => {
            match decode(digest).and_then(|digest| digest.try_into().ok()) {
                Some(digest) => Ok(Some(digest)),
                None => refuse("`cnf.x5t#S256` must be 32 bytes in base64url"),
            }
        }
        _ => {
            refuse("the token is bound by `cnf` to what this build cannot check; it checks `x5t#S256` alone")
        }
    }
}

//! A token's text, taken apart and trusted in nothing (RFC 7515 §3.1, compact serialization).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::rejection::{Check, Rejection};
use crate::engine::datum::Datum;

/// Longest token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Deepest nesting of header or claims, the object itself included.
const MAX_DEPTH: usize = 12;
/// Most members and elements of header or claims, over all depths.
const MAX_VALUES: usize = 1_000;

/// Members of a JSON object, each name once.
pub type Members = Vec<(String, Datum)>;

/// A token's parts, as whoever wrote it says.
#[derive(Debug)]
pub struct Compact<'t> {
    /// The JOSE header.
    pub header: Members,
    /// The claims.
    pub claims: Members,
    /// What is signed: the first two parts as they stand.
    pub signed: &'t str,
    /// The signature, in base64url.
    pub signature: &'t str,
}

impl<'t> Compact<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`Rejection`] if it is too long, or not three parts of canonical base64url of which the first two hold a JSON object
    /// with every member once.
    pub fn parse(token: &'t str) -> Result<Self, Rejection> {
        check_size(token)?;
        let form = |message: &'static str| Rejection::new(Check::Form, message);
        let parts: Vec<&str> = token.split('.').collect();
        let &[header, claims, signature] = parts.as_slice() else {
            return Err(form("a token has exactly three parts; encrypted ones, of five, are not accepted"));
        };
        if signature.is_empty() {
            return Err(form("the token is not signed"));
        }
        decode(signature).ok_or_else(|| form("the signature is not canonical base64url without padding"))?;
        let signed = token.get(..header.len() + 1 + claims.len()).unwrap_or_default();
        Ok(Self {
            header: object(header, "the header")?,
            claims: object(claims, "the claims")?,
            signed,
            signature,
        })
    }
}

/// Refuses a token over the limit, before anything looks at it.
pub(super) fn check_size(token: &str) -> Result<(), Rejection> {
    let size = token.len();
    if size > MAX_TOKEN_BYTES {
        let message = format!("the token is {size} bytes long; the limit is {MAX_TOKEN_BYTES}");
        return Err(Rejection::new(Check::Size, message));
    }
    Ok(())
}

/// Canonical base64url without padding; anything else is none. No two texts mean the same bytes.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn object(part: &str, what: &str) -> Result<Members, Rejection> {
    let form = |problem: &str| Rejection::new(Check::Form, format!("{what} {problem}"));
    let bytes = decode(part).ok_or_else(|| form("are not canonical base64url without padding"))?;
    // What is wrong with the text is not told: the parser would repeat some of it.
    let value = serde_json::from_slice(&bytes)
        .map_err(|_error| form("must be one JSON object that has every member once"))?;
    let Datum::Record(members) = value else {
        return Err(form("must be one JSON object that has every member once"));
    };
    let depth = 1 + members.iter().map(|(_, value)| value.depth()).max().unwrap_or(0);
    if depth > MAX_DEPTH {
        return Err(form(&format!("nest deeper than {MAX_DEPTH} levels")));
    }
    if members.iter().map(|(_, value)| values(value)).sum::<usize>() > MAX_VALUES {
        return Err(form(&format!("hold more than {MAX_VALUES} values")));
    }
    Ok(members)
}

/// How many values stand in one, itself included.
fn values(value: &Datum) -> usize {
    1 + match value {
        Datum::List(elements) => elements.iter().map(values).sum(),
        Datum::Record(members) => members.iter().map(|(_, value)| values(value)).sum(),
        _ => 0,
    }
}

/// The member of that name.
pub(super) fn member<'m>(members: &'m [(String, Datum)], name: &str) -> Option<&'m Datum> {
    members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
}

/// The text of that name, if it is one.
pub(super) fn text<'m>(members: &'m [(String, Datum)], name: &str) -> Option<&'m str> {
    match member(members, name) {
        Some(Datum::String(text)) => Some(text),
        _ => None,
    }
}

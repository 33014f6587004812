//! The body of a request, whole or not at all: a decision on a part of it would be about another request.

use super::fields::{Fields, REPLACED};
use super::refusal::Refusal;
use crate::server::envoy::auth::attribute_context::HttpRequest;

/// Where Envoy says whether the body is cut short. It takes away what a client writes there.
const PARTIAL: &str = "x-envoy-auth-partial-body";

/// The bytes of a body of JSON, of which there may be so many.
///
/// # Errors
/// [`Refusal`]: it is not there, not whole, too long, or not JSON in UTF-8 as it stands.
pub(super) fn json<'a>(
    http: &'a HttpRequest,
    fields: &Fields<'_>,
    limit: usize,
) -> Result<&'a [u8], Refusal> {
    check_whole(fields)?;
    let body = match (http.body.as_bytes(), http.raw_body.as_slice()) {
        (text, []) if text.contains(&REPLACED) => {
            let message = "came as text, in which `!` stands for any byte that is none: set `pack_as_bytes`";
            return Err(Refusal::bad("body", message));
        }
        (text, []) => text,
        ([], raw) => raw,
        _ => return Err(Refusal::bad("body", "came as text and as bytes: they could differ")),
    };
    if body.is_empty() {
        let message = "is missing. If the request has one, Envoy does not send it: set `with_request_body`";
        return Err(Refusal::bad("body", message));
    }
    if body.len() > limit {
        let message = format!("is {} bytes long; the limit is {limit} (`limits.message_bytes`)", body.len());
        return Err(Refusal::with_status(413, "body", message));
    }
    check_length(fields, body.len())?;
    check_form(fields)?;
    Ok(body)
}

fn check_whole(fields: &Fields<'_>) -> Result<(), Refusal> {
    match fields.one(PARTIAL)? {
        None | Some("false") => Ok(()),
        Some(_) => {
            Err(Refusal::with_status(413, "body", "is longer than Envoy sends, so nobody can decide on it"))
        }
    }
}

/// The client's own word for the body's length must be what has come of it.
fn check_length(fields: &Fields<'_>, length: usize) -> Result<(), Refusal> {
    match fields.one("content-length")? {
        Some(told) if told.parse() != Ok(length) => {
            let message = format!("has {length} bytes, and `content-length` says something else");
            Err(Refusal::bad("body", message))
        }
        _ => Ok(()),
    }
}

/// A body that is packed, or whose text is in another encoding, means something else to its reader.
fn check_form(fields: &Fields<'_>) -> Result<(), Refusal> {
    if !matches!(fields.one("content-encoding")?, None | Some("identity")) {
        let message = "must be `identity`: what is compressed is not decided on";
        return Err(Refusal::with_status(415, "headers.content-encoding", message));
    }
    let given = fields.one("content-type")?.unwrap_or_default();
    let mut parts = given.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let mut parameters = parts.filter(|part| !part.is_empty());
    let is_utf8 = parameters.all(|part| {
        ["charset=utf-8", "charset=\"utf-8\""].iter().any(|utf8| part.eq_ignore_ascii_case(utf8))
    });
    if is_json && is_utf8 {
        return Ok(());
    }
    Err(Refusal::with_status(415, "headers.content-type", "must be `application/json`, in UTF-8"))
}

//! What a request of MCP over HTTP asks for: its body says it, and nothing beside it may say something else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_types::Struct;
use prost_types::value::Kind;

use super::body;
use super::fields::Fields;
use super::refusal::{BadRequest, Refusal};
use super::settings::Settings;
use crate::engine::datum::Datum;
use crate::engine::request::InvalidRequest;
use crate::mcp::message::{HEADER_MISMATCH, Message};
use crate::mcp::methods::Asked;
use crate::server::envoy::auth::attribute_context::HttpRequest;
use crate::server::envoy::core::Metadata;

/// What Envoy's filter for MCP calls what it read.
const METADATA: &str = "envoy.filters.http.mcp";

/// What a request of MCP asks for, and the id of its message.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) id: Option<Datum>,
    pub(super) asked: Result<Asked, Refusal>,
}

/// Reads what a request asks of a server.
pub(super) fn hear(
    http: &HttpRequest,
    fields: &Fields<'_>,
    metadata: Option<&Metadata>,
    server: &str,
    settings: &Settings,
) -> Heard {
    let silent = |asked| Heard { id: None, asked };
    match http.method.as_str() {
        "POST" => {}
        // The connection on which the server speaks by itself, and the end of the session.
        "GET" | "DELETE" if http.body.is_empty() && http.raw_body.is_empty() => {
            return silent(Ok(Asked::list(server, &settings.domain)));
        }
        _ => return silent(Err(Refusal::with_status(405, "method", "is none that MCP has"))),
    }
    let body = body::json(http, fields, settings.max_body_bytes);
    let message = match body.and_then(|body| Ok(Message::read(body)?)) {
        Ok(message) => message,
        Err(refusal) => return silent(Err(refusal)),
    };
    let (id, method) = (message.id.clone(), message.method.clone());
    let asked = Asked::of(message, server, &settings.domain).map_err(Refusal::from).and_then(|asked| {
        check_headers(fields, &method, &asked)?;
        check_metadata(metadata, &method, &asked)?;
        Ok(asked)
    });
    Heard { id, asked }
}

/// The headers say what the body says, or nothing (MCP 2026-07-28, "Transports").
fn check_headers(fields: &Fields<'_>, method: &str, asked: &Asked) -> Result<(), Refusal> {
    if fields.one("mcp-method")?.is_some_and(|told| told != method) {
        return Err(mismatch("headers.mcp-method", "is another method than the body's"));
    }
    let Some(told) = fields.verbatim("mcp-name")? else { return Ok(()) };
    if asked.name.as_deref() != Some(&*unwrapped(told)) {
        return Err(mismatch("headers.mcp-name", "is another name than the body's"));
    }
    Ok(())
}

/// A header's value; one that is no plain text is written as `=?base64?…?=`.
fn unwrapped(value: &str) -> std::borrow::Cow<'_, str> {
    let inner = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    let decoded = inner.and_then(|inner| String::from_utf8(STANDARD.decode(inner).ok()?).ok());
    decoded.map_or(value.into(), Into::into)
}

/// What Envoy's own filter read is what was read here, where it says so.
fn check_metadata(metadata: Option<&Metadata>, method: &str, asked: &Asked) -> Result<(), Refusal> {
    let Some(read) = metadata.and_then(|metadata| metadata.filter_metadata.get(METADATA)) else {
        return Ok(());
    };
    if text(read, "method").is_some_and(|told| told != method) {
        return Err(mismatch("metadata.method", "is another method than the body's"));
    }
    let params = read.fields.get("params").and_then(|params| match &params.kind {
        Some(Kind::StructValue(params)) => Some(params),
        _ => None,
    });
    let named = params.and_then(|params| text(params, "name").or_else(|| text(params, "uri")));
    if named.is_some() && asked.name.is_some() && named != asked.name.as_deref() {
        return Err(mismatch("metadata.params", "name something else than the body"));
    }
    Ok(())
}

fn text<'a>(fields: &'a Struct, name: &str) -> Option<&'a str> {
    match &fields.fields.get(name)?.kind {
        Some(Kind::StringValue(text)) => Some(text),
        _ => None,
    }
}

fn mismatch(field: &str, message: &str) -> Refusal {
    let error = InvalidRequest::field(format!("request.http.{field}"), message);
    Refusal::Request(BadRequest { status: 400, code: HEADER_MISMATCH, error })
}

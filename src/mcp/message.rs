//! A request of MCP, read from JSON-RPC so that nobody else can read something else in it.
//!
//! Whoever decides a request and whoever carries it out must see the same one. So only what JSON-RPC names may stand in a
//! message: a reader that ignores the case of names would take `Method` for `method`. Names stand once (`Datum` sees to it),
//! and a batch, whose parts would have to be decided one by one, is refused (MCP has none since 2025-06-18).

use crate::engine::datum::Datum;
use crate::engine::request::InvalidRequest;

/// Longest method, in bytes.
const MAX_METHOD_BYTES: usize = 128;
/// Longest id that is a text, in bytes.
const MAX_ID_BYTES: usize = 256;

/// JSON-RPC's code for a text that is no JSON.
pub const PARSE_ERROR: i64 = -32700;
/// JSON-RPC's code for a message that is no request.
pub const INVALID_REQUEST: i64 = -32600;
/// JSON-RPC's code for a method that is not there.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// JSON-RPC's code for parameters that are not the method's.
pub const INVALID_PARAMS: i64 = -32602;
/// MCP's code for headers that say something else than the message (MCP 2026-07-28, "Transports").
pub const HEADER_MISMATCH: i64 = -32020;

/// A request or notification.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Names the request for its answer; a notification has none.
    pub id: Option<Datum>,
    /// What is asked for.
    pub method: String,
    /// With what.
    pub params: Vec<(String, Datum)>,
}

/// A message that nobody can decide on.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{error}")]
pub struct Unfit {
    /// The code that JSON-RPC or MCP has for it.
    pub code: i64,
    /// The id of the request, as far as it was read.
    pub id: Option<Datum>,
    /// What is wrong.
    pub error: InvalidRequest,
}

impl Unfit {
    /// A message of which `field` is wrong.
    pub(super) fn new(code: i64, id: Option<&Datum>, field: &str, message: impl Into<String>) -> Self {
        Self { code, id: id.cloned(), error: InvalidRequest::field(field, message) }
    }
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Unfit`]: no JSON, a batch, an answer, or members that no request has.
    pub fn read(bytes: &[u8]) -> Result<Self, Unfit> {
        let read: Datum = serde_json::from_slice(bytes)
            .map_err(|error| Unfit::new(PARSE_ERROR, None, "body", format!("is not JSON: {error}")))?;
        let members = match read {
            Datum::Record(members) => members,
            Datum::List(_) => {
                return Err(invalid(None, "body", "is a batch: send each request by itself"));
            }
            other => {
                let message = format!("must be a JSON-RPC request; it is {}", other.kind());
                return Err(invalid(None, "body", message));
            }
        };
        let id = id(&members)?;
        check_members(&members, id.as_ref())?;
        let method = method(&members, id.as_ref())?;
        let params = match members.into_iter().find(|(name, _)| name == "params") {
            None => Vec::new(),
            Some((_, Datum::Record(params))) => params,
            Some((_, other)) => {
                let message = format!("must be an object; it is {}", other.kind());
                return Err(invalid(id.as_ref(), "body.params", message));
            }
        };
        Ok(Self { id, method, params })
    }

    /// What a parameter says.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&Datum> {
        self.params.iter().find(|(param, _)| param == name).map(|(_, value)| value)
    }
}

fn invalid(id: Option<&Datum>, field: &str, message: impl Into<String>) -> Unfit {
    Unfit::new(INVALID_REQUEST, id, field, message)
}

fn id(members: &[(String, Datum)]) -> Result<Option<Datum>, Unfit> {
    match members.iter().find(|(name, _)| name == "id").map(|(_, id)| id) {
        None => Ok(None),
        Some(id @ Datum::Long(_)) => Ok(Some(id.clone())),
        Some(id @ Datum::String(text)) if text.len() <= MAX_ID_BYTES => Ok(Some(id.clone())),
        Some(Datum::String(text)) => {
            let message = format!("is {} bytes long; the limit is {MAX_ID_BYTES}", text.len());
            Err(invalid(None, "body.id", message))
        }
        Some(_) => Err(invalid(None, "body.id", "must be a string or a whole number")),
    }
}

fn check_members(members: &[(String, Datum)], id: Option<&Datum>) -> Result<(), Unfit> {
    for (name, value) in members {
        match (name.as_str(), value) {
            ("jsonrpc", Datum::String(version)) if version == "2.0" => {}
            ("id" | "method" | "params", _) => {}
            ("jsonrpc", _) => return Err(invalid(id, "body.jsonrpc", "must be \"2.0\"")),
            ("result" | "error", _) => {
                let message = "is an answer: what a server asks of its client is not decided here";
                return Err(invalid(id, "body", message));
            }
            _ => return Err(invalid(id, "body", format!("has a member `{name}`, which no request has"))),
        }
    }
    if members.iter().any(|(name, _)| name == "jsonrpc") {
        return Ok(());
    }
    Err(invalid(id, "body.jsonrpc", "is required: write \"2.0\""))
}

fn method(members: &[(String, Datum)], id: Option<&Datum>) -> Result<String, Unfit> {
    match members.iter().find(|(name, _)| name == "method").map(|(_, method)| method) {
        Some(Datum::String(method)) if method.len() <= MAX_METHOD_BYTES => Ok(method.clone()),
        Some(Datum::String(method)) => {
            let message = format!("is {} bytes long; the limit is {MAX_METHOD_BYTES}", method.len());
            Err(invalid(id, "body.method", message))
        }
        Some(_) => Err(invalid(id, "body.method", "must be a string")),
        None => Err(invalid(id, "body.method", "is required")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(text: &str, code: i64, saying: &str) {
        let unfit = Message::read(text.as_bytes()).expect_err(text);
        assert_eq!(unfit.code, code, "{text}: {unfit}");
        assert!(unfit.to_string().contains(saying), "{text}: `{unfit}` does not say `{saying}`");
    }

    #[test]
    fn requests_and_notifications_are_read() {
        let text =
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"fetch","arguments":{}}}"#;
        let message = Message::read(text.as_bytes()).unwrap();
        assert_eq!((message.id.clone(), message.method.as_str()), (Some(Datum::Long(7)), "tools/call"));
        assert_eq!(message.param("name"), Some(&Datum::String("fetch".to_owned())));
        let text = r#"{"method":"notifications/initialized","jsonrpc":"2.0"}"#;
        let message = Message::read(text.as_bytes()).unwrap();
        assert_eq!((message.id, message.params.len()), (None, 0));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let call = |members: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list"{members}}}"#);
        check_refused(&call(r#","method":"tools/call""#), PARSE_ERROR, "duplicate member `method`");
        check_refused(&call(r#","\u006dethod":"tools/call""#), PARSE_ERROR, "duplicate member `method`");
        check_refused(&call(r#","params":{"name":"a","name":"b"}"#), PARSE_ERROR, "duplicate member `name`");
        check_refused(&call(r#","Method":"tools/call""#), INVALID_REQUEST, "`Method`");
        check_refused(&call(r#","paramſ":{}"#), INVALID_REQUEST, "`paramſ`");
        check_refused(&call(r#","extra":1"#), INVALID_REQUEST, "`extra`");
        check_refused(&format!("{} {}", call(""), call("")), PARSE_ERROR, "trailing");
        check_refused(&format!("\u{feff}{}", call("")), PARSE_ERROR, "expected value");
        check_refused(&format!("[{}]", call("")), INVALID_REQUEST, "batch");
        check_refused("[]", INVALID_REQUEST, "batch");
        let unpaired = call(r#","params":{"name":"\ud800"}"#);
        check_refused(&unpaired, PARSE_ERROR, "");
        assert_eq!(
            Message::read(b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}").unwrap_err().code,
            PARSE_ERROR
        );
        let deep = call(&format!(r#","params":{{"x":{}{}}}"#, "[".repeat(200), "]".repeat(200)));
        check_refused(&deep, PARSE_ERROR, "recursion limit");
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (text, saying) in [
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "answer"),
            (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}"#, "answer"),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "body.id"),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, "body.id"),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "body.jsonrpc"),
            (r#"{"id":1,"method":"ping"}"#, "body.jsonrpc"),
            (r#"{"jsonrpc":"2.0","id":1}"#, "body.method"),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "body.method"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#, "body.params"),
            (r#""ping""#, "JSON-RPC"),
            ("null", "JSON-RPC"),
        ] {
            check_refused(text, INVALID_REQUEST, saying);
        }
        check_refused("", PARSE_ERROR, "not JSON");
    }
}

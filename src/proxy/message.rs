//! JSON-RPC 2.0 messages, as MCP has them: one object each, no batches, ids that are text or whole numbers.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Number, Value, json};

use crate::mcp::strict_json;

/// Longest message, in bytes, either way.
pub(super) const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Longest id of a request, in bytes: it stands in records.
const MAX_ID_BYTES: usize = 256;

/// Codes of JSON-RPC 2.0 §5.1, and one of those left to implementations.
pub(super) const PARSE_ERROR: i64 = -32700;
pub(super) const INVALID_REQUEST: i64 = -32600;
pub(super) const METHOD_NOT_FOUND: i64 = -32601;
pub(super) const INVALID_PARAMS: i64 = -32602;
pub(super) const INTERNAL_ERROR: i64 = -32603;
/// Denied, by policy or for want of a decision.
pub(super) const DENIED: i64 = -32001;
/// The server has ended, or cannot be reached.
pub(super) const SERVER_GONE: i64 = -32003;

/// The parameters of a request or notification.
pub(super) type Params = Map<String, Value>;

/// What one side says to the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    Request { id: Id, method: String, params: Option<Params> },
    Notification { method: String, params: Option<Params> },
    Response { id: Id, outcome: Outcome },
}

/// A result, or an error object.
pub(super) type Outcome = Result<Value, Value>;

/// What names a request among those under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Id {
    Number(i64),
    Text(String),
}

/// Why something is no message.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Malformed {
    /// It is no JSON, or not JSON that every reader reads alike.
    #[error("{0}")]
    Json(String),
    /// It is JSON and no message.
    #[error("{reason}")]
    Message { id: Option<Id>, reason: &'static str },
}

impl Malformed {
    /// How the side that sent it is told.
    pub(super) fn answer(&self) -> Value {
        let (id, code) = match self {
            Self::Json(_) => (None, PARSE_ERROR),
            Self::Message { id, .. } => (id.as_ref(), INVALID_REQUEST),
        };
        let id = id.map_or(Value::Null, Id::to_json);
        json!({"jsonrpc": "2.0", "id": id, "error": error(code, &self.to_string())})
    }
}

/// An error object.
pub(super) fn error(code: i64, message: &str) -> Value {
    json!({"code": code, "message": message})
}

impl Id {
    pub(super) fn read(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) if text.len() <= MAX_ID_BYTES => Some(Self::Text(text.clone())),
            Value::Number(number) => number.as_i64().map(Self::Number),
            _ => None,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Number(number) => Value::Number(Number::from(*number)),
            Self::Text(text) => Value::String(text.clone()),
        }
    }

    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

impl Message {
    /// Reads what was sent. A member given twice, which two readers may read differently, is refused.
    pub(super) fn read(line: &str) -> Result<Self, Malformed> {
        let value = strict_json::parse(line).map_err(|error| Malformed::Json(error.to_string()))?;
        Self::from_json(value)
    }

    /// Reads an object.
    pub(super) fn from_json(value: Value) -> Result<Self, Malformed> {
        let Value::Object(mut members) = value else { return Err(malformed(None, "a message is an object")) };
        let given = members.remove("id");
        let id = given.as_ref().and_then(Id::read);
        if members.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(malformed(id, "`jsonrpc` must be \"2.0\""));
        }
        match members.remove("method") {
            Some(Value::String(method)) => Self::with_method(method, given.is_some(), id, &mut members),
            Some(_) => Err(malformed(id, "`method` must be text")),
            None => Self::response(id, &mut members),
        }
    }

    fn with_method(
        method: String,
        is_request: bool,
        id: Option<Id>,
        members: &mut Params,
    ) -> Result<Self, Malformed> {
        let params = match members.remove("params") {
            None => None,
            Some(Value::Object(params)) => Some(params),
            Some(_) => return Err(malformed(id, "`params` must be an object")),
        };
        match (is_request, id) {
            (false, _) => Ok(Self::Notification { method, params }),
            (true, Some(id)) => Ok(Self::Request { id, method, params }),
            (true, None) => Err(malformed(None, "`id` must be a whole number, or text of at most 256 bytes")),
        }
    }

    fn response(id: Option<Id>, members: &mut Params) -> Result<Self, Malformed> {
        let Some(id) = id else { return Err(malformed(None, "a response has the id of its request")) };
        match (members.remove("result"), members.remove("error")) {
            (Some(result), None) => Ok(Self::Response { id, outcome: Ok(result) }),
            (None, Some(error)) => Ok(Self::Response { id, outcome: Err(error) }),
            _ => Err(malformed(Some(id), "a message has `method`, `result` or `error`")),
        }
    }
}

/// As it is sent: what the proxy has not read is not in it.
impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("jsonrpc", "2.0")?;
        let (id, called, outcome) = match self {
            Self::Request { id, method, params } => (Some(id), Some((method, params)), None),
            Self::Notification { method, params } => (None, Some((method, params)), None),
            Self::Response { id, outcome } => (Some(id), None, Some(outcome)),
        };
        if let Some(id) = id {
            members.serialize_entry("id", &id.to_json())?;
        }
        if let Some((method, params)) = called {
            members.serialize_entry("method", method)?;
            if let Some(params) = params {
                members.serialize_entry("params", params)?;
            }
        }
        match outcome {
            Some(Ok(result)) => members.serialize_entry("result", result)?,
            Some(Err(error)) => members.serialize_entry("error", error)?,
            None => {}
        }
        members.end()
    }
}

fn malformed(id: Option<Id>, reason: &'static str) -> Malformed {
    Malformed::Message { id, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_and_written_alike() {
        for text in [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
            r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x","arguments":{"n":1}}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            r#"{"jsonrpc":"2.0","id":-3,"result":{"x":[1,2.5,null]}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}"#,
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_value(Message::read(text).unwrap()).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_of_a_message_is_not_sent_on() {
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"ping","smuggled":{"method":"tools/call"}}"#;
        let sent = serde_json::to_value(Message::read(text).unwrap()).unwrap();
        assert_eq!(sent, json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
    }

    #[test]
    fn what_is_no_message_is_refused_and_told_so() {
        for (text, id, code) in [
            ("", Value::Null, PARSE_ERROR),
            ("[]", Value::Null, INVALID_REQUEST),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, Value::Null, INVALID_REQUEST),
            (r#"{"id":1,"method":"ping"}"#, json!(1), INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, Value::Null, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, Value::Null, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, json!(1), INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, json!(1), INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#, json!(1), INVALID_REQUEST),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}"#,
                Value::Null,
                PARSE_ERROR,
            ),
        ] {
            let answer = Message::read(text).unwrap_err().answer();
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(code)), "{text}: {answer}");
        }
        let long = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(MAX_ID_BYTES + 1));
        assert!(Message::read(&long).is_err());
    }
}

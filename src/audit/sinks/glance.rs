//! What sinks look at in a record's text.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// When a record was made.
pub(super) fn time(line: &[u8]) -> Option<Timestamp> {
    /// The one field that is looked at.
    #[derive(Deserialize)]
    struct Timed {
        time: String,
    }
    serde_json::from_slice::<Timed>(line).ok()?.time.parse().ok()
}

/// The main fields of a record. What is absent, or not text, is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Glance {
    pub(super) kind: Value,
    pub(super) time: Value,
    pub(super) instance: Value,
    pub(super) decision_id: Value,
    pub(super) caller: Value,
    pub(super) principal: Value,
    pub(super) action: Value,
    pub(super) resource: Value,
    pub(super) decision: Value,
    pub(super) trace_id: Value,
    evidence: Evidence,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Evidence {
    traceparent: Value,
}

impl Glance {
    /// Looks at a record. One that is no such JSON shows nothing.
    pub(super) fn at(line: &[u8]) -> Self {
        serde_json::from_slice(line).unwrap_or_default()
    }

    /// When it was made, in nanoseconds since 1970; 0 if that is not known.
    pub(super) fn nanoseconds(&self) -> u64 {
        let time = self.time.as_str().and_then(|time| time.parse::<Timestamp>().ok());
        time.and_then(|time| time.as_nanosecond().try_into().ok()).unwrap_or(0)
    }

    /// The trace that it belongs to, and the span, as W3C Trace Context has them; empty without.
    pub(super) fn trace(&self) -> (Vec<u8>, Vec<u8>) {
        let parent = self.evidence.traceparent.as_str().unwrap_or_default();
        let mut parts = parent.split('-').skip(1);
        let (of_parent, span) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let trace = self.trace_id.as_str().unwrap_or(of_parent);
        (bytes(trace, 16), bytes(span, 8))
    }
}

/// An entity, or any other value, as text: `Mandate::User::"ana"`.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Object(members) => match (members.get("type"), members.get("id")) {
            (Some(Value::String(type_name)), Some(id @ Value::String(_))) => {
                Some(format!("{type_name}::{id}"))
            }
            _ => Some(value.to_string()),
        },
        _ => Some(value.to_string()),
    }
}

/// Hexadecimal of so many bytes; empty if it is not that.
fn bytes(hexadecimal: &str, length: usize) -> Vec<u8> {
    let digits: Option<Vec<u8>> =
        hexadecimal.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    let digits = digits.filter(|digits| digits.len() == length * 2).unwrap_or_default();
    digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_fields_are_seen_and_what_is_odd_shows_nothing() {
        let line = br#"{"kind":"decision","time":"2026-11-22T10:00:00.5Z","principal":{"type":"Mandate::User","id":"a\"b"},
            "action":"view","evidence":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}"#;
        let seen = Glance::at(line);
        assert_eq!(text(&seen.principal).unwrap(), r#"Mandate::User::"a\"b""#);
        assert_eq!(text(&seen.action).unwrap(), "view");
        assert_eq!(text(&seen.resource), None);
        assert_eq!(seen.nanoseconds(), 1_795_341_600_500_000_000);
        assert_eq!(time(line).unwrap().to_string(), "2026-11-22T10:00:00.5Z");
        let (trace, span) = seen.trace();
        assert_eq!((trace.len(), trace[0], span.len(), span[7]), (16, 0x0a, 8, 0x31));
        for odd in [&b"no json"[..], b"[]", b"{\"time\":7,\"trace_id\":\"xyz\"}"] {
            let seen = Glance::at(odd);
            assert_eq!((seen.nanoseconds(), seen.trace(), time(odd)), (0, (vec![], vec![]), None));
        }
    }
}

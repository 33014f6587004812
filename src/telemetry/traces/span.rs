//! A span that has ended, in words of this build's own: what callers send has no place in one, by its types.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span as Sent, Status};
use uuid::Uuid;

use crate::collector::attribute;

/// OTLP: whether the parent is in another process is known; it is.
const PARENT_KNOWN: u32 = 0x100;
const PARENT_REMOTE: u32 = 0x200;

/// A span.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) trace: u128,
    pub(super) id: u64,
    pub(super) parent: Option<u64>,
    pub(super) flags: u8,
    /// How the trace was sampled, as `tracestate` says it.
    pub(super) state: Arc<str>,
    /// Since 1970, in nanoseconds.
    pub(super) begun: u64,
    /// Since 1970, in nanoseconds.
    pub(super) ended: u64,
    pub(super) of: SpanOf,
}

/// What a span is of.
#[derive(Debug)]
pub enum SpanOf {
    /// A call over gRPC.
    Rpc {
        /// Its method, `package.Service/Method`, or `_OTHER`.
        method: Arc<str>,
        /// The name of its status code.
        status: &'static str,
        /// Whether that is a failure of the server's.
        failed: bool,
    },
    /// A request over HTTP.
    Http {
        /// The path that is answered.
        route: &'static str,
        /// The status; none if nobody waited for it.
        status: Option<u16>,
    },
    /// A decision, inside one of those.
    Decision(DecisionSpan),
}

/// What is told of a decision.
#[derive(Debug)]
pub struct DecisionSpan {
    /// Its id, by which the decision log tells the rest.
    pub id: Uuid,
    /// `allow` or `deny`.
    pub effect: &'static str,
    /// What part the cache had.
    pub cached: &'static str,
    /// Through which door it was asked for.
    pub surface: &'static str,
    /// The generation that decided.
    pub generation: Arc<str>,
    /// The reason code of a denial.
    pub reason: Option<&'static str>,
}

impl Span {
    /// As OTLP has it.
    pub(super) fn sent(self) -> Sent {
        let remote = matches!(self.of, SpanOf::Rpc { .. } | SpanOf::Http { .. }) && self.parent.is_some();
        let flags = u32::from(self.flags) | PARENT_KNOWN | if remote { PARENT_REMOTE } else { 0 };
        let (kind, name, attributes, failed) = self.of.told();
        Sent {
            trace_id: self.trace.to_be_bytes().to_vec(),
            span_id: self.id.to_be_bytes().to_vec(),
            parent_span_id: self.parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default(),
            trace_state: self.state.to_string(),
            flags,
            name,
            kind: kind.into(),
            start_time_unix_nano: self.begun,
            end_time_unix_nano: self.ended,
            attributes,
            status: failed.then(|| Status { code: StatusCode::Error.into(), message: String::new() }),
            ..Default::default()
        }
    }
}

impl SpanOf {
    /// Kind, name, attributes (Semantic Conventions 1.45, "gRPC", "HTTP spans"), and whether it failed.
    fn told(self) -> (SpanKind, String, Vec<KeyValue>, bool) {
        match self {
            Self::Rpc { method, status, failed } => {
                let mut attributes = vec![
                    attribute("rpc.system.name", "grpc"),
                    attribute("rpc.method", &method),
                    attribute("rpc.response.status_code", status),
                ];
                if failed {
                    attributes.push(attribute("error.type", status));
                }
                let name = if &*method == OTHER { "grpc" } else { &*method };
                (SpanKind::Server, name.to_owned(), attributes, failed)
            }
            Self::Http { route, status } => {
                let mut attributes = vec![
                    attribute("http.request.method", "POST"),
                    attribute("http.route", route),
                    attribute("url.path", route),
                ];
                let failed = status.is_none_or(|status| status >= 500);
                match status {
                    Some(status) => attributes.push(number("http.response.status_code", status.into())),
                    None => attributes.push(attribute("error.type", "cancelled")),
                }
                if let Some(status) = status.filter(|_| failed) {
                    attributes.push(attribute("error.type", &status.to_string()));
                }
                (SpanKind::Server, format!("POST {route}"), attributes, failed)
            }
            Self::Decision(DecisionSpan { id, effect, cached, surface, generation, reason }) => {
                let mut attributes = vec![
                    attribute("mandate.decision_id", &id.to_string()),
                    attribute("mandate.effect", effect),
                    attribute("mandate.cached", cached),
                    attribute("mandate.surface", surface),
                    attribute("mandate.generation", &generation),
                ];
                attributes.extend(reason.map(|reason| attribute("mandate.reason", reason)));
                (SpanKind::Internal, "decide".to_owned(), attributes, false)
            }
        }
    }
}

/// A method that this build does not have.
pub const OTHER: &str = "_OTHER";

fn number(key: &str, value: i64) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::IntValue(value)) });
    KeyValue { key: key.to_owned(), value, ..Default::default() }
}

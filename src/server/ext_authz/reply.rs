//! Answers in Envoy's words, and in words for the client that is let through or not.

use serde_json::{Value, json};
use tonic::Code;
use tonic_types::Status as RpcStatus;

use super::reading::Voice;
use super::refusal::{BadRequest, Refusal};
use crate::engine::datum::Datum;
use crate::engine::decision::{Denial, Effect};
use crate::mcp::message::{INVALID_PARAMS, METHOD_NOT_FOUND};
use crate::pdp::{Answer, Refused};
use crate::server::envoy::auth::check_response::HttpResponse;
use crate::server::envoy::auth::{CheckResponse, DeniedHttpResponse, OkHttpResponse};
use crate::server::envoy::core::header_value_option::HeaderAppendAction;
use crate::server::envoy::core::{HeaderValue, HeaderValueOption};
use crate::server::envoy::types::HttpStatus;
use crate::server::{status, structs};

/// Names the decision, for the upstream and for the client.
const DECISION_ID: &str = "x-mandate-decision-id";

/// JSON-RPC's code for a denial, by decision or for want of one: of those that are an implementation's own.
const DENIED: i64 = -32001;

/// What the client gets.
struct Refusing<'a> {
    http: u16,
    rpc: i64,
    reason: &'a str,
    message: &'a str,
    decision_id: Option<&'a str>,
}

/// What is asked of an enforcement point that cannot do it (C15).
pub(super) const OBLIGATION: &str = "obligation";

/// The answer to a request that was decided.
pub(super) fn decided(answer: &Answer, voice: &Voice, spoofed: Vec<String>) -> CheckResponse {
    let decision = &answer.decision;
    let id = answer.id.to_string();
    let denied = |reason: &str, message: &str| {
        let refusing = Refusing { http: 403, rpc: DENIED, reason, message, decision_id: Some(&id) };
        CheckResponse {
            status: Some(rpc_status(Code::PermissionDenied, message)),
            http_response: Some(HttpResponse::DeniedResponse(refusing.response(voice, Vec::new()))),
            dynamic_metadata: Some(metadata(answer, reason)),
        }
    };
    if decision.effect != Effect::Allow {
        let code = decision.denial.as_ref().map_or("", |denial| denial.code.as_str());
        return denied(code, message_of(decision.denial.as_ref()));
    }
    if decision.obligations().next().is_some() {
        return denied(OBLIGATION, "The decision asks for something to be done that nobody can do here.");
    }
    let ok = OkHttpResponse {
        headers: vec![header(DECISION_ID, &id)],
        headers_to_remove: spoofed.into_iter().filter(|name| name != DECISION_ID).collect(),
    };
    CheckResponse {
        status: Some(rpc_status(Code::Ok, "")),
        http_response: Some(HttpResponse::OkResponse(ok)),
        dynamic_metadata: Some(metadata(answer, "")),
    }
}

fn message_of(denial: Option<&Denial>) -> &str {
    denial.map_or("", |denial| denial.message.as_str())
}

/// The answer to a request that cannot be decided as it is, by what is wrong with it.
pub(super) fn refused(refusal: &Refusal, refused: &Refused, voice: &Voice) -> CheckResponse {
    match refusal {
        Refusal::Request(BadRequest { status, code, .. }) => mistaken(refused, voice, *status, *code),
        Refusal::Subject(_) => undecided(refused, voice),
        Refusal::Route(_) => failed(refused, voice),
    }
}

/// The answer to a question that got no decision.
pub(super) fn undecided(refused: &Refused, voice: &Voice) -> CheckResponse {
    match refused {
        Refused::SubjectToken(_) => {
            let challenge = "Bearer realm=\"mandate\", error=\"invalid_token\"";
            let challenge = vec![header("www-authenticate", challenge)];
            denied(refused, voice, 401, DENIED, challenge)
        }
        // Clients can bring that about: it must not look like a failure of the decision point.
        Refused::Shed(_) => turned_away(refused, voice, 503),
        Refused::RateLimited(_) => turned_away(refused, voice, 429),
        // Whom a question is about may be the client's doing.
        Refused::NotEntitled(_) => mistaken(refused, voice, 403, DENIED),
        // A method of MCP whose action this schema does not have is nobody's to permit.
        Refused::Invalid(error) if is_within(&error.field, "action") && *voice != Voice::Http => {
            mistaken(refused, voice, 403, METHOD_NOT_FOUND)
        }
        // The arguments are the client's; all else the operator said, or Mandate read itself.
        Refused::Invalid(error) if is_within(&error.field, "arguments") => {
            mistaken(refused, voice, 400, INVALID_PARAMS)
        }
        _ => failed(refused, voice),
    }
}

fn is_within(field: &str, outer: &str) -> bool {
    field.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn mistaken(refused: &Refused, voice: &Voice, http: u16, rpc: i64) -> CheckResponse {
    denied(refused, voice, http, rpc, Vec::new())
}

/// The answer to a request that there is no time for.
fn turned_away(refused: &Refused, voice: &Voice, http: u16) -> CheckResponse {
    let retry = status::retry_seconds(refused).map(|seconds| header("retry-after", &seconds.to_string()));
    denied(refused, voice, http, DENIED, retry.into_iter().collect())
}

/// The answer to a request that is turned away unread.
pub(super) fn unread(refused: &Refused) -> CheckResponse {
    undecided(refused, &Voice::Http)
}

fn denied(
    refused: &Refused,
    voice: &Voice,
    http: u16,
    rpc: i64,
    headers: Vec<HeaderValueOption>,
) -> CheckResponse {
    let response = refusing(refused, &refused.to_string(), http, rpc).response(voice, headers);
    without_decision(refused, HttpResponse::DeniedResponse(response))
}

/// Nothing that a client did: Envoy counts it as an error.
fn failed(refused: &Refused, voice: &Voice) -> CheckResponse {
    let http = match status::http(refused).as_u16() {
        http @ 500.. => http,
        _ => 500,
    };
    let response = refusing(refused, &refused.to_string(), http, DENIED).response(voice, Vec::new());
    without_decision(refused, HttpResponse::ErrorResponse(response))
}

fn refusing<'a>(refused: &Refused, message: &'a str, http: u16, rpc: i64) -> Refusing<'a> {
    Refusing { http, rpc, reason: refused.reason(), message, decision_id: None }
}

fn without_decision(refused: &Refused, response: HttpResponse) -> CheckResponse {
    let members = [("decision", "none"), ("reason", refused.reason())];
    CheckResponse {
        status: Some(rpc_status(status::refused(refused).code(), &refused.to_string())),
        http_response: Some(response),
        dynamic_metadata: Some(structs::of_members(&texts(members))),
    }
}

impl Refusing<'_> {
    fn response(&self, voice: &Voice, mut headers: Vec<HeaderValueOption>) -> DeniedHttpResponse {
        headers.push(header("content-type", "application/json"));
        headers.extend(self.decision_id.map(|id| header(DECISION_ID, id)));
        DeniedHttpResponse {
            status: Some(HttpStatus { code: self.http.into() }),
            headers,
            body: self.body(voice).to_string(),
        }
    }

    fn body(&self, voice: &Voice) -> Value {
        let mut said = json!({ "reason": self.reason });
        if let (Some(id), Some(said)) = (self.decision_id, said.as_object_mut()) {
            said.insert("decision_id".to_owned(), json!(id));
        }
        match voice {
            Voice::Http => {
                if let Some(said) = said.as_object_mut() {
                    said.insert("message".to_owned(), json!(self.message));
                }
                json!({ "error": said })
            }
            Voice::Mcp(id) => {
                let id = id.as_ref().map_or(Value::Null, Datum::to_json);
                let error = json!({"code": self.rpc, "message": self.message, "data": said});
                json!({"jsonrpc": "2.0", "id": id, "error": error})
            }
        }
    }
}

fn rpc_status(code: Code, message: &str) -> RpcStatus {
    RpcStatus { code: code.into(), message: message.to_owned(), details: Vec::new() }
}

/// A header that stands for itself, whatever stood there.
fn header(key: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: key.to_owned(), value: value.to_owned(), raw_value: Vec::new() }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
    }
}

/// What Envoy's access log and later filters may tell of a decision.
fn metadata(answer: &Answer, reason: &str) -> prost_types::Struct {
    let decision = &answer.decision;
    let allowed = decision.effect == Effect::Allow && reason != OBLIGATION;
    let mut members = texts([
        ("decision", if allowed { "allow" } else { "deny" }),
        ("decision_id", &answer.id.to_string()),
        ("principal", &decision.principal.to_string()),
        ("action", &decision.action.to_string()),
        ("revision", &answer.published.revision),
    ]);
    if !reason.is_empty() {
        members.extend(texts([("reason", reason)]));
    }
    let policies = decision.determining.iter().map(|policy| Datum::String(policy.id.to_string()));
    members.push(("policies".to_owned(), Datum::List(policies.collect())));
    structs::of_members(&members)
}

fn texts<const N: usize>(members: [(&str, &str); N]) -> Vec<(String, Datum)> {
    members.map(|(name, text)| (name.to_owned(), Datum::String(text.to_owned()))).into()
}

//! From the agent to the server: what it asks is decided, one message after the other, so that nothing overtakes what was
//! said before it.

use serde_json::{Map, Value};
use tokio::io::AsyncRead;

use super::lines::{LineError, Lines};
use super::message::{
    INVALID_PARAMS, INVALID_REQUEST, Id, METHOD_NOT_FOUND, Message, Outcome, PARSE_ERROR, Params,
    SERVER_GONE, error,
};
use super::methods::{self, Asked};
use super::pending::{Kind, Underway, Unsent, Waiting};
use super::question::{Occasion, is_stateless};
use super::refusal;
use super::relay::Relay;
use super::verdict::{Denial, Verdict};
use crate::engine::digest;
use crate::server::pb;

/// Longest text that an agent says of itself and that is recorded, in characters.
const MAX_AGENT_VERSION: usize = 200;

/// Hears the agent out.
pub(super) async fn listen(relay: &Relay, from_agent: impl AsyncRead + Unpin) {
    let mut lines = Lines::new(from_agent);
    loop {
        match lines.next().await {
            Ok(Some(line)) => relay.heard(&line).await,
            Ok(None) => return,
            Err(failed) => {
                tracing::error!(error = %failed, "the agent is not heard any further");
                if matches!(failed, LineError::TooLong) {
                    let told = error(PARSE_ERROR, &format!("{failed}; the connection ends"));
                    relay.to_agent(&serde_json::json!({"jsonrpc": "2.0", "id": null, "error": told})).await;
                }
                return;
            }
        }
    }
}

/// What is passed on, or what is answered instead.
type Decided = Result<Kind, Outcome>;

impl Relay {
    async fn heard(&self, line: &str) {
        match Message::read(line) {
            Ok(Message::Request { id, method, params }) => {
                self.asked(id, method, params.unwrap_or_default()).await
            }
            Ok(Message::Notification { method, params }) => self.told(method, params).await,
            Ok(Message::Response { id, outcome }) => {
                // What the server did not ask is not answered.
                let was_asked = self.state().asked_of_agent.remove(&id);
                if was_asked {
                    self.to_server(Message::Response { id, outcome }).await;
                }
            }
            Err(malformed) => self.to_agent(&malformed.answer()).await,
        }
    }

    async fn asked(&self, id: Id, method: String, mut params: Params) {
        let decided = match methods::request(&method) {
            None => Err(refused(METHOD_NOT_FOUND, &format!("the proxy does not pass on `{method}`"))),
            Some((_, known)) if params.keys().any(|name| !known(name)) => {
                let unknown =
                    params.keys().filter(|name| !known(name)).cloned().collect::<Vec<_>>().join("`, `");
                Err(refused(INVALID_PARAMS, &format!("the proxy does not pass on `{unknown}` of `{method}`")))
            }
            Some((asked, _)) => {
                self.passed.narrow_request(&mut params);
                self.decided(asked, &method, &id, &params).await
            }
        };
        match decided {
            Ok(kind) => self.pass(id, method, params, kind).await,
            Err(outcome) => self.answer(id, outcome).await,
        }
    }

    async fn decided(&self, asked: Asked, method: &str, id: &Id, params: &Params) -> Decided {
        match asked {
            Asked::Harmless => Ok(Kind::Passed),
            Asked::Hello => {
                self.remember_agent(params);
                Ok(Kind::Hello { occasion: self.occasion(id, params) })
            }
            Asked::List(listed) => {
                let is_first = params.get("cursor").is_none_or(Value::is_null);
                Ok(Kind::List { listed, is_first, occasion: self.occasion(id, params) })
            }
            Asked::CallTool => self.call_tool(id, params).await,
            Asked::ReadResource => self.read_resource(text(params, "uri")?, id, params).await,
            Asked::GetPrompt => self.get_prompt(text(params, "name")?, id, params).await,
            Asked::Complete => self.complete(method, id, params).await,
        }
    }

    async fn call_tool(&self, id: &Id, params: &Params) -> Decided {
        let tool = text(params, "name")?;
        let none = Map::new();
        let arguments = match params.get("arguments") {
            None | Some(Value::Null) => &none,
            Some(Value::Object(arguments)) => arguments,
            Some(_) => return Err(refused(INVALID_PARAMS, "`arguments` must be an object")),
        };
        let definition = self.definition(tool, params).await;
        let digest = definition.as_ref().map(|definition| definition.digest.as_str()).unwrap_or_default();
        let arguments = Value::Object(arguments.clone());
        let input_digest = digest::of_json(&arguments).unwrap_or_default();
        let occasion = self.occasion(id, params);
        let request =
            self.asker.call_tool((tool, digest, arguments.to_string()), &self.state().facts, occasion);
        let underway = Underway {
            decision_id: String::new(),
            advice: Vec::new(),
            input_digest,
            from_outside: definition.is_none_or(|definition| definition.reaches_outside),
            is_call: true,
        };
        let verdict = self.decide(request).await;
        self.enforce(verdict, underway, |denial| Ok(refusal::result(denial, is_stateless(params))))
    }

    /// Nobody says where a resource comes from: it counts as from outside.
    async fn read_resource(&self, uri: &str, id: &Id, params: &Params) -> Decided {
        let occasion = self.occasion(id, params);
        let request = self.asker.read_resource(uri, &self.state().facts, occasion);
        self.decide_other(request, params, true).await
    }

    async fn get_prompt(&self, name: &str, id: &Id, params: &Params) -> Decided {
        let occasion = self.occasion(id, params);
        let request = self.asker.get_prompt(name, &self.state().facts, occasion);
        self.decide_other(request, params, false).await
    }

    /// Completions tell of what they complete.
    async fn complete(&self, method: &str, id: &Id, params: &Params) -> Decided {
        let of = params.get("ref").and_then(Value::as_object);
        let kind = of.and_then(|of| of.get("type")).and_then(Value::as_str).unwrap_or_default();
        match (of, kind) {
            (Some(of), "ref/prompt") => self.get_prompt(text(of, "name")?, id, params).await,
            (Some(of), "ref/resource") => self.read_resource(text(of, "uri")?, id, params).await,
            _ => {
                Err(refused(INVALID_PARAMS, &format!("`ref` of `{method}` must name a prompt or a resource")))
            }
        }
    }

    async fn decide_other(
        &self,
        request: pb::AuthorizeRequest,
        params: &Params,
        from_outside: bool,
    ) -> Decided {
        let input = params.iter().filter(|(name, _)| *name != "_meta");
        let input = Value::Object(input.map(|(name, value)| (name.clone(), value.clone())).collect());
        let underway = Underway {
            decision_id: String::new(),
            advice: Vec::new(),
            input_digest: digest::of_json(&input).unwrap_or_default(),
            from_outside,
            is_call: false,
        };
        let verdict = self.decide(request).await;
        self.enforce(verdict, underway, |denial| Err(refusal::error(denial)))
    }

    /// Lets pass what is allowed, and everything where nobody enforces.
    fn enforce(
        &self,
        verdict: Verdict,
        mut underway: Underway,
        refuse: impl FnOnce(&Denial) -> Outcome,
    ) -> Decided {
        verdict.decision_id().clone_into(&mut underway.decision_id);
        match verdict {
            Verdict::Allowed(granted) => underway.advice = granted.advice,
            Verdict::Denied(denial) if self.asker.observe => {
                if denial.decision_id.is_empty() {
                    tracing::warn!(code = denial.code, "passed on undecided, since nothing is enforced");
                }
            }
            Verdict::Denied(denial) => {
                self.reporter.report(pb::ReportOutcomeRequest {
                    decision_id: underway.decision_id,
                    outcome: pb::Outcome::Blocked.into(),
                    input_digest: underway.input_digest,
                    detail: if denial.code == "obligation" { denial.reason.clone() } else { String::new() },
                    ..pb::ReportOutcomeRequest::default()
                });
                return Err(refuse(&denial));
            }
        }
        if underway.is_call {
            self.state().facts.called();
        }
        Ok(Kind::Decided(underway))
    }

    /// Sends a request to the server by an id of the proxy's own.
    async fn pass(&self, id: Id, method: String, params: Params, kind: Kind) {
        let begun = self.state().pending.begin(Waiting::Agent { id: id.clone(), kind });
        let (unsent, waiting) = match begun {
            Ok(ours) => {
                let request = Message::Request { id: ours.clone(), method, params: Some(params) };
                if self.to_server(request).await {
                    return;
                }
                // Whoever else took it out has answered it.
                let Some(waiting) = self.state().pending.end(&ours) else { return };
                (Unsent::Gone("the MCP server has ended".to_owned()), waiting)
            }
            Err(unsent) => *unsent,
        };
        let told = unsent.to_string();
        if let Waiting::Agent { kind: Kind::Decided(underway), .. } = waiting {
            self.failed(underway, &told);
        }
        let code = if matches!(unsent, Unsent::Gone(_)) { SERVER_GONE } else { INVALID_REQUEST };
        self.answer(id, Err(error(code, &told))).await;
    }

    async fn told(&self, method: String, params: Option<Params>) {
        if !methods::may_tell_server(&method, |capability| self.passed.passes(capability)) {
            tracing::debug!(method, "not passed on");
            return;
        }
        if method != "notifications/cancelled" {
            self.to_server(Message::Notification { method, params }).await;
            return;
        }
        let mut params = params.unwrap_or_default();
        let cancelled = params.get("requestId").and_then(Id::read);
        let Some(ours) = cancelled.and_then(|id| self.state().pending.find(&id)) else { return };
        params.insert("requestId".to_owned(), ours.to_json());
        self.to_server(Message::Notification { method, params: Some(params) }).await;
        // A server does not answer what was cancelled.
        let ended = self.state().pending.end(&ours);
        if let Some(Waiting::Agent { kind: Kind::Decided(underway), .. }) = ended {
            self.failed(underway, "the agent cancelled it");
        }
    }

    /// Reports that something was begun of which no result came.
    pub(super) fn failed(&self, underway: Underway, detail: &str) {
        self.reporter.report(pb::ReportOutcomeRequest {
            decision_id: underway.decision_id,
            outcome: pb::Outcome::Failed.into(),
            input_digest: underway.input_digest,
            detail: detail.to_owned(),
            ..pb::ReportOutcomeRequest::default()
        });
    }

    pub(super) fn occasion(&self, id: &Id, params: &Params) -> Occasion {
        let state = self.state();
        Occasion::new(id, params, state.catalog.shown_digest(), &state.agent_version)
    }

    fn remember_agent(&self, params: &Params) {
        let Some(info) = params.get("clientInfo") else { return };
        let said = |name: &str| info.get(name).and_then(Value::as_str).unwrap_or_default();
        let version = format!("{} {}", said("name"), said("version"));
        self.state().agent_version = version.trim().chars().take(MAX_AGENT_VERSION).collect();
    }
}

fn refused(code: i64, message: &str) -> Outcome {
    Err(error(code, message))
}

fn text<'a>(params: &'a Params, name: &str) -> Result<&'a str, Outcome> {
    let text = params.get(name).and_then(Value::as_str);
    text.ok_or_else(|| refused(INVALID_PARAMS, &format!("`{name}` must be text")))
}

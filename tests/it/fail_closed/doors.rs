//! One question, asked through every door that decides.

use mandate::server::envoy::auth::CheckResponse;
use mandate::server::envoy::auth::check_response::HttpResponse;
use mandate::server::pb;
use pb::authorize_result::Outcome as Item;
use pb::authorize_stream_response::Outcome as Streamed;
use prost::Message as _;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::ext_authz::{Ask, Verdict};
use crate::support::{
    Client, Conversation, HttpAnswer, Question as _, curl, evaluation, framed, is_allow, question, reason,
    try_post,
};

/// Whoever decides, and how it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Authorize,
    Batch,
    Stream,
    Evaluation,
    Evaluations,
    Envoy,
}

pub(super) const DOORS: [Door; 6] =
    [Door::Authorize, Door::Batch, Door::Stream, Door::Evaluation, Door::Evaluations, Door::Envoy];

/// May somebody look at the house?
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// Who, unless a token says so.
    pub(super) user: &'static str,
    pub(super) token: Option<String>,
    /// What policies read besides.
    pub(super) context: Value,
}

impl Look {
    /// One that is allowed where nothing is wrong.
    pub(super) fn of(user: &'static str) -> Self {
        Self { user, token: None, context: json!({}) }
    }

    /// With one more fact.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.context[name] = value.into();
        self
    }

    /// By whom a token names.
    pub(super) fn shown(mut self, token: String) -> Self {
        self.token = Some(token);
        self
    }

    /// What Envoy's request says by itself.
    fn whole_context(&self) -> Value {
        let mut context = self.context.clone();
        context["method"] = json!("GET");
        context["path"] = json!("/");
        context
    }

    fn message(&self) -> pb::AuthorizeRequest {
        let mut message = question(("User", self.user), "http_request", ("ToolServer", "house"))
            .json_context(self.whole_context().to_string())
            .named("7");
        if let Some(token) = &self.token {
            message.principal = None;
            message.credentials.clone_from(token);
        }
        message
    }

    fn body(&self) -> Value {
        let mut body = evaluation(("User", self.user), "http_request", ("ToolServer", "house"));
        body["context"] = self.whole_context();
        body
    }

    fn of_envoy(&self) -> Ask {
        let ask = Ask::http("GET", "/").route("context", &self.context.to_string());
        match &self.token {
            Some(token) => {
                ask.route("principal", "token").header("authorization", &format!("Bearer {token}"))
            }
            None => ask
                .route("principal", "fixed")
                .route("principal_type", "Mandate::User")
                .route("principal_id", self.user),
        }
    }
}

/// Where a server is asked.
pub(super) struct Site<'s> {
    pub(super) client: &'s Client,
    pub(super) http: &'s str,
}

impl Door {
    /// Asks, and says what came of it: `allow`, `deny` and why, a code of gRPC, or a status of HTTP.
    pub(super) fn ask(self, site: &Site<'_>, look: &Look) -> String {
        match self {
            Self::Authorize => decided(site.client.authorize(look.message())),
            Self::Batch => batched(site.client, look),
            Self::Stream => streamed(site.client, look),
            Self::Evaluation => over_http(site, look, "evaluation", &look.body()),
            Self::Evaluations => {
                let mut body = look.body();
                body["evaluations"] = json!([{}]);
                over_http(site, look, "evaluations", &body)
            }
            Self::Envoy => judged(look.of_envoy().sent(site.client)),
        }
    }

    /// As [`Self::ask`], of the doors that keep deadlines, with one that has passed. None without curl.
    pub(super) fn ask_too_late(self, data: &str, look: &Look) -> Option<String> {
        let service = "/mandate.v1.AuthorizationService";
        let (method, message) = match self {
            Self::Authorize => (format!("{service}/Authorize"), look.message().encode_to_vec()),
            Self::Batch => (format!("{service}/AuthorizeBatch"), batch(look).encode_to_vec()),
            Self::Envoy => (
                "/envoy.service.auth.v3.Authorization/Check".to_owned(),
                look.of_envoy().request().encode_to_vec(),
            ),
            // A stream's end comes after its answers, where curl does not look; `stream.rs` does.
            Self::Stream | Self::Evaluation | Self::Evaluations => return None,
        };
        let answer = curl(data, &method, &framed(&message), &["grpc-timeout: 1n"])?;
        Some(match answer.status {
            Some(code) => code_of(code.parse().expect("a number")),
            // Envoy is answered in its own words.
            None if self == Self::Envoy => {
                judged(Ok(Verdict(CheckResponse::decode(&answer.body[5..]).expect("an answer"))))
            }
            None => "an answer".to_owned(),
        })
    }
}

fn code_of(code: i32) -> String {
    format!("{:?}", Code::from(code))
}

fn decided(answer: Result<pb::AuthorizeResponse, Status>) -> String {
    match answer {
        Err(status) => format!("{:?}", status.code()),
        Ok(answer) if is_allow(&answer) => "allow".to_owned(),
        Ok(answer) => {
            assert_eq!(answer.decision(), pb::Decision::Deny, "{answer:?}");
            format!("deny {}", reason(&answer))
        }
    }
}

fn batch(look: &Look) -> pb::AuthorizeBatchRequest {
    // Who acts by a token is the whole batch's to say.
    let (mut item, mut defaults) = (look.message(), pb::AuthorizeRequest::default());
    defaults.credentials = std::mem::take(&mut item.credentials);
    pb::AuthorizeBatchRequest { defaults: Some(defaults), requests: vec![item] }
}

fn batched(client: &Client, look: &Look) -> String {
    match client.batch(batch(look)) {
        Err(status) => format!("{:?}", status.code()),
        Ok(mut results) => match results.pop().and_then(|result| result.outcome) {
            Some(Item::Response(answer)) => decided(Ok(answer)),
            Some(Item::Status(status)) => code_of(status.code),
            None => "nothing".to_owned(),
        },
    }
}

fn streamed(client: &Client, look: &Look) -> String {
    let mut conversation = match Conversation::try_open(client, &[]) {
        Ok(conversation) => conversation,
        Err(status) => return format!("{:?}", status.code()),
    };
    conversation.send(&look.message());
    match conversation.next() {
        Err(status) => format!("{:?}", status.code()),
        Ok(answer) => match answer.and_then(|answer| answer.outcome) {
            Some(Streamed::Response(answer)) => decided(Ok(answer)),
            Some(Streamed::Status(status)) => code_of(status.code),
            None => "nothing".to_owned(),
        },
    }
}

fn over_http(site: &Site<'_>, look: &Look, endpoint: &str, body: &Value) -> String {
    let url = format!("{}/access/v1/{endpoint}", site.http);
    let mut headers = vec![("content-type", "application/json")];
    if let Some(token) = &look.token {
        headers.push(("mandate-subject-token", token));
    }
    match try_post(&url, &headers, body.to_string()) {
        Err(_gone) => "gone".to_owned(),
        Ok(answer) if answer.status == 200 => said(&answer, endpoint),
        Ok(answer) => format!("HTTP {}", answer.status),
    }
}

fn said(answer: &HttpAnswer, endpoint: &str) -> String {
    let mut said = answer.json();
    if endpoint == "evaluations" {
        said = said["evaluations"][0].take();
    }
    let context = &said["context"];
    match (&said["decision"], context["error"]["status"].as_u64()) {
        (Value::Bool(true), None) => "allow".to_owned(),
        (Value::Bool(false), None) => {
            format!("deny {}", context["reason"]["code"].as_str().expect("a reason"))
        }
        (Value::Bool(false), Some(status)) => format!("item {status}"),
        other => format!("{other:?}"),
    }
}

fn judged(verdict: Result<Verdict, Status>) -> String {
    let verdict = match verdict {
        Err(status) => return format!("{:?}", status.code()),
        Ok(verdict) => verdict,
    };
    // Nought means OK: an answer that forgets its status would let everything through.
    let code = verdict.0.status.as_ref().expect("a status").code;
    match verdict.0.http_response.as_ref().expect("an answer for the client") {
        HttpResponse::OkResponse(_) => {
            assert_eq!((code, verdict.metadata("decision")), (0, "allow".to_owned()), "{verdict:?}");
            "allow".to_owned()
        }
        HttpResponse::DeniedResponse(denied) | HttpResponse::ErrorResponse(denied) => {
            assert_ne!(code, 0, "{verdict:?}");
            let status = denied.status.as_ref().expect("a status").code;
            assert!(status >= 400, "{verdict:?}");
            match verdict.metadata("decision").as_str() {
                "deny" => format!("deny {}", verdict.metadata("reason")),
                "none" => format!("HTTP {status}"),
                other => format!("`{other}`, HTTP {status}"),
            }
        }
    }
}

//! From what an agent asks of a server to what is asked of Mandate.

use serde_json::Value;

use super::facts::{Facts, members, text};
use super::message::{Id, Params};
use super::subject::Subject;
use crate::server::pb;
use pb::authorize_request::{ArgumentsForm, ContextForm};

/// The schema's words, and what every question has in common.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) namespace: String,
    /// Name of the server in Mandate.
    pub(super) server: String,
    pub(super) subject: Subject,
    pub(super) observe: bool,
}

/// What is remembered with a decision.
#[derive(Debug, Clone, Default)]
pub(super) struct Occasion {
    pub(super) call: String,
    pub(super) catalog_digest: String,
    /// What the agent says it is: for the record only, since nobody vouches for it.
    pub(super) agent_version: String,
    pub(super) traceparent: String,
}

/// Tools that one answer of a search names: the most there may be.
const PAGE: u32 = 1_000;

/// Of a call, in a revision without sessions: which revision (2026-07-28, "Protocol Version Header").
const REVISION: &str = "io.modelcontextprotocol/protocolVersion";

impl Occasion {
    pub(super) fn new(id: &Id, params: &Params, catalog_digest: &str, agent_version: &str) -> Self {
        let traceparent =
            params.get("_meta").and_then(|meta| meta.get("traceparent")).and_then(Value::as_str);
        let traceparent = traceparent.filter(|text| text.len() <= 128).unwrap_or_default();
        Self {
            call: id.to_text(),
            catalog_digest: catalog_digest.to_owned(),
            agent_version: agent_version.to_owned(),
            traceparent: traceparent.to_owned(),
        }
    }
}

/// Whether a request is of a revision without sessions.
pub(super) fn is_stateless(params: &Params) -> bool {
    params.get("_meta").is_some_and(|meta| meta.get(REVISION).is_some())
}

impl Asker {
    /// May this tool, of this definition, be called with these arguments?
    pub(super) fn call_tool(
        &self,
        (tool, digest, arguments): (&str, &str, String),
        facts: &Facts,
        occasion: Occasion,
    ) -> pb::AuthorizeRequest {
        let context = [("digest", text(digest)), ("touches", facts.touches())];
        let request = self.request("call_tool", ("Tool", self.tool(tool)), context, facts, occasion);
        pb::AuthorizeRequest { arguments_form: Some(ArgumentsForm::ArgumentsJson(arguments)), ..request }
    }

    /// Which of these tools, by name and digest of the definition, may be called, whatever the arguments will be?
    pub(super) fn callable<'a>(
        &self,
        tools: impl Iterator<Item = (&'a str, &'a str)>,
        facts: &Facts,
        occasion: Occasion,
    ) -> pb::SearchRequest {
        let question = self.request(
            "call_tool",
            ("Tool", String::new()),
            [("touches", facts.touches())],
            facts,
            occasion,
        );
        let candidates = tools.map(|(tool, digest)| pb::Candidate {
            id: self.tool(tool),
            context: Some(members([("digest", text(digest))])),
        });
        pb::SearchRequest {
            candidates: candidates.collect(),
            question: Some(question),
            page_size: PAGE,
            ..pb::SearchRequest::default()
        }
    }

    /// A tool's id in Mandate.
    pub(super) fn tool(&self, name: &str) -> String {
        format!("{}/{name}", self.server)
    }

    /// May the server's list of tools be seen?
    pub(super) fn list_tools(&self, facts: &Facts, occasion: Occasion) -> pb::AuthorizeRequest {
        self.request("list_tools", ("ToolServer", self.server.clone()), [], facts, occasion)
    }

    /// May this resource be read?
    pub(super) fn read_resource(&self, uri: &str, facts: &Facts, occasion: Occasion) -> pb::AuthorizeRequest {
        let context = [("uri", text(uri))];
        self.request("read_resource", ("ToolServer", self.server.clone()), context, facts, occasion)
    }

    /// May this prompt be had?
    pub(super) fn get_prompt(&self, prompt: &str, facts: &Facts, occasion: Occasion) -> pb::AuthorizeRequest {
        let context = [("prompt", text(prompt))];
        self.request("get_prompt", ("ToolServer", self.server.clone()), context, facts, occasion)
    }

    /// The same request without the subject's token, which stands apart in a batch.
    fn request<const N: usize>(
        &self,
        action: &str,
        (resource_type, resource): (&str, String),
        context: [(&str, prost_types::Value); N],
        facts: &Facts,
        occasion: Occasion,
    ) -> pb::AuthorizeRequest {
        let named = |r#type: &str, id: &str| {
            Some(pb::EntityRef { r#type: format!("{}::{type}", self.namespace), id: id.to_owned() })
        };
        let mut context = members(context);
        context.fields.insert("session".to_owned(), facts.session());
        pb::AuthorizeRequest {
            request_id: occasion.call.clone(),
            principal: self.subject.principal.clone(),
            action: named("Action", action),
            resource: named(resource_type, &resource),
            context_form: Some(ContextForm::Context(context)),
            delegations: self.subject.delegations.clone(),
            evidence: Some(pb::Evidence {
                session_id: facts.session_id().to_owned(),
                tool_call_id: occasion.call,
                catalog_digest: occasion.catalog_digest,
                agent_version: occasion.agent_version,
                traceparent: occasion.traceparent,
                ..pb::Evidence::default()
            }),
            mode: if self.observe { pb::Mode::Observe } else { pb::Mode::Enforce }.into(),
            ..pb::AuthorizeRequest::default()
        }
    }
}

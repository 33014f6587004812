//! What a record is made of: whatever an answer used, moved here by whoever answered.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cedar_policy::EntityUid;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::fields::Facts;
use super::json::{Capped, MAX_TEXT_BYTES};
use super::outcome::{Decided, OutcomeRecord};
use super::search::SearchRecord;
use crate::engine::authorize::Now;
use crate::engine::catalog::ActionType;
use crate::engine::datum::Reference;
use crate::engine::decision::Decision;
use crate::engine::request::{AuthzRequest, RequestEntity};

/// One line of the decision log.
#[derive(Debug)]
pub enum Record {
    /// A question was understood and answered.
    Decision(Box<DecisionRecord>),
    /// A request was rejected, or its call failed.
    Refusal(Box<RefusalRecord>),
    /// Something that decisions read was changed at run time.
    Change(Box<ChangeRecord>),
    /// Something became of a decision.
    Outcome(Box<OutcomeRecord>),
    /// A search was answered.
    Search(Box<SearchRecord>),
}

/// A change of what decisions read: who made it, and of what.
#[derive(Debug)]
pub struct ChangeRecord {
    /// The id the change was given.
    pub id: Uuid,
    /// When it was on disk and served.
    pub at: SystemTime,
    /// How it was asked for.
    pub surface: Surface,
    /// Who wrote.
    pub caller: Arc<str>,
    /// What was done: `put`, `delete`, `cut`, `revoke`, `suspend`, `lift`.
    pub what: &'static str,
    /// Why, as the writer says; may be empty.
    pub reason: String,
    /// Name of a world that shows it.
    pub revision: Arc<str>,
    /// What was changed; none where everybody is meant.
    pub changes: Vec<EntityChange>,
    /// Of what is queued: what is left out.
    pub masked: Vec<String>,
}

/// What became of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityChange {
    /// The name.
    pub uid: EntityUid,
    /// Digest of what it held, if it was stored.
    pub before: Option<String>,
    /// Digest of what it holds, if it is stored.
    pub after: Option<String>,
}

/// An answer, and what was asked.
#[derive(Debug)]
pub struct DecisionRecord {
    /// The answer's id.
    pub id: Uuid,
    /// When it was decided.
    pub at: SystemTime,
    /// How the question came.
    pub surface: Surface,
    /// Who asked.
    pub caller: Arc<str>,
    /// The caller's own id of the request; may be empty.
    pub request_id: String,
    /// Name of the world that decided.
    pub revision: Arc<str>,
    /// Hash of the generation that decided.
    pub generation: Arc<str>,
    /// What was asked; of what is queued, less what [`facts`](Self::facts) tell.
    pub request: AuthzRequest,
    /// The action that was decided, as the schema declares it: it says what may be told. None of it is queued.
    pub action: Option<Arc<ActionType>>,
    /// Of what is queued: what the question brought, as it is written down.
    pub facts: Facts,
    /// Of what is queued: digest of the subject's token.
    pub token_digest: Option<String>,
    /// What was decided.
    pub decision: Arc<Decision>,
    /// Until when it holds, if that was promised.
    pub valid_until: Option<Now>,
    /// For how many seconds whoever asked may reuse it, if at all.
    pub reuse_seconds: Option<u64>,
    /// What part the cache had.
    pub cache: CacheUse,
    /// How long deciding took.
    pub latency: Duration,
    /// Whether the caller enforces the answer.
    pub mode: Mode,
    /// What the caller wants remembered.
    pub evidence: Option<Box<Evidence>>,
}

/// A request without an answer: what is safe to say of it. There is no place for the message, which may quote what the
/// caller sent.
#[derive(Debug)]
pub struct RefusalRecord {
    /// The id the refusal was given.
    pub id: Uuid,
    /// When it was refused.
    pub at: SystemTime,
    /// How the request came.
    pub surface: Surface,
    /// Who asked.
    pub caller: Arc<str>,
    /// The caller's own id of the request; may be empty.
    pub request_id: String,
    /// gRPC's name of the class: `INVALID_ARGUMENT`.
    pub code: &'static str,
    /// The reason, one short word for machines.
    pub reason: &'static str,
    /// Path of the offending field; may be empty.
    pub field: String,
    /// Who would have acted, where that was understood.
    pub principal: Option<Reference>,
    /// What it would have done.
    pub action: Option<Reference>,
    /// To what.
    pub resource: Option<Reference>,
    /// Of what is queued: what is left out.
    pub masked: Vec<String>,
}

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// `Authorize`.
    Grpc,
    /// One item of `AuthorizeBatch`.
    Batch,
    /// One message of `AuthorizeStream`.
    Stream,
    /// AuthZEN.
    Authzen,
    /// Envoy's `ext_authz`.
    ExtAuthz,
    /// The control listener.
    Control,
    /// `mandate proxy`, in its own process.
    Mcp,
}

impl Surface {
    /// Its name, everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Batch => "batch",
            Self::Stream => "stream",
            Self::Authzen => "authzen",
            Self::ExtAuthz => "ext_authz",
            Self::Control => "control",
            Self::Mcp => "mcp",
        }
    }
}

/// What part the cache had in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheUse {
    /// The answer was known.
    Hit,
    /// It was not.
    Miss,
    /// It could not have been.
    Bypass,
}

impl CacheUse {
    /// Its name, everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

/// Whether the caller enforces the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Enforce,
    /// It only looks.
    Observe,
}

impl Mode {
    /// Its name, everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
        }
    }
}

/// The contract's `Evidence`: for the record only. Empty texts are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The agent's session.
    #[serde(skip_serializing_if = "String::is_empty", serialize_with = "capped")]
    pub session_id: String,
    /// The conversation within it.
    #[serde(skip_serializing_if = "String::is_empty", serialize_with = "capped")]
    pub conversation_id: String,
    /// The model's id of the tool call.
    #[serde(skip_serializing_if = "String::is_empty", serialize_with = "capped")]
    pub tool_call_id: String,
    /// Version of the agent.
    #[serde(skip_serializing_if = "String::is_empty", serialize_with = "capped")]
    pub agent_version: String,
    /// The model that called.
    #[serde(skip_serializing_if = "String::is_empty", serialize_with = "capped")]
    pub model: String,
    /// Digest of the prompt.
    #[serde(skip_serializing_if = "String::is_empty", serialize_with = "capped")]
    pub prompt_digest: String,
    /// Digest of the system prompt.
    #[serde(skip_serializing_if = "String::is_empty", serialize_with = "capped")]
    pub system_prompt_digest: String,
    /// Digest of the tool list the agent saw.
    #[serde(skip_serializing_if = "String::is_empty", serialize_with = "capped")]
    pub catalog_digest: String,
    /// Retrieved context and the like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refs: Vec<EvidenceRef>,
    /// W3C trace context.
    #[serde(skip_serializing_if = "String::is_empty", serialize_with = "capped")]
    pub traceparent: String,
}

/// Something the agent had before it, whose content stays with its owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EvidenceRef {
    /// `prompt`, `retrieved`, `tool_result`, …
    #[serde(skip_serializing_if = "String::is_empty", serialize_with = "capped")]
    pub kind: String,
    /// Where it is.
    #[serde(skip_serializing_if = "String::is_empty", serialize_with = "capped")]
    pub uri: String,
    /// Its digest.
    #[serde(skip_serializing_if = "String::is_empty", serialize_with = "capped")]
    pub digest: String,
    /// Who it came from.
    #[serde(skip_serializing_if = "String::is_empty", serialize_with = "capped")]
    pub source: String,
    /// `trusted` or `untrusted`.
    #[serde(skip_serializing_if = "String::is_empty", serialize_with = "capped")]
    pub trust: String,
}

#[expect(clippy::ptr_arg, reason = "serde names the field's own type")]
fn capped<S: Serializer>(text: &String, serializer: S) -> Result<S::Ok, S::Error> {
    Capped(text, MAX_TEXT_BYTES).serialize(serializer)
}

impl Evidence {
    /// The trace's id, if `traceparent` has one (W3C Trace Context §3.2.2).
    pub fn trace_id(&self) -> Option<&str> {
        let mut parts = self.traceparent.split('-');
        let (_version, id) = (parts.next()?, parts.next()?);
        let hex = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (id.len() == 32 && hex && id.bytes().any(|byte| byte != b'0')).then_some(id)
    }
}

impl DecisionRecord {
    /// What its outcome will be held to.
    pub(super) fn decided(self) -> Decided {
        Decided {
            caller: self.caller,
            effect: self.decision.effect,
            mode: self.mode,
            arguments_digest: self.facts.arguments_digest,
            reported: false,
        }
    }
}

impl Record {
    /// About how much of what the caller sent a record holds, in bytes, beyond a small one.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Decision(record) => size(&record.facts, &record.request),
            Self::Search(record) => size(&record.facts, &record.request),
            Self::Refusal(_) => 0,
            Self::Outcome(record) => record.report.detail.len(),
            Self::Change(record) => {
                let size = |change: &EntityChange| 200 + change.uid.id().unescaped().len();
                record.reason.len() + record.changes.iter().map(size).sum::<usize>()
            }
        }
    }
}

fn size(facts: &Facts, request: &AuthzRequest) -> usize {
    let name = |entity: &RequestEntity| 8 + entity.uid.type_name.len() + entity.uid.id.len();
    facts.size() + request.entities.iter().map(name).sum::<usize>()
}

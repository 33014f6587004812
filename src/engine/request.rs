//! What a caller asks, as it was asked; and why a question cannot be answered.

use std::sync::Arc;

use super::convert::Form;
use super::datum::{Datum, Reference};
use super::guard::{MAX_CONTEXT_BYTES, MAX_REQUEST_ENTITIES};
use super::subject::Subject;

/// What a request may hold, where somebody says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Largest context, as [`MAX_CONTEXT_BYTES`] counts.
    pub context_bytes: usize,
    /// Most entities.
    pub entities: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { context_bytes: MAX_CONTEXT_BYTES, entities: MAX_REQUEST_ENTITIES }
    }
}

/// One question: may this principal do this action to this resource in this context?
#[derive(Debug, Clone, PartialEq)]
pub struct AuthzRequest {
    /// Who acts.
    pub principal: Reference,
    /// What it does.
    pub action: Reference,
    /// To what.
    pub resource: Reference,
    /// The form the context came in.
    pub context_form: Form,
    /// Facts the caller asserts.
    pub context: Vec<(String, Datum)>,
    /// Raw arguments of the tool call.
    pub arguments: Option<Datum>,
    /// Entities that exist for this request only.
    pub entities: Vec<RequestEntity>,
    /// Grants that the actor shows, the leaf last (D2).
    pub delegations: Vec<Reference>,
    /// What a verified token says of the subject.
    pub subject: Option<Arc<Subject>>,
    /// Whether to keep how every policy came out.
    pub explain: bool,
}

impl AuthzRequest {
    /// A question with an empty context.
    pub fn new(principal: Reference, action: Reference, resource: Reference) -> Self {
        Self {
            principal,
            action,
            resource,
            context_form: Form::Plain,
            context: Vec::new(),
            arguments: None,
            entities: Vec::new(),
            delegations: Vec::new(),
            subject: None,
            explain: false,
        }
    }
}

/// An entity a caller supplies with its request (C4).
#[derive(Debug, Clone, PartialEq)]
pub struct RequestEntity {
    /// Its name.
    pub uid: Reference,
    /// The form its attributes and tags came in.
    pub form: Form,
    /// Its attributes.
    pub attributes: Vec<(String, Datum)>,
    /// Its tags.
    pub tags: Vec<(String, Datum)>,
    /// Its direct parents.
    pub parents: Vec<Reference>,
}

/// A question that cannot be answered. Never an Allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct InvalidRequest {
    /// Path of the offending field: `context.session.calls`.
    pub field: String,
    /// What is wrong with it and what would be right.
    pub message: String,
    /// What class of refusal.
    pub kind: InvalidKind,
}

/// Classes of refusal, which transports answer with different codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidKind {
    /// The field's value cannot be accepted.
    Malformed,
    /// The contract has the field, this build does not honour it (W8).
    NotHonoured,
}

impl InvalidRequest {
    /// A field whose value cannot be accepted.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: shown(field.into()), message: shown(message.into()), kind: InvalidKind::Malformed }
    }

    /// A field that this build does not honour, and so refuses when set.
    pub fn not_honoured(field: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: "is not honoured by this build, so it must not be set".to_owned(),
            kind: InvalidKind::NotHonoured,
        }
    }

    /// The same refusal, its field inside another.
    #[must_use]
    pub fn inside(mut self, outer: &str) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self
    }
}

/// Longest text of a refusal, in bytes: it travels in headers, and repeats what the caller sent.
const MAX_SHOWN_BYTES: usize = 512;

/// The text without control characters, cut to [`MAX_SHOWN_BYTES`].
fn shown(text: String) -> String {
    if text.len() <= MAX_SHOWN_BYTES && !text.contains(char::is_control) {
        return text;
    }
    let mut shown = String::new();
    for c in text.chars() {
        let piece = if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
        if shown.len() + piece.len() > MAX_SHOWN_BYTES {
            return shown + "…";
        }
        shown += &piece;
    }
    shown
}

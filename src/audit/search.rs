//! A search, as it is written down: what was asked, and how much was found. Of what was found there is a digest.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Result;
use uuid::Uuid;

use super::fields::Facts;
use super::json::Uid;
use super::line::{Encoder, Head, facts, microseconds, remembered};
use super::record::{Evidence, Surface};
use crate::engine::catalog::ActionType;
use crate::engine::request::AuthzRequest;

/// A page of a search.
#[derive(Debug)]
pub struct SearchRecord {
    /// The answer's id.
    pub id: Uuid,
    /// When it was answered.
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
    /// `actions`, `resources` or `principals`.
    pub sought: &'static str,
    /// What was asked. Of the part that was searched for, the type counts.
    pub request: AuthzRequest,
    /// Whether it was asked under every delegation of whoever acts.
    pub any_delegation: bool,
    /// The action that was asked about, if one was: it says what may be told. None of it is queued.
    pub action: Option<Arc<ActionType>>,
    /// Of what is queued: what the question brought, as it is written down.
    pub facts: Facts,
    /// Of what is queued: digest of the subject's token.
    pub token_digest: Option<String>,
    /// How many candidates were looked at.
    pub examined: usize,
    /// How many were found.
    pub found: usize,
    /// How many of these could be allowed, and need not be.
    pub possible: usize,
    /// Digest of the names that were found, in their order, as a list of `{"type", "id"}` (RFC 8785).
    pub found_digest: String,
    /// Whether there are further pages.
    pub more: bool,
    /// How long it took.
    pub latency: Duration,
    /// What the caller wants remembered.
    pub evidence: Option<Box<Evidence>>,
}

impl Encoder {
    pub(super) fn search(&self, record: &SearchRecord, out: &mut Vec<u8>) -> Result<()> {
        let SearchRecord { id, at, surface, caller, request_id, sought, request, .. } = record;
        let mut line =
            self.answered(&Head { id: *id, at: *at, surface: *surface, caller, request_id }, out)?;
        line.text("revision", &record.revision)?;
        line.text("generation", &record.generation)?;
        line.member("latency_us", &microseconds(record.latency))?;
        remembered(&mut line, record.evidence.as_deref())?;
        line.plain("sought", sought);
        let AuthzRequest { principal, action, resource, delegations, entities, .. } = request;
        for (name, party) in [("principal", principal), ("action", action), ("resource", resource)] {
            line.uid(name, Uid::Asked(party))?;
        }
        if !delegations.is_empty() {
            line.list("delegations", delegations, |out, delegation| Uid::Asked(delegation).write(out))?;
        }
        if record.any_delegation {
            line.holds("any_delegation");
        }
        facts(&mut line, &record.facts, record.token_digest.as_deref(), entities)?;
        line.member("examined", &record.examined)?;
        line.member("found", &record.found)?;
        line.member("possible", &record.possible)?;
        line.text("found_digest", &record.found_digest)?;
        line.member("more", &record.more)
    }
}

//! A record as one line of JSON. The fields are described in `docs/decision-log.md`.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Result;
use uuid::Uuid;

use super::chain;
use super::fields::Facts;
use super::first_seen::FirstSeen;
use super::generation::GenerationRecord;
use super::json::{Capped, Each, MAX_TEXT_BYTES, Object, Uid};
use super::lifecycle::Lifecycle;
use super::outcome::OutcomeRecord;
use super::record::{ChangeRecord, DecisionRecord, EntityChange, Record, RefusalRecord, Surface};
use super::spool::frame::TooLong;
use super::verdict;
use crate::engine::authorize::Now;
use crate::engine::convert::datetime;
use crate::engine::datum::Reference;
use crate::engine::decision::Decision;
use crate::engine::request::{AuthzRequest, RequestEntity};

/// Version of the lines.
const VERSION: u8 = 1;
/// Longest path of a field that is written, in bytes.
const MAX_FIELD_BYTES: usize = 256;

/// Turns records into lines.
#[derive(Debug)]
pub(super) struct Encoder {
    instance: Uuid,
    sequence: u64,
    seen: FirstSeen,
}

impl Encoder {
    /// An encoder for one process named `instance`.
    pub(super) fn new(instance: Uuid) -> Self {
        Self { instance, sequence: 0, seen: FirstSeen::new() }
    }

    /// Appends one line without its end, or nothing. `sequence` is its number in the log.
    ///
    /// # Errors
    /// A value cannot be JSON: a defect, for every value of a record can.
    pub(super) fn encode(&mut self, record: &Record, sequence: u64, out: &mut Vec<u8>) -> Result<()> {
        self.sequence = sequence;
        let start = out.len();
        let encoded = match record {
            Record::Decision(record) => self.decision(record, out),
            Record::Refusal(record) => self.refusal(record, out),
            Record::Change(record) => self.change(record, out),
            Record::Outcome(record) => self.outcome(record, out),
            Record::Search(record) => self.search(record, out),
        };
        if encoded.is_err() {
            out.truncate(start);
        }
        encoded
    }

    fn decision(&mut self, record: &DecisionRecord, out: &mut Vec<u8>) -> Result<()> {
        let mut line = Object::begin(out);
        let head = Head {
            kind: "decision",
            id: record.id,
            at: record.at,
            surface: record.surface,
            caller: &record.caller,
            request_id: &record.request_id,
        };
        self.head(&mut line, &head)?;
        line.text("revision", &record.revision)?;
        line.text("generation", &record.generation)?;
        line.member("cache", &record.cache)?;
        line.member("latency_us", &microseconds(record.latency))?;
        line.member("mode", &record.mode)?;
        if record.request.explain {
            line.member("explained", &true)?;
        }
        if let Some(evidence) = &record.evidence {
            line.member("evidence", evidence)?;
            line.text("trace_id", evidence.trace_id().unwrap_or_default())?;
        }
        if let Some(Now(millis)) = record.valid_until {
            line.text("valid_until", &datetime(millis).unwrap_or_default())?;
        }
        if let Some(seconds) = record.reuse_seconds {
            line.member("reuse_seconds", &seconds)?;
        }
        self.substance(record, &mut line)?;
        line.end();
        Ok(())
    }

    /// What was asked and what was decided.
    fn substance(&mut self, record: &DecisionRecord, line: &mut Object<'_>) -> Result<()> {
        let DecisionRecord { request, decision, .. } = record;
        parties(line, request, decision)?;
        facts(line, &record.facts, record.token_digest.as_deref(), &record.request.entities)?;
        verdict::write(line, decision)?;
        if self.seen.first((&decision.principal, &decision.action, &request.resource)) {
            line.member("first_seen", &true)?;
        }
        Ok(())
    }

    fn change(&mut self, record: &ChangeRecord, out: &mut Vec<u8>) -> Result<()> {
        let mut line = Object::begin(out);
        let ChangeRecord { id, at, surface, caller, what, reason, revision, changes, masked } = record;
        let head = Head { kind: "change", id: *id, at: *at, surface: *surface, caller, request_id: "" };
        self.head(&mut line, &head)?;
        line.text("change", what)?;
        line.text("revision", revision)?;
        if !reason.is_empty() {
            line.member("reason", &Capped(reason, MAX_TEXT_BYTES))?;
        }
        line.member("entities", &Each(changes.iter().map(Changed::of)))?;
        left_out(&mut line, masked)?;
        line.end();
        Ok(())
    }

    fn outcome(&mut self, record: &OutcomeRecord, out: &mut Vec<u8>) -> Result<()> {
        let mut line = Object::begin(out);
        let OutcomeRecord { id, at, surface, caller, report, effect, findings, masked } = record;
        let head = Head { kind: "outcome", id: *id, at: *at, surface: *surface, caller, request_id: "" };
        self.head(&mut line, &head)?;
        let mut buffer = Uuid::encode_buffer();
        line.plain("of", report.of.hyphenated().encode_lower(&mut buffer));
        line.member("outcome", &report.outcome)?;
        line.plain("decision", effect.as_str());
        line.text("input_digest", &report.input_digest)?;
        line.text("result_digest", &report.result_digest)?;
        line.text("detail", &report.detail)?;
        if !findings.is_empty() {
            line.member("findings", findings)?;
        }
        left_out(&mut line, masked)?;
        line.end();
        Ok(())
    }

    fn refusal(&mut self, record: &RefusalRecord, out: &mut Vec<u8>) -> Result<()> {
        let mut line = Object::begin(out);
        let head = Head {
            kind: "refusal",
            id: record.id,
            at: record.at,
            surface: record.surface,
            caller: &record.caller,
            request_id: &record.request_id,
        };
        self.head(&mut line, &head)?;
        line.text("code", record.code)?;
        line.text("reason", record.reason)?;
        if !record.field.is_empty() {
            line.member("field", &Capped(&record.field, MAX_FIELD_BYTES))?;
        }
        let parties =
            [("principal", &record.principal), ("action", &record.action), ("resource", &record.resource)];
        for (name, party) in parties {
            if let Some(party) = party {
                line.member(name, &Uid::Asked(party))?;
            }
        }
        left_out(&mut line, &record.masked)?;
        line.end();
        Ok(())
    }

    /// Appends a record that the writer makes by itself.
    ///
    /// # Errors
    /// It cannot be JSON: a defect.
    pub(super) fn lifecycle(
        &mut self,
        record: &Lifecycle,
        at: SystemTime,
        sequence: u64,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.sequence = sequence;
        self.told(record.kind(), record, at, out)
    }

    /// Appends what became of a generation.
    ///
    /// # Errors
    /// It cannot be JSON: a defect.
    pub(super) fn generation(
        &mut self,
        record: &GenerationRecord,
        sequence: u64,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.sequence = sequence;
        self.told("generation", record, record.at, out)
    }

    /// A record of nobody's call: its members are what it is made of.
    fn told(&self, kind: &str, record: &impl Serialize, at: SystemTime, out: &mut Vec<u8>) -> Result<()> {
        let serde_json::Value::Object(mut members) = serde_json::to_value(record)? else { return Ok(()) };
        members.remove("kind");
        let mut line = Object::begin(out);
        line.member("v", &VERSION)?;
        line.plain("kind", kind);
        line.member("sequence", &self.sequence)?;
        line.member("time", &Time(at))?;
        let mut buffer = Uuid::encode_buffer();
        line.plain("instance", self.instance.hyphenated().encode_lower(&mut buffer));
        members.iter().try_for_each(|(name, value)| line.member(name, value))?;
        line.end();
        Ok(())
    }

    pub(super) fn head(&self, line: &mut Object<'_>, head: &Head<'_>) -> Result<()> {
        line.member("v", &VERSION)?;
        line.plain("kind", head.kind);
        line.member("sequence", &self.sequence)?;
        let mut buffer = Uuid::encode_buffer();
        line.plain("decision_id", head.id.hyphenated().encode_lower(&mut buffer));
        line.member("time", &Time(head.at))?;
        line.plain("instance", self.instance.hyphenated().encode_lower(&mut buffer));
        line.member("surface", &head.surface)?;
        line.text("caller", head.caller)?;
        line.text("request_id", head.request_id)
    }
}

/// What the caller asserted: the context, the tool's arguments, the names of its own entities.
pub(super) fn facts(
    line: &mut Object<'_>,
    facts: &Facts,
    token_digest: Option<&str>,
    entities: &[RequestEntity],
) -> Result<()> {
    let Facts { context, context_truncated, context_digest, arguments, arguments_digest, masked } = facts;
    line.text("token_digest", token_digest.unwrap_or_default())?;
    if let Some(context) = context {
        line.written("context", context);
    }
    if *context_truncated {
        line.member("context_truncated", &true)?;
    }
    line.text("context_digest", context_digest.as_deref().unwrap_or_default())?;
    line.text("arguments_digest", arguments_digest.as_deref().unwrap_or_default())?;
    if let Some(arguments) = arguments {
        line.written("arguments", arguments);
    }
    left_out(line, masked)?;
    if entities.is_empty() {
        return Ok(());
    }
    line.member("request_entities", &Each(entities.iter().map(|entity| Uid::Asked(&entity.uid))))
}

/// Paths of what is not told.
fn left_out(line: &mut Object<'_>, masked: &[String]) -> Result<()> {
    if masked.is_empty() { Ok(()) } else { line.member("masked", &masked) }
}

/// What every line begins with.
pub(super) struct Head<'a> {
    pub(super) kind: &'static str,
    pub(super) id: Uuid,
    pub(super) at: SystemTime,
    pub(super) surface: Surface,
    pub(super) caller: &'a str,
    pub(super) request_id: &'a str,
}

fn parties(line: &mut Object<'_>, request: &AuthzRequest, decision: &Decision) -> Result<()> {
    line.member("principal", &Uid::Known(&decision.principal))?;
    chain::write(line, decision)?;
    line.member("action", &Uid::Known(&decision.action))?;
    if is_other(&request.action, decision) {
        line.member("asked_action", &Uid::Asked(&request.action))?;
    }
    line.member("resource", &Uid::Asked(&request.resource))
}

/// Whether the action that was decided is not the one that was asked about. An empty type means the default one (C8).
fn is_other(asked: &Reference, decision: &Decision) -> bool {
    let decided = &decision.action;
    decided.id().unescaped() != asked.id
        || !(asked.type_name.is_empty() || is_named(decided.type_name(), &asked.type_name))
}

fn is_named(name: &cedar_policy::EntityTypeName, text: &str) -> bool {
    let mut rest = text;
    let mut take = |part: &str| rest.strip_prefix(part).map(|after| rest = after).is_some();
    name.namespace_components().all(|part| take(part) && take("::"))
        && take(name.basename())
        && rest.is_empty()
}

/// Why a record is not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotEncoded {
    /// It cannot be JSON: a defect.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// No frame holds it.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// A time as every record has it.
pub(super) fn time<S: Serializer>(at: &SystemTime, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    Time(*at).serialize(serializer)
}

/// RFC 3339 in UTC, to the microsecond. A clock beyond what calendars hold reads 1970.
struct Time(SystemTime);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let time = Timestamp::try_from(self.0).unwrap_or_default();
        serializer.collect_str(&format_args!("{time:.6}"))
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact below 104 days")]
pub(super) fn microseconds(latency: Duration) -> f64 {
    latency.as_nanos() as f64 / 1000.0
}

/// A changed name as it is written.
#[derive(Serialize)]
struct Changed<'a> {
    uid: Uid<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a str>,
}

impl<'a> Changed<'a> {
    fn of(change: &'a EntityChange) -> Self {
        let EntityChange { uid, before, after } = change;
        Self { uid: Uid::Known(uid), before: before.as_deref(), after: after.as_deref() }
    }
}

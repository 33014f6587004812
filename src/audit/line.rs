//! A record as one line of JSON. The fields are described in `docs/decision-log.md`.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Serialize, Serializer};
use serde_json::Result;
use uuid::Uuid;

use super::chain;
use super::fields::Facts;
use super::first_seen::{Combination, Combinations};
use super::json::{self, Object, Uid};
use super::outcome::OutcomeRecord;
use super::reading::contents::Said;
use super::record::{ChangeRecord, DecisionRecord, EntityChange, Evidence, Record, RefusalRecord, Surface};
use super::said;
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
/// About how long a line is, less what callers sent, in bytes.
const USUAL_BYTES: usize = 1024;

/// Turns records into lines, as far as they can be told before they have their numbers: where their answers are made.
#[derive(Debug)]
pub(super) struct Encoder {
    instance: String,
    combinations: Combinations,
}

/// A line without its number in the log. One buffer: whoever numbers it frees nothing else that another thread took.
#[derive(Debug)]
pub(super) struct Line {
    kind: &'static str,
    /// The members behind the number, whose object is not closed; and of a decision what may be looked for.
    rest: Vec<u8>,
    /// How much of this is members.
    members: usize,
    /// Of a decision: what may be seen for the first time.
    pub(super) combination: Option<Combination>,
}

impl Line {
    /// Appends the line with its number, without an end.
    pub(super) fn number(&self, sequence: u64, first_seen: bool, out: &mut Vec<u8>) -> Result<()> {
        begin(self.kind, sequence, out)?;
        out.extend_from_slice(self.rest.get(..self.members).unwrap_or_default());
        let mut line = Object::behind_others(out);
        if first_seen {
            line.holds("first_seen");
        }
        line.end();
        Ok(())
    }

    /// What it says that may be looked for; none if it has to be read for that.
    pub(super) fn said(&self) -> Option<Said> {
        Said::read(self.rest.get(self.members..)?)
    }

    /// Whether it holds a text.
    #[cfg(test)]
    pub(super) fn says(&self, text: &str) -> bool {
        self.rest.windows(text.len()).any(|some| some == text.as_bytes())
    }
}

impl Encoder {
    /// An encoder for one process named `instance`.
    pub(super) fn new(instance: Uuid) -> Self {
        Self { instance: instance.hyphenated().to_string(), combinations: Combinations::default() }
    }

    /// A record's line.
    ///
    /// # Errors
    /// A value cannot be JSON: a defect, for every value of a record can.
    pub(super) fn line(&self, record: &Record) -> Result<Line> {
        let mut rest = Vec::with_capacity(USUAL_BYTES + record.size());
        let (mut combination, mut said) = (None, None);
        let out = &mut rest;
        let kind = match record {
            Record::Decision(record) => {
                let DecisionRecord { decision, request, .. } = &**record;
                let seen = (&decision.principal, &decision.action, &request.resource);
                combination = Some(self.combinations.of(seen));
                self.decision(record, out)?;
                said = said::of(record);
                "decision"
            }
            Record::Refusal(record) => {
                self.refusal(record, out)?;
                "refusal"
            }
            Record::Change(record) => {
                self.change(record, out)?;
                "change"
            }
            Record::Outcome(record) => {
                self.outcome(record, out)?;
                "outcome"
            }
            Record::Search(record) => {
                self.search(record, out)?;
                "search"
            }
        };
        let members = rest.len();
        if let Some(said) = said {
            said.write(&mut rest);
        }
        Ok(Line { kind, rest, members, combination })
    }

    fn decision(&self, record: &DecisionRecord, out: &mut Vec<u8>) -> Result<()> {
        let DecisionRecord { id, at, surface, caller, request_id, request, decision, .. } = record;
        let mut line =
            self.answered(&Head { id: *id, at: *at, surface: *surface, caller, request_id }, out)?;
        line.text("revision", &record.revision)?;
        line.text("generation", &record.generation)?;
        line.plain("cache", record.cache.as_str());
        line.member("latency_us", &microseconds(record.latency))?;
        line.plain("mode", record.mode.as_str());
        if request.explain {
            line.holds("explained");
        }
        remembered(&mut line, record.evidence.as_deref())?;
        if let Some(Now(millis)) = record.valid_until {
            line.text("valid_until", &datetime(millis).unwrap_or_default())?;
        }
        if let Some(seconds) = record.reuse_seconds {
            line.member("reuse_seconds", &seconds)?;
        }
        parties(&mut line, request, decision)?;
        facts(&mut line, &record.facts, record.token_digest.as_deref(), &request.entities)?;
        verdict::write(&mut line, decision)
    }

    fn change(&self, record: &ChangeRecord, out: &mut Vec<u8>) -> Result<()> {
        let ChangeRecord { id, at, surface, caller, what, reason, revision, changes, masked } = record;
        let head = Head { id: *id, at: *at, surface: *surface, caller, request_id: "" };
        let mut line = self.answered(&head, out)?;
        line.text("change", what)?;
        line.text("revision", revision)?;
        line.text("reason", reason)?;
        line.list("entities", changes, changed)?;
        left_out(&mut line, masked)
    }

    fn outcome(&self, record: &OutcomeRecord, out: &mut Vec<u8>) -> Result<()> {
        let OutcomeRecord { id, at, surface, caller, report, effect, findings, masked } = record;
        let head = Head { id: *id, at: *at, surface: *surface, caller, request_id: "" };
        let mut line = self.answered(&head, out)?;
        let mut buffer = Uuid::encode_buffer();
        line.plain("of", report.of.hyphenated().encode_lower(&mut buffer));
        line.plain("outcome", report.outcome.as_str());
        line.plain("decision", effect.as_str());
        line.text("input_digest", &report.input_digest)?;
        line.text("result_digest", &report.result_digest)?;
        line.text("detail", &report.detail)?;
        if !findings.is_empty() {
            line.list("findings", findings, |out, finding| json::text(out, finding.as_str()))?;
        }
        left_out(&mut line, masked)
    }

    fn refusal(&self, record: &RefusalRecord, out: &mut Vec<u8>) -> Result<()> {
        let RefusalRecord { id, at, surface, caller, request_id, .. } = record;
        let mut line =
            self.answered(&Head { id: *id, at: *at, surface: *surface, caller, request_id }, out)?;
        line.text("code", record.code)?;
        line.text("reason", record.reason)?;
        if !record.field.is_empty() {
            line.capped("field", &record.field, MAX_FIELD_BYTES)?;
        }
        let parties =
            [("principal", &record.principal), ("action", &record.action), ("resource", &record.resource)];
        for (name, party) in parties {
            if let Some(party) = party {
                line.uid(name, Uid::Asked(party))?;
            }
        }
        left_out(&mut line, &record.masked)
    }

    /// What stands behind the number of every line that an answer makes.
    pub(super) fn answered<'o>(&self, head: &Head<'_>, out: &'o mut Vec<u8>) -> Result<Object<'o>> {
        let mut line = Object::behind_others(out);
        let mut buffer = Uuid::encode_buffer();
        line.plain("decision_id", head.id.hyphenated().encode_lower(&mut buffer));
        write_time(line.name("time"), head.at);
        line.plain("instance", &self.instance);
        line.plain("surface", head.surface.as_str());
        line.text("caller", head.caller)?;
        line.text("request_id", head.request_id)?;
        Ok(line)
    }
}

/// Appends the line of a record of nobody's call: its members are what it is made of.
///
/// # Errors
/// It cannot be JSON: a defect.
pub(super) fn of_nobody(
    kind: &'static str,
    record: &impl Serialize,
    at: SystemTime,
    (instance, sequence): (Uuid, u64),
    out: &mut Vec<u8>,
) -> Result<()> {
    let serde_json::Value::Object(mut members) = serde_json::to_value(record)? else { return Ok(()) };
    members.remove("kind");
    let mut line = begin(kind, sequence, out)?;
    write_time(line.name("time"), at);
    let mut buffer = Uuid::encode_buffer();
    line.plain("instance", instance.hyphenated().encode_lower(&mut buffer));
    members.iter().try_for_each(|(name, value)| line.member(name, value))?;
    line.end();
    Ok(())
}

/// What every line begins with.
fn begin<'o>(kind: &'static str, sequence: u64, out: &'o mut Vec<u8>) -> Result<Object<'o>> {
    let mut line = Object::begin(out);
    line.member("v", &VERSION)?;
    line.plain("kind", kind);
    line.member("sequence", &sequence)?;
    Ok(line)
}

/// What the caller asserted: the context, the tool's arguments, the names of its own entities.
pub(super) fn facts(
    line: &mut Object<'_>,
    facts: &Facts,
    token_digest: Option<&str>,
    entities: &[RequestEntity],
) -> Result<()> {
    let Facts { context, context_truncated, context_digest, arguments, arguments_digest, masked, .. } = facts;
    line.text("token_digest", token_digest.unwrap_or_default())?;
    if let Some(context) = context {
        line.written("context", context);
    }
    if *context_truncated {
        line.holds("context_truncated");
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
    line.list("request_entities", entities, |out, entity| Uid::Asked(&entity.uid).write(out))
}

/// What the caller wants remembered, and the trace that it names.
pub(super) fn remembered(line: &mut Object<'_>, evidence: Option<&Evidence>) -> Result<()> {
    let Some(evidence) = evidence else { return Ok(()) };
    line.member("evidence", evidence)?;
    line.text("trace_id", evidence.trace_id().unwrap_or_default())
}

/// Paths of what is not told.
fn left_out(line: &mut Object<'_>, masked: &[String]) -> Result<()> {
    if masked.is_empty() { Ok(()) } else { line.list("masked", masked, |out, path| json::text(out, path)) }
}

/// What every line of an answer says first.
pub(super) struct Head<'a> {
    pub(super) id: Uuid,
    pub(super) at: SystemTime,
    pub(super) surface: Surface,
    pub(super) caller: &'a str,
    pub(super) request_id: &'a str,
}

fn parties(line: &mut Object<'_>, request: &AuthzRequest, decision: &Decision) -> Result<()> {
    line.uid("principal", Uid::Known(&decision.principal))?;
    chain::write(line, decision)?;
    line.uid("action", Uid::Known(&decision.action))?;
    if is_other(&request.action, decision) {
        line.uid("asked_action", Uid::Asked(&request.action))?;
    }
    line.uid("resource", Uid::Asked(&request.resource))
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

/// A clock beyond what calendars hold reads 1970.
pub(super) fn timestamp(at: SystemTime) -> Timestamp {
    Timestamp::try_from(at).unwrap_or_default()
}

/// A time as every record has it: RFC 3339 in UTC, to the microsecond.
fn write_time(out: &mut Vec<u8>, at: SystemTime) {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
    out.push(b'"');
    // Memory takes whatever is written to it.
    let _written = PRINTER.print_timestamp(&timestamp(at), &mut *out);
    out.push(b'"');
}

/// The same, for what is put together by `serde`.
pub(super) fn time<S: Serializer>(at: &SystemTime, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{:.6}", timestamp(*at)))
}

#[expect(clippy::cast_precision_loss, reason = "exact below 104 days")]
pub(super) fn microseconds(latency: Duration) -> f64 {
    latency.as_nanos() as f64 / 1000.0
}

/// Appends a changed name.
fn changed(out: &mut Vec<u8>, change: &EntityChange) -> Result<()> {
    let EntityChange { uid, before, after } = change;
    let mut object = Object::begin(out);
    object.uid("uid", Uid::Known(uid))?;
    for (name, digest) in [("before", before), ("after", after)] {
        if let Some(digest) = digest {
            object.whole(name, digest)?;
        }
    }
    object.end();
    Ok(())
}

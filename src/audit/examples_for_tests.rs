//! Records and logs for the tests of this module.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use cedar_policy::{Policy, PolicyId};
use uuid::Uuid;

use super::record::{CacheUse, DecisionRecord, Mode, Record, RefusalRecord, Surface};
use super::spool::reader::LogReader;
use super::spool::retention::Limits;
use super::tree::notary::NotaryConfig;
use super::{AuditConfig, Disclose, Facts, Fields, Overflow};
use crate::engine::cedar::CompiledPolicy;
use crate::engine::datum::{Datum, Reference};
use crate::engine::decision::{Decision, Effect};
use crate::engine::disclosure::Disclosure;
use crate::engine::request::AuthzRequest;
use crate::engine::validity::Validity;

/// 2026-11-22T10:00:00.000123Z
pub(super) const AT: Duration = Duration::from_micros(1_795_341_600_000_123);

/// A log in this folder, signed by a key of its own.
pub(crate) fn config(folder: &Path, queue: u32, overflow: Overflow) -> AuditConfig {
    AuditConfig {
        mode: super::Mode::Async,
        directory: folder.join("log"),
        queue,
        overflow,
        limits: Limits {
            segment_bytes: 64 * 1024 * 1024,
            segment_age: Duration::from_secs(3600),
            retain_bytes: None,
            retain_age: None,
        },
        counters: Some(folder.to_owned()),
        fields: fields(true),
        notary: NotaryConfig {
            key: folder.join("log.key"),
            previous_key: None,
            name: None,
            every: Duration::from_secs(5),
            witnesses: Vec::new(),
        },
        sinks: Vec::new(),
    }
}

/// Contexts are told, and `arguments` or not.
pub(super) fn fields(arguments: bool) -> Fields {
    let told = if arguments { Disclosure::Clear } else { Disclosure::Masked };
    Fields::new(Disclose::Listed, [("context", Disclosure::Clear), ("arguments", told)], None)
}

pub(super) fn policy(text: &str) -> Arc<CompiledPolicy> {
    let policy = Policy::parse(Some(PolicyId::new("house.reads")), text).unwrap();
    Arc::new(CompiledPolicy::new(&policy, "house.cedar:1"))
}

/// Ana lists the tools of a server, and may.
pub(super) fn decision() -> DecisionRecord {
    let mut request = AuthzRequest::new(
        Reference::new("Mandate::User", "ana"),
        Reference::new("", "list_tools"),
        Reference::new("Mandate::ToolServer", "github"),
    );
    request.context = vec![("calls".to_owned(), Datum::Number(3.0))];
    let decision = Decision {
        effect: Effect::Allow,
        determining: vec![policy("@id(\"house.reads\") permit(principal, action, resource);")],
        errors: Vec::new(),
        denial: None,
        principal: "Mandate::User::\"ana\"".parse().unwrap(),
        action: "Mandate::Action::\"list_tools\"".parse().unwrap(),
        explanation: None,
        hops: Vec::new(),
        validity: Validity::ALWAYS,
    };
    DecisionRecord {
        id: Uuid::from_u128(7),
        at: UNIX_EPOCH + AT,
        surface: Surface::Grpc,
        caller: "anonymous-loopback".into(),
        request_id: "r-1".to_owned(),
        revision: "rev".into(),
        generation: "gen".into(),
        request,
        action: None,
        facts: Facts::default(),
        token_digest: None,
        decision: Arc::new(decision),
        valid_until: None,
        reuse_seconds: None,
        cache: CacheUse::Miss,
        latency: Duration::from_nanos(13_125),
        mode: Mode::Enforce,
        evidence: None,
    }
}

pub(super) fn refusal(request_id: &str) -> Record {
    Record::Refusal(Box::new(RefusalRecord {
        id: Uuid::from_u128(8),
        at: UNIX_EPOCH + AT,
        surface: Surface::Batch,
        caller: "anonymous-loopback".into(),
        request_id: request_id.to_owned(),
        code: "INVALID_ARGUMENT",
        reason: "malformed",
        field: "context.calls".to_owned(),
        principal: None,
        action: None,
        resource: None,
        masked: Vec::new(),
    }))
}

/// The lines of a log that answers made, in order.
pub(super) fn lines(directory: &Path) -> Vec<String> {
    let entries = LogReader::new(directory, 0).read(u64::MAX, usize::MAX, usize::MAX).unwrap();
    let lines = entries.into_iter().map(|entry| String::from_utf8(entry.line).unwrap());
    let of_the_writer = ["start", "stop", "gap", "checkpoint"].map(|kind| format!("\"kind\":\"{kind}\""));
    lines.filter(|line| !of_the_writer.iter().any(|kind| line.contains(kind))).collect()
}

/// What a record asks.
pub(super) fn asked(record: &mut DecisionRecord) -> &mut AuthzRequest {
    &mut record.request
}

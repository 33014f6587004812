//! Records and sinks for the tests of this module.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use cedar_policy::{Policy, PolicyId};
use uuid::Uuid;

use super::record::{CacheUse, DecisionRecord, Mode, Record, RefusalRecord, Surface};
use super::sink::Sink;
use super::{AuditConfig, Disclose, Facts, Fields, Overflow, SinkConfig};
use crate::engine::cedar::CompiledPolicy;
use crate::engine::datum::{Datum, Reference};
use crate::engine::decision::{Decision, Effect};
use crate::engine::disclosure::Disclosure;
use crate::engine::request::AuthzRequest;
use crate::engine::validity::Validity;

/// The `request_id` that makes the encoder panic.
pub(crate) const POISON: &str = "poison for the encoder";

/// 2026-11-22T10:00:00.000123Z
pub(super) const AT: Duration = Duration::from_micros(1_795_341_600_000_123);

pub(super) fn config(queue: u32, overflow: Overflow) -> AuditConfig {
    AuditConfig { sink: SinkConfig::Off, queue, overflow, fields: fields(true) }
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

/// A sink whose lines, faults and pauses a test holds in its hands.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    lines: Arc<Mutex<Vec<u8>>>,
    full: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
    /// While a test holds this, a write waits.
    pub(super) gate: Arc<Mutex<()>>,
}

impl Held {
    pub(super) fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.lines.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    pub(super) fn is_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    pub(super) fn panics(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }
}

impl Sink for Held {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let _gate = self.gate.lock().unwrap();
        assert!(!self.panics.load(Ordering::SeqCst), "as the test wants");
        if self.full.load(Ordering::SeqCst) {
            return Err(ErrorKind::StorageFull.into());
        }
        self.lines.lock().unwrap().extend_from_slice(lines);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a record asks.
pub(super) fn asked(record: &mut DecisionRecord) -> &mut AuthzRequest {
    &mut record.request
}

//! Traces: a span for each call that is recorded, and one inside it for each decision.
//!
//! A caller says which trace its call belongs to, and whether that is recorded (`context`); where it says nothing, the
//! [`ratio`] does. A call that is not recorded costs no more than finding that out. A span that has ended goes into a
//! queue that is never waited for; [`export`] is the thread at its other end.

mod context;
pub mod export;
pub mod ratio;
mod span;

use std::fmt::Write as _;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use tokio::sync::mpsc;

use super::exports::{ExportCounts, SpanFate};
use context::Parent;
use ratio::Ratio;
use span::Span;
pub use span::{DecisionSpan, OTHER, SpanOf};

/// W3C Trace Context: the trace is recorded.
const SAMPLED: u8 = 1;
/// W3C Trace Context level 2: the trace's id is random.
const RANDOM: u8 = 2;

/// Begins traces.
#[derive(Debug)]
pub struct Tracer {
    ratio: Ratio,
    /// How a trace that the ratio records says so.
    state: Arc<str>,
    queue: mpsc::Sender<Span>,
    counts: Arc<ExportCounts>,
}

impl Tracer {
    /// The trace that a call with these headers belongs to; none if it is not recorded. To be called as it begins.
    pub fn begin(self: &Arc<Self>, headers: &HeaderMap) -> Option<Arc<Trace>> {
        let (trace, parent, flags) = match Parent::of(headers) {
            Some(Parent { flags, .. }) if flags & SAMPLED == 0 => return None,
            Some(Parent { trace, span, flags }) => (trace, Some(span), flags),
            None => (rand::random(), None, SAMPLED | RANDOM),
        };
        let state = match parent {
            None if !self.ratio.records(trace) => return None,
            None => Arc::clone(&self.state),
            Some(_) => context::sampling(headers).into(),
        };
        let (began, clock) = (SystemTime::now(), Instant::now());
        Some(Arc::new(Trace {
            tracer: Arc::clone(self),
            id: trace,
            span: new_id(),
            parent,
            flags,
            state,
            began,
            clock,
        }))
    }

    /// Gives a span to the exporter, if it has room for one.
    fn give(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.counts.spans(SpanFate::QueueFull).fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A call that is recorded.
#[derive(Debug)]
pub struct Trace {
    tracer: Arc<Tracer>,
    id: u128,
    /// The call's own span.
    span: u64,
    parent: Option<u64>,
    flags: u8,
    state: Arc<str>,
    began: SystemTime,
    clock: Instant,
}

/// The name of a span to come, inside a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanName(u64);

impl Trace {
    /// A name for a span inside this call.
    pub fn name(&self) -> SpanName {
        SpanName(new_id())
    }

    /// The call's own span.
    pub fn own(&self) -> SpanName {
        SpanName(self.span)
    }

    /// What a record is to say of a span (W3C Trace Context §3.2).
    pub fn parent_of(&self, SpanName(span): SpanName) -> String {
        let mut text = String::with_capacity(55);
        // Nothing can go wrong in memory.
        let _infallible = write!(text, "00-{:032x}-{span:016x}-{:02x}", self.id, self.flags);
        text
    }

    /// Whether what a record says of its place is nothing, or what the call itself said: more than that, its caller
    /// wants kept.
    pub fn is_told_by(&self, traceparent: &str) -> bool {
        let said = || self.parent.map(|parent| format!("{:032x}-{parent:016x}", self.id));
        traceparent.is_empty() || said().is_some_and(|said| traceparent.get(3..52) == Some(said.as_str()))
    }

    /// Tells of a decision that was made from `begun` on, until now.
    pub fn decided(&self, SpanName(id): SpanName, begun: Instant, decision: DecisionSpan) {
        let of = SpanOf::Decision(decision);
        self.give(id, Some(self.span), self.nanoseconds(begun), of);
    }

    /// Tells of the call, which has ended.
    pub fn ended(&self, of: SpanOf) {
        self.give(self.span, self.parent, self.nanoseconds(self.clock), of);
    }

    fn give(&self, id: u64, parent: Option<u64>, begun: u64, of: SpanOf) {
        let ended = self.nanoseconds(Instant::now());
        let state = Arc::clone(&self.state);
        let span = Span { trace: self.id, id, parent, flags: self.flags, state, begun, ended, of };
        self.tracer.give(span);
    }

    /// An instant of this call, since 1970.
    fn nanoseconds(&self, instant: Instant) -> u64 {
        let since = self.began.duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = since + instant.saturating_duration_since(self.clock);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// An id of a span: not 0.
fn new_id() -> u64 {
    rand::random::<NonZeroU64>().get()
}

#[cfg(test)]
#[path = "traces/traces_tests.rs"]
mod tests;

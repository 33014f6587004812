//! The span of a decision, where its call is traced, and what the record says of it.

use std::time::Instant;

use super::{Answer, Call};
use crate::audit::record::{Evidence, Surface};
use crate::telemetry::traces::{DecisionSpan, SpanName, Trace};

/// A span that has a name, and is told of later.
pub(super) struct Spanned<'c> {
    trace: &'c Trace,
    name: SpanName,
    surface: Surface,
}

impl<'c> Spanned<'c> {
    /// Begins a decision's span, inside its call's, and has the record name it.
    pub(super) fn of(call: &'c Call, evidence: &mut Option<Box<Evidence>>) -> Option<Self> {
        let trace = call.trace.as_deref()?;
        let name = trace.name();
        note(evidence, trace, name);
        Some(Self { trace, name, surface: call.surface })
    }

    /// Tells of the decision that was made from `begun` on. Nothing that was asked is in it.
    pub(super) fn ended(self, begun: Instant, answer: &Answer) {
        let decision = &answer.decision;
        let span = DecisionSpan {
            id: answer.id,
            effect: decision.effect.as_str(),
            cached: answer.cache.as_str(),
            surface: self.surface.as_str(),
            generation: answer.published.world.generation.hash.clone(),
            reason: decision.denial.as_ref().map(|denial| denial.code.as_str()),
        };
        self.trace.decided(self.name, begun, span);
    }
}

/// Has the record of a traced call name its span, unless the caller wants another remembered.
pub(super) fn note(evidence: &mut Option<Box<Evidence>>, trace: &Trace, span: SpanName) {
    let said = evidence.as_ref().map_or("", |evidence| evidence.traceparent.as_str());
    if trace.is_told_by(said) {
        evidence.get_or_insert_default().traceparent = trace.parent_of(span);
    }
}

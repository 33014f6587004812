//! What comes of a question once it is decided or refused: counts, a record, and the answer that may be given with it.

use std::sync::Arc;

use super::traced::Spanned;
use super::{Answer, Call, Decided, Pdp, Refusal, Refused};
use crate::audit::{NotRecorded, Record, Recording, Room};
use crate::engine::cedar::PolicyFailureKind;
use crate::engine::decision::PolicyError;

impl Pdp {
    /// Counts an outcome and records it. A decision that cannot be recorded is not given, where records may not be lost, or
    /// is a denial, where that is the rule.
    pub(super) fn settle(
        &self,
        call: &Call,
        outcome: Result<Decided, Refusal>,
        room: &mut Room,
    ) -> Result<(Answer, Recording), Refused> {
        match outcome {
            Ok(Decided { mut answer, mut asked, begun, latency }) => {
                let span = Spanned::of(call, &mut asked.evidence);
                self.policies_failed(&answer);
                let required = answer.decision.needs_record();
                let record =
                    || Record::Decision(Box::new(self.decision_record(call, &answer, asked, latency)));
                let recording = match room.record(required, record) {
                    Ok(recording) => recording,
                    Err(NotRecorded::Refuse) => return Err(Refused::Unrecorded),
                    Err(NotRecorded::Deny) => {
                        answer.decision = Arc::new(answer.decision.unrecorded());
                        Recording::done()
                    }
                };
                let decision = &answer.decision;
                let reason = decision.denial.as_ref().map(|denial| denial.code);
                self.metrics.decided(decision.effect, reason, call.surface, answer.cache, latency);
                if let Some(span) = span {
                    span.ended(begun, &answer);
                }
                Ok((answer, recording))
            }
            Err(Refusal { refused, asked }) => {
                self.metrics.refused(call.surface, refused.code().as_str());
                let record = || Record::Refusal(Box::new(self.refusal_record(call, &refused, asked)));
                // The answer is a refusal, whether or not that could be recorded; a lost record is counted.
                let _lost = room.record(false, record);
                Err(refused)
            }
        }
    }

    /// Counts policies that could not be evaluated, and gives the alarm for what should never fail.
    fn policies_failed(&self, answer: &Answer) {
        let errors = &answer.decision.errors;
        self.metrics.policies_failed(errors.len());
        for PolicyError { policy, failure } in errors {
            if failure.kind == PolicyFailureKind::Internal {
                self.metrics.panicked();
                tracing::error!(
                    decision.id = %answer.id,
                    policy.id = %policy.id,
                    failure = failure.summary,
                    "a policy met a defect in Mandate: the answer is a denial"
                );
            }
        }
    }
}

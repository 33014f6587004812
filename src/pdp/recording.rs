//! What is written down of an answer or a refusal.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Answer, Asked, Call, Pdp, Refused, name};
use crate::audit::{DecisionRecord, Facts, Recording, RefusalRecord, Room, WriterGone};
use crate::engine::request::AuthzRequest;
use crate::store::replica::lease::LeaseEnd;

impl Pdp {
    /// Waits until a record lasts, where its answer is to wait for that.
    pub(super) async fn lasting(
        &self,
        call: &Call,
        recording: Recording,
        until: LeaseEnd,
    ) -> Result<(), Refused> {
        match tokio::time::timeout_at(call.deadline.into(), recording.settled()).await {
            // The last look before the answer leaves: it may have waited long, or the process may have stood still.
            Ok(Ok(())) if until.is_over() => Err(Refused::NotCurrent),
            Ok(settled) => settled.map_err(|WriterGone| Refused::Unrecorded),
            Err(_late) => Err(Refused::Late),
        }
    }

    /// Room for records, before anything is decided: an answer that cannot be recorded is not given.
    pub(super) async fn room(&self, records: usize, call: &Call) -> Result<Room, Refused> {
        match tokio::time::timeout_at(call.deadline.into(), self.audit.reserve(records)).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_gone)) => Err(self.refuse(call, Refused::Unrecorded)),
            Err(_late) => Err(self.refuse(call, Refused::Late)),
        }
    }

    pub(super) fn decision_record(
        &self,
        call: &Call,
        answer: &Answer,
        asked: Asked,
        latency: Duration,
    ) -> DecisionRecord {
        let published = &answer.published;
        DecisionRecord {
            id: answer.id,
            at: SystemTime::now(),
            surface: call.surface,
            caller: Arc::clone(call.caller.name()),
            request_id: call.request_id.clone(),
            revision: Arc::clone(&published.revision),
            generation: Arc::clone(&published.world.generation.hash),
            action: published.world.generation.catalog.action(&answer.decision.action).cloned(),
            request: asked.question,
            facts: Facts::default(),
            token_digest: None,
            decision: Arc::clone(&answer.decision),
            valid_until: answer.decision.validity.ends_after(answer.now),
            reuse_seconds: answer.decision.reuse_seconds(answer.now),
            cache: answer.cache,
            latency,
            mode: asked.mode,
            evidence: asked.evidence,
        }
    }

    pub(super) fn refusal_record(
        &self,
        call: &Call,
        refused: &Refused,
        asked: Option<Box<Asked>>,
    ) -> RefusalRecord {
        let question = asked.map(|asked| asked.question);
        let (principal, action, resource) = match question {
            Some(AuthzRequest { principal, action, resource, .. }) => {
                (Some(principal), Some(action), Some(resource))
            }
            None => (None, None, None),
        };
        RefusalRecord {
            id: name(),
            at: SystemTime::now(),
            surface: call.surface,
            caller: Arc::clone(call.caller.name()),
            request_id: call.request_id.clone(),
            code: refused.code().as_str(),
            reason: refused.reason(),
            field: refused.field().to_owned(),
            principal,
            action,
            resource,
            masked: Vec::new(),
        }
    }
}

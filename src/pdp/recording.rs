//! What is written down of an answer or a refusal.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Answer, Asked, Call, Pdp, Refused, name};
use crate::audit::{DecisionRecord, Facts, RefusalRecord};
use crate::engine::request::AuthzRequest;

impl Pdp {
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

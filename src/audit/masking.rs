//! What callers sent, taken out of a record or replaced before it is queued. This is the only place that looks at both.

use std::sync::Arc;
use std::time::SystemTime;

use cedar_policy::{EntityId, EntityUid};

use super::fields::{Facts, Fields, Told};
use super::outcome::OutcomeRecord;
use super::record::{ChangeRecord, DecisionRecord, Evidence, Record, RefusalRecord};
use super::search::SearchRecord;
use crate::engine::catalog::ActionType;
use crate::engine::decision::{Decision, GrantName};
use crate::engine::disclosure::{Disclosure, SILENT};
use crate::engine::request::AuthzRequest;

/// What stands for an id that is not told.
const MASKED: &str = "masked";

impl Record {
    /// Leaves in the record what may be written down of it.
    pub(super) fn mask(&mut self, fields: &Fields) {
        match self {
            Self::Decision(record) => record.mask(fields),
            Self::Refusal(record) => record.mask(fields),
            Self::Change(record) => record.mask(fields),
            Self::Outcome(record) => record.mask(fields),
            Self::Search(record) => record.mask(fields),
        }
    }
}

impl DecisionRecord {
    fn mask(&mut self, fields: &Fields) {
        let Self { request, action, facts, token_digest, request_id, evidence, at, .. } = self;
        let asked = Asked { request, action, facts, token_digest, request_id, evidence };
        let Some(ids) = asked.mask(fields, *at) else { return };
        let mut decision = Decision::clone(&self.decision);
        ids.decision(&mut decision);
        self.decision = Arc::new(decision);
    }
}

impl SearchRecord {
    fn mask(&mut self, fields: &Fields) {
        let Self { request, action, facts, token_digest, request_id, evidence, at, .. } = self;
        let asked = Asked { request, action, facts, token_digest, request_id, evidence };
        if asked.mask(fields, *at).is_some() {
            // It is of names that are few enough to guess.
            self.found_digest.clear();
        }
    }
}

/// What records of decisions and of searches have in common: what was asked.
struct Asked<'a> {
    request: &'a mut AuthzRequest,
    action: &'a mut Option<Arc<ActionType>>,
    facts: &'a mut Facts,
    token_digest: &'a mut Option<String>,
    request_id: &'a mut String,
    evidence: &'a mut Option<Box<Evidence>>,
}

impl Asked<'_> {
    /// Takes what callers assert out of the request, and keeps what may be told of it and the digest of its token. If ids are not
    /// told, the request's are told no more, and what tells others is given back.
    fn mask<'f>(self, fields: &'f Fields, at: SystemTime) -> Option<Ids<'f>> {
        let Self { request, action, facts, token_digest, request_id, evidence } = self;
        let action = action.take();
        let annotated = action.as_ref().map_or(&SILENT, |action| &action.disclosures);
        *facts = fields.facts(request, annotated, at);
        *token_digest = request.subject.take().map(|subject| subject.digest.clone());
        request.context = Vec::new();
        request.arguments = None;
        for entity in &mut request.entities {
            (entity.attributes, entity.tags, entity.parents) = Default::default();
        }
        let masked = &mut facts.masked;
        text(fields, &["request_id"], request_id, at, masked);
        if let Some(evidence) = evidence {
            evidence.mask(fields, at, masked);
        }
        let ids = Ids::of(fields, at)?;
        masked.push("ids".to_owned());
        ids.request(request);
        Some(ids)
    }
}

impl RefusalRecord {
    fn mask(&mut self, fields: &Fields) {
        let at = self.at;
        text(fields, &["request_id"], &mut self.request_id, at, &mut self.masked);
        let Some(ids) = Ids::of(fields, at) else { return };
        self.masked.push("ids".to_owned());
        for reference in [&mut self.principal, &mut self.action, &mut self.resource].into_iter().flatten() {
            reference.id = ids.told(&reference.id);
            // A type that nobody declared is a caller's word too.
            reference.type_name = ids.told(&reference.type_name);
        }
        // A path may name what a caller named.
        self.field.clear();
    }
}

impl ChangeRecord {
    fn mask(&mut self, fields: &Fields) {
        let at = self.at;
        text(fields, &["reason"], &mut self.reason, at, &mut self.masked);
        let Some(ids) = Ids::of(fields, at) else { return };
        self.masked.push("ids".to_owned());
        for change in &mut self.changes {
            ids.uid(&mut change.uid);
        }
    }
}

impl OutcomeRecord {
    fn mask(&mut self, fields: &Fields) {
        let (at, masked) = (self.at, &mut self.masked);
        text(fields, &["detail"], &mut self.report.detail, at, masked);
        text(fields, &["arguments_digest"], &mut self.report.input_digest, at, masked);
        text(fields, &["result_digest"], &mut self.report.result_digest, at, masked);
    }
}

impl Evidence {
    fn mask(&mut self, fields: &Fields, at: SystemTime, masked: &mut Vec<String>) {
        let Self {
            session_id,
            conversation_id,
            tool_call_id,
            agent_version,
            model,
            prompt_digest,
            system_prompt_digest,
            catalog_digest,
            refs,
            traceparent,
        } = self;
        for (name, value) in [
            ("session_id", session_id),
            ("conversation_id", conversation_id),
            ("tool_call_id", tool_call_id),
            ("agent_version", agent_version),
            ("model", model),
            ("prompt_digest", prompt_digest),
            ("system_prompt_digest", system_prompt_digest),
            ("catalog_digest", catalog_digest),
            ("traceparent", traceparent),
        ] {
            text(fields, &["evidence", name], value, at, masked);
        }
        for part in refs {
            let texts = [&mut part.kind, &mut part.uri, &mut part.digest, &mut part.source, &mut part.trust];
            for value in texts {
                text(fields, &["evidence", "refs"], value, at, masked);
            }
        }
    }
}

/// Leaves of a text at a path what may be told of it.
fn text(fields: &Fields, path: &[&str], value: &mut String, at: SystemTime, masked: &mut Vec<String>) {
    if value.is_empty() {
        return;
    }
    match fields.text(path, Disclosure::Clear, value, at) {
        Told::Clear => {}
        Told::Instead(other) => *value = other,
        Told::Masked => {
            value.clear();
            let path = path.join(".");
            if !masked.contains(&path) {
                masked.push(path);
            }
        }
    }
}

/// How ids of principals, resources and whatever else has a name are told, where that is not as they are.
struct Ids<'a> {
    fields: &'a Fields,
    at: SystemTime,
}

impl<'a> Ids<'a> {
    fn of(fields: &'a Fields, at: SystemTime) -> Option<Self> {
        (fields.text(&["ids"], Disclosure::Clear, "", at) != Told::Clear).then_some(Self { fields, at })
    }

    fn told(&self, id: &str) -> String {
        match self.fields.text(&["ids"], Disclosure::Clear, id, self.at) {
            Told::Instead(keyed) => keyed,
            Told::Clear | Told::Masked => MASKED.to_owned(),
        }
    }

    /// Whatever it names, of types that are declared, or there would be no answer.
    fn request(&self, request: &mut AuthzRequest) {
        let AuthzRequest { principal, action, resource, entities, delegations, .. } = request;
        let supplied = entities.iter_mut().map(|entity| &mut entity.uid);
        for reference in [principal, action, resource].into_iter().chain(supplied).chain(delegations) {
            reference.id = self.told(&reference.id);
        }
    }

    fn uid(&self, uid: &mut EntityUid) {
        let id = EntityId::new(self.told(uid.id().unescaped()));
        *uid = EntityUid::from_type_name_and_id(uid.type_name().clone(), id);
    }

    /// The action is the schema's, the policies are their authors': only parties and messages go.
    fn decision(&self, decision: &mut Decision) {
        self.uid(&mut decision.principal);
        if let Some(denial) = &mut decision.denial {
            denial.message.clear();
            if let Some(GrantName::Stored(grant)) = denial.grant.as_deref_mut() {
                self.uid(grant);
            }
        }
        decision.explanation = None;
        for hop in &mut decision.hops {
            if let Some(GrantName::Stored(grant)) = &mut hop.grant {
                self.uid(grant);
            }
            self.decision(&mut hop.decision);
        }
    }
}

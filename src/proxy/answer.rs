//! What a server did of what was decided: passed on with what Mandate says to it, and reported.

use serde_json::{Map, Value, json};

use super::message::{Id, Message, Outcome};
use super::pending::Underway;
use super::relay::Relay;
use crate::engine::datum::Datum;
use crate::engine::digest;
use crate::server::{pb, structs};

impl Relay {
    /// Hands a result to the agent, then reports it: the agent does not wait for a digest.
    pub(super) async fn done(&self, id: Id, underway: Underway, outcome: Outcome) {
        if outcome.is_ok() {
            self.state().facts.answered(underway.from_outside);
        }
        let result_digest = outcome.as_ref().ok().map(digest::of_json);
        let (done, detail) = judged(&outcome);
        let outcome = outcome.map(|result| with_decision(result, &underway));
        self.to_agent(&Message::Response { id, outcome }).await;
        self.reporter.report(pb::ReportOutcomeRequest {
            decision_id: underway.decision_id,
            outcome: done.into(),
            input_digest: underway.input_digest,
            result_digest: result_digest.and_then(Result::ok).unwrap_or_default(),
            detail,
        });
    }
}

/// What became of it. A server's words are not repeated in the record; its codes are.
fn judged(outcome: &Outcome) -> (pb::Outcome, String) {
    match outcome {
        Ok(result) if result.get("isError").and_then(Value::as_bool) == Some(true) => {
            (pb::Outcome::Failed, "the tool says that it failed".to_owned())
        }
        Ok(_) => (pb::Outcome::Executed, String::new()),
        Err(error) => {
            let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
            (pb::Outcome::Failed, format!("the server answered with error {code}"))
        }
    }
}

/// The result with the decision's id and advice beside it, in `_meta`.
fn with_decision(mut result: Value, underway: &Underway) -> Value {
    if underway.decision_id.is_empty() {
        return result;
    }
    if let Some(members) = result.as_object_mut() {
        let mut allowed = Map::new();
        allowed.insert("decision_id".to_owned(), underway.decision_id.as_str().into());
        if !underway.advice.is_empty() {
            allowed.insert("advice".to_owned(), underway.advice.iter().map(advice).collect());
        }
        let meta = members.entry("_meta").or_insert_with(|| json!({}));
        if let Some(meta) = meta.as_object_mut() {
            meta.insert("mandate/decision".to_owned(), Value::Object(allowed));
        }
    }
    result
}

fn advice(advice: &pb::Advice) -> Value {
    let properties = structs::members(advice.properties.clone().unwrap_or_default());
    json!({"type": advice.r#type, "properties": Datum::Record(properties).to_json()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_carries_the_decision_and_keeps_what_it_has() {
        let underway = Underway {
            decision_id: "d1".to_owned(),
            advice: vec![pb::Advice { r#type: "slow_down".to_owned(), properties: None }],
            input_digest: String::new(),
            from_outside: false,
            is_call: true,
        };
        let result = with_decision(json!({"content": [], "_meta": {"a": 1}}), &underway);
        let told = json!({"decision_id": "d1", "advice": [{"type": "slow_down", "properties": {}}]});
        assert_eq!(result, json!({"content": [], "_meta": {"a": 1, "mandate/decision": told}}));
        assert_eq!(with_decision(json!("odd"), &underway), json!("odd"));
    }

    #[test]
    fn what_failed_is_not_called_done() {
        let failed = pb::Outcome::Failed;
        assert_eq!(judged(&Ok(json!({"content": []}))).0, pb::Outcome::Executed);
        assert_eq!(judged(&Ok(json!({"isError": true}))).0, failed);
        let (outcome, detail) = judged(&Err(json!({"code": -32602, "message": "secret"})));
        assert_eq!((outcome, detail.as_str()), (failed, "the server answered with error -32602"));
    }
}

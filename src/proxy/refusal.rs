//! How an agent is told that something was not done.

use serde_json::{Value, json};

use super::message::DENIED;
use super::verdict::Denial;

/// A denied call, as a result with `isError`. MCP has two ways to say it; agents hand results to their model, which can then
/// read the reason and do something else, where an error of the protocol ends many a run before the model hears of it.
pub(super) fn result(denial: &Denial, is_stateless: bool) -> Value {
    let mut result = json!({
        "content": [{"type": "text", "text": denial.text()}],
        "isError": true,
        "_meta": {"mandate/denied": data(denial)},
    });
    // Every result of a revision without sessions says whether it is whole.
    if is_stateless && let Some(members) = result.as_object_mut() {
        members.insert("resultType".to_owned(), "complete".into());
    }
    result
}

/// Anything else that is denied, as an error of the protocol: results of other methods have no place for it.
pub(super) fn error(denial: &Denial) -> Value {
    json!({"code": DENIED, "message": denial.text(), "data": data(denial)})
}

fn data(denial: &Denial) -> Value {
    json!({"code": denial.code, "decision_id": denial.decision_id})
}

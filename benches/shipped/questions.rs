//! Two questions of the shipped world, both of them allowed.

use mandate::engine::datum::{Datum, Reference};
use mandate::engine::request::AuthzRequest;

const SESSION: &str =
    r#"{"id":"s","purpose":"p","attended":true,"untrusted":false,"read_level":0,"calls":1,"spent_cents":0}"#;

/// Ana lists a server's tools; or the planner that she sent lists the website's issues.
pub(crate) fn question(chain: bool) -> AuthzRequest {
    let reference = |kind: &str, id: &str| Reference::new(format!("Mandate::{kind}"), id);
    let mut context = format!(r#"{{"session":{SESSION}"#);
    let (principal, action, resource) = if chain {
        let digest = "sha256:b602e5e96aa6d2677ed07ca875ae38986e658d94c671645024b205d9f04320a1";
        context += &format!(r#","digest":"{digest}","touches":[]"#);
        (reference("Agent", "planner"), "call_tool", reference("Tool", "github/list_issues"))
    } else {
        (reference("User", "ana"), "list_tools", reference("ToolServer", "github"))
    };
    let mut request = AuthzRequest::new(principal, reference("Action", action), resource);
    if let Datum::Record(members) = serde_json::from_str(&format!("{context}}}")).unwrap() {
        request.context = members;
    }
    if chain {
        request.arguments = Some(Datum::Record(Vec::new()));
        request.delegations = vec![reference("Delegation", "ana-planner")];
    }
    request
}

//! Ask a running server over gRPC, as a gateway would before it lets a tool call through.
//!
//! Start a server with `make run`, then: `cargo run --example client`
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use mandate::server::pb::authorization_service_client::AuthorizationServiceClient;
use mandate::server::pb::{AuthorizeRequest, Decision, EntityRef, authorize_request::ContextForm};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:4466".to_owned());
    let mut client = AuthorizationServiceClient::connect(server).await?;
    let session = r#"{"session": {"id": "session-1", "purpose": "look around", "attended": true, "untrusted": false,
                      "read_level": 0, "calls": 1, "spent_cents": 0}}"#;
    let request = AuthorizeRequest {
        request_id: "first".to_owned(),
        principal: Some(entity("Mandate::User", "ana")),
        action: Some(entity("", "list_tools")),
        resource: Some(entity("Mandate::ToolServer", "github")),
        context_form: Some(ContextForm::ContextJson(session.to_owned())),
        ..AuthorizeRequest::default()
    };
    let answer = client.authorize(request).await?.into_inner();
    // Everything but an explicit Allow is a deny, what this client does not know included.
    let allowed = answer.decision() == Decision::Allow;
    println!("{} ({})", if allowed { "allow" } else { "deny" }, answer.decision_id);
    for policy in answer.determining_policies {
        println!("  by {}", policy.policy_id);
    }
    if let Some(reason) = answer.reason {
        println!("  {}: {}", reason.code, reason.message);
    }
    Ok(())
}

fn entity(type_name: &str, id: &str) -> EntityRef {
    EntityRef { r#type: type_name.to_owned(), id: id.to_owned() }
}

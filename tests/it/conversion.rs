//! JSON, `Struct`, typed values and Cedar JSON on their way into Cedar, as the schema directs.

mod accepted;
pub(crate) mod depth;
mod refused;

use std::sync::LazyLock;

use mandate::server::pb;
use serde_json::json;

use crate::support::{Sources, TestServer, question};

/// A member of every type, for contexts and for a tool's arguments.
const SCHEMA: &str = r#"namespace Mandate {
  entity User;
  entity Doc;
  entity Tool;
  entity Colour enum ["red", "green"];
  type All = {
    long?: Long, bool?: Bool, text?: String,
    decimal?: decimal, ip?: ipaddr, datetime?: datetime, duration?: duration,
    longs?: Set<Long>, nested?: { need: Long, also?: { deep?: Bool } },
    doc?: Doc, docs?: Set<Doc>, colour?: Colour,
  };
  action probe appliesTo { principal: [User], resource: [Doc], context: All };
  action call_tool appliesTo { principal: [User], resource: [Tool], context: {} };
  @tool("lab/probe")
  action "lab/probe" in [call_tool] appliesTo { principal: [User], resource: [Tool], context: { input: All } };
}
"#;

/// One policy for each value that is accepted; each is satisfied by that value alone.
static SERVER: LazyLock<TestServer> = LazyLock::new(|| {
    let policies: String = accepted::VALUES.iter().map(accepted::Value::policies).collect();
    let named =
        |type_name: &str, id: &str| json!({"uid": {"type": type_name, "id": id}, "attrs": {}, "parents": []});
    let stored = json!([
        named("Mandate::User", "ana"),
        named("Mandate::Doc", "plan"),
        named("Mandate::Doc", "note"),
        named("Mandate::Tool", "lab/probe"),
        named("Mandate::Tool", "lab/plain"),
    ]);
    let sources = Sources::empty().schema("lab.cedarschema", SCHEMA).entities("lab.json", &stored);
    TestServer::start(&sources.policy("lab.cedar", policies))
});

/// A question whose context may hold anything.
fn probe() -> pb::AuthorizeRequest {
    question(("User", "ana"), "probe", ("Doc", "plan"))
}

/// A tool call whose arguments may hold anything.
fn call() -> pb::AuthorizeRequest {
    question(("User", "ana"), "call_tool", ("Tool", "lab/probe"))
}

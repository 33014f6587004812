//! What server and agent say they can do, as far as the proxy passes it on.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::message::Params;
use super::methods;

/// What a server may ask of an agent only if the operator says so: each lets the server act on the agent, not the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// `roots/list`: the agent says which folders the server works in. Some servers let it replace those that their operator chose.
    Roots,
    /// `sampling/createMessage`: the server has the agent's model read what it likes, and is told the answer.
    Sampling,
    /// `elicitation/create`: the server asks the person behind the agent.
    Elicitation,
}

impl Capability {
    const ALL: [Self; 3] = [Self::Roots, Self::Sampling, Self::Elicitation];

    /// Its name in MCP.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Roots => "roots",
            Self::Sampling => "sampling",
            Self::Elicitation => "elicitation",
        }
    }
}

impl FromStr for Capability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|capability| capability.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is none of roots, sampling, elicitation"))
    }
}

/// What the operator lets a server ask of the agent; nothing, if not told.
#[derive(Debug, Clone, Default)]
pub struct Passed(pub Vec<Capability>);

/// What of a server's capabilities the proxy knows how to govern.
const OF_SERVERS: [&str; 5] = ["tools", "resources", "prompts", "completions", "logging"];

/// Where a request of revision 2026-07-28 says what its agent can do.
const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

impl Passed {
    /// Whether a server may ask this.
    pub(super) fn passes(&self, capability: Capability) -> bool {
        self.0.contains(&capability)
    }

    /// Whether a server may ask this of the agent.
    pub(super) fn may_ask(&self, method: &str) -> bool {
        methods::asked_of_agent(method)
            .is_some_and(|needed| needed.is_none_or(|capability| self.passes(capability)))
    }

    /// Takes out of a request what the agent says it can do and the server may not ask for.
    pub(super) fn narrow_request(&self, params: &mut Params) {
        if let Some(Value::Object(capabilities)) = params.get_mut("capabilities") {
            self.narrow(capabilities);
        }
        let meta = params.get_mut("_meta").and_then(|meta| meta.get_mut(CLIENT_CAPABILITIES));
        if let Some(Value::Object(capabilities)) = meta {
            self.narrow(capabilities);
        }
    }

    fn narrow(&self, capabilities: &mut Map<String, Value>) {
        capabilities.retain(|name, _| name.parse().is_ok_and(|capability| self.passes(capability)));
    }

    /// What a result asks of the agent that it may not ask (2026-07-28, `input_required`), if it does.
    pub(super) fn refused_in<'a>(&self, result: &'a Value) -> Option<&'a str> {
        let asked = result.get("inputRequests")?.as_object()?.values();
        let methods = asked.map(|asked| asked.get("method").and_then(Value::as_str).unwrap_or_default());
        methods.into_iter().find(|method| !self.may_ask(method))
    }
}

/// Takes out of a server's hello what the proxy would refuse, so that the agent does not ask for it.
pub(super) fn narrow_hello(result: &mut Value) {
    if let Some(Value::Object(capabilities)) = result.get_mut("capabilities") {
        capabilities.retain(|name, _| OF_SERVERS.contains(&name.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_is_told_of_nothing_that_it_may_not_ask_for() {
        let offered =
            json!({"roots": {}, "sampling": {}, "elicitation": {}, "tasks": {}, "experimental": {"x": {}}});
        let request = json!({"capabilities": offered, "_meta": {CLIENT_CAPABILITIES: offered, "other": 1}});
        for (passed, left) in [
            (Passed::default(), json!({})),
            (Passed(vec![Capability::Elicitation]), json!({"elicitation": {}})),
        ] {
            let mut params = request.as_object().unwrap().clone();
            passed.narrow_request(&mut params);
            let expected = json!({"capabilities": left, "_meta": {CLIENT_CAPABILITIES: left, "other": 1}});
            assert_eq!(Value::Object(params), expected);
        }
    }

    #[test]
    fn what_a_result_asks_for_is_held_to_the_same() {
        let result = json!({"resultType": "input_required", "inputRequests": {"a": {"method": "elicitation/create"}, "b": {"method": "roots/list"}}});
        assert_eq!(Passed::default().refused_in(&result), Some("elicitation/create"));
        assert_eq!(Passed(vec![Capability::Elicitation]).refused_in(&result), Some("roots/list"));
        assert_eq!(Passed(vec![Capability::Elicitation, Capability::Roots]).refused_in(&result), None);
        assert_eq!(Passed::default().refused_in(&json!({"content": []})), None);
        let odd = json!({"inputRequests": {"a": 1}});
        assert_eq!(Passed::default().refused_in(&odd), Some(""));
    }

    #[test]
    fn an_agent_is_told_of_nothing_that_is_refused() {
        let mut hello = json!({"capabilities": {"tools": {"listChanged": true}, "tasks": {"list": {}}, "experimental": {}}, "serverInfo": {"name": "s"}});
        narrow_hello(&mut hello);
        assert_eq!(
            hello,
            json!({"capabilities": {"tools": {"listChanged": true}}, "serverInfo": {"name": "s"}})
        );
    }
}

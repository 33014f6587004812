//! The methods of MCP that the proxy knows, revisions 2024-11-05 to 2026-07-28. What is not here is refused: a method that a
//! later revision adds may do anything.

use super::capabilities::Capability;

/// What a request of the agent's is to the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// `initialize` and `server/discover`: who is there, and what it can do.
    Hello,
    /// It reaches nothing that is governed.
    Harmless,
    /// A list, shown as far as the agent may use what is on it.
    List(Listed),
    /// `tools/call`.
    CallTool,
    /// Something of a resource, or of those that a template describes.
    ReadResource,
    /// A prompt.
    GetPrompt,
    /// `completion/complete`: decided like what is completed.
    Complete,
}

/// What is on a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    Tools,
    Resources,
    Templates,
    Prompts,
}

/// Parameters that any request may have.
const ALWAYS: &[&str] = &["_meta"];
/// What answers a question that a server asked back (2026-07-28, "Multi Round-Trip Requests").
const ROUND_TRIP: &[&str] = &["inputResponses", "requestState"];

/// A method, what it is, and its parameters. Others than these are refused with the method: `task`, say, would have the
/// server go on after its answer, and nobody learn what became of it.
const METHODS: [(&str, Asked, &[&str]); 14] = [
    ("initialize", Asked::Hello, &["protocolVersion", "capabilities", "clientInfo"]),
    ("server/discover", Asked::Hello, &[]),
    ("ping", Asked::Harmless, &[]),
    ("logging/setLevel", Asked::Harmless, &["level"]),
    ("tools/list", Asked::List(Listed::Tools), &["cursor"]),
    ("tools/call", Asked::CallTool, &["name", "arguments"]),
    ("resources/list", Asked::List(Listed::Resources), &["cursor"]),
    ("resources/templates/list", Asked::List(Listed::Templates), &["cursor"]),
    ("resources/read", Asked::ReadResource, &["uri"]),
    ("resources/subscribe", Asked::ReadResource, &["uri"]),
    ("resources/unsubscribe", Asked::Harmless, &["uri"]),
    ("prompts/list", Asked::List(Listed::Prompts), &["cursor"]),
    ("prompts/get", Asked::GetPrompt, &["name", "arguments"]),
    ("completion/complete", Asked::Complete, &["ref", "argument", "context"]),
];

/// A method of the agent's requests, and whether it may have a parameter.
pub(super) fn request(method: &str) -> Option<(Asked, impl Fn(&str) -> bool + use<>)> {
    let (_, asked, parameters) = METHODS.iter().find(|(name, ..)| *name == method)?;
    let known = |name: &str| [ALWAYS, ROUND_TRIP, parameters].iter().any(|names| names.contains(&name));
    Some((*asked, known))
}

/// What a server may tell an agent.
const FROM_SERVER: [&str; 7] = [
    "notifications/cancelled",
    "notifications/message",
    "notifications/progress",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/tools/list_changed",
];

/// Whether a server may tell an agent this.
pub(super) fn may_tell_agent(method: &str) -> bool {
    FROM_SERVER.contains(&method)
}

/// What an agent may tell a server; one of them only if the server may ask for roots.
pub(super) fn may_tell_server(method: &str, passes: impl Fn(Capability) -> bool) -> bool {
    match method {
        "notifications/initialized" | "notifications/cancelled" | "notifications/progress" => true,
        "notifications/roots/list_changed" => passes(Capability::Roots),
        _ => false,
    }
}

/// What a server asks of an agent, if the proxy knows it: `None` for what is always passed on.
pub(super) fn asked_of_agent(method: &str) -> Option<Option<Capability>> {
    match method {
        "ping" => Some(None),
        "roots/list" => Some(Some(Capability::Roots)),
        "sampling/createMessage" => Some(Some(Capability::Sampling)),
        "elicitation/create" => Some(Some(Capability::Elicitation)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_there() {
        for method in [
            "tasks/list",
            "tasks/result",
            "tools/Call",
            "tools/call ",
            "",
            "subscriptions/listen",
            "sampling/createMessage",
        ] {
            assert!(request(method).is_none(), "{method}");
        }
        let (asked, known) = request("tools/call").unwrap();
        assert_eq!(asked, Asked::CallTool);
        assert!(known("arguments") && known("_meta") && known("requestState"));
        assert!(!known("task") && !known("cursor"));
    }
}

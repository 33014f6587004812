//! What MCP's methods do, in the agent domain's words: which action, on what. A method that is not in the table is decided by
//! nobody, so it is refused.

use super::message::{INVALID_PARAMS, METHOD_NOT_FOUND, Message, Unfit};
use crate::engine::catalog::Domain;
use crate::engine::datum::{Datum, Reference};

/// Longest name of a tool or prompt, and longest address of a resource, in bytes.
const MAX_NAME_BYTES: usize = 512;

/// See what a server offers: the action.
const LIST_TOOLS: &str = "list_tools";
/// Read what a server has under a URI: the action.
const READ_RESOURCE: &str = "read_resource";
/// Have a server's prompt: the action.
const GET_PROMPT: &str = "get_prompt";

/// What a method is about, and what of its parameters says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// The server: its tools, prompts and resources are seen, or the connection to it is kept.
    Server,
    /// The tool `params.name`, which is called.
    Tool,
    /// The server's prompt `params.name`.
    Prompt,
    /// What the server has under `params.uri`, which is read or watched.
    Resource,
}

/// Every method that can be decided (MCP 2025-03-26 to 2026-07-28).
const METHODS: [(&str, About); 18] = [
    ("initialize", About::Server),
    ("server/discover", About::Server),
    ("ping", About::Server),
    ("tools/list", About::Server),
    ("prompts/list", About::Server),
    ("resources/list", About::Server),
    ("resources/templates/list", About::Server),
    ("logging/setLevel", About::Server),
    ("subscriptions/listen", About::Server),
    ("notifications/initialized", About::Server),
    ("notifications/cancelled", About::Server),
    ("notifications/progress", About::Server),
    ("notifications/roots/list_changed", About::Server),
    ("tools/call", About::Tool),
    ("prompts/get", About::Prompt),
    ("resources/read", About::Resource),
    ("resources/subscribe", About::Resource),
    ("resources/unsubscribe", About::Resource),
];

/// Parameters that the methods which name something may have. A reader that ignores the case of names would take `Name`
/// for `name`, so there are no others.
const PARAMS: [&str; 7] = ["name", "uri", "arguments", "_meta", "inputResponses", "requestState", "task"];

/// What a message asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The action; its type is the default namespace's.
    pub action: String,
    /// On what.
    pub resource: Reference,
    /// The arguments, of a tool call alone.
    pub arguments: Option<Datum>,
    /// What of it policies read besides.
    pub facts: Vec<(String, Datum)>,
    /// What MCP's header `Mcp-Name` would say: the name of the tool or prompt, or the resource's address.
    pub name: Option<String>,
}

impl Asked {
    /// What a message that goes to this server asks for.
    ///
    /// # Errors
    /// [`Unfit`]: the method is not in the table, or what it is about is not named as MCP names it.
    pub fn of(message: Message, server: &str, domain: &Domain) -> Result<Self, Unfit> {
        let Some((_, about)) = METHODS.iter().find(|(method, _)| *method == message.method) else {
            let text = format!("`{}` is no method that is decided here", message.method);
            return Err(Unfit::new(METHOD_NOT_FOUND, message.id.as_ref(), "body.method", text));
        };
        match about {
            About::Server => Ok(Self::list(server, domain)),
            About::Tool => Self::call(message, server, domain),
            About::Prompt => {
                let name = named(&message, "name")?;
                Ok(Self::of_server(GET_PROMPT, server, domain).about("prompt", name))
            }
            About::Resource => {
                let uri = named(&message, "uri")?;
                Ok(Self::of_server(READ_RESOURCE, server, domain).about("uri", uri))
            }
        }
    }

    /// See what a server offers.
    #[must_use]
    pub fn list(server: &str, domain: &Domain) -> Self {
        Self::of_server(LIST_TOOLS, server, domain)
    }

    fn of_server(action: &str, server: &str, domain: &Domain) -> Self {
        let resource = Reference::new(domain.in_own_namespace("ToolServer"), server);
        Self { action: action.to_owned(), resource, arguments: None, facts: Vec::new(), name: None }
    }

    /// The same, about what has this name.
    fn about(self, fact: &str, name: String) -> Self {
        let facts = vec![(fact.to_owned(), Datum::String(name.clone()))];
        Self { facts, name: Some(name), ..self }
    }

    fn call(mut message: Message, server: &str, domain: &Domain) -> Result<Self, Unfit> {
        let name = named(&message, "name")?;
        let at = message.params.iter().position(|(param, _)| param == "arguments");
        // MCP lets a call without arguments leave them out.
        let arguments = at.map_or(Datum::Record(Vec::new()), |at| message.params.swap_remove(at).1);
        if !matches!(arguments, Datum::Record(_)) {
            let text = format!("must be an object; it is {}", arguments.kind());
            return Err(unfit(&message, "body.params.arguments", text));
        }
        Ok(Self {
            action: domain.call_tool.clone(),
            resource: Reference::new(domain.tool.as_str(), format!("{server}/{name}")),
            arguments: Some(arguments),
            facts: Vec::new(),
            name: Some(name),
        })
    }
}

fn unfit(message: &Message, field: &str, text: impl Into<String>) -> Unfit {
    Unfit::new(INVALID_PARAMS, message.id.as_ref(), field, text)
}

/// The parameter that names what a method is about.
fn named(message: &Message, param: &str) -> Result<String, Unfit> {
    if let Some((other, _)) = message.params.iter().find(|(name, _)| !PARAMS.contains(&name.as_str())) {
        let text = format!("have a member `{other}`, which `{}` does not have", message.method);
        return Err(unfit(message, "body.params", text));
    }
    let field = format!("body.params.{param}");
    match message.param(param) {
        Some(Datum::String(name)) if name.is_empty() || name.len() > MAX_NAME_BYTES => {
            let text = format!("is {} bytes long; it must have 1 to {MAX_NAME_BYTES}", name.len());
            Err(unfit(message, &field, text))
        }
        Some(Datum::String(name)) if name.contains(char::is_control) => {
            Err(unfit(message, &field, "holds control characters"))
        }
        Some(Datum::String(name)) => Ok(name.clone()),
        Some(other) => Err(unfit(message, &field, format!("must be a string; it is {}", other.kind()))),
        None => Err(unfit(message, &field, "is required")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Result<Asked, Unfit> {
        let message = Message::read(text.as_bytes()).unwrap();
        Asked::of(message, "github", &Domain::default())
    }

    fn request(method: &str, params: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
    }

    #[test]
    fn a_tool_call_is_about_the_tool_with_its_arguments() {
        let call = asked(&request("tools/call", r#"{"name":"push","arguments":{"branch":"a"}}"#)).unwrap();
        assert_eq!(call.action, "call_tool");
        assert_eq!(call.resource, Reference::new("Mandate::Tool", "github/push"));
        let branch = ("branch".to_owned(), Datum::String("a".to_owned()));
        assert_eq!(call.arguments, Some(Datum::Record(vec![branch])));
        assert_eq!(call.name.as_deref(), Some("push"));
        let bare = asked(&request("tools/call", r#"{"name":"push","_meta":{"a":1}}"#)).unwrap();
        assert_eq!(bare.arguments, Some(Datum::Record(Vec::new())));
    }

    #[test]
    fn what_is_read_is_the_servers_by_uri_or_name() {
        let fact = |name: &str, text: &str| vec![(name.to_owned(), Datum::String(text.to_owned()))];
        for (method, params, action, facts) in [
            ("resources/read", r#"{"uri":"file:///a/b"}"#, "read_resource", fact("uri", "file:///a/b")),
            ("resources/subscribe", r#"{"uri":"a"}"#, "read_resource", fact("uri", "a")),
            ("prompts/get", r#"{"name":"review","arguments":{}}"#, "get_prompt", fact("prompt", "review")),
        ] {
            let asked = asked(&request(method, params)).unwrap();
            assert_eq!((asked.action.as_str(), asked.facts), (action, facts), "{method}");
            assert_eq!(asked.resource, Reference::new("Mandate::ToolServer", "github"), "{method}");
            assert_eq!(asked.arguments, None, "{method}");
        }
    }

    #[test]
    fn the_rest_is_about_the_server() {
        for (method, _) in METHODS.iter().filter(|(_, about)| *about == About::Server) {
            let asked = asked(&request(method, "{}")).unwrap();
            assert_eq!(asked.action, "list_tools", "{method}");
            assert_eq!(asked.resource, Reference::new("Mandate::ToolServer", "github"), "{method}");
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_refused() {
        for method in ["tasks/result", "completion/complete", "Tools/call", "tools/call ", ""] {
            let refused = asked(&request(method, "{}")).unwrap_err();
            assert_eq!(refused.error.field, "body.method", "{method}");
        }
    }

    #[test]
    fn a_call_that_another_reader_could_read_differently_is_refused() {
        for params in [
            r#"{"name":"push","Name":"delete"}"#,
            r#"{"name":"push","argumentſ":{}}"#,
            r#"{"name":"push","arguments":null}"#,
            r#"{"name":"push","arguments":[]}"#,
            r#"{"name":["push"]}"#,
            r#"{"name":""}"#,
            r#"{"name":"pu\u0000sh"}"#,
            r#"{"arguments":{}}"#,
        ] {
            assert_eq!(asked(&request("tools/call", params)).unwrap_err().code, INVALID_PARAMS, "{params}");
        }
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        let refused = asked(&request("tools/call", &format!(r#"{{"name":"{long}"}}"#))).unwrap_err();
        assert!(refused.to_string().contains("513 bytes"), "{refused}");
    }
}

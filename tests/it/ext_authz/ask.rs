//! Requests as Envoy tells of them, and a server that is asked about them.

use std::collections::HashMap;

use mandate::config::{Config, Overrides};
use mandate::server::envoy::auth::attribute_context::{HttpRequest, Peer, Request};
use mandate::server::envoy::auth::authorization_client::AuthorizationClient;
use mandate::server::envoy::auth::check_response::HttpResponse;
use mandate::server::envoy::auth::{
    AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use mandate::server::envoy::core::{HeaderMap, HeaderValue, HeaderValueOption, Metadata};
use prost_types::value::Kind;
use serde_json::{Value, json};
use tonic::{Code, Status};

use super::EXAMPLE;
use crate::support::{Client, TestServer, repository};

/// The shipped sources, for a configuration as it is written.
pub(super) fn config(written: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mandate.toml");
    std::fs::write(&file, written).unwrap();
    let shipped = |name: &str| Some(repository().join(name));
    let overrides = Overrides {
        policies: shipped("policies"),
        schemas: shipped("schemas"),
        entities: shipped("entities"),
        emergency: shipped("emergency"),
        ..Overrides::default()
    };
    Config::load(Some(&file), overrides).unwrap_or_else(|error| panic!("{error}"))
}

/// The shipped sources, served to Envoy as in the documentation, with more of the configuration.
pub(super) fn example(more: &str) -> TestServer {
    TestServer::with_config(&config(&format!("{EXAMPLE}\n{more}")))
}

/// A request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    http: HttpRequest,
    extensions: HashMap<String, String>,
    peer: String,
    metadata: Option<Metadata>,
}

impl Ask {
    /// A request of plain HTTP to the server `house`.
    pub(crate) fn http(method: &str, path: &str) -> Self {
        let http = HttpRequest {
            id: "7".to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            host: "house.example:8080".to_owned(),
            scheme: "http".to_owned(),
            ..HttpRequest::default()
        };
        Self { http, ..Self::default() }.route("protocol", "http").route("server", "house")
    }

    /// A request of MCP to the server `fetch`, with bytes as its body.
    pub(super) fn bytes(body: impl Into<Vec<u8>>) -> Self {
        let ask = Self::http("POST", "/mcp").route("protocol", "mcp").route("server", "fetch");
        ask.header("content-type", "application/json").body(body)
    }

    /// A message of MCP to the server `fetch`.
    pub(super) fn mcp(message: &Value) -> Self {
        Self::bytes(message.to_string())
    }

    /// Fetches a page.
    pub(super) fn fetch(url: &str) -> Self {
        Self::call("fetch", &json!({ "url": url }))
    }

    /// Calls a tool.
    pub(super) fn call(tool: &str, arguments: &Value) -> Self {
        let params = json!({"name": tool, "arguments": arguments});
        Self::mcp(&json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}))
    }

    /// What the operator says of the route.
    pub(crate) fn route(mut self, name: &str, value: &str) -> Self {
        self.extensions.insert(format!("mandate.{name}"), value.to_owned());
        self
    }

    /// A header, as it is joined from all of its name.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.http.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same request as it comes with `encode_raw_headers`, with these headers besides.
    pub(super) fn raw(mut self, more: &[(&str, &[u8])]) -> Self {
        let joined = std::mem::take(&mut self.http.headers);
        let joined = joined.into_iter().map(|(name, value)| (name, value.into_bytes()));
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec()));
        let headers = joined.chain(more).map(|(key, raw_value)| HeaderValue {
            key,
            raw_value,
            ..HeaderValue::default()
        });
        self.http.header_map = Some(HeaderMap { headers: headers.collect() });
        self
    }

    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.http.raw_body = body.into();
        self
    }

    /// The body as text, as it comes without `pack_as_bytes`.
    pub(super) fn text(mut self, body: &str) -> Self {
        self.http.body = body.to_owned();
        self
    }

    pub(super) fn method(mut self, method: &str) -> Self {
        self.http.method = method.to_owned();
        self
    }

    pub(super) fn path(mut self, path: &str) -> Self {
        self.http.path = path.to_owned();
        self
    }

    pub(super) fn host(mut self, host: &str) -> Self {
        self.http.host = host.to_owned();
        self
    }

    /// Whom the client's certificate names.
    pub(super) fn peer(mut self, name: &str) -> Self {
        self.peer = name.to_owned();
        self
    }

    /// What Envoy's own filter for MCP read.
    pub(super) fn filtered(mut self, method: &str, name: &str) -> Self {
        let text = |text: &str| prost_types::Value { kind: Some(Kind::StringValue(text.to_owned())) };
        let params = prost_types::Struct { fields: [("name".to_owned(), text(name))].into() };
        let params = prost_types::Value { kind: Some(Kind::StructValue(params)) };
        let read = [("method".to_owned(), text(method)), ("params".to_owned(), params)];
        let read = prost_types::Struct { fields: read.into() };
        self.metadata =
            Some(Metadata { filter_metadata: [("envoy.filters.http.mcp".to_owned(), read)].into() });
        self
    }

    pub(crate) fn request(self) -> CheckRequest {
        let source = Some(Peer { principal: self.peer });
        let request = Some(Request { http: Some(self.http) });
        let (context_extensions, metadata_context) = (self.extensions, self.metadata);
        let attributes = AttributeContext { source, request, context_extensions, metadata_context };
        CheckRequest { attributes: Some(attributes) }
    }

    /// Asks.
    pub(crate) fn sent(self, client: &Client) -> Result<Verdict, Status> {
        let mut service = AuthorizationClient::new(client.channel());
        client.wait(service.check(self.request())).map(|answer| Verdict(answer.into_inner()))
    }

    /// Asks, and is answered.
    #[track_caller]
    pub(super) fn to(self, server: &TestServer) -> Verdict {
        self.sent(server.client()).expect("an answer")
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Verdict(pub(crate) CheckResponse);

impl Verdict {
    #[track_caller]
    fn check_code(&self, expected: &[Code]) {
        let code = Code::from(self.0.status.as_ref().expect("a status").code);
        assert!(expected.contains(&code), "{code:?}: {self:?}");
    }

    /// What becomes of a request that is let through.
    #[track_caller]
    pub(super) fn allowed(&self) -> &OkHttpResponse {
        self.check_code(&[Code::Ok]);
        let Some(HttpResponse::OkResponse(ok)) = &self.0.http_response else { panic!("{self:?}") };
        assert_eq!(self.metadata("decision"), "allow");
        ok
    }

    /// The body of the answer to a client that is not let through, for something that it did.
    #[track_caller]
    pub(super) fn denied(&self, status: i32) -> Value {
        self.check_code(&[Code::PermissionDenied, Code::InvalidArgument, Code::Unauthenticated]);
        let Some(HttpResponse::DeniedResponse(denied)) = &self.0.http_response else { panic!("{self:?}") };
        assert_ne!(self.metadata("decision"), "allow");
        answer(denied, status)
    }

    /// The same, where there is no decision for something that it did not do.
    #[track_caller]
    pub(super) fn failed(&self, status: i32) -> Value {
        assert_ne!(self.0.status.as_ref().expect("a status").code, 0);
        let Some(HttpResponse::ErrorResponse(error)) = &self.0.http_response else { panic!("{self:?}") };
        assert_eq!(self.metadata("decision"), "none");
        answer(error, status)
    }

    /// Fails unless a message of MCP was denied by a decision, with this reason.
    #[track_caller]
    pub(super) fn check_denied(&self, reason: &str) {
        let body = self.denied(403);
        assert_eq!(body["error"]["data"]["reason"], reason, "{body}");
        assert_eq!(self.metadata("reason"), reason);
    }

    /// Fails unless a request was refused undecided, as its client's mistake.
    #[track_caller]
    pub(super) fn check_refused(&self, status: i32, saying: &str) -> Value {
        let body = self.denied(status);
        assert_eq!(self.metadata("decision"), "none");
        assert!(body.to_string().contains(saying), "`{body}` does not say `{saying}`");
        body
    }

    /// What Envoy's access log is told.
    pub(crate) fn metadata(&self, name: &str) -> String {
        let metadata = self.0.dynamic_metadata.as_ref().expect("metadata");
        match metadata.fields.get(name).and_then(|value| value.kind.clone()) {
            Some(Kind::StringValue(text)) => text,
            Some(Kind::ListValue(list)) => {
                let texts = list.values.into_iter().filter_map(|value| match value.kind {
                    Some(Kind::StringValue(text)) => Some(text),
                    _ => None,
                });
                texts.collect::<Vec<_>>().join(" ")
            }
            _ => String::new(),
        }
    }
}

#[track_caller]
fn answer(response: &DeniedHttpResponse, status: i32) -> Value {
    assert_eq!(response.status.as_ref().expect("a status").code, status, "{response:?}");
    assert_eq!(header(&response.headers, "content-type").as_deref(), Some("application/json"));
    serde_json::from_str(&response.body).expect("JSON")
}

/// A header that is set, over any other of its name.
pub(super) fn header(headers: &[HeaderValueOption], name: &str) -> Option<String> {
    let option = headers.iter().find(|option| option.header.as_ref().is_some_and(|set| set.key == name))?;
    assert_eq!(option.append_action, 2, "{name} stands for itself");
    option.header.as_ref().map(|set| set.value.clone())
}

//! One request from the command line, decided from files or by a server.

use std::io::Read as _;
use std::path::PathBuf;
use std::str::FromStr as _;

use cedar_policy::EntityUid;
use clap::Args;
use serde::Deserialize;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::Exit;
use super::output::{self, Format};
use super::sources::SourceArgs;
use super::tls::{self, TlsArgs};
use crate::app;
use crate::engine::datum::Datum;
use crate::outbound;
use crate::pdp::{self, Refused};
use crate::server::pb::authorization_service_client::AuthorizationServiceClient;
use crate::server::{answer, pb, structs, wire};

/// A request: a file, or its parts.
#[derive(Debug, Args)]
pub struct Ask {
    #[command(flatten)]
    sources: SourceArgs,
    /// Ask a server instead of deciding from files: http://127.0.0.1:4466.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    tls: TlsArgs,
    /// File with the request as JSON, as `mandate example` prints it; `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["principal", "action", "resource", "context", "arguments", "delegations"])]
    request: Option<PathBuf>,
    /// Who acts: 'Mandate::User::"ana"'.
    #[arg(long, value_name = "UID", required_unless_present = "request")]
    principal: Option<String>,
    /// What it does: 'Mandate::Action::"call_tool"', or an id of the default namespace: call_tool.
    #[arg(long, value_name = "UID", required_unless_present = "request")]
    action: Option<String>,
    /// To what: 'Mandate::Tool::"time/get_current_time"'.
    #[arg(long, value_name = "UID", required_unless_present = "request")]
    resource: Option<String>,
    /// Context, as a JSON object.
    #[arg(long, value_name = "JSON")]
    context: Option<String>,
    /// Raw arguments of the tool call, as a JSON object.
    #[arg(long, value_name = "JSON")]
    arguments: Option<String>,
    /// Delegation under which the principal acts: 'Mandate::Delegation::"g1"'. More may be given, root first.
    #[arg(long = "delegation", value_name = "UID")]
    delegations: Vec<String>,
}

/// A request in a file. Member names are those of the contract's JSON form, in either spelling.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestFile {
    #[serde(default, alias = "requestId")]
    request_id: String,
    principal: Uid,
    action: Uid,
    resource: Uid,
    context: Option<Datum>,
    #[serde(alias = "contextJson")]
    context_json: Option<String>,
    arguments: Option<Datum>,
    #[serde(alias = "argumentsJson")]
    arguments_json: Option<String>,
    #[serde(default)]
    delegations: Vec<Uid>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Uid {
    #[serde(default, rename = "type")]
    type_name: String,
    id: String,
}

impl Ask {
    /// The answer.
    ///
    /// # Errors
    /// How the command exits, after saying why there is no answer.
    pub fn answer(self, explain: bool, format: Format) -> Result<pb::AuthorizeResponse, Exit> {
        let mut request = self.wire_request().map_err(|message| {
            output::failure(&message);
            Exit::Failure
        })?;
        request.explain = explain;
        match &self.server {
            Some(server) => self.ask_server(server, request),
            None => self.decide(request, format),
        }
    }

    fn decide(&self, request: pb::AuthorizeRequest, format: Format) -> Result<pb::AuthorizeResponse, Exit> {
        let loaded = self.sources.load(format)?;
        if format == Format::Text {
            output::problems(&loaded.warnings);
        }
        let request_id = request.request_id.clone();
        let asked = wire::asked(request, &request_id, None).map_err(Refused::from);
        let answer = asked.and_then(|asked| pdp::decide_unrecorded(loaded.world, &asked));
        answer.map(|answer| answer::response(answer, request_id)).map_err(|error| {
            output::failure(&error);
            Exit::Failure
        })
    }

    fn ask_server(&self, server: &str, request: pb::AuthorizeRequest) -> Result<pb::AuthorizeResponse, Exit> {
        self.try_ask_server(server, request).map_err(|message| {
            output::failure(&message);
            Exit::Failure
        })
    }

    fn try_ask_server(
        &self,
        server: &str,
        request: pb::AuthorizeRequest,
    ) -> Result<pb::AuthorizeResponse, String> {
        let runtime = app::runtime().map_err(|error| error.to_string())?;
        let tls = self.tls.config()?;
        let unreachable = |error: tonic::transport::Error| {
            format!("cannot reach {server}: {}", outbound::innermost(&error))
        };
        runtime.block_on(async {
            let channel = tls::connect(server, tls).await.map_err(unreachable)?;
            let answered = AuthorizationServiceClient::new(channel).authorize(request).await;
            answered.map(tonic::Response::into_inner).map_err(|status| describe(&status))
        })
    }

    fn wire_request(&self) -> Result<pb::AuthorizeRequest, String> {
        if let Some(path) = &self.request {
            return from_file(path);
        }
        let uid = |text: &Option<String>| reference(text.as_deref().unwrap_or_default());
        let object = |name: &str, text: &Option<String>| match text {
            Some(text) => parse_object(name, text).map(Some),
            None => Ok(None),
        };
        use pb::authorize_request::{ArgumentsForm, ContextForm};
        Ok(pb::AuthorizeRequest {
            principal: Some(uid(&self.principal)?),
            action: Some(action(self.action.as_deref().unwrap_or_default())?),
            resource: Some(uid(&self.resource)?),
            context_form: object("--context", &self.context)?.map(ContextForm::Context),
            arguments_form: object("--arguments", &self.arguments)?.map(ArgumentsForm::Arguments),
            delegations: self.delegations.iter().map(|text| reference(text)).collect::<Result<_, _>>()?,
            ..pb::AuthorizeRequest::default()
        })
    }
}

fn from_file(path: &PathBuf) -> Result<pb::AuthorizeRequest, String> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    };
    read.map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
    let file: RequestFile = serde_json::from_str(&text)
        .map_err(|error| format!("`{}` is not a request: {error}", path.display()))?;
    file.wire_request()
}

impl RequestFile {
    fn wire_request(self) -> Result<pb::AuthorizeRequest, String> {
        use pb::authorize_request::{ArgumentsForm, ContextForm};
        let context = match (self.context, self.context_json) {
            (Some(_), Some(_)) => {
                return Err("a request has `context` or `context_json`, not both".to_owned());
            }
            (Some(value), None) => Some(ContextForm::Context(object("context", value)?)),
            (None, text) => text.map(ContextForm::ContextJson),
        };
        let arguments = match (self.arguments, self.arguments_json) {
            (Some(_), Some(_)) => {
                return Err("a request has `arguments` or `arguments_json`, not both".to_owned());
            }
            (Some(value), None) => Some(ArgumentsForm::Arguments(object("arguments", value)?)),
            (None, text) => text.map(ArgumentsForm::ArgumentsJson),
        };
        let uid = |uid: Uid| pb::EntityRef { r#type: uid.type_name, id: uid.id };
        Ok(pb::AuthorizeRequest {
            request_id: self.request_id,
            principal: Some(uid(self.principal)),
            action: Some(uid(self.action)),
            resource: Some(uid(self.resource)),
            context_form: context,
            arguments_form: arguments,
            delegations: self.delegations.into_iter().map(uid).collect(),
            ..pb::AuthorizeRequest::default()
        })
    }
}

/// The entity that a text names, as Cedar writes it.
///
/// # Errors
/// It names none.
pub fn reference(text: &str) -> Result<pb::EntityRef, String> {
    let uid =
        EntityUid::from_str(text).map_err(|_error| format!("`{text}` is no entity; write 'Type::\"id\"'"))?;
    Ok(pb::EntityRef { r#type: uid.type_name().to_string(), id: uid.id().unescaped().to_owned() })
}

/// The action that a text names: an entity, or an id of the default namespace.
///
/// # Errors
/// It names none.
pub fn action(text: &str) -> Result<pb::EntityRef, String> {
    if text.contains("::\"") {
        return reference(text);
    }
    Ok(pb::EntityRef { r#type: String::new(), id: text.to_owned() })
}

/// The JSON object that an argument of that name holds.
///
/// # Errors
/// It holds none.
pub fn parse_object(name: &str, text: &str) -> Result<prost_types::Struct, String> {
    let value: Datum = serde_json::from_str(text).map_err(|error| format!("{name} is not JSON: {error}"))?;
    object(name, value)
}

fn object(name: &str, value: Datum) -> Result<prost_types::Struct, String> {
    match value {
        Datum::Record(members) => Ok(structs::of_members(&members)),
        other => Err(format!("{name} must be a JSON object; it is {}", other.kind())),
    }
}

/// What a server refused, in one line.
#[must_use]
pub fn describe(status: &tonic::Status) -> String {
    let fields = status.get_details_bad_request().map(|details| details.field_violations).unwrap_or_default();
    match fields.first() {
        Some(violation) => format!("{}: {}", violation.field, violation.description),
        None if status.code() == Code::Unknown => status.to_string(),
        None => format!("{}: {}", status.code(), status.message()),
    }
}

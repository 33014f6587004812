//! `mandate search`

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Exit;
use super::ask::{action, describe, parse_object, reference};
use super::check::{name, reference_json};
use super::output::{self, FAINT, Format, NAME};
use super::sources::SourceArgs;
use super::tls::{self, TlsArgs};
use crate::app;
use crate::outbound;
use crate::pdp::{self, MAX_PAGE};
use crate::server::pb;
use crate::server::pb::search_service_client::SearchServiceClient;
use crate::server::search::{self as wire, Kind};
use crate::store::Store;

/// How long a page may take, decided from files.
const PATIENCE: Duration = Duration::from_secs(60);

/// Find what would be allowed: actions, resources or principals.
#[derive(Debug, Args)]
pub struct Search {
    #[command(subcommand)]
    sought: Sought,
}

#[derive(Debug, Subcommand)]
enum Sought {
    /// The actions that a principal may do to a resource.
    Actions {
        /// Who acts: 'Mandate::User::"ana"'.
        #[arg(long, value_name = "UID")]
        principal: String,
        /// To what: 'Mandate::Tool::"fetch/fetch"'.
        #[arg(long, value_name = "UID")]
        resource: String,
        #[command(flatten)]
        terms: Terms,
    },
    /// The resources of a type that a principal may do an action to: the tools that an agent may call.
    Resources {
        /// Who acts: 'Mandate::User::"ana"'.
        #[arg(long, value_name = "UID")]
        principal: String,
        /// What it does: 'Mandate::Action::"call_tool"', or an id of the default namespace: call_tool.
        #[arg(long, value_name = "UID")]
        action: String,
        /// Type of the resources: Mandate::Tool.
        #[arg(long = "type", value_name = "TYPE")]
        type_name: String,
        /// Id of a resource to search among; may be given more than once [default: all that are stored].
        #[arg(long = "candidate", value_name = "ID")]
        candidates: Vec<String>,
        #[command(flatten)]
        terms: Terms,
    },
    /// The principals of a type that may do an action to a resource.
    Principals {
        /// Type of the principals: Mandate::User.
        #[arg(long = "type", value_name = "TYPE")]
        type_name: String,
        /// What they do: 'Mandate::Action::"call_tool"', or an id of the default namespace: call_tool.
        #[arg(long, value_name = "UID")]
        action: String,
        /// To what: 'Mandate::Tool::"fetch/fetch"'.
        #[arg(long, value_name = "UID")]
        resource: String,
        /// Id of a principal to search among; may be given more than once [default: all that are stored].
        #[arg(long = "candidate", value_name = "ID")]
        candidates: Vec<String>,
        #[command(flatten)]
        terms: Terms,
    },
}

/// What else is asked, and where.
#[derive(Debug, Args)]
struct Terms {
    #[command(flatten)]
    sources: SourceArgs,
    /// Ask a server instead of deciding from files: http://127.0.0.1:4466.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    tls: TlsArgs,
    /// Context, as a JSON object.
    #[arg(long, value_name = "JSON")]
    context: Option<String>,
    /// Raw arguments of the tool calls, as a JSON object; left out, they are unknown.
    #[arg(long, value_name = "JSON")]
    arguments: Option<String>,
    /// Member of the context that nobody knows yet: touches. May be given more than once.
    #[arg(long = "unknown", value_name = "NAME")]
    unknown: Vec<String>,
    /// Delegation under which the principal acts: 'Mandate::Delegation::"g1"'. More may be given, root first.
    #[arg(long = "delegation", value_name = "UID", conflicts_with = "any_delegation")]
    delegations: Vec<String>,
    /// Under every delegation that was given to the principal and holds, and by itself.
    #[arg(long)]
    any_delegation: bool,
}

/// Everything that was found, over all pages.
#[derive(Debug, Default)]
struct All {
    found: Vec<pb::Found>,
    examined: u64,
    refused: u64,
    refusal: String,
    revision: String,
}

impl Search {
    /// Searches and prints what is found. Exits with 2 if that is nothing.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        let (kind, request, terms) = match self.sought.request() {
            Ok(asked) => asked,
            Err(message) => {
                output::failure(&message);
                return Exit::Failure;
            }
        };
        let all = match &terms.server {
            Some(server) => terms.ask_server(server, kind, &request).map_err(|message| {
                output::failure(&message);
                Exit::Failure
            }),
            None => terms.decide(kind, &request, format),
        };
        match all {
            Ok(all) => {
                match format {
                    Format::Text => all.print(),
                    Format::Json => output::json(&all.json()),
                }
                if all.found.is_empty() { Exit::Deny } else { Exit::Ok }
            }
            Err(exit) => exit,
        }
    }
}

impl Sought {
    fn request(self) -> Result<(Kind, pb::SearchRequest, Terms), String> {
        let of_type = |type_name: String| pb::EntityRef { r#type: type_name, id: String::new() };
        let mut question = pb::AuthorizeRequest::default();
        let (kind, candidates, terms) = match self {
            Self::Actions { principal, resource, terms } => {
                question.principal = Some(reference(&principal)?);
                question.resource = Some(reference(&resource)?);
                (Kind::Actions, Vec::new(), terms)
            }
            Self::Resources { principal, action: asked, type_name, candidates, terms } => {
                question.principal = Some(reference(&principal)?);
                question.action = Some(action(&asked)?);
                question.resource = Some(of_type(type_name));
                (Kind::Resources, candidates, terms)
            }
            Self::Principals { type_name, action: asked, resource, candidates, terms } => {
                question.principal = Some(of_type(type_name));
                question.action = Some(action(&asked)?);
                question.resource = Some(reference(&resource)?);
                (Kind::Principals, candidates, terms)
            }
        };
        terms.complete(&mut question)?;
        let request = pb::SearchRequest {
            question: Some(question),
            candidates: candidates.into_iter().map(|id| pb::Candidate { id, context: None }).collect(),
            unknown: terms.unknown.clone(),
            any_delegation: terms.any_delegation,
            page_size: u32::try_from(MAX_PAGE).unwrap_or(0),
            page_token: String::new(),
        };
        Ok((kind, request, terms))
    }
}

impl Terms {
    fn complete(&self, question: &mut pb::AuthorizeRequest) -> Result<(), String> {
        use pb::authorize_request::{ArgumentsForm, ContextForm};
        let object = |name: &str, text: &Option<String>| {
            text.as_deref().map(|text| parse_object(name, text)).transpose()
        };
        question.context_form = object("--context", &self.context)?.map(ContextForm::Context);
        question.arguments_form = object("--arguments", &self.arguments)?.map(ArgumentsForm::Arguments);
        question.delegations =
            self.delegations.iter().map(|text| reference(text)).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn decide(&self, kind: Kind, request: &pb::SearchRequest, format: Format) -> Result<All, Exit> {
        let loaded = self.sources.load(format)?;
        if format == Format::Text {
            output::problems(&loaded.warnings);
        }
        let store = Store::new(loaded.world);
        let mut all = All::default();
        let mut page_token = String::new();
        loop {
            let request = pb::SearchRequest { page_token, ..request.clone() };
            let asked = wire::asked(kind, request, "", None).map_err(pdp::Refused::from);
            let answer =
                asked.and_then(|asked| pdp::search_unrecorded(&store, &asked, Instant::now() + PATIENCE));
            let answer = answer.map_err(|refused| {
                output::failure(&refused);
                Exit::Failure
            })?;
            page_token = all.add(wire::response(answer, String::new()));
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    fn ask_server(&self, server: &str, kind: Kind, request: &pb::SearchRequest) -> Result<All, String> {
        let runtime = app::runtime().map_err(|error| error.to_string())?;
        let tls = self.tls.config()?;
        let unreachable = |error: tonic::transport::Error| {
            format!("cannot reach {server}: {}", outbound::innermost(&error))
        };
        runtime.block_on(async {
            let channel = tls::connect(server, tls).await.map_err(unreachable)?;
            let mut client = SearchServiceClient::new(channel);
            let mut all = All::default();
            let mut page_token = String::new();
            loop {
                let request = pb::SearchRequest { page_token, ..request.clone() };
                let answered = match kind {
                    Kind::Actions => client.search_actions(request).await,
                    Kind::Resources => client.search_resources(request).await,
                    Kind::Principals => client.search_principals(request).await,
                };
                let answer = answered.map_err(|status| describe(&status))?;
                page_token = all.add(answer.into_inner());
                if page_token.is_empty() {
                    return Ok(all);
                }
            }
        })
    }
}

impl All {
    /// Adds a page, and gives back the token of the next one.
    fn add(&mut self, page: pb::SearchResponse) -> String {
        self.found.extend(page.found);
        self.examined += u64::from(page.examined);
        self.refused += u64::from(page.refused);
        if self.refusal.is_empty() {
            self.refusal = page.refusal;
        }
        self.revision = page.revision;
        page.next_page_token
    }

    fn print(&self) {
        for found in &self.found {
            let uid = name(&found.uid.clone().unwrap_or_default());
            let action = found.action.clone().unwrap_or_default();
            let possible = match found.certainty() {
                pb::Certainty::Certain => "",
                pb::Certainty::Possible | pb::Certainty::Unspecified => "  possible",
            };
            anstream::println!("{NAME}{uid}{NAME:#}{possible}  {FAINT}{}{FAINT:#}", action.id);
            for through in &found.through {
                let chain: Vec<_> = through.chain.iter().map(name).collect();
                match &through.delegation {
                    Some(delegation) => {
                        anstream::println!("  through {}: {}", name(delegation), chain.join(" → "))
                    }
                    None => anstream::println!("  by itself"),
                }
            }
        }
        let Self { found, examined, refused, refusal, .. } = self;
        anstream::println!("{FAINT}{} found of {examined} that were looked at{FAINT:#}", found.len());
        if *refused > 0 {
            anstream::println!(
                "{FAINT}{refused} could not be asked about, the first because {refusal}{FAINT:#}"
            );
        }
    }

    fn json(&self) -> Value {
        let uid = |uid: &Option<pb::EntityRef>| uid.as_ref().map(reference_json);
        let through = |through: &pb::Through| {
            let chain: Vec<_> = through.chain.iter().map(reference_json).collect();
            json!({"delegation": uid(&through.delegation), "chain": chain})
        };
        let found = self.found.iter().map(|found| {
            let certain = found.certainty() == pb::Certainty::Certain;
            let mut told = json!({"uid": uid(&found.uid), "action": uid(&found.action), "certain": certain});
            if let Some(members) = told.as_object_mut().filter(|_| !found.through.is_empty()) {
                members.insert("through".to_owned(), found.through.iter().map(through).collect());
            }
            told
        });
        json!({
            "found": found.collect::<Vec<_>>(),
            "examined": self.examined,
            "refused": self.refused,
            "refusal": self.refusal,
            "revision": self.revision,
        })
    }
}

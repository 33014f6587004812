//! `mandate proxy`

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tonic::transport::Endpoint;
use uuid::Uuid;

use super::Exit;
use super::ask::reference;
use super::output::{self, Format};
use super::sources::SourceArgs;
use super::tls::TlsArgs;
use crate::app::{self, Embedded, StartError};
use crate::config::{Config, Overrides};
use crate::proxy::{self, Capability, Claims, Decider, Ended, Learner, Passed, Start, Subject, Upstream};
use crate::server::pb;
use crate::store::loader::OpenError;

/// What records call the proxy, where it decides itself.
const ASKER: &str = "mandate-proxy";

/// Stand in front of an MCP server: decide each call, show only what may be used, and report what came of it.
///
/// An agent starts this instead of the server, and speaks MCP to it over standard input and output. Mandate decides in this
/// process, from files; or at a server, with --server. Without a decision nothing is done.
#[derive(Debug, Args)]
pub struct Proxy {
    /// The MCP server to start, and its arguments; after `--`.
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "url")]
    command: Vec<OsString>,
    /// The MCP server's URL (streamable HTTP), instead of a command.
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    url: Option<String>,
    /// Certificates of the authorities that vouch for the MCP server (PEM) [default: the system's].
    #[arg(long, value_name = "FILE", requires = "url")]
    url_ca: Option<PathBuf>,
    /// File with the bearer token that is shown to the MCP server; read for every request.
    #[arg(long, value_name = "FILE", requires = "url")]
    url_token_file: Option<PathBuf>,
    /// The server's name in Mandate, as it was imported: the first half of its tools' ids.
    #[arg(long, value_name = "NAME")]
    name: String,
    #[command(flatten)]
    who: WhoArgs,
    #[command(flatten)]
    session: SessionArgs,
    /// Let the server ask this of the agent: roots, sampling, elicitation. May be given again [default: none].
    #[arg(long, value_name = "WHAT")]
    pass: Vec<Capability>,
    /// Enforce nothing: pass on what the proxy knows whatever is decided, and record it as observed.
    #[arg(long)]
    observe: bool,
    /// Write a new file of policies that permit exactly what is seen, for review. It holds arguments of calls.
    #[arg(long, value_name = "FILE", requires = "observe")]
    learn: Option<PathBuf>,
    /// Ask a server instead of deciding from files: http://127.0.0.1:4466.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    tls: TlsArgs,
    /// Longest time for a decision, in milliseconds; then it is denied.
    #[arg(long, value_name = "MS", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=30_000))]
    deadline: u64,
    #[command(flatten)]
    sources: SourceArgs,
    /// Folder of what is written where this process decides: decision log, kept sets. No other process may use it [default: data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Namespace of the agent domain.
    #[arg(long, default_value = "Mandate")]
    namespace: String,
}

/// Who acts.
#[derive(Debug, Args)]
struct WhoArgs {
    /// The agent, by its id.
    #[arg(long, value_name = "ID", required_unless_present = "token_file")]
    agent: Option<String>,
    /// Delegation under which it acts, by its id. May be given again, root first.
    #[arg(long = "delegation", value_name = "ID")]
    delegations: Vec<String>,
    /// File with the subject's token, which says who acts; read for every decision.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// What policies are told of the session. What is not said counts as not so.
#[derive(Debug, Args)]
struct SessionArgs {
    /// The session's id, by which `log story` finds it [default: a new one].
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// What the session is for.
    #[arg(long, default_value = "")]
    purpose: String,
    /// A person is watching.
    #[arg(long)]
    attended: bool,
    /// Content from outside has entered the session before.
    #[arg(long)]
    untrusted: bool,
    /// The most sensitive thing read in the session before, 0 (public) to 3 (restricted).
    #[arg(long, value_name = "LEVEL", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=3))]
    read_level: i64,
    /// How sensitive what this server answers is, 0 to 3.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(0..=3))]
    level: i64,
    /// Data that every call of this server reaches: 'Mandate::Data::"wiki"'. May be given again.
    #[arg(long, value_name = "UID")]
    touches: Vec<String>,
}

impl Proxy {
    /// Relays until the agent closes its end, or a signal comes.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        let runtime = match app::runtime() {
            Ok(runtime) => runtime,
            Err(error) => return failed(&error),
        };
        let exit = runtime.block_on(self.relay(format));
        // A read of standard input cannot be called off.
        runtime.shutdown_background();
        exit
    }

    async fn relay(self, format: Format) -> Exit {
        let config = match self.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        if let Err(error) = app::begin_lines(&config.telemetry) {
            return failed(&error);
        }
        if self.observe {
            tracing::warn!("nothing is enforced: whatever is decided is passed on");
        }
        match self.server.clone() {
            Some(server) => match self.remote(&server) {
                Ok(remote) => self.serve(Decider::Remote(Box::new(remote)), std::future::pending()).await,
                Err(message) => failed(&message),
            },
            None => self.embedded(&config, format).await,
        }
    }

    fn config(&self) -> Result<Config, Exit> {
        let overrides = Overrides { data_directory: self.data_dir.clone(), ..self.sources.overrides() };
        self.sources.config(overrides)
    }

    /// A server that is connected to when it is first asked: until it can be reached, everything is denied.
    fn remote(&self, server: &str) -> Result<proxy::Remote, String> {
        let within = Duration::from_millis(self.deadline);
        let endpoint =
            Endpoint::from_shared(server.to_owned()).map_err(|error| format!("--server: {error}"))?;
        let endpoint = endpoint.connect_timeout(within);
        let endpoint = match self.tls.config()? {
            Some(tls) => endpoint.tls_config(tls).map_err(|error| error.to_string())?,
            None => endpoint,
        };
        Ok(proxy::Remote::new(endpoint.connect_lazy(), within))
    }

    async fn embedded(self, config: &Config, format: Format) -> Exit {
        if let Some(file) = self.learn.as_ref().filter(|file| is_within(file, &config.folders.policies)) {
            return failed(&format!(
                "`{}` would be loaded as it is written: name a file elsewhere",
                file.display()
            ));
        }
        let mut embedded = match Embedded::start(config, ASKER) {
            Ok(embedded) => embedded,
            Err(error) => return refused(error, format),
        };
        output::problems(&embedded.warnings);
        let decider = proxy::Embedded::new(embedded.pdp.clone(), ASKER, Duration::from_millis(self.deadline));
        let exit = self.serve(Decider::Embedded(decider), async { embedded.ended().await.to_string() }).await;
        match embedded.close().await {
            Ok(()) => exit,
            Err(error) => failed(&error),
        }
    }

    /// Relays; `broken` completes when decisions must not be made any more.
    async fn serve(self, decider: Decider, broken: impl Future<Output = String>) -> Exit {
        let relayed = match self.relayed(decider) {
            Ok(relayed) => relayed,
            Err(message) => return failed(&message),
        };
        let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
            return failed(&"signals cannot be heard");
        };
        let mut why = None;
        let stop = async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                broken = broken => why = Some(broken),
            }
        };
        let (config, upstream) = relayed;
        let ended = proxy::run(config, upstream, tokio::io::stdin(), tokio::io::stdout(), stop).await;
        match (ended, why) {
            (_, Some(why)) | (Ended::Server(why), None) => failed(&why),
            (Ended::Told, None) => Exit::Ok,
        }
    }

    fn relayed(self, decider: Decider) -> Result<(proxy::Config, Upstream), String> {
        let start = match (self.url, self.command.split_first()) {
            (Some(url), _) => Start::Url(proxy::Address::new(&url, self.url_ca, self.url_token_file)?),
            (None, Some((program, arguments))) => {
                Start::Command { program: program.clone(), arguments: arguments.to_vec() }
            }
            (None, None) => return Err("name the MCP server to start, after `--`".to_owned()),
        };
        let learner = match &self.learn {
            Some(file) => {
                let begun = Learner::begin(file);
                Some(begun.map_err(|error| format!("`{}` cannot be begun: {error}", file.display()))?)
            }
            None => None,
        };
        let config = proxy::Config {
            decider,
            server: self.name,
            subject: self.who.subject(&self.namespace),
            namespace: self.namespace,
            claims: self.session.claims()?,
            passed: Passed(self.pass),
            observe: self.observe,
            learner,
        };
        tracing::info!(session = config.claims.session, "the session begins");
        let upstream = Upstream::start(&start).map_err(|error| error.to_string())?;
        Ok((config, upstream))
    }
}

impl WhoArgs {
    fn subject(self, namespace: &str) -> Subject {
        let named = |kind: &str, id: String| pb::EntityRef { r#type: format!("{namespace}::{kind}"), id };
        Subject {
            principal: self.agent.map(|id| named("Agent", id)),
            delegations: self.delegations.into_iter().map(|id| named("Delegation", id)).collect(),
            token_file: self.token_file,
        }
    }
}

impl SessionArgs {
    fn claims(self) -> Result<Claims, String> {
        Ok(Claims {
            session: self.session.unwrap_or_else(|| Uuid::now_v7().to_string()),
            purpose: self.purpose,
            attended: self.attended,
            untrusted: self.untrusted,
            read_level: self.read_level,
            level: self.level,
            touches: self.touches.iter().map(|text| reference(text)).collect::<Result<_, _>>()?,
        })
    }
}

/// Why there is nobody to decide. Standard output is the agent's: what is wrong stands on standard error in either format.
fn refused(error: StartError, format: Format) -> Exit {
    match error {
        StartError::Open(OpenError::Rejected { files, .. }) => {
            match format {
                Format::Text => output::problems(&files),
                Format::Json => anstream::eprintln!("{:#}", output::report_json(&files)),
            }
            Exit::Rejected
        }
        error => failed(&error),
    }
}

fn failed(error: &dyn std::fmt::Display) -> Exit {
    output::failure(error);
    Exit::Failure
}

/// Whether a file that may not be there yet is in a folder.
fn is_within(file: &Path, folder: &Path) -> bool {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (parent.canonicalize(), folder.canonicalize()) {
        (Ok(parent), Ok(folder)) => parent.starts_with(folder),
        _ => false,
    }
}

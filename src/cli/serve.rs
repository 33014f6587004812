//! `mandate serve`

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::example;
use super::output::{self, BAD, FAINT, Format, GOOD};
use super::progress::Bar;
use super::sources::SourceArgs;
use super::{Exit, output::NAME};
use crate::app::{self, Bound, StartError, Stop};
use crate::config::{Config, Overrides};
use crate::listening::Address;
use crate::store::loader::{Command, Commands, KeptSets, LoaderStatus, OpenError, Source};
use crate::telemetry::lines::Style;

/// Serve decisions over gRPC and HTTP.
#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    sources: SourceArgs,
    /// Folder of emergency forbids [default: emergency].
    #[arg(long, value_name = "DIR")]
    emergency: Option<PathBuf>,
    /// Folder of what the server writes: kept sets, decision log, token [default: data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Be a replica of the server whose control listener has this URL, and have no sources of its own.
    #[arg(long, value_name = "URL")]
    follow: Option<String>,
    /// gRPC address [default: 127.0.0.1:4466].
    #[arg(long, value_name = "ADDRESS")]
    data: Option<Address>,
    /// HTTP address, for AuthZEN [default: 127.0.0.1:4467].
    #[arg(long, value_name = "ADDRESS")]
    http: Option<Address>,
    /// Address of probes and metrics [default: 127.0.0.1:4468].
    #[arg(long, value_name = "ADDRESS")]
    ops: Option<Address>,
    /// Address of administration [default: 127.0.0.1:4469].
    #[arg(long, value_name = "ADDRESS")]
    control: Option<Address>,
    /// Do not start with the last set that was good when the files are broken.
    #[arg(long)]
    refuse_last_known_good: bool,
    /// Answer callers that nobody has authenticated, on addresses other hosts can reach.
    #[arg(long)]
    insecure_unauthenticated_callers: bool,
}

impl Serve {
    /// Serves until it is told to stop.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        let overrides = Overrides {
            emergency: self.emergency,
            data_directory: self.data_dir,
            follow: self.follow,
            data: self.data,
            http: self.http,
            ops: self.ops,
            control: self.control,
            refuse_last_known_good: self.refuse_last_known_good,
            insecure_unauthenticated_callers: self.insecure_unauthenticated_callers,
            ..self.sources.overrides()
        };
        let config = match self.sources.config(overrides) {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let style = match app::begin_lines(&config.telemetry) {
            Ok(style) => style,
            Err(error) => {
                output::failure(&error);
                return Exit::Failure;
            }
        };
        let served = app::runtime()
            .map_err(StartError::Serve)
            .and_then(|runtime| runtime.block_on(serve(&config, style, format)));
        match served {
            Ok(()) => Exit::Ok,
            Err(StartError::Rights(report)) => {
                output::problems(&report);
                Exit::Rejected
            }
            Err(StartError::Open(OpenError::Rejected { files, kept })) => {
                output::problems(&files);
                if !matches!(kept, KeptSets::Refused) {
                    output::failure(&OpenError::Rejected { files, kept });
                }
                Exit::Rejected
            }
            Err(error) => {
                output::failure(&error);
                Exit::Failure
            }
        }
    }
}

async fn serve(config: &Config, style: Style, format: Format) -> Result<(), StartError> {
    let started = Instant::now();
    // Before anything else: a signal that nobody watches for kills the process.
    let signals = Signals {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
        hangup: signal(SignalKind::hangup())?,
    };
    let progress = Arc::default();
    let bar = (style == Style::Pretty).then(|| Bar::watch(&progress, format));
    let bound = app::bind_counted(config, progress).await?;
    drop(bar);
    match style {
        Style::Pretty => {
            output::problems(&bound.warnings);
            announce(&bound, config, started);
        }
        Style::Json => announce_to_machines(&bound, config, started),
    }
    let commands = bound.loader().commands.clone();
    let (stop, stops) = mpsc::channel(2);
    tokio::select! {
        served = bound.run(stops) => served,
        never = signals.obey(&commands, &stop) => match never {},
    }
}

/// What the process is told by its host.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// SIGTERM stops and leaves balancers time to notice; SIGINT, by which a person means now, does not. SIGHUP loads the
    /// files; what comes of it, the loader says.
    async fn obey(mut self, commands: &Commands, stop: &mpsc::Sender<Stop>) -> Infallible {
        loop {
            let how = tokio::select! {
                _ = self.interrupt.recv() => Stop::AtOnce,
                _ = self.terminate.recv() => Stop::AfterGrace,
                _ = self.hangup.recv() => {
                    drop(commands.send(Command::Reload));
                    continue;
                }
            };
            tracing::info!("stopping");
            // More words than the service listens to change nothing.
            let _heard = stop.try_send(how);
        }
    }
}

fn announce(bound: &Bound, config: &Config, started: Instant) {
    let published = bound.pdp.current();
    let world = &published.world;
    let generation = &world.generation;
    let (policies, entities) = (generation.policies.len(), world.entities.len());
    let elapsed = started.elapsed().as_millis();
    let addresses = &bound.addresses;
    if let Some(follow) = &config.follow {
        anstream::eprintln!(
            "{GOOD}following{GOOD:#} {}  {FAINT}nothing is answered before it has told everything{FAINT:#}",
            follow.primary
        );
    } else {
        anstream::eprintln!(
            "{GOOD}loaded{GOOD:#} {policies} policies and {entities} entities in {elapsed} ms"
        );
        anstream::eprintln!("       generation {}", generation.hash);
    }
    if let Some(warning) = unusual(&bound.loader().status()) {
        anstream::eprintln!("{BAD}WARNING{BAD:#}: {warning}");
    }
    let envoy = if config.ext_authz.is_some() { ", ext_authz" } else { "" };
    anstream::eprintln!(
        "{GOOD}gRPC{GOOD:#}    {}  {FAINT}mandate.v1{envoy}, health, reflection{FAINT:#}",
        addresses.data
    );
    anstream::eprintln!(
        "{GOOD}HTTP{GOOD:#}    {}  {FAINT}AuthZEN 1.0{FAINT:#}",
        addresses.http.url(config.tls.is_some())
    );
    anstream::eprintln!(
        "{GOOD}ops{GOOD:#}     {}  {FAINT}/livez /readyz /metrics{FAINT:#}",
        addresses.ops.url(config.tls.as_ref().is_some_and(|tls| tls.ops))
    );
    anstream::eprintln!(
        "{GOOD}control{GOOD:#} {}  {FAINT}mandate status, mandate rollback{FAINT:#}",
        addresses.control
    );
    match openness(config) {
        Some(INSECURE) => anstream::eprintln!("{BAD}INSECURE{BAD:#}: {INSECURE}"),
        Some(open) => anstream::eprintln!("{BAD}note{BAD:#}: {open}"),
        None => anstream::eprintln!(
            "{GOOD}callers{GOOD:#} authenticated, and held to `{}`",
            config.callers.policies.display()
        ),
    }
    let is_silent = (config.tls.is_some() && addresses.http.is_tcp()) || config.follow.is_some();
    let curl = example::curl(world, &addresses.http).filter(|_| !is_silent);
    if let Some(call) = curl {
        anstream::eprintln!("\n{NAME}Ask for a decision:{NAME:#}\n\n{call}\n");
    }
}

/// What somebody who starts a server must know, if nobody knows who asks it.
fn openness(config: &Config) -> Option<&'static str> {
    match (config.callers.authenticated(), config.insecure_unauthenticated_callers) {
        (true, _) => None,
        (false, true) => Some(INSECURE),
        (false, false) => Some(LOOPBACK),
    }
}

const INSECURE: &str = "callers are not authenticated, and other hosts may reach this one";
const LOOPBACK: &str = "callers are not authenticated; only this host can reach the server";

fn announce_to_machines(bound: &Bound, config: &Config, started: Instant) {
    for warning in bound.warnings.warnings() {
        tracing::warn!("{warning}");
    }
    if let Some(warning) = unusual(&bound.loader().status()) {
        tracing::error!("{warning}");
    }
    let published = bound.pdp.current();
    let addresses = &bound.addresses;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        generation.hash = &*published.world.generation.hash,
        policies = published.world.generation.policies.len(),
        entities = published.world.entities.len(),
        listen.data = %addresses.data,
        listen.http = %addresses.http,
        listen.ops = %addresses.ops,
        listen.control = %addresses.control,
        elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "serving"
    );
    if let Some(open) = openness(config) {
        tracing::warn!("{open}");
    }
}

/// What somebody who starts a server must know, if it does not serve what the files say.
fn unusual(status: &LoaderStatus) -> Option<&'static str> {
    match status.source {
        Source::Files | Source::Primary => None,
        Source::LastKnownGood => {
            Some("the files are broken; the last set that was good is served. `mandate status` tells why")
        }
        Source::Rollback => Some(
            "a rollback holds; the files are not loaded until they change, or `mandate rollback --release`",
        ),
    }
}

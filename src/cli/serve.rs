//! `mandate serve`

use std::net::SocketAddr;
use std::time::Instant;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::example;
use super::output::{self, BAD, FAINT, GOOD};
use super::sources::SourceArgs;
use super::{Exit, output::NAME};
use crate::app::{self, Bound, StartError};
use crate::config::{Config, Overrides};

/// Serve decisions over gRPC and HTTP.
#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    sources: SourceArgs,
    /// gRPC address [default: 127.0.0.1:4466].
    #[arg(long, value_name = "ADDRESS")]
    data: Option<SocketAddr>,
    /// HTTP address, for AuthZEN [default: 127.0.0.1:4467].
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// Answer callers that nobody has authenticated, on addresses other hosts can reach.
    #[arg(long)]
    insecure_unauthenticated_callers: bool,
}

impl Serve {
    /// Serves until it is told to stop.
    #[must_use]
    pub fn run(self) -> Exit {
        let overrides = Overrides {
            data: self.data,
            http: self.http,
            insecure_unauthenticated_callers: self.insecure_unauthenticated_callers,
            ..self.sources.overrides()
        };
        let config = match self.sources.config(overrides) {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let served =
            app::runtime().map_err(StartError::Serve).and_then(|runtime| runtime.block_on(serve(&config)));
        match served {
            Ok(()) => Exit::Ok,
            Err(StartError::Rejected(report)) => {
                output::problems(&report);
                Exit::Rejected
            }
            Err(error) => {
                output::failure(&error);
                Exit::Failure
            }
        }
    }
}

async fn serve(config: &Config) -> Result<(), StartError> {
    let started = Instant::now();
    let bound = app::bind(config).await?;
    output::problems(&bound.warnings);
    announce(&bound, config, started);
    bound.run(stop()).await
}

/// Completes at SIGINT or SIGTERM. If signals cannot be watched, never: the process can still be killed.
async fn stop() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    anstream::eprintln!("stopping");
}

fn announce(bound: &Bound, config: &Config, started: Instant) {
    let published = bound.pdp.current();
    let world = &published.world;
    let generation = &world.generation;
    let (policies, entities) = (generation.policies.len(), world.stored);
    let elapsed = started.elapsed().as_millis();
    anstream::eprintln!("{GOOD}loaded{GOOD:#} {policies} policies and {entities} entities in {elapsed} ms");
    anstream::eprintln!("       generation {}", generation.hash);
    anstream::eprintln!(
        "{GOOD}gRPC{GOOD:#}   {}  {FAINT}mandate.v1, health, reflection{FAINT:#}",
        bound.addresses.data
    );
    anstream::eprintln!("{GOOD}HTTP{GOOD:#}   http://{}  {FAINT}AuthZEN 1.0{FAINT:#}", bound.addresses.http);
    if config.insecure_unauthenticated_callers {
        anstream::eprintln!(
            "{BAD}INSECURE{BAD:#}: callers are not authenticated, and other hosts may reach this one"
        );
    } else {
        anstream::eprintln!(
            "{BAD}note{BAD:#}: callers are not authenticated; only this host can reach the server"
        );
    }
    if let Some(call) = example::curl(world, bound.addresses.http) {
        anstream::eprintln!("\n{NAME}Ask for a decision:{NAME:#}\n\n{call}\n");
    }
}

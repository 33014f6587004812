//! What the command line says.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::embedded::Engine;
use crate::load::Shape;
use crate::subject::Binaries;

/// Mandate measured against its peers, on the same questions.
#[derive(Debug, Clone, Parser)]
pub(crate) struct Options {
    /// Short times and small sizes: shows that everything still runs, and measures nothing.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Which parts are measured; all, if none is named.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Numbers of policies.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 800, 10_000])]
    pub(crate) policies: Vec<usize>,
    /// The number of policies at which every configuration is measured, in all rounds.
    #[arg(long, default_value_t = 800)]
    pub(crate) most_rounds_at: usize,
    #[command(flatten)]
    pub(crate) effort: Effort,
    /// Connections of the client.
    #[arg(long, default_value_t = 2)]
    connections: usize,
    /// Calls under way on each connection, under saturation.
    #[arg(long, default_value_t = 16)]
    streams: usize,
    /// The repository.
    #[arg(long, default_value = ".")]
    pub(crate) root: PathBuf,
    /// The binary of Mandate, a release build.
    #[arg(long, default_value = "target/release/mandate")]
    mandate: PathBuf,
    /// Where peers were installed.
    #[arg(long, default_value = "target/tools")]
    tools: PathBuf,
    /// Where the figures are written, a file for each part.
    #[arg(long, default_value = "benches/results")]
    pub(crate) results: PathBuf,
    /// What this process is, if not the benchmark itself.
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

/// How long is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Effort {
    /// Rounds; each takes all servers in turn.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// How long each saturating load lasts, in milliseconds; it is warmed up for half of that.
    #[arg(long, default_value_t = 800)]
    saturated_ms: u64,
    /// How long each paced load lasts, in milliseconds.
    #[arg(long, default_value_t = 800)]
    paced_ms: u64,
    /// Calls a second of the paced loads.
    #[arg(long, value_delimiter = ',', default_values_t = [2_000, 10_000])]
    pub(crate) rates: Vec<u32>,
}

/// One part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The same question on every server, as policies grow.
    Policies,
    /// The agent scenario, the workloads of the paper, Cerbos' load test.
    Workloads,
    /// Engines in process.
    Embedded,
    /// What Mandate's questions cost by what they hold: chains, contexts, candidates, connections, batches, streams.
    Cost,
}

/// What this process is, if not the benchmark itself.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Role {
    /// Serve the answers in a file.
    #[command(hide = true)]
    Echo {
        /// Answers, each with its length before it.
        answers: PathBuf,
    },
    /// Decide in this process, so that no engine finds another's memory.
    #[command(hide = true)]
    Embedded {
        /// Who decides.
        engine: Engine,
        /// Over so many policies.
        policies: usize,
        /// For so long, in milliseconds.
        milliseconds: u64,
    },
    /// Draw the plots again, from the figures that were written.
    Plot,
}

impl Options {
    /// The options, made small if they should be.
    pub(crate) fn read() -> Self {
        let mut options = Self::parse();
        if options.quick {
            options.policies = vec![10, 40];
            options.most_rounds_at = 40;
            options.effort = Effort { rounds: 1, saturated_ms: 100, paced_ms: 100, rates: vec![200] };
            options.results = PathBuf::from("target/bench/peers-quick");
        }
        options
    }

    /// Whether a part is measured.
    pub(crate) fn measures(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// How the client spreads its calls.
    pub(crate) fn shape(&self) -> Shape {
        Shape { connections: self.connections, streams: self.streams }
    }

    /// Where the servers are. They run in folders of their own: the paths are made absolute.
    ///
    /// # Errors
    /// One is not there: what to do.
    pub(crate) fn binaries(&self) -> crate::Attempt<Binaries> {
        let found = |path: PathBuf| {
            path.canonicalize()
                .map_err(|error| format!("{}: {error}; `make bench-peers` installs it", path.display()))
        };
        Ok(Binaries {
            mandate: found(self.mandate.clone())?,
            cerbos: found(self.tools.join("cerbos/node_modules/@cerbos/cerbos-linux-x64/cerbos-linux-x64"))?,
            cedar_agent: found(self.tools.join("cedar-agent/bin/cedar-agent"))?,
        })
    }
}

impl Effort {
    pub(crate) fn saturated(&self) -> Duration {
        Duration::from_millis(self.saturated_ms)
    }

    pub(crate) fn warm_up(&self) -> Duration {
        self.saturated() / 2
    }

    pub(crate) fn paced(&self) -> Duration {
        Duration::from_millis(self.paced_ms)
    }
}

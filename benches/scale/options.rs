//! What the command line says.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// What decisions cost as policies and entities grow, and while they change.
#[derive(Debug, Clone, Parser)]
pub(crate) struct Options {
    /// Small sizes and short times: shows that everything still runs, and measures nothing.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Sizes of policy sets.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1_000, 10_000, 100_000])]
    policies: Vec<usize>,
    /// Numbers of entities, under `--policies-of-entities` policies.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000, 100_000, 1_000_000])]
    entities: Vec<usize>,
    /// Policies while entities grow.
    #[arg(long, default_value_t = 100)]
    policies_of_entities: usize,
    /// Policies whose scopes say nothing.
    #[arg(long, default_value_t = 1_000)]
    scopeless: usize,
    /// Policies while one of their files changes.
    #[arg(long, default_value_t = 100_000)]
    reload: usize,
    /// Which parts are measured; all, if none is named.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    #[command(flatten)]
    pub(crate) effort: Effort,
    /// Cargo says so to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
    /// What this process is, if not the benchmark itself.
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

/// How long is measured.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Effort {
    /// Rounds of each figure; the median round counts.
    #[arg(long, global = true, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Most decisions of a round; half as many go before the first, to warm up.
    #[arg(long, global = true, default_value_t = 50_000)]
    pub(crate) decisions: usize,
    /// Longest time of a round and of a comparison with the plain `Authorizer`, in milliseconds, after the least that
    /// a figure needs.
    #[arg(long, global = true, default_value_t = 3_000)]
    round_ms: u64,
    /// Reloads under load: enough that the time after the last one counts for little.
    #[arg(long, global = true, default_value_t = 50)]
    pub(crate) reloads: usize,
    /// How long the quiet load before the reloads lasts, in milliseconds.
    #[arg(long, global = true, default_value_t = 10_000)]
    quiet_ms: u64,
}

/// One part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Decisions as policies grow.
    Policies,
    /// A set whose scopes say nothing.
    Scopeless,
    /// Decisions as entities grow.
    Entities,
    /// Putting one entity.
    Put,
    /// Memory of entities.
    Memory,
    /// Decisions during reloads.
    Reload,
}

/// A measurement that has a process of its own, so that none finds another's memory.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Role {
    /// Decide over so many policies and entities.
    #[command(hide = true)]
    Decisions { policies: usize, entities: usize },
    /// Decide over policies whose scopes say nothing.
    #[command(hide = true)]
    Scopeless { policies: usize },
    /// Put one entity among so many.
    #[command(hide = true)]
    Put { entities: usize },
    /// Load folders, and say how large the process is.
    #[command(hide = true)]
    Memory { root: PathBuf },
    /// Decide while a file changes.
    #[command(hide = true)]
    Reload { policies: usize },
}

impl Options {
    /// The options, made small if they should be.
    pub(crate) fn read() -> Self {
        let mut options = Self::parse();
        if options.quick {
            options.policies = vec![10, 100];
            options.entities = vec![100, 1_000];
            options.scopeless = 50;
            options.reload = 100;
            options.effort = Effort { rounds: 2, decisions: 300, round_ms: 200, reloads: 2, quiet_ms: 300 };
        }
        options
    }

    /// Whether a part is measured.
    pub(crate) fn measures(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// Sizes of policy sets, each with its number of entities.
    pub(crate) fn policy_sizes(&self) -> impl Iterator<Item = (usize, usize)> {
        self.policies.iter().map(|&policies| (policies, entities_of(policies)))
    }

    /// Numbers of entities, each with its number of policies.
    pub(crate) fn entity_sizes(&self) -> impl Iterator<Item = (usize, usize)> {
        self.entities.iter().map(|&entities| (self.policies_of_entities, entities))
    }

    /// The most entities.
    pub(crate) fn most_entities(&self) -> usize {
        self.entities.iter().copied().max().unwrap_or(1_000)
    }

    /// The measurement over policies whose scopes say nothing.
    pub(crate) fn scopeless(&self) -> Role {
        Role::Scopeless { policies: self.scopeless }
    }

    /// The measurement under reloads.
    pub(crate) fn reload(&self) -> Role {
        Role::Reload { policies: self.reload }
    }
}

/// Twice as many entities as policies. In the smallest sets one person and one thing, so that nearly every policy is a
/// candidate.
pub(crate) fn entities_of(policies: usize) -> usize {
    if policies < 50 { 0 } else { 2 * policies }
}

impl Effort {
    pub(crate) fn round(self) -> Duration {
        Duration::from_millis(self.round_ms)
    }

    pub(crate) fn quiet(self) -> Duration {
        Duration::from_millis(self.quiet_ms)
    }

    /// As the command line says it, for a process that is started.
    pub(crate) fn arguments(self) -> [String; 10] {
        let Self { rounds, decisions, round_ms, reloads, quiet_ms } = self;
        let named = |name: &str, value: String| [format!("--{name}"), value];
        let [a, b] = named("rounds", rounds.to_string());
        let [c, d] = named("decisions", decisions.to_string());
        let [e, f] = named("round-ms", round_ms.to_string());
        let [g, h] = named("reloads", reloads.to_string());
        let [i, j] = named("quiet-ms", quiet_ms.to_string());
        [a, b, c, d, e, f, g, h, i, j]
    }
}

impl Role {
    /// As the command line says it.
    pub(crate) fn arguments(&self) -> Vec<String> {
        match self {
            Self::Decisions { policies, entities } => {
                vec!["decisions".to_owned(), policies.to_string(), entities.to_string()]
            }
            Self::Scopeless { policies } => vec!["scopeless".to_owned(), policies.to_string()],
            Self::Put { entities } => vec!["put".to_owned(), entities.to_string()],
            Self::Memory { root } => vec!["memory".to_owned(), root.display().to_string()],
            Self::Reload { policies } => vec!["reload".to_owned(), policies.to_string()],
        }
    }
}

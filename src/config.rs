//! Configuration: what was written (file, environment, flags), and what it means.
//!
//! A later source wins: built-in defaults, the TOML file, `MANDATE__SECTION__KEY` in the environment, flags. An
//! unknown key is an error wherever it stands.

mod authzen;
mod callers;
#[cfg(test)]
mod config_tests;
mod destination;
mod domain;
mod ext_authz;
mod fields;
mod follow;
mod issuers;
mod limits;
mod load;
mod log;
mod notary;
mod overrides;
#[cfg(test)]
mod reference_tests;
mod sinks;
#[cfg(test)]
mod sinks_tests;
mod sizes;
mod telemetry;
mod tls;
mod written;

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format as _, Toml};

use crate::audit::sinks::config::SinkConfig;
use crate::audit::spool::retention;
use crate::audit::tree::notary::NotaryConfig;
use crate::engine::compile::Options;
use crate::identity::issuer::IssuerConfig;
use crate::listening::Address;
pub use crate::listening::Listen;
use crate::store::directory::Folders;
use crate::store::provenance::Signers;
use crate::verifiers::NoVerifier;
pub use authzen::AuthzenConfig;
pub use callers::{CallersConfig, SpiffeTrust};
pub use ext_authz::{ExtAuthzConfig, ExtAuthzPrincipal, ExtAuthzProtocol};
pub use fields::{LogDisclose, LogFields};
pub use follow::FollowConfig;
pub use limits::Limits;
pub use load::{LoadLimits, RateLimit};
pub use overrides::Overrides;
pub use sizes::SizeLimits;
pub use telemetry::{LogFormat, Telemetry};
pub use tls::{CertificateSource, TlsConfig, TlsFiles};
use written::Written;

/// A validated configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the sources are.
    pub folders: Folders,
    /// Folder of emergency forbids.
    pub emergency: PathBuf,
    /// File of revoked delegations.
    pub revocations: PathBuf,
    /// Whether a start with broken files serves the last set that was good.
    pub serve_last_known_good: bool,
    /// Whose signature a set of sources needs; empty: it needs none.
    pub signers: Signers,
    /// How they compile.
    pub options: Options,
    /// Folder of everything that this process writes.
    pub data_directory: PathBuf,
    /// Where to listen.
    pub listen: Listen,
    /// The mode of Unix sockets that are listened on: whoever may write one may connect.
    pub socket_mode: u32,
    /// What may be used by whoever asks.
    pub limits: Limits,
    /// How connections to the listeners are secured; none: not at all.
    pub tls: Option<TlsConfig>,
    /// Who may ask.
    pub callers: CallersConfig,
    /// When changed files are loaded.
    pub reload: Reload,
    /// Whose replica this is; none: it has sources of its own.
    pub follow: Option<FollowConfig>,
    /// For how long those that follow this server may answer from what it told them.
    pub lease: Duration,
    /// How many batches of writes are remembered for those who watch and come back.
    pub entity_history: usize,
    /// How many bytes of decisions a generation keeps; none: every question is decided anew.
    pub cache_bytes: Option<u64>,
    /// Of how many decisions from memory one is made once more, to compare; none: of none.
    pub verify_one_in: Option<NonZeroU64>,
    /// Of how many decisions one is made once more by Cedar's own authorizer, to compare; none: of none.
    pub check_one_in: Option<NonZeroU64>,
    /// Where decisions are recorded.
    pub log: Log,
    /// What the process says of itself.
    pub telemetry: Telemetry,
    /// How the service stops.
    pub shutdown: Shutdown,
    /// Whose tokens of subjects are believed.
    pub issuers: Vec<IssuerConfig>,
    /// What AuthZEN's words mean here.
    pub authzen: AuthzenConfig,
    /// Serve callers that have not authenticated on addresses other hosts can reach.
    pub insecure_unauthenticated_callers: bool,
    /// What is said of the requests that Envoy asks about; none: Envoy is not served.
    pub ext_authz: Option<ExtAuthzConfig>,
}

/// When changed files are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reload {
    /// Whether file events wake the loader before the next poll.
    pub watch: bool,
    /// How often files are looked at, whatever events come.
    pub poll: Duration,
    /// How long files must stand still that neither a manifest nor an atomic swap vouches for.
    pub settle: Duration,
}

/// How decisions are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Whether answers wait until their records last, and whether there are records.
    pub mode: LogMode,
    /// Folder of the log.
    pub directory: PathBuf,
    /// How many records may wait to be written.
    pub queue: usize,
    /// What happens when that many wait, or the disk takes nothing.
    pub overflow: LogOverflow,
    /// How large segments grow, and how long they are kept.
    pub limits: retention::Limits,
    /// Folder of the counters that outlive the process; none: where there is one in memory.
    pub counters: Option<PathBuf>,
    /// Where records are delivered to.
    pub sinks: Vec<SinkConfig>,
    /// What of callers' words is recorded.
    pub fields: LogFields,
    /// Who signs what is recorded.
    pub notary: NotaryConfig,
}

/// Whether answers wait until their records last, and whether there are records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogMode {
    /// They do not wait.
    #[default]
    Async,
    /// They do.
    Durable,
    /// Nothing is recorded.
    Off,
}

/// What happens when too many records wait, or the disk takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogOverflow {
    /// The record is dropped and counted.
    Drop,
    /// The answer waits until there is room.
    Block,
    /// The record is dropped and counted, and the answer is a denial.
    Deny,
}

/// How the service stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// How long it serves on, not ready, after SIGTERM: balancers need time to notice.
    pub grace: Duration,
    /// How long it then waits for what is under way.
    pub drain: Duration,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file does not exist.
    #[error("configuration file `{0}` does not exist")]
    Missing(PathBuf),
    /// A key or value is wrong; the message names it and where it stands.
    #[error("{0}")]
    Invalid(Box<figment::Error>),
    /// Others could reach a listener that authenticates nobody.
    #[error(
        "`{listener}` would listen on {address}, which other hosts can reach, and callers are not authenticated: \
         configure `[tls]` and `callers.spiffe` or `callers.issuers`, listen on loopback, or accept the risk with --insecure-unauthenticated-callers"
    )]
    Exposed {
        /// The listener's name in the configuration.
        listener: &'static str,
        /// Its address.
        address: Address,
    },
    /// The control listener's token would cross a network in the clear.
    #[error(
        "`listen.control` would listen on {0}, which other hosts can reach: it must be on loopback, unless \
         administrators authenticate as callers do (`control.callers`)"
    )]
    ControlExposed(Address),
    /// An issuer cannot be used as it is written.
    #[error("`{list}[{place}].{key}` {problem}")]
    Issuer {
        /// The list.
        list: &'static str,
        /// Its place in the list, from 0.
        place: usize,
        /// The key.
        key: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// What is written of the requests that Envoy asks about says nothing, or contradicts itself.
    #[error("`ext_authz.{key}` {problem}")]
    ExtAuthz {
        /// The key.
        key: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A sink of the decision log cannot be used as it is written.
    #[error("`log.sinks.{sink}.{key}` {problem}")]
    Sink {
        /// The sink's name.
        sink: String,
        /// The key.
        key: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// What is written of the server's certificate names none, or two.
    #[error("`[tls]` {0}")]
    Tls(String),
    /// What is written of telemetry cannot be used.
    #[error("`telemetry.{key}` {problem}")]
    Telemetry {
        /// The key.
        key: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// What is written of callers contradicts itself, or cannot work.
    #[error("{0}")]
    Callers(String),
    /// A witness of the decision log cannot be used as it is written.
    #[error("`log.witnesses[{place}]` {problem}")]
    Witness {
        /// Its place in the list, from 0.
        place: usize,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// What is said of a field of the decision log cannot be.
    #[error("`log.fields.{path}`: {problem}")]
    Field {
        /// The path.
        path: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// What is said of AuthZEN's words cannot be.
    #[error("`authzen.{key}` is `{written}`, which {problem}")]
    Authzen {
        /// The key.
        key: String,
        /// What was written.
        written: String,
        /// What is wrong, and what would be right.
        problem: &'static str,
    },
    /// The primary cannot be followed as it is written.
    #[error("`follow.{key}` {problem}")]
    Follow {
        /// The key.
        key: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Somebody who is to sign the sources is not named by a public key.
    #[error("`sources.signers`: {0}")]
    Signers(#[from] NoVerifier),
    /// A value is out of its range.
    #[error("`{key}` is {value}: {limit}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// What was written.
        value: String,
        /// What would be right.
        limit: &'static str,
    },
}

impl Config {
    /// Reads a configuration file, the environment and flags.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key and where it was written.
    pub fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        let mut figment = Figment::new();
        if let Some(file) = file {
            if !file.is_file() {
                return Err(ConfigError::Missing(file.to_owned()));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        let written: Written = figment
            .merge(Env::prefixed("MANDATE__").split("__"))
            .extract()
            .map_err(|error| ConfigError::Invalid(Box::new(error)))?;
        written.meaning(overrides)
    }
}

impl Config {
    /// Without caller authentication only this host may ask, and nobody may administer over a network (C2). For whoever
    /// listens: other commands may read the configuration of a server that was told by a flag to accept the risk.
    ///
    /// # Errors
    /// [`ConfigError`] naming the listener.
    pub fn check_exposure(&self) -> Result<(), ConfigError> {
        let Listen { data, http, control, .. } = &self.listen;
        if !control.is_local() && !self.callers.control {
            return Err(ConfigError::ControlExposed(control.clone()));
        }
        let listeners = [("listen.data", data), ("listen.http", http)];
        let exposed = listeners.into_iter().find(|(_, address)| !address.is_local());
        match exposed {
            Some((listener, address)) if !self.may_be_reached() => {
                Err(ConfigError::Exposed { listener, address: address.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Whether other hosts may reach the listeners that decide.
    fn may_be_reached(&self) -> bool {
        self.insecure_unauthenticated_callers || (self.callers.authenticated() && self.tls.is_some())
    }

    /// Values that would make the service useless, or never end.
    fn check_ranges(&self) -> Result<(), ConfigError> {
        let millis = |duration: Duration| format!("{} ms", duration.as_millis());
        let refuse = |key, value, limit| Err(ConfigError::OutOfRange { key, value, limit });
        let Self { reload, .. } = self;
        if !(MIN_POLL..=MAX_POLL).contains(&reload.poll) {
            return refuse("reload.poll", millis(reload.poll), "it must be between 50 ms and 1 hour");
        }
        if reload.settle > MAX_SETTLE {
            return refuse("reload.settle", millis(reload.settle), "it must be at most 1 minute");
        }
        if !(1..=MAX_HISTORY).contains(&self.entity_history) {
            let history = self.entity_history.to_string();
            return refuse("entity_log.history", history, "it must be between 1 and 1,000,000 batches");
        }
        Ok(())
    }
}

const MIN_POLL: Duration = Duration::from_millis(50);
const MAX_POLL: Duration = Duration::from_secs(3600);
const MAX_SETTLE: Duration = Duration::from_secs(60);
const MAX_HISTORY: usize = 1_000_000;

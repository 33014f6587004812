//! What was written, before defaults and flags say what it means.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::authzen;
use super::callers;
use super::domain::Names;
use super::ext_authz;
use super::follow;
use super::issuers::{self, WrittenIssuer};
use super::limits;
use super::log::DecisionLog;
use super::telemetry;
use super::tls;
use super::{Config, ConfigError, FollowConfig, Listen, Overrides, Reload, Shutdown};
use crate::engine::compile::Options;
use crate::engine::generation::{OnPolicyError, Strictness};
use crate::listening::Address;
use crate::store::directory::Folders;
use crate::store::provenance::Signers;

/// The file and the environment.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    /// Where policies, schemas and entities are read from.
    sources: Sources,
    /// What the process writes.
    data: Data,
    /// Addresses to listen on, or Unix sockets (`unix:/run/mandate/data.sock`); port 0 takes a free one. Beyond loopback, `data` and `http` need `[tls]` and
    /// callers that are authenticated.
    listen: Addresses,
    /// What everybody together, and each of them, may use. What ends a connection is counted by its key here:
    /// `pdp_connections_ended_total`.
    limits: limits::Written,
    /// When changed files are loaded.
    reload: Reloading,
    /// What is written at run time.
    entity_log: EntityLog,
    /// Be a replica of another server, with no sources of its own. Not written: it has sources.
    follow: follow::Written,
    /// Those that follow this server.
    followers: follow::Followers,
    /// How it is decided.
    decisions: Decisions,
    /// What is remembered of decisions.
    cache: Cache,
    /// The decision log.
    log: DecisionLog,
    /// What the process says of itself.
    telemetry: telemetry::Written,
    /// How the service stops.
    shutdown: Stopping,
    /// Names of the agent domain, for a schema of your own.
    domain: Names,
    /// What AuthZEN's words mean.
    authzen: authzen::Written,
    /// How connections to `data` and `http`, and to `control` with `control.callers`, are secured. Not written:
    /// not at all.
    tls: Option<tls::Written>,
    /// Whose tokens of subjects are believed; any number.
    issuers: Vec<WrittenIssuer>,
    /// Who may ask.
    callers: callers::Written,
    /// Who may administer.
    control: callers::Control,
    /// What is said of the requests that Envoy asks about. Not written: Envoy is not served.
    ext_authz: Option<ext_authz::Written>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sources {
    /// Folder of `*.cedar` and `*.links.json`.
    ///
    /// Default `"policies"`.
    policies: Option<PathBuf>,
    /// Folder of `*.cedarschema`, `*.cedarschema.json` and `*.tools.json`.
    ///
    /// Default `"schemas"`.
    schemas: Option<PathBuf>,
    /// Folder of `*.json`, one array each, and `*.jsonl`, one entity a line.
    ///
    /// Default `"entities"`.
    entities: Option<PathBuf>,
    /// Folder of forbids that join whatever is served.
    ///
    /// Default `"emergency"`.
    emergency: Option<PathBuf>,
    /// Folder of the policies that say what callers may ask.
    ///
    /// Default `"pep"`.
    pep: Option<PathBuf>,
    /// File of revoked delegations. Unless written, it is beside the folder of emergency forbids.
    ///
    /// Default `"revocations.json"`.
    revocations: Option<PathBuf>,
    /// Whether a start with broken files serves the last set that was good.
    ///
    /// Default `true`.
    serve_last_known_good: Option<bool>,
    /// Verifier keys (C2SP signed-note) of those of whom one must have signed the manifest over all folders. Empty: nobody
    /// need sign.
    ///
    /// Default `[]`.
    signers: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Data {
    /// Folder of everything that the process writes. One process at a time.
    ///
    /// Default `"data"`.
    directory: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Addresses {
    /// gRPC.
    ///
    /// Default `"127.0.0.1:4466"`.
    data: Option<Address>,
    /// AuthZEN.
    ///
    /// Default `"127.0.0.1:4467"`.
    http: Option<Address>,
    /// Probes and metrics. They tell nothing secret: any address will do.
    ///
    /// Default `"127.0.0.1:4468"`.
    ops: Option<Address>,
    /// Administration. On loopback only, unless administrators authenticate as callers do.
    ///
    /// Default `"127.0.0.1:4469"`.
    control: Option<Address>,
    /// The permissions of Unix sockets, in octal: whoever may write one may connect.
    ///
    /// Default `"0660"`.
    socket_mode: Option<Mode>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Reloading {
    /// Whether file events wake the loader before the next poll.
    ///
    /// Default `true`.
    watch: Option<bool>,
    /// How often files are looked at, whatever events come.
    ///
    /// Default `"1s"`, from `"50ms"` to `"1h"`.
    poll: Option<Span>,
    /// How long files must stand still that neither a manifest nor an atomic swap vouches for.
    ///
    /// Default `"500ms"`, at most `"1m"`.
    settle: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EntityLog {
    /// How many batches of writes are remembered for those who watch and come back.
    ///
    /// Default `10000`, from `1` to `1000000`.
    history: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Decisions {
    /// What a policy that cannot be evaluated does. `deny`: an erroring forbid denies, an erroring permit
    /// grants nothing. `strict`: any error denies. `cedar`: the language's rule, which skips it.
    ///
    /// Default `"deny"`.
    on_policy_error: OnPolicyError,
    /// Of so many decisions one is made once more by Cedar's own authorizer, to compare; 0: of none.
    ///
    /// Default `10000`.
    check_one_in: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Cache {
    /// Whether decisions are remembered.
    ///
    /// Default `true`.
    enabled: Option<bool>,
    /// About how many bytes they may take.
    ///
    /// Default `67108864`.
    max_bytes: Option<u64>,
    /// Of so many decisions from memory one is made once more, to compare; 0: of none.
    ///
    /// Default `1000`.
    verify_one_in: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Stopping {
    /// How long it serves on after SIGTERM, not ready: balancers need time to notice.
    ///
    /// Default `"5s"`.
    grace: Option<Span>,
    /// How long it then waits for what is under way.
    ///
    /// Default `"20s"`.
    drain: Option<Span>,
}

/// The permissions of a file as people write them: `0660`.
#[derive(Debug, Clone, Copy)]
struct Mode(u32);

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777);
        let wrong = || de::Error::custom(format_args!("`{text}` is no mode of a file; write \"0660\""));
        mode.map(Self).ok_or_else(wrong)
    }
}

/// A span of time as people write it: `500ms`, `5s`, `2m`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::custom(format_args!("`{text}` is no span of time; write `500ms` or `5s`"));
        let span: jiff::SignedDuration = text.parse().map_err(|_error| wrong())?;
        Duration::try_from(span).map(Self).map_err(|_error| wrong())
    }
}

pub(super) fn or(span: Option<Span>, default: Duration) -> Duration {
    span.map_or(default, |Span(span)| span)
}

/// An empty path says nothing.
pub(super) fn named(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
}

fn signers(lines: &[String]) -> Result<Signers, ConfigError> {
    Ok(Signers::read(lines.iter().map(|line| line.trim()))?)
}

impl Written {
    pub(super) fn meaning(self, flags: Overrides) -> Result<Config, ConfigError> {
        let folder = |flag: Option<PathBuf>, written: Option<PathBuf>, default: &str| {
            flag.or(named(written)).unwrap_or_else(|| PathBuf::from(default))
        };
        let follow = self.sources.left_to(self.follow.meaning(flags.follow.clone())?, &flags)?;
        let insecure_unauthenticated_callers =
            flags.insecure_unauthenticated_callers || self.callers.insecure_unauthenticated;
        let callers = self.callers.meaning(folder(flags.pep, self.sources.pep, "pep"), &self.control)?;
        let tls = self.tls.map(tls::Written::meaning).transpose()?;
        callers::check(tls.as_ref(), &callers, insecure_unauthenticated_callers)?;
        let emergency = folder(flags.emergency, self.sources.emergency, "emergency");
        let data_directory = folder(flags.data_directory, self.data.directory, "data");
        let revocations = named(self.sources.revocations);
        let serve_last_known_good =
            self.sources.serve_last_known_good.unwrap_or(true) && !flags.refuse_last_known_good;
        let domain = self.domain.meaning();
        let limits = self.limits.meaning()?;
        let config = Config {
            authzen: self.authzen.meaning(&domain.namespace)?,
            folders: Folders {
                policies: folder(flags.policies, self.sources.policies, "policies"),
                schemas: folder(flags.schemas, self.sources.schemas, "schemas"),
                entities: folder(flags.entities, self.sources.entities, "entities"),
            },
            revocations: revocations.unwrap_or_else(|| emergency.with_file_name("revocations.json")),
            emergency,
            serve_last_known_good,
            signers: signers(&self.sources.signers)?,
            options: Options {
                on_policy_error: self.decisions.on_policy_error,
                domain,
                // Nothing anybody writes makes a service ask less.
                strictness: Strictness::Full,
                limits: limits.sizes.request,
            },
            listen: Listen {
                data: flags.data.or(self.listen.data).unwrap_or_else(|| loopback(4466)),
                http: flags.http.or(self.listen.http).unwrap_or_else(|| loopback(4467)),
                ops: flags.ops.or(self.listen.ops).unwrap_or_else(|| loopback(4468)),
                control: flags.control.or(self.listen.control).unwrap_or_else(|| loopback(4469)),
            },
            limits,
            socket_mode: self.listen.socket_mode.map_or(0o660, |Mode(mode)| mode),
            tls,
            callers,
            reload: self.reload.meaning(),
            follow,
            lease: self.followers.lease()?,
            entity_history: self.entity_log.history.unwrap_or(10_000),
            cache_bytes: self.cache.bytes(),
            verify_one_in: NonZeroU64::new(self.cache.verify_one_in.unwrap_or(1_000)),
            check_one_in: NonZeroU64::new(self.decisions.check_one_in.unwrap_or(10_000)),
            log: self.log.meaning(&data_directory)?,
            telemetry: self.telemetry.meaning()?,
            shutdown: self.shutdown.meaning(),
            data_directory,
            issuers: issuers::meaning("issuers", self.issuers)?,
            insecure_unauthenticated_callers,
            ext_authz: self.ext_authz.map(ext_authz::Written::meaning).transpose()?,
        };
        config.check_ranges().map(|()| config)
    }
}

impl Stopping {
    fn meaning(self) -> Shutdown {
        Shutdown {
            grace: or(self.grace, Duration::from_secs(5)),
            drain: or(self.drain, Duration::from_secs(20)),
        }
    }
}

impl Sources {
    /// A primary to follow, which has the sources: then none may be named here.
    fn left_to(
        &self,
        follow: Option<FollowConfig>,
        flags: &Overrides,
    ) -> Result<Option<FollowConfig>, ConfigError> {
        match self.named(flags).filter(|_| follow.is_some()) {
            None => Ok(follow),
            Some(key) => {
                let problem =
                    format!("is followed, and a follower has its primary's sources: leave `{key}` out");
                Err(ConfigError::Follow { key: "primary", problem })
            }
        }
    }

    /// The first key that says where sources are.
    fn named(&self, flags: &Overrides) -> Option<&'static str> {
        let written = |flag: &Option<PathBuf>, written: &Option<PathBuf>| {
            flag.is_some() || named(written.clone()).is_some()
        };
        let keys = [
            ("sources.policies", written(&flags.policies, &self.policies)),
            ("sources.schemas", written(&flags.schemas, &self.schemas)),
            ("sources.entities", written(&flags.entities, &self.entities)),
            ("sources.emergency", written(&flags.emergency, &self.emergency)),
            ("sources.revocations", written(&None, &self.revocations)),
            ("sources.signers", !self.signers.is_empty()),
        ];
        keys.into_iter().find_map(|(key, is_written)| is_written.then_some(key))
    }
}

impl Reloading {
    fn meaning(self) -> Reload {
        Reload {
            watch: self.watch.unwrap_or(true),
            poll: or(self.poll, Duration::from_secs(1)),
            settle: or(self.settle, Duration::from_millis(500)),
        }
    }
}

impl Cache {
    fn bytes(&self) -> Option<u64> {
        self.enabled.unwrap_or(true).then_some(self.max_bytes.unwrap_or(64 * 1024 * 1024))
    }
}

fn loopback(port: u16) -> Address {
    SocketAddr::from(([127, 0, 0, 1], port)).into()
}

//! What was written, before defaults and flags say what it means.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::authzen;
use super::callers::{self, TlsFiles};
use super::ext_authz;
use super::follow;
use super::issuers::{self, WrittenIssuer};
use super::limits;
use super::log::DecisionLog;
use super::{Config, ConfigError, Listen, LogFormat, Overrides};
use super::{Reload, Shutdown, Telemetry};
use crate::engine::catalog::Domain;
use crate::engine::compile::Options;
use crate::engine::delegation::names::DelegationNames;
use crate::engine::generation::{OnPolicyError, Strictness};
use crate::store::directory::Folders;

/// The file and the environment.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    sources: Sources,
    data: Data,
    listen: Addresses,
    limits: limits::Written,
    reload: Reloading,
    entity_log: EntityLog,
    follow: follow::Written,
    followers: follow::Followers,
    decisions: Decisions,
    cache: Cache,
    log: DecisionLog,
    telemetry: OwnLog,
    shutdown: Stopping,
    domain: Names,
    authzen: authzen::Written,
    tls: Option<TlsFiles>,
    callers: callers::Written,
    control: callers::Control,
    issuers: Vec<WrittenIssuer>,
    ext_authz: Option<ext_authz::Written>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sources {
    policies: Option<PathBuf>,
    schemas: Option<PathBuf>,
    entities: Option<PathBuf>,
    emergency: Option<PathBuf>,
    pep: Option<PathBuf>,
    revocations: Option<PathBuf>,
    serve_last_known_good: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Data {
    directory: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Addresses {
    data: Option<SocketAddr>,
    http: Option<SocketAddr>,
    ops: Option<SocketAddr>,
    control: Option<SocketAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Reloading {
    watch: Option<bool>,
    poll: Option<Span>,
    settle: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EntityLog {
    history: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Decisions {
    on_policy_error: OnPolicyError,
    check_one_in: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Cache {
    enabled: Option<bool>,
    max_bytes: Option<u64>,
    verify_one_in: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OwnLog {
    format: LogFormat,
    level: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Stopping {
    grace: Option<Span>,
    drain: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Names {
    namespace: Option<String>,
    user: Option<String>,
    chain_required: Option<Vec<String>>,
    autonomous: Option<String>,
    tool: Option<String>,
    call_tool: Option<String>,
    delegation: DelegationParts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DelegationParts {
    r#type: Option<String>,
    from: Option<Vec<String>>,
    to: Option<String>,
    parent: Option<String>,
    actions: Option<String>,
    scopes: Option<Vec<String>>,
    data: Option<String>,
    not_before: Option<String>,
    expires: Option<String>,
    max_depth: Option<String>,
    purpose: Option<String>,
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

impl Written {
    pub(super) fn meaning(self, flags: Overrides) -> Result<Config, ConfigError> {
        let folder = |flag: Option<PathBuf>, written: Option<PathBuf>, default: &str| {
            flag.or(named(written)).unwrap_or_else(|| PathBuf::from(default))
        };
        let follow = self.follow.meaning(flags.follow.clone())?;
        if let Some(key) = self.sources.named(&flags).filter(|_| follow.is_some()) {
            let problem = format!("is followed, and a follower has its primary's sources: leave `{key}` out");
            return Err(ConfigError::Follow { key: "primary", problem });
        }
        let insecure_unauthenticated_callers =
            flags.insecure_unauthenticated_callers || self.callers.insecure_unauthenticated;
        let callers = self.callers.meaning(folder(flags.pep, self.sources.pep, "pep"), &self.control)?;
        callers::check(self.tls.as_ref(), &callers, insecure_unauthenticated_callers)?;
        let emergency = folder(flags.emergency, self.sources.emergency, "emergency");
        let data_directory = folder(flags.data_directory, self.data.directory, "data");
        let domain = self.domain.meaning();
        let config = Config {
            authzen: self.authzen.meaning(&domain.namespace)?,
            folders: Folders {
                policies: folder(flags.policies, self.sources.policies, "policies"),
                schemas: folder(flags.schemas, self.sources.schemas, "schemas"),
                entities: folder(flags.entities, self.sources.entities, "entities"),
            },
            revocations: named(self.sources.revocations)
                .unwrap_or_else(|| emergency.with_file_name("revocations.json")),
            emergency,
            serve_last_known_good: self.sources.serve_last_known_good.unwrap_or(true)
                && !flags.refuse_last_known_good,
            options: Options {
                on_policy_error: self.decisions.on_policy_error,
                domain,
                // Nothing anybody writes makes a service ask less.
                strictness: Strictness::Full,
            },
            listen: Listen {
                data: flags.data.or(self.listen.data).unwrap_or(loopback(4466)),
                http: flags.http.or(self.listen.http).unwrap_or(loopback(4467)),
                ops: flags.ops.or(self.listen.ops).unwrap_or(loopback(4468)),
                control: flags.control.or(self.listen.control).unwrap_or(loopback(4469)),
            },
            limits: self.limits.meaning()?,
            tls: self.tls,
            callers,
            reload: self.reload.meaning(),
            follow,
            lease: self.followers.lease()?,
            entity_history: self.entity_log.history.unwrap_or(10_000),
            cache_bytes: self.cache.bytes(),
            verify_one_in: NonZeroU64::new(self.cache.verify_one_in.unwrap_or(1_000)),
            check_one_in: NonZeroU64::new(self.decisions.check_one_in.unwrap_or(10_000)),
            log: self.log.meaning(&data_directory)?,
            telemetry: Telemetry {
                format: self.telemetry.format,
                level: self.telemetry.level.unwrap_or_else(|| "info".to_owned()),
            },
            shutdown: Shutdown {
                grace: or(self.shutdown.grace, Duration::from_secs(5)),
                drain: or(self.shutdown.drain, Duration::from_secs(20)),
            },
            data_directory,
            issuers: issuers::meaning("issuers", self.issuers)?,
            insecure_unauthenticated_callers,
            ext_authz: self.ext_authz.map(ext_authz::Written::meaning).transpose()?,
        };
        config.check_ranges().map(|()| config)
    }
}

impl Sources {
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

impl Names {
    fn meaning(self) -> Domain {
        let defaults = Domain::in_namespace(self.namespace.as_deref().unwrap_or("Mandate"));
        Domain {
            namespace: defaults.namespace,
            user: self.user.unwrap_or(defaults.user),
            chain_required: self.chain_required.unwrap_or(defaults.chain_required),
            autonomous: self.autonomous.unwrap_or(defaults.autonomous),
            tool: self.tool.unwrap_or(defaults.tool),
            call_tool: self.call_tool.unwrap_or(defaults.call_tool),
            delegation: self.delegation.meaning(defaults.delegation),
        }
    }
}

impl DelegationParts {
    fn meaning(self, defaults: DelegationNames) -> DelegationNames {
        DelegationNames {
            type_name: self.r#type.unwrap_or(defaults.type_name),
            from: self.from.unwrap_or(defaults.from),
            to: self.to.unwrap_or(defaults.to),
            parent: self.parent.unwrap_or(defaults.parent),
            actions: self.actions.unwrap_or(defaults.actions),
            scopes: self.scopes.unwrap_or(defaults.scopes),
            data: self.data.unwrap_or(defaults.data),
            not_before: self.not_before.unwrap_or(defaults.not_before),
            expires: self.expires.unwrap_or(defaults.expires),
            max_depth: self.max_depth.unwrap_or(defaults.max_depth),
            purpose: self.purpose.unwrap_or(defaults.purpose),
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

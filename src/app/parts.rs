//! From the configuration to what each part is told.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::audit::{AuditConfig, AuditLog, Disclose, Fields, GenerationRecord, Mode, Overflow, Salts};
use crate::config::{
    AuthzenConfig, Config, Listen, LoadLimits, Log, LogDisclose, LogFields, LogMode, LogOverflow, RateLimit,
};
use crate::config::{ExtAuthzConfig, ExtAuthzPrincipal, ExtAuthzProtocol, LogFormat, SizeLimits, Telemetry};
use crate::config::{FollowConfig, TlsFiles};
use crate::engine::catalog::Domain;
use crate::engine::compile::Provenance;
use crate::engine::datum::Datum;
use crate::engine::progress::Progress;
use crate::following::Primary;
use crate::identity::caller::Caller;
use crate::identity::callers::Callers;
use crate::identity::subjects::Subjects;
use crate::identity::workload_api::WorkloadApiStatus;
use crate::pdp::places::Bounds;
use crate::pdp::rates::{Rate, Rates};
use crate::server::admission;
use crate::server::authzen::{Names, Settings};
use crate::server::connections::account::Accounts;
use crate::server::ext_authz::{self, PrincipalSource, Protocol};
use crate::server::report::{Burden, Gates, Listeners, ServiceReport};
use crate::server::sizes::Sizes;
use crate::server::tls::Tls;
use crate::store::entity_log::EntityLogConfig;
use crate::store::follow::Follower;
use crate::store::loader::{LoadEvent, LoadWhat, LoaderConfig, LoaderHandle, Source};
use crate::store::replica::ReplicaConfig;
use crate::telemetry::exports::ExportCounts;
use crate::telemetry::lines::{self, Style};

/// Begins to write the process's own log as the configuration says, and tells how.
///
/// # Errors
/// As [`lines::begin`].
pub fn begin_lines(telemetry: &Telemetry) -> Result<Style, lines::LogError> {
    let style = match telemetry.format {
        LogFormat::Pretty => Style::Pretty,
        LogFormat::Json => Style::Json,
    };
    lines::begin(style, &telemetry.level)?;
    Ok(style)
}

/// What the loader is told.
pub(super) fn loader(config: &Config, progress: Arc<Progress>) -> LoaderConfig {
    LoaderConfig {
        folders: config.folders.clone(),
        emergency: config.emergency.clone(),
        revocations: config.revocations.clone(),
        options: config.options.clone(),
        watch: config.reload.watch,
        poll: config.reload.poll,
        settle: config.reload.settle,
        serve_last_known_good: config.serve_last_known_good,
        signers: config.signers.clone(),
        cache_bytes: config.cache_bytes,
        entity_log: EntityLogConfig { history: config.entity_history },
        progress,
    }
}

/// What a replica is told.
pub(super) fn replica(config: &Config, follow: &FollowConfig) -> ReplicaConfig {
    let (primary, options) = (follow.primary.clone(), config.options.clone());
    ReplicaConfig { primary, options, cache_bytes: config.cache_bytes }
}

/// How the primary is reached.
pub(super) fn primary(follow: &FollowConfig) -> Primary {
    let FollowConfig { primary, ca_file, server_name, shown, token_file } = follow.clone();
    let shown = shown.map(|TlsFiles { certificate, key }| (certificate, key));
    Primary { url: primary, ca_file, server_name, shown, token_file }
}

/// What the decision log is told; none if there is to be none.
///
/// # Errors
/// The keys for digests cannot be read or made.
pub(super) fn audit(log: &Log) -> std::io::Result<Option<AuditConfig>> {
    let mode = match log.mode {
        LogMode::Off => return Ok(None),
        LogMode::Async => Mode::Async,
        LogMode::Durable => Mode::Durable,
    };
    Ok(Some(AuditConfig {
        mode,
        directory: log.directory.clone(),
        queue: u32::try_from(log.queue).unwrap_or(u32::MAX),
        overflow: match log.overflow {
            LogOverflow::Drop => Overflow::Drop,
            LogOverflow::Block => Overflow::Block,
            LogOverflow::Deny => Overflow::Deny,
        },
        limits: log.limits.clone(),
        counters: log.counters.clone(),
        fields: fields(&log.fields)?,
        notary: log.notary.clone(),
        sinks: log.sinks.clone(),
    }))
}

fn fields(config: &LogFields) -> std::io::Result<Fields> {
    let disclose = match config.disclose {
        LogDisclose::Listed => Disclose::Listed,
        LogDisclose::Nothing => Disclose::Nothing,
        LogDisclose::Everything => Disclose::Everything,
    };
    let rules = config.rules.iter().map(|(path, disclosure)| (path.as_str(), *disclosure));
    Ok(Fields::new(disclose, rules, Some(Salts::open(&config.salts)?)))
}

/// What the loader tells, for the decision log.
pub(super) fn recorded(audit: &AuditLog) -> impl Fn(LoadEvent) + Send + use<> {
    let audit = audit.clone();
    move |event| {
        let LoadEvent { at, what, source, generation, revision, files, provenance, policies, problems } =
            event;
        let Provenance { commit, signer } = provenance;
        let event = match what {
            LoadWhat::Published => "published",
            LoadWhat::Rejected => "rejected",
            LoadWhat::RolledBack => "rolled_back",
        };
        let source = match source {
            Source::Files => "files",
            Source::LastKnownGood => "last_known_good",
            Source::Rollback => "rollback",
            Source::Primary => "primary",
        };
        audit.tell(GenerationRecord {
            at,
            event,
            source,
            generation,
            revision,
            files,
            commit,
            signer,
            policies,
            problems,
        });
    }
}

/// How much there may be to do.
pub(super) fn admission(config: &Config) -> admission::Settings {
    let LoadLimits { queue_delay, deadline, max_deadline, .. } = config.limits.load;
    let SizeLimits { message_bytes, batch_items, batch_bytes, .. } = config.limits.sizes;
    let sizes = Sizes { message_bytes, batch_items, batch_bytes };
    admission::Settings { queue_delay, deadline, max_deadline, sizes }
}

/// How many requests may be decided at once.
pub(super) fn bounds(limits: &LoadLimits) -> Bounds {
    Bounds { concurrent: limits.concurrent_requests, queued: limits.queued_requests }
}

/// What each caller may ask.
pub(super) fn rates(limits: &LoadLimits) -> Option<Rates> {
    let rate = |RateLimit { per_second, burst }| Rate { per_second, burst };
    let own = limits.rates.iter().map(|(name, own)| (name.clone(), rate(*own))).collect();
    Rates::new(limits.rate.map(rate), own)
}

/// What AuthZEN's door is told.
pub(super) fn authzen(config: &Config) -> Settings {
    let AuthzenConfig { url, namespace, subjects, resources, actions, undeclared } = config.authzen.clone();
    let names = Names { namespace, subjects, resources, actions };
    Settings { names, undeclared, url, secured: config.tls.is_some() && config.listen.http.is_tcp() }
}

/// What everybody who asks is called, until callers authenticate (C2).
pub(super) fn anonymous(config: &Config) -> Caller {
    let name = if config.insecure_unauthenticated_callers { "anonymous" } else { "anonymous-loopback" };
    Caller::anonymous(name)
}

/// What Envoy's requests are read by.
pub(super) fn envoy(config: &ExtAuthzConfig, domain: &Domain, sizes: &SizeLimits) -> ext_authz::Settings {
    ext_authz::Settings {
        protocol: config.protocol.map(|protocol| match protocol {
            ExtAuthzProtocol::Mcp => Protocol::Mcp,
            ExtAuthzProtocol::Http => Protocol::Http,
        }),
        server: config.server.clone(),
        principal: config.principal.map(|principal| match principal {
            ExtAuthzPrincipal::Token => PrincipalSource::Token,
            ExtAuthzPrincipal::Peer => PrincipalSource::Peer,
            ExtAuthzPrincipal::Header => PrincipalSource::Header,
            ExtAuthzPrincipal::Fixed => PrincipalSource::Fixed,
        }),
        fixed: config.fixed.clone(),
        token_header: config.token_header.clone(),
        principal_header: config.principal_header.clone(),
        peers: config.peers.clone(),
        delegation: config.delegation.clone(),
        delegation_header: config.delegation_header.clone(),
        digest_approved: config.digest_approved,
        context: config.context.iter().map(|(name, value)| (name.clone(), Datum::of_json(value))).collect(),
        domain: domain.clone(),
        max_body_bytes: sizes.message_bytes,
    }
}

/// What the service says of who may ask.
pub(super) fn gates(
    callers: &Arc<Callers>,
    tls: Option<&Tls>,
    follower: &Follower,
    accounts: &Accounts,
    workload_api: Option<Arc<ArcSwap<WorkloadApiStatus>>>,
) -> Gates {
    let (callers, accounts) = (Arc::clone(callers), accounts.clone());
    Gates { callers, tls: tls.cloned(), followed: follower.statuses(), accounts, workload_api }
}

/// What the service says of itself.
pub(super) fn report(
    config: &Config,
    addresses: &Listen,
    loader: &LoaderHandle,
    (audit, subjects): (&AuditLog, &Arc<Subjects>),
    gates: Gates,
    burden: Burden,
    exports: Arc<ExportCounts>,
) -> ServiceReport {
    let Listen { data, http, ops, control } = addresses;
    ServiceReport {
        store: Arc::clone(burden.pdp.store()),
        loader: loader.status_source(),
        entity_log: loader.log.clone(),
        following: None,
        heartbeat: loader.heartbeat(),
        audit: audit.clone(),
        mode: match config.log.mode {
            LogMode::Async => "async",
            LogMode::Durable => "durable",
            LogMode::Off => "off",
        },
        listeners: Listeners {
            data: data.to_string(),
            http: http.to_string(),
            ops: ops.to_string(),
            control: control.to_string(),
        },
        subjects: Arc::clone(subjects),
        insecure: config.insecure_unauthenticated_callers,
        gates,
        burden,
        exports,
    }
}

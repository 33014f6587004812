//! What the service says of itself to those who run it: numbers for Prometheus, a document for administrators.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use serde::Serialize;

use crate::audit::sinks::account::SinkStatus;
use crate::audit::{AuditLog, DropReason};
use crate::engine::world::World;
use crate::identity::callers::Callers;
use crate::identity::keys::Look;
use crate::identity::subjects::Subjects;
use crate::identity::workload_api::WorkloadApiStatus;
use crate::pdp::Pdp;
use crate::store::entity_log::{EntityLogHandle, LogStatus};
use crate::store::follow::{FollowStatus, FollowStatuses};
use crate::store::loader::{Heartbeat, LoaderStatus, Source};
use crate::store::replica::following::{Following, FollowingStatus};
use crate::store::{Published, Store};
use crate::telemetry::callers::ObservedCallers;
use crate::telemetry::exports::ExportCounts;
use crate::telemetry::memory::MemoryStatus;
use crate::telemetry::metrics::{Observed, ObservedLoad};
use crate::telemetry::records::ObservedRecords;

use super::connections::account::Accounts;
use super::tls::Tls;

/// Everything there is to say, as far as it is not counted per request.
#[derive(Debug, Clone)]
pub struct ServiceReport {
    /// What is served.
    pub store: Arc<Store>,
    /// Where it came from, and what is wrong with the files.
    pub loader: Arc<ArcSwap<LoaderStatus>>,
    /// What was written at run time.
    pub entity_log: Option<EntityLogHandle>,
    /// What is known of the primary, where one is followed.
    pub following: Option<Arc<Following>>,
    /// When it last looked at them.
    pub heartbeat: Heartbeat,
    /// What was recorded.
    pub audit: AuditLog,
    /// How: `async`, `durable` or `off`.
    pub mode: &'static str,
    /// The addresses that are listened on.
    pub listeners: Listeners,
    /// Whose tokens are believed.
    pub subjects: Arc<Subjects>,
    /// Whether other hosts may ask without saying who they are.
    pub insecure: bool,
    /// Who may ask, and over what.
    pub gates: Gates,
    /// How much there is to do.
    pub burden: Burden,
    /// What became of what was exported.
    pub exports: Arc<ExportCounts>,
}

/// How much there is to do.
#[derive(Debug, Clone)]
pub struct Burden {
    /// Who decides.
    pub pdp: Arc<Pdp>,
    /// What was last seen of the process's memory.
    pub memory: Arc<MemoryStatus>,
}

impl Burden {
    fn observed(&self) -> ObservedLoad {
        let (under_way, waiting) = self.pdp.under_way();
        let (memory_used, memory_limit) = self.memory.bytes();
        let memory_pressure = self.memory.pressure();
        ObservedLoad { under_way, waiting, memory_used, memory_limit, memory_pressure }
    }
}

/// Who may ask, and over what.
#[derive(Debug, Clone)]
pub struct Gates {
    /// Everybody who may.
    pub callers: Arc<Callers>,
    /// What connections are secured with.
    pub tls: Option<Tls>,
    /// What came of changes to the files that say so.
    pub followed: FollowStatuses,
    /// How many connections there are.
    pub accounts: Accounts,
    /// How the Workload API stands, if there is one.
    pub workload_api: Option<Arc<ArcSwap<WorkloadApiStatus>>>,
}

/// What administrators are told of callers.
#[derive(Debug, Serialize)]
struct CallersStatus {
    authenticated: bool,
    tls: bool,
    /// When the server's certificate ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workload_api: Option<WorkloadApiStatus>,
    policies: usize,
    files: Vec<FollowStatus>,
}

impl Gates {
    /// Whether a certificate is to be shown, and there is none that holds: nobody gets in.
    #[must_use]
    pub fn are_shut(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| !tls.certificate.load().holds())
    }

    fn status(&self) -> CallersStatus {
        let gate = self.callers.gate();
        let expires = self.tls.as_ref().map(|tls| tls.certificate.load().expires);
        CallersStatus {
            authenticated: gate.is_some(),
            tls: self.tls.is_some(),
            certificate_expires: expires.map(|at| {
                jiff::Timestamp::from_second(at).map_or_else(|_| at.to_string(), |at| at.to_string())
            }),
            workload_api: self.workload_api.as_ref().map(|status| WorkloadApiStatus::clone(&status.load())),
            policies: gate.map_or(0, |gate| gate.rights.policies()),
            files: self.followed.load().to_vec(),
        }
    }

    fn observed(&self) -> ObservedCallers {
        let gate = self.callers.gate();
        ObservedCallers {
            connections: self.accounts.observed(),
            workload_api: self.workload_api.as_ref().map(|status| {
                let status = status.load();
                (status.updates, status.failures, status.problem.is_some())
            }),
            handshakes: self.tls.as_ref().map(|tls| tls.handshakes().counts().to_vec()).unwrap_or_default(),
            authentications: gate.map(|gate| gate.counts().to_vec()).unwrap_or_default(),
            rights: gate.map(|gate| gate.rights.counts().to_vec()).unwrap_or_default(),
            certificate_begins: self.tls.as_ref().map(|tls| tls.certificate.load().begins),
            certificate_expires: self.tls.as_ref().map(|tls| tls.certificate.load().expires),
            files: self
                .followed
                .load()
                .iter()
                .map(|file| (file.name, file.taken, file.rejected, file.problem.is_some()))
                .collect(),
        }
    }
}

/// The addresses that are listened on.
#[derive(Debug, Clone, Serialize)]
pub struct Listeners {
    /// gRPC.
    pub data: String,
    /// AuthZEN.
    pub http: String,
    /// Probes and metrics.
    pub ops: String,
    /// Administration.
    pub control: String,
}

/// The document for administrators.
#[derive(Debug, Serialize)]
pub struct Status {
    version: &'static str,
    cedar_version: String,
    policies: usize,
    entities: usize,
    #[serde(flatten)]
    loader: LoaderStatus,
    entity_log: EntityLog,
    decision_log: DecisionLog,
    listeners: Listeners,
    insecure_unauthenticated_callers: bool,
    callers: CallersStatus,
    /// What is known of the primary, where one is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    following: Option<FollowingStatus>,
}

/// What became of every record: `issued = written + queued + dropped`.
#[derive(Debug, Serialize)]
struct DecisionLog {
    mode: &'static str,
    issued: u64,
    written: u64,
    queued: u64,
    dropped: u64,
    /// How each sink stands.
    sinks: Vec<SinkStatus>,
}

/// What was written at run time.
#[derive(Debug, Serialize)]
struct EntityLog {
    /// Entities that callers own.
    entities: usize,
    /// Principals that are suspended.
    suspended: usize,
    /// Whether everybody is.
    frozen: bool,
    #[serde(flatten)]
    log: LogStatus,
}

impl ServiceReport {
    /// Whether this server may answer, as far as it follows another.
    pub fn is_current(&self) -> bool {
        self.following.as_ref().is_none_or(|following| following.is_current())
    }

    fn following_status(&self) -> Option<FollowingStatus> {
        self.following.as_ref().map(|following| following.status())
    }

    /// What the loader says, of the world that is served by now.
    fn loader_status(&self, published: &Published) -> LoaderStatus {
        let mut status = LoaderStatus::clone(&self.loader.load());
        status.sequence = published.sequence;
        status.revision = published.revision.to_string();
        status.published_at = published.at;
        status.revocations.count = published.world.revocations.len();
        status
    }

    fn log_status(&self, world: &World) -> EntityLog {
        EntityLog {
            entities: world.ownership.len(),
            suspended: world.suspensions.principals().count(),
            frozen: world.suspensions.all().is_some(),
            log: self.entity_log.as_ref().map(|log| LogStatus::clone(&log.status())).unwrap_or_default(),
        }
    }

    /// The document for administrators.
    pub fn status(&self) -> Status {
        let published = self.store.current();
        let counts = self.audit.counts();
        Status {
            version: env!("CARGO_PKG_VERSION"),
            cedar_version: cedar_policy::get_lang_version().to_string(),
            policies: published.world.generation.policies.len(),
            entities: published.world.entities.len(),
            loader: self.loader_status(&published),
            entity_log: self.log_status(&published.world),
            decision_log: DecisionLog {
                mode: self.mode,
                issued: counts.issued,
                written: counts.written,
                queued: counts.queued,
                dropped: counts.dropped(),
                sinks: self.audit.accounts().statuses(),
            },
            listeners: self.listeners.clone(),
            insecure_unauthenticated_callers: self.insecure,
            callers: self.gates.status(),
            following: self.following_status(),
        }
    }

    /// The numbers for Prometheus.
    pub fn observed(&self) -> Observed {
        let published = self.store.current();
        let loader = self.loader.load_full();
        let counts = self.audit.counts();
        let cache = published.cache.as_ref().map(|cache| cache.size()).unwrap_or_default();
        let dropped = DropReason::ALL.map(|reason| (reason.as_str(), counts.dropped_for(reason)));
        let written = [("written", counts.written)];
        Observed {
            generation: published.world.generation.hash.to_string(),
            // A clock that was set back makes no world older than it is.
            generation_age_seconds: SystemTime::now()
                .duration_since(published.at)
                .unwrap_or_default()
                .as_secs_f64(),
            sequence: published.sequence,
            loader_silent_seconds: self.heartbeat.age().as_secs_f64(),
            stale: loader.serving_stale,
            last_known_good: loader.source == Source::LastKnownGood,
            policies: published.world.generation.policies.len(),
            entities: published.world.entities.len(),
            emergency_policies: loader.emergency.policies,
            emergency_problems: loader.emergency.problems.len(),
            revocations: published.world.revocations.len(),
            suspensions: published.world.suspensions.len(),
            revocation_problems: loader.revocations.problems.len(),
            reloads: vec![("published", loader.reloads.published), ("rejected", loader.reloads.rejected)],
            keep_failing: loader.keep_error.is_some(),
            records: ObservedRecords {
                issued: counts.issued,
                by_outcome: written.into_iter().chain(dropped).collect(),
                queued: counts.queued,
                lost_before: self.audit.lost_before(),
                checkpoint_signed: self.audit.signed(),
            },
            cache_entries: cache.entries,
            cache_bytes: cache.bytes,
            cache_evictions: self.store.evicted(),
            load: self.burden.observed(),
            key_looks: self.key_looks(),
            key_ages: self.key_ages(),
            insecure: self.insecure,
            callers: self.gates.observed(),
            sinks: self.audit.accounts().statuses(),
            exports: Arc::clone(&self.exports),
            witnesses: self.audit.witnesses().to_vec(),
            following: self.following_status(),
        }
    }

    fn key_looks(&self) -> Vec<(String, &'static str, u64)> {
        let looks = self.subjects.issuers().iter().flat_map(|issuer| {
            Look::ALL.map(|(look, name)| (issuer.config.issuer.clone(), name, issuer.keys.count(look)))
        });
        looks.collect()
    }

    fn key_ages(&self) -> Vec<(String, f64)> {
        let ages = self.subjects.issuers().iter();
        ages.filter_map(|issuer| Some((issuer.config.issuer.clone(), issuer.keys.age()?))).collect()
    }
}

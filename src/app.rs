//! The only place that puts a service together: configuration → [`bind`] → [`Bound`] → [`Bound::run`].

mod callers;
mod embedded;
mod exports;
#[cfg(test)]
mod fault_tests;
mod indexing;
mod lifecycle;
mod memory;
mod operators;
mod parts;
mod running;
mod workload;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::audit::LogError;
use crate::config::{Config, ConfigError, Listen, Shutdown};
use crate::engine::catalog::Catalog;
use crate::engine::guard::WORKER_STACK_BYTES;
use crate::engine::problem::Report;
use crate::engine::progress::Progress;
use crate::identity::subjects::IssuerError;
use crate::identity::workload_api::NothingGiven;
use crate::listening::{Address, ConnectionLimits};
use crate::pdp::Pdp;
use crate::server::administrators::Administrators;
use crate::server::admission::Admission;
use crate::server::authzen;
use crate::server::connections::account::Accounts;
use crate::server::connections::listener::Listener;
use crate::server::control_token::Token;
use crate::server::ext_authz;
use crate::server::ops::Readiness;
use crate::server::report::{Burden, ServiceReport};
use crate::server::tls::Tls;
use crate::store::data_dir::{DataDir, DataDirError};
use crate::store::follow::Follower;
use crate::store::loader::{LoaderHandle, OpenError};
use crate::telemetry::exporter::ExporterError;
use crate::telemetry::metrics::Metrics;

use callers::Doors;
pub use embedded::Embedded;
use exports::Exports;
pub use lifecycle::Stop;
pub use parts::begin_lines;
use running::{Prepared, Running, Started};

/// A service that has loaded its world and bound its listeners, and serves nothing yet.
#[derive(Debug)]
pub struct Bound {
    /// The addresses really bound.
    pub addresses: Listen,
    /// The decision point behind them.
    pub pdp: Arc<Pdp>,
    /// What loading warned of.
    pub warnings: Report,
    listeners: Listeners,
    limits: Arc<ConnectionLimits>,
    accounts: Accounts,
    running: Running,
    metrics: Arc<Metrics>,
    admission: Arc<Admission>,
    readiness: Readiness,
    report: ServiceReport,
    administrators: Administrators,
    authzen: authzen::Settings,
    tls: Option<Tls>,
    ops_secured: bool,
    follower: Follower,
    exports: Exports,
    shutdown: Shutdown,
    /// For how long those who watch may go by what they are told.
    lease: Duration,
    /// What is said of the requests that Envoy asks about, if it may ask.
    envoy: Option<ext_authz::Settings>,
    /// Last, so that it is given up last.
    _data: DataDir,
}

#[derive(Debug)]
struct Listeners {
    data: Listener,
    http: Listener,
    ops: Listener,
    control: Listener,
}

/// Why a service cannot start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Others could reach a listener that authenticates nobody.
    #[error(transparent)]
    Exposed(#[from] ConfigError),
    /// There is no world to serve.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Policies about callers that cannot be served with: without them nobody may ask.
    #[error("the policies about callers are rejected:\n{0}")]
    Rights(Report),
    /// This build serves not even nothing: a defect of it.
    #[error("an empty world does not compile:\n{0}")]
    Nothing(Report),
    /// A trust bundle cannot be used.
    #[error("{0}")]
    Bundle(String),
    /// The server's certificate cannot be used.
    #[error("{0}")]
    Certificate(String),
    /// The Workload API gives none.
    #[error(transparent)]
    WorkloadApi(#[from] NothingGiven),
    /// TLS lacks what it needs: a defect of the build.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataDirError),
    /// The decision log cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An address cannot be bound.
    #[error("cannot listen on {0}: {1}")]
    Listen(Address, io::Error),
    /// The contract's descriptors are unusable: a defect of the build.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Two metrics have one name: a defect of the build.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Telemetry cannot be exported as asked.
    #[error(transparent)]
    Telemetry(#[from] ExporterError),
    /// An issuer's tokens could never be verified.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The system does not give what serving needs.
    #[error("serving failed: {0}")]
    Serve(#[from] io::Error),
    /// Records were lost at the end.
    #[error("{0} records of the decision log could not be written before the end")]
    Unwritten(u64),
    /// Something that must run as long as the service has ended.
    #[error("{0} has ended, which is a defect: the process stops rather than serve without it")]
    Ended(&'static str),
}

/// How many tasks a thread runs before it looks at those that found no place in its own queue of 256. They are the first of a burst:
/// by tokio's own reckoning, which is for tasks that take longer, they would wait until nobody else comes.
const OTHERS_TURN: u32 = 4;

/// A runtime whose threads have the stack that evaluation needs.
///
/// # Errors
/// The system gives no threads.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .global_queue_interval(OTHERS_TURN)
        .thread_name("mandate")
        .thread_stack_size(WORKER_STACK_BYTES)
        .build()
}

/// Loads the world and binds every listener.
///
/// # Errors
/// [`StartError`]; nothing has been served.
pub async fn bind(config: &Config) -> Result<Bound, StartError> {
    bind_counted(config, Arc::default()).await
}

/// [`bind`], with somebody watching how far loads have come.
///
/// # Errors
/// [`StartError`]; nothing has been served.
pub async fn bind_counted(config: &Config, progress: Arc<Progress>) -> Result<Bound, StartError> {
    config.check_exposure()?;
    let envoy = config.ext_authz.as_ref();
    let envoy = envoy.map(|envoy| parts::envoy(envoy, &config.options.domain, &config.limits.sizes));
    let data = DataDir::open(&config.data_directory)?;
    let Doors { callers, tls, follower, workload_api, warnings: of_callers, keepers: of_doors } =
        callers::open(config).await?;
    let administrators = if config.callers.control {
        Administrators::Callers(Arc::clone(&callers))
    } else {
        Administrators::Token(Token::renew(&data.control_token())?)
    };
    let mut prepared = Prepared::load(config, progress, &data)?;
    prepared.warnings.problems.extend(of_callers.problems);
    prepared.keepers.extend(of_doors);
    let authzen = parts::authzen(config);
    // What the primary's schema declares is not known yet.
    if config.follow.is_none() {
        let found = check_authzen(config, &prepared.published().world.generation.catalog);
        prepared.warnings.problems.extend(found.problems);
    }
    let (listeners, addresses) = Listeners::bind(&config.listen, config.socket_mode).await?;
    // From here on threads run: nothing below may fail and leave one behind.
    let exports = Exports::begin(&config.telemetry)?;
    let accounts = Accounts::default();
    let gates = parts::gates(&callers, tls.as_ref(), &follower, &accounts, workload_api);
    let started = prepared.start(config, callers)?;
    let Started { pdp, audit, mut running, metrics, subjects, following, warnings } = started;
    let admission = Admission::new(parts::admission(config), Arc::clone(&metrics));
    let memory = running.guard_memory(config, &pdp, &admission)?;
    let burden = Burden { pdp: Arc::clone(&pdp), memory };
    let (known, counts) = ((&audit, &subjects), Arc::clone(&exports.counts));
    let report = parts::report(config, &addresses, &running.loader, known, gates, burden, counts);
    let report = ServiceReport { following, ..report };
    Ok(Bound {
        addresses,
        pdp,
        warnings,
        listeners,
        limits: Arc::new(config.limits.connections.clone()),
        accounts,
        running,
        metrics,
        admission,
        readiness: Readiness::default(),
        report,
        administrators,
        authzen,
        tls,
        ops_secured: config.tls.as_ref().is_some_and(|tls| tls.ops),
        follower,
        exports,
        shutdown: config.shutdown,
        lease: config.lease,
        envoy,
        _data: data,
    })
}

impl Bound {
    /// What loads worlds, and may be told to.
    #[must_use]
    pub fn loader(&self) -> &LoaderHandle {
        &self.running.loader
    }
}

/// What the configuration says of AuthZEN's words that this schema does not have.
#[must_use]
pub fn check_authzen(config: &Config, catalog: &Catalog) -> Report {
    parts::authzen(config).names.check(catalog)
}

impl Listeners {
    /// Listens everywhere, and says where.
    async fn bind(listen: &Listen, mode: u32) -> Result<(Self, Listen), StartError> {
        let bind = async |address: &Address| {
            let bound = Listener::bind(address, mode).await;
            bound.map_err(|error| StartError::Listen(address.clone(), error))
        };
        let (data, http) = (bind(&listen.data).await?, bind(&listen.http).await?);
        let (ops, control) = (bind(&listen.ops).await?, bind(&listen.control).await?);
        let addresses = Listen { data: data.1, http: http.1, ops: ops.1, control: control.1 };
        Ok((Self { data: data.0, http: http.0, ops: ops.0, control: control.0 }, addresses))
    }
}

//! A decision point and the threads behind it, whatever stands in front of it: listeners, or a proxy in the same process.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::indexing::Indexing;
use super::memory::{Guarded, MemoryGuard};
use super::{StartError, parts};
use crate::audit::{AuditLog, Counts, Feeding, OpenLog, Writer};
use crate::config::Config;
use crate::engine::problem::Report;
use crate::engine::progress::Progress;
use crate::following::{self, Primary};
use crate::identity::callers::Callers;
use crate::identity::subjects::{Keepers, Subjects};
use crate::pdp::{Pdp, SampledCheck};
use crate::server::admission::Admission;
use crate::store::data_dir::DataDir;
use crate::store::entity_log::EntityLogHandle;
use crate::store::loader::{Loader, LoaderHandle};
use crate::store::replica::Replica;
use crate::store::replica::following::Following;
use crate::store::{Published, Store};
use crate::telemetry::memory::MemoryStatus;
use crate::telemetry::metrics::Metrics;

/// Longest time for the decision log to be written out.
const FLUSH: Duration = Duration::from_secs(10);
/// Longest time for sinks to be given the rest of it.
const DELIVER: Duration = Duration::from_secs(5);
/// Longest time for the loader to end.
const CLOSE: Duration = Duration::from_secs(1);

/// Everything that is loaded before threads run, so that what may fail fails before there is one to leave behind.
pub(super) struct Prepared {
    /// What loading warned of.
    pub(super) warnings: Report,
    /// What must run for keys of issuers to be up to date.
    pub(super) keepers: Keepers,
    origin: Origin,
    store: Arc<Store>,
    subjects: Arc<Subjects>,
    metrics: Arc<Metrics>,
}

/// Where worlds come from.
enum Origin {
    /// The files, and what is written at run time.
    Files(Box<Loader>),
    /// Another server.
    Primary(Box<Replica>, Primary),
}

/// A decision point that decides.
pub(super) struct Started {
    pub(super) pdp: Arc<Pdp>,
    pub(super) audit: AuditLog,
    pub(super) running: Running,
    pub(super) metrics: Arc<Metrics>,
    pub(super) subjects: Arc<Subjects>,
    /// What is known of the primary, where one is followed.
    pub(super) following: Option<Arc<Following>>,
    pub(super) warnings: Report,
}

/// What runs as long as the decision point.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) loader: LoaderHandle,
    writer: Writer,
    feeding: Option<Feeding>,
    /// What keeps issuers' keys, and what the Workload API gives, up to date; ends when dropped.
    keepers: JoinSet<()>,
    /// What hears the primary, where one is followed; ends when dropped.
    hearing: JoinSet<()>,
    /// Ends when dropped; none where nobody is let in.
    memory: Option<MemoryGuard>,
    /// Ends when dropped.
    _indexing: Option<Indexing>,
}

impl Prepared {
    /// Loads the world.
    pub(super) fn load(config: &Config, progress: Arc<Progress>, data: &DataDir) -> Result<Self, StartError> {
        let (origin, store, warnings) = match &config.follow {
            None => {
                let (loader, store, warnings) = Loader::open(parts::loader(config, progress), data)?;
                (Origin::Files(Box::new(loader)), store, warnings)
            }
            Some(follow) => {
                let replica = Replica::open(parts::replica(config, follow), data);
                let (replica, store) = replica.map_err(StartError::Nothing)?;
                (Origin::Primary(Box::new(replica), parts::primary(follow)), store, Report::default())
            }
        };
        let (subjects, keepers) = Subjects::open(&config.issuers)?;
        let (subjects, metrics) = (Arc::new(subjects), Arc::new(Metrics::new()?));
        Ok(Self { warnings, keepers, origin, store, subjects, metrics })
    }

    /// The world that was loaded.
    pub(super) fn published(&self) -> Arc<Published> {
        self.store.current()
    }

    /// Starts the threads. Nothing that can be looked at before may be left to fail here.
    pub(super) fn start(self, config: &Config, callers: Arc<Callers>) -> Result<Started, StartError> {
        let Self { warnings, keepers, origin, store, subjects, metrics } = self;
        let OpenLog { log: audit, writer, feeding } = match parts::audit(&config.log)? {
            Some(config) => AuditLog::open(&config)?,
            None => AuditLog::off(),
        };
        let indexing = audit.source().map(Indexing::start).transpose()?;
        let check = config
            .check_one_in
            .map(|one_in| SampledCheck::start(one_in, Arc::clone(&metrics)))
            .transpose()?;
        let mut hearing = JoinSet::new();
        let (loader, following) = match origin {
            Origin::Files(loader) => (loader.telling(parts::recorded(&audit)).spawn()?, None),
            Origin::Primary(replica, primary) => {
                let inbox = replica.inbox();
                let following = Arc::clone(inbox.following());
                let loader = replica.telling(parts::recorded(&audit)).spawn()?;
                hearing.spawn(following::follow(primary, inbox));
                (loader, Some(following))
            }
        };
        let pdp = Pdp::new(store, audit.clone(), Arc::clone(&metrics), callers);
        let limits = &config.limits.load;
        let pdp = pdp.bounded(parts::bounds(limits)).rating(parts::rates(limits));
        let pdp = pdp.checked(check).verifying(config.verify_one_in).believing(Arc::clone(&subjects));
        let pdp = match (&loader.log, &following) {
            (Some(log), _) => pdp.writing(log.clone()),
            (None, Some(following)) => pdp.following(Arc::clone(following)),
            (None, None) => pdp,
        };
        let pdp = Arc::new(pdp);
        let keepers = keepers.into_iter().collect();
        let (memory, _indexing) = (None, indexing);
        let running = Running { loader, writer, feeding, keepers, hearing, memory, _indexing };
        Ok(Started { pdp, audit, running, metrics, subjects, following, warnings })
    }
}

impl Running {
    /// Keeps the process within its memory, and says where it is told how much there is.
    pub(super) fn guard_memory(
        &mut self,
        config: &Config,
        pdp: &Arc<Pdp>,
        admission: &Arc<Admission>,
    ) -> io::Result<Arc<MemoryStatus>> {
        let status = Arc::<MemoryStatus>::default();
        self.memory = Some(MemoryGuard::start(Guarded {
            limit: config.limits.load.memory_bytes,
            store: Arc::clone(pdp.store()),
            admission: Arc::clone(admission),
            status: Arc::clone(&status),
        })?);
        Ok(status)
    }

    /// Completes when something ends that must not, and says what.
    pub(super) async fn ended(&mut self) -> StartError {
        let mut log = self.loader.log.clone();
        let delivering = self.feeding.as_ref().map(Feeding::ended);
        let memory = self.memory.as_ref().map(MemoryGuard::ended);
        StartError::Ended(tokio::select! {
            _ = self.loader.ended() => "what keeps policies and entities up to date",
            () = ends(log.as_mut().map(EntityLogHandle::ended)) => "the writer of the entity log",
            Some(_ended) = self.hearing.join_next() => "what hears the primary",
            () = self.writer.ended() => "the writer of the decision log",
            () = ends(memory) => "what keeps memory within its limit",
            () = ends(delivering) => "a sink of the decision log",
            // None is due to end; without issuers there are none.
            Some(_ended) = self.keepers.join_next() => "what keeps the keys of an issuer, or follows the Workload API",
        })
    }

    /// Writes out the decision log and ends the threads: the log first, for a loader may hang in a read.
    pub(super) async fn close(self) -> Result<(), StartError> {
        let Self { loader, writer, feeding, .. } = self;
        let closed = tokio::task::spawn_blocking(move || {
            let counts = writer.shutdown(FLUSH);
            let _ended = loader.stop(CLOSE);
            counts
        });
        let closed = closed.await;
        if let Some(feeding) = feeding {
            feeding.stop(DELIVER).await;
        }
        let Counts { queued, writer_gone, .. } =
            closed.map_err(|_panic| StartError::Ended("the writer of the decision log"))?;
        match queued + writer_gone {
            0 => Ok(()),
            lost => Err(StartError::Unwritten(lost)),
        }
    }
}

/// Ends when this does; never, if there is nothing to end.
async fn ends(what: Option<impl Future<Output = ()>>) {
    match what {
        Some(what) => what.await,
        None => std::future::pending().await,
    }
}

//! The thread that keeps a replica: it takes what the primary says, in its order, and publishes what that leads to.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use cedar_policy::EntityUid;
use tokio::sync::{mpsc, oneshot, watch};

use super::super::data_dir::DataDir;
use super::super::loader::{
    Commands, EmergencyStatus, Heartbeat, LastLoad, Listener, LoadEvent, LoadWhat, LoaderHandle,
    LoaderStatus, Outcome, Retired, Source, discard,
};
use super::super::revision::{RevisionKey, Signer, unpredictable};
use super::super::{Published, Store, set_digest, workers};
use super::denials::{self, Denials};
use super::following::Following;
use super::mirror::Mirror;
use super::{Inbox, Resume, Told, Vouched, WAITING};
use crate::engine::compile::{EMERGENCY, Options, Provenance, Sources, base_name, compile};
use crate::engine::guard::PARSER_STACK_BYTES;
use crate::engine::problem::{Report, SourceFile};
use crate::engine::world::World;

/// The schema of a world in which nothing can be asked: what is there before a primary has said anything.
const NOTHING: &str = "namespace Mandate {
  entity User;
  action nothing appliesTo { principal: [User], resource: [User] };
}
";
/// Its policy.
const NEVER: &str = "@id(\"nothing\") forbid (principal, action, resource);\n";
/// Words of the primary's that wait for the worlds they are about.
const MAX_VOUCHED: usize = 64;

/// What a replica goes by.
#[derive(Debug, Clone)]
pub struct ReplicaConfig {
    /// URL of the primary.
    pub primary: String,
    /// How sources compile: as the primary's.
    pub options: Options,
    /// How many bytes of decisions each generation remembers; none: none.
    pub cache_bytes: Option<u64>,
}

/// A replica that knows nothing yet.
#[derive(Debug)]
pub struct Replica {
    mirror: Mirror,
    store: Arc<Store>,
    following: Arc<Following>,
    denials: Arc<Mutex<Denials>>,
    sender: mpsc::Sender<Told>,
    told: mpsc::Receiver<Told>,
    refused: watch::Sender<Option<Arc<str>>>,
    resume: Arc<Mutex<Resume>>,
    /// Whether what comes is of no use until the conversation begins anew.
    refusing: bool,
    vouched: VecDeque<Vouched>,
    retired: Retired,
    listener: Option<Listener>,
    heartbeat: Heartbeat,
    status: Arc<ArcSwap<LoaderStatus>>,
    published: u64,
    rejected: u64,
}

/// A world in which nothing is allowed.
fn nothing() -> Result<World, Report> {
    let file = |name: &str, text: &str| vec![SourceFile { name: name.to_owned(), bytes: text.into() }];
    let (schemas, policies) = (file("nothing.cedarschema", NOTHING), file("nothing.cedar", NEVER));
    Ok(compile(&Sources { schemas, policies, ..Sources::default() }, &Options::default())?.world)
}

impl Replica {
    /// A replica, and the store that it publishes in. Until it is current, nothing may be answered from that.
    ///
    /// # Errors
    /// A [`Report`]: this build compiles not even an empty world.
    pub fn open(config: ReplicaConfig, data: &DataDir) -> Result<(Self, Arc<Store>), Report> {
        let ReplicaConfig { primary, options, cache_bytes } = config;
        if data.entity_log().exists() {
            tracing::warn!("what was written here at run time is not served: this server follows {primary}");
        }
        let world = nothing()?;
        // Revisions of nobody, until the primary says which are its own.
        let signer = Signer::new(RevisionKey::random(), unpredictable());
        let store = Arc::new(Store::with(world, signer, 0, u64::MAX, cache_bytes));
        let (sender, told) = mpsc::channel(WAITING);
        let loaded = LastLoad::now(Outcome::Unchanged, &Report::default());
        let status = LoaderStatus::first(&store.current(), Source::Primary, loaded);
        let replica = Self {
            mirror: Mirror::new(options, workers::all()),
            store: Arc::clone(&store),
            following: Arc::new(Following::new(&primary)),
            denials: Arc::default(),
            sender,
            told,
            refused: watch::Sender::new(None),
            resume: Arc::default(),
            refusing: true,
            vouched: VecDeque::new(),
            retired: Retired::default(),
            listener: None,
            heartbeat: Heartbeat::new(),
            status: Arc::new(ArcSwap::from_pointee(status)),
            published: 0,
            rejected: 0,
        };
        Ok((replica, store))
    }

    /// Where what the primary says is handed in.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        Inbox {
            store: Arc::clone(&self.store),
            following: Arc::clone(&self.following),
            denials: Arc::clone(&self.denials),
            told: self.sender.clone(),
            refused: self.refused.subscribe(),
            resume: Arc::clone(&self.resume),
        }
    }

    /// The same, which tells this of every generation that it serves, or cannot. It must not wait.
    #[must_use]
    pub fn telling(mut self, listener: impl Fn(LoadEvent) + Send + 'static) -> Self {
        self.listener = Some(Listener::new(listener));
        self
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread with so large a stack.
    pub fn spawn(mut self) -> io::Result<LoaderHandle> {
        let stop = self.sender.clone();
        let stop = move || drop(stop.try_send(Told::Stop));
        let commands = Commands::of_follower(self.following.primary(), stop);
        let (status, heartbeat) = (Arc::clone(&self.status), self.heartbeat.clone());
        let (ending, end) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("mandate-replica".to_owned())
            .stack_size(PARSER_STACK_BYTES)
            .spawn(move || {
                self.run();
                // A panic drops this without a word, which says that there was one. Nobody may be waiting.
                let _nobody_waits = ending.send(());
            })?;
        Ok(LoaderHandle::new(commands, None, heartbeat, status, end, thread))
    }

    fn run(&mut self) {
        loop {
            match self.told.blocking_recv() {
                None | Some(Told::Stop) => return,
                Some(Told::Greeting(greeting)) => {
                    tracing::info!(primary = %self.following.primary(), version = %greeting.version, "following");
                    self.vouched.clear();
                    self.refusing = false;
                    if let Err(error) = self.mirror.greet(*greeting) {
                        self.refuse(&error.to_string());
                    }
                }
                // What leads on from what was refused leads nowhere.
                Some(Told::Step(..) | Told::Vouched(_)) if self.refusing => {}
                Some(Told::Step(number, step)) => {
                    let (whole, revoked) = (step.whole, step.revoked.clone());
                    match self.mirror.take(*step).map(drop) {
                        Ok(()) => self.publish(number, whole, &revoked),
                        Err(error) => self.refuse(&error.to_string()),
                    }
                }
                Some(Told::Vouched(vouched)) => {
                    self.vouched.push_back(vouched);
                    if self.vouched.len() > MAX_VOUCHED {
                        self.vouched.pop_front();
                    }
                    self.renew();
                }
            }
            let dropped = self.retired.sweep();
            if !dropped.is_empty() {
                discard(dropped);
            }
            self.heartbeat.beat();
        }
    }

    /// Stays with what is served, for as long as its lease, and has the conversation begun anew, with everything.
    fn refuse(&mut self, problem: &str) {
        tracing::error!(primary = %self.following.primary(), problem, "what the primary says is not taken");
        self.refusing = true;
        self.rejected += 1;
        self.resume.lock().unwrap_or_else(PoisonError::into_inner).revision.clear();
        self.note(Outcome::Rejected, vec![problem.to_owned()]);
        self.tell(LoadWhat::Rejected, vec![problem.to_owned()]);
        self.refused.send_replace(Some(problem.into()));
    }

    /// Serves what is known of the primary, and renews the lease if that is what the primary vouched for.
    fn publish(&mut self, number: u64, whole: bool, revoked: &[EntityUid]) {
        let Some(state) = self.mirror.state() else { return };
        let (mirrored, named) = (state.world(), (state.sequence, &state.signer));
        let generation = Arc::clone(&mirrored.generation.hash);
        let (store, served) = (&self.store, self.store.current().world.generation.hash.clone());
        let before = denials::publish(&self.denials, number, |later| {
            store.follow(Some(named), |served| {
                // What was known to be revoked stays so, whatever the primary says.
                let mut revocations = served.revocations.clone();
                revoked.iter().for_each(|grant| revocations.revoke(grant.clone()));
                let mut suspensions = mirrored.suspensions.clone();
                later(&mut suspensions);
                mirrored.with_revocations(revocations).with_suspensions(suspensions)
            })
        });
        self.retired.add(before);
        let published = self.store.current();
        let (revision, last_write) = (published.revision.to_string(), state.last_write.clone());
        *self.resume.lock().unwrap_or_else(PoisonError::into_inner) = Resume { revision, last_write };
        self.following.applied(state.number);
        if whole {
            self.following.was_reset();
            tracing::info!(entities.count = published.world.entities.len(), "everything was told anew");
        }
        if generation != served {
            self.published += 1;
            let policies = published.world.generation.policies.len();
            tracing::info!(generation.hash = %generation, policies.count = policies, "the primary's generation is served");
            self.note(Outcome::Published, Vec::new());
            self.tell(LoadWhat::Published, Vec::new());
        }
        self.renew();
    }

    /// Renews the lease by every word of the primary's that is about what is served, or something before it.
    fn renew(&mut self) {
        let Some(state) = self.mirror.state() else { return };
        let Self { vouched, following, .. } = self;
        vouched.retain(|Vouched { asked, process, world, lease }| {
            let served = *process == state.process && *world <= state.number;
            if served {
                following.renew(*asked, *lease);
                following.goes_well();
            }
            !served
        });
    }

    fn tell(&self, what: LoadWhat, problems: Vec<String>) {
        let Some(listener) = &self.listener else { return };
        let published = self.store.current();
        listener.tell(LoadEvent {
            at: SystemTime::now(),
            what,
            source: Source::Primary,
            generation: Arc::clone(&published.world.generation.hash),
            revision: Arc::clone(&published.revision),
            // Who signed it is the primary's to verify, and to record.
            provenance: Provenance::default(),
            files: self
                .mirror
                .state()
                .map(|state| set_digest::of_sources(state.sources()))
                .unwrap_or_default(),
            policies: published.world.generation.policies.len(),
            problems,
        });
    }

    fn note(&self, outcome: Outcome, problems: Vec<String>) {
        let published = self.store.current();
        let last_load = LastLoad { at: SystemTime::now(), outcome, problems, warnings: Vec::new() };
        let mut status = LoaderStatus::first(&published, Source::Primary, last_load);
        status.emergency = self.emergency(&published);
        (status.reloads.published, status.reloads.rejected) = (self.published, self.rejected);
        self.status.store(Arc::new(status));
    }

    fn emergency(&self, published: &Published) -> EmergencyStatus {
        let files = self.mirror.state().map(|state| state.sources().emergency.as_slice()).unwrap_or_default();
        let policies = &published.world.generation.policies;
        EmergencyStatus {
            files: files.iter().map(|file| base_name(&file.name).to_owned()).collect(),
            // They come last.
            policies: policies.iter().rev().take_while(|policy| policy.id.starts_with(EMERGENCY)).count(),
            problems: Vec::new(),
        }
    }
}

//! The first world: from the files, from the rollback that holds, or from what was last known to be good.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use cedar_policy::EntityUid;

use super::super::data_dir::DataDir;
use super::super::directory::Reading;
use super::super::emergency::Emergency;
use super::super::entity_log::{Contents, EntityLog, EntityLogHandle};
use super::super::grants::{NewGrants, ServedGrants};
use super::super::history::History;
use super::super::pin::{Pin, PinFile, Verdict};
use super::super::revocations::RevocationList;
use super::super::sealed::Damaged;
use super::super::settling::Settling;
use super::super::upgrade::{LogUnavailable, open_log};
use super::super::{Store, workers};
use super::fit::{Fitted, fit_known};
use super::heartbeat::Heartbeat;
use super::inbox::Inbox;
use super::load::log_load;
use super::retired::Retired;
use super::revocations::revoking;
use super::status::{LastLoad, LoaderStatus, Outcome, Reloads, Source, texts};
use super::{Loader, LoaderConfig, Set, WriteErrors};
use crate::engine::compile::{Beside, Compiler, Loaded, Sources};
use crate::engine::guard::{StackUnavailable, on_parser_stack};
use crate::engine::problem::{Problem, Report};
use crate::engine::world::World;

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The files are broken, and no kept set stands in for them.
    #[error("the policies, schema or entities are rejected{}", .kept.describe())]
    Rejected {
        /// What is wrong with the files.
        files: Report,
        /// What became of the kept sets.
        kept: KeptSets,
    },
    /// A rollback holds, and what it went back to cannot be served.
    #[error(
        "rolled back to {generation}, which cannot be served: {problem}; to serve the files, delete `{file}`"
    )]
    Rollback {
        /// The generation.
        generation: String,
        /// Why not.
        problem: String,
        /// What holds the rollback.
        file: String,
    },
    /// What callers wrote is not known, nor who is suspended, nor what was revoked.
    #[error(transparent)]
    Log(#[from] LogUnavailable),
    /// The entity log cannot be written, or nobody would write it.
    #[error("the entity log cannot be written: {0}")]
    LogWriting(String),
    /// What must hold is not known: emergency forbids, or the rollback.
    #[error(
        "{0}; make sure that `emergency/` holds every forbid, and the files are what to serve, then delete it"
    )]
    Damaged(#[from] Damaged),
    /// The emergency folder cannot be read whole: there may be a forbid in it that nobody knows of.
    #[error("{0}; nothing is served before it is known which emergency forbids must hold")]
    Emergency(Box<Problem>),
    /// The file of revocations cannot be read, and none was before: there may be one in it that nobody knows of.
    #[error("{0}; nothing is served before it is known which delegations are revoked")]
    Revocations(Box<Problem>),
    /// No thread to parse on.
    #[error(transparent)]
    Stack(#[from] StackUnavailable),
}

/// What became of the kept sets when the files were broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptSets {
    /// They were not to be served.
    Refused,
    /// There are none, or damaged ones only.
    None,
    /// They do not load either: the first problem of each.
    Rejected(Vec<String>),
}

impl KeptSets {
    fn describe(&self) -> String {
        match self {
            Self::Refused => ", and the last known good set is not to be served".to_owned(),
            Self::None => ", and no set is kept that was good before".to_owned(),
            Self::Rejected(problems) => {
                format!(", and the sets that were good before do not load either: {}", problems.join("; "))
            }
        }
    }
}

/// What is served first.
struct First {
    set: Set,
    fitted: Fitted,
    source: Source,
    /// What is wrong with the files, if something else stands in for them.
    rejected: Option<Report>,
}

impl Loader {
    /// Publishes the first world: what the files say; or what a rollback holds to; or, when the files are broken, the
    /// set published last that still loads. Also returns what somebody should look at.
    ///
    /// # Errors
    /// [`OpenError`]: nothing can be served, and why.
    pub fn open(config: LoaderConfig, data: &DataDir) -> Result<(Self, Arc<Store>, Report), OpenError> {
        // What does not fit is dropped on the way, which takes the same stack as parsing it.
        on_parser_stack(|| open(config, data))?
    }

    /// What somebody should look at, of the files and of what stands beside them.
    fn told_at_start(&self, rejected: Report, warnings: Report) -> Report {
        self.log_emergency();
        self.log_revocations();
        let standing = self.emergency.problems().chain(self.revocations.problems()).cloned();
        Report { problems: rejected.problems.into_iter().chain(warnings.problems).chain(standing).collect() }
    }
}

/// What must hold whatever the files say.
struct Standing {
    emergency: Emergency,
    revocations: RevocationList,
    /// What the file of revocations says that the log does not.
    revoked: Vec<EntityUid>,
    log: EntityLog,
    pin_file: PinFile,
    pin: Option<Pin>,
}

impl Standing {
    /// As the process before this one left it, and as its own files say now.
    fn open(config: &LoaderConfig, data: &DataDir) -> Result<Self, OpenError> {
        let mut emergency = Emergency::open(&config.emergency, &data.emergency())?;
        emergency.start().map_err(|problem| OpenError::Emergency(Box::new(problem)))?;
        let type_name = config.options.domain.delegation.type_name.clone();
        let log = open_log(data, config.entity_log)?;
        let known = log.contents().revocations.clone();
        let mut revocations = RevocationList::new(&config.revocations, known, log.was_served(), type_name);
        let revoked = revocations.start().map_err(|problem| OpenError::Revocations(Box::new(problem)))?;
        let (pin_file, pin) = PinFile::open(&data.pin())?;
        Ok(Self { emergency, revocations, revoked, log, pin_file, pin })
    }
}

fn open(config: LoaderConfig, data: &DataDir) -> Result<(Loader, Arc<Store>, Report), OpenError> {
    let Standing { mut emergency, revocations, revoked, log, pin_file, pin } = Standing::open(&config, data)?;
    let (history, damaged) = History::open(&data.generations());
    let mut reading = Reading::take(&config.folders).signed(&config.signers);
    let (seen, remembered) = (reading.digest.clone(), Arc::clone(&reading.remembered));
    let begun = Instant::now();
    let mut kept = KeptWorlds::new(&config, &history, &emergency, log.contents());
    let (held, unclear) = still_held(pin.as_ref(), &reading, &seen);
    let files = Settling::after(reading.fingerprint.take());
    let first = match &held {
        Some(held) => First { rejected: unclear, ..kept.rolled_back(held, data)? },
        None => kept.files_or_last_known_good(reading, &seen)?,
    };
    log_load(&config.progress, begun);
    let (compiler, damaged) = (kept.compiler, log_damaged(&damaged));
    emergency.accept(first.fitted.in_force, first.fitted.refused);
    let Loaded { world, warnings, .. } = first.fitted.loaded;
    let facts = Facts { revoked, grants: first.fitted.new_grants };
    let (log, store) = begin(log, world, data, config.cache_bytes, facts)?;
    let (commands, inbox) = Inbox::new();
    let outcome = if first.rejected.is_some() { Outcome::Rejected } else { Outcome::Published };
    let last_load = LastLoad::now(outcome, first.rejected.as_ref().unwrap_or(&warnings));
    let status = LoaderStatus::first(&store.current(), first.source, last_load.clone());
    let mut loader = Loader {
        config,
        compiler,
        store: Arc::clone(&store),
        listener: None,
        served: first.set,
        source: first.source,
        history,
        emergency,
        revocations,
        log,
        adopting: false,
        pin,
        pin_file,
        files,
        unapplied: false,
        remembered,
        moving_since: None,
        seen,
        rejected: first.rejected.is_some(),
        retired: Retired::default(),
        unkept: true,
        kept_at: None,
        errors: WriteErrors { damaged, ..WriteErrors::default() },
        last_load,
        reloads: Reloads::default(),
        heartbeat: Heartbeat::new(),
        status: Arc::new(ArcSwap::from_pointee(status)),
        stale_status: true,
        commands,
        inbox,
    };
    if loader.pin != held {
        loader.set_pin(held);
    }
    loader.refresh_status();
    let told = loader.told_at_start(first.rejected.unwrap_or_default(), warnings);
    Ok((loader, store, told))
}

/// What files say that the log does not yet.
struct Facts {
    revoked: Vec<EntityUid>,
    grants: NewGrants,
}

/// Serves the first world, and starts the log's writer.
fn begin(
    mut log: EntityLog,
    world: World,
    data: &DataDir,
    cache_bytes: Option<u64>,
    Facts { revoked, grants }: Facts,
) -> Result<(EntityLogHandle, Arc<Store>), OpenError> {
    let failed = |error: &dyn std::fmt::Display| OpenError::LogWriting(error.to_string());
    let store = log.store(world, data.key(), cache_bytes).map_err(|error| failed(&error))?;
    let store = Arc::new(store);
    let log = log.spawn(&store).map_err(|error| failed(&error))?;
    if !revoked.is_empty() {
        drop(store.update(|world| revoking(world, &revoked)));
    }
    log.keep(grants, revoked);
    Ok((log, store))
}

/// The rollback that holds, and what is wrong with the files if nobody knows whether they changed.
fn still_held(pin: Option<&Pin>, reading: &Reading, seen: &str) -> (Option<Pin>, Option<Report>) {
    match pin.map(|pin| pin.judge(reading, seen)) {
        None | Some(Verdict::Changed) => (None, None),
        Some(Verdict::Same) => (pin.cloned(), None),
        Some(Verdict::Adopted(adopted)) => (Some(adopted), None),
        Some(Verdict::Unclear(report)) => (pin.cloned(), Some(report)),
    }
}

fn log_damaged(damaged: &[Damaged]) -> Option<String> {
    for error in damaged {
        tracing::error!(%error, "a kept set is damaged: it will not be served");
    }
    let texts: Vec<_> = damaged.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// Everything a first world can be made of besides the files.
struct KeptWorlds<'a> {
    config: &'a LoaderConfig,
    history: &'a History,
    emergency: &'a Emergency,
    grants: &'a ServedGrants,
    compiler: Compiler,
}

impl<'a> KeptWorlds<'a> {
    /// With a compiler that remembers nothing. Nobody is answered yet: it has no cause to give way.
    fn new(
        config: &'a LoaderConfig,
        history: &'a History,
        emergency: &'a Emergency,
        log: &'a Contents,
    ) -> Self {
        let mut compiler = Compiler::new(config.options.clone(), workers::all());
        compiler.report_to(Arc::clone(&config.progress));
        compiler.store_beside(Beside::Lines(Arc::clone(&log.lines)));
        Self { config, history, emergency, grants: &log.grants, compiler }
    }

    fn fit(&mut self, sources: &mut Sources) -> Result<Fitted, Report> {
        fit_known(sources, &mut self.compiler, &self.emergency.forbids(), self.grants)
    }

    fn rolled_back(&mut self, pin: &Pin, data: &DataDir) -> Result<First, OpenError> {
        let refused = |problem: String| OpenError::Rollback {
            generation: pin.generation.clone(),
            problem,
            file: data.pin().display().to_string(),
        };
        let mut sources = self.load(&pin.set).map_err(refused)?;
        let fitted = self.fit(&mut sources).map_err(|report| refused(texts(report.errors()).join("; ")))?;
        tracing::warn!(generation.hash = %pin.generation, "a rollback holds: the files are not loaded");
        let set = Set { sources, digest: pin.set.clone() };
        Ok(First { set, fitted, source: Source::Rollback, rejected: None })
    }

    fn files_or_last_known_good(&mut self, reading: Reading, digest: &str) -> Result<First, OpenError> {
        if reading.report.rejects() {
            return self.last_known_good(reading.report);
        }
        let mut sources = reading.sources;
        match self.fit(&mut sources) {
            Ok(fitted) => {
                let set = Set { sources, digest: digest.to_owned() };
                Ok(First { set, fitted, source: Source::Files, rejected: None })
            }
            Err(report) => self.last_known_good(report),
        }
    }

    /// The set published last that still loads, in place of the files.
    fn last_known_good(&mut self, files: Report) -> Result<First, OpenError> {
        if !self.config.serve_last_known_good {
            return Err(OpenError::Rejected { files, kept: KeptSets::Refused });
        }
        let mut problems = Vec::new();
        for kept in self.history.entries() {
            match self.compile(&kept.digest) {
                Ok((set, fitted)) => {
                    let problems = texts(files.errors()).join("\n");
                    tracing::error!(
                        problems.text = %problems,
                        "the files are rejected: the last known good set is served instead"
                    );
                    let source = Source::LastKnownGood;
                    return Ok(First { set, fitted, source, rejected: Some(files) });
                }
                Err(problem) => problems.push(problem),
            }
        }
        let kept = if problems.is_empty() { KeptSets::None } else { KeptSets::Rejected(problems) };
        Err(OpenError::Rejected { files, kept })
    }

    /// The files of a kept set, if it may be served.
    fn load(&self, digest: &str) -> Result<Sources, String> {
        let sources = self.history.load(digest).map_err(|error| error.to_string())?;
        let signer = &sources.provenance.signer;
        let accepted = self.config.signers.accepts(signer);
        accepted
            .then_some(sources)
            .ok_or_else(|| "nobody whom `sources.signers` names has signed it".to_owned())
    }

    fn compile(&mut self, digest: &str) -> Result<(Set, Fitted), String> {
        let mut sources = self.load(digest)?;
        let fitted = self
            .fit(&mut sources)
            .map_err(|report| texts(report.errors()).into_iter().next().unwrap_or_default())?;
        Ok((Set { sources, digest: digest.to_owned() }, fitted))
    }
}

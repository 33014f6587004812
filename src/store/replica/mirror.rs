//! The primary's state, step by step. A step counts whole or not at all.

use std::sync::Arc;

use super::super::revision::{Named, RevisionError, Signer};
use super::{Greeting, Settings, Step, Totals, settings};
use crate::engine::compile::{Beside, Compiler, Options, Sources, Workers};
use crate::engine::edits::{Edit, Grants, Refusal};
use crate::engine::guard::StackUnavailable;
use crate::engine::ownership::Ownership;
use crate::engine::problem::Report;
use crate::engine::revocations::Revocations;
use crate::engine::suspensions::Suspensions;
use crate::engine::world::World;

/// Why a step is not taken. What is served stays, for as long as its lease.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    /// Nobody knows whose it is.
    #[error("it says what changed before it says who it is")]
    NoGreeting,
    /// Decisions would not mean the same.
    #[error("its configuration says `{key} = {theirs}`, and this server's `{ours}`: they must say the same")]
    Setting {
        /// The key.
        key: String,
        /// What this server's says.
        ours: String,
        /// What the primary's says.
        theirs: String,
    },
    /// Its name cannot be read.
    #[error("a revision {0}")]
    Revision(#[from] RevisionError),
    /// Nothing was told before.
    #[error("it says what changed, and has not said of what")]
    NoState,
    /// It was put back to what it was before.
    #[error(
        "it is at sequence {theirs} of an entity log of which {ours} is known here: it was put back to an older state. It is not \
         followed there; to accept that state, restart this server"
    )]
    Older {
        /// What is served here.
        ours: u64,
        /// What it says.
        theirs: u64,
    },
    /// The sources do not compile.
    #[error("its generation does not compile here (is it of another version?): {0}")]
    Generation(String),
    /// Edits do not fit.
    #[error("what it says of entities does not fit: {0}")]
    Entities(#[from] Refusal),
    /// Compiling came to something else.
    #[error("its generation is another than its sources compile to here: {0} (is it of another version?)")]
    OtherGeneration(Arc<str>),
    /// Something was missed.
    #[error("it counts {theirs:?}, and what it said comes to {ours:?}: something was missed")]
    Totals {
        /// What it comes to here.
        ours: Totals,
        /// What it says.
        theirs: Totals,
    },
    /// No thread to compile on.
    #[error(transparent)]
    Stack(#[from] StackUnavailable),
}

/// The state of a primary, as far as it was told.
#[derive(Debug)]
pub(super) struct Mirror {
    options: Options,
    compiler: Compiler,
    primary: Option<Primary>,
    state: Option<State>,
}

/// Whose state it is.
#[derive(Debug, Clone)]
struct Primary {
    signer: Arc<Signer>,
    process: Vec<u8>,
}

/// One world of it.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// Every entity counts as written at run time: nothing here comes from files.
    world: World,
    /// Those that are so at the primary.
    owned: Ownership,
    sources: Sources,
    pub(super) signer: Arc<Signer>,
    pub(super) process: Vec<u8>,
    pub(super) sequence: u64,
    /// Which of the process's worlds it is.
    pub(super) number: u64,
    /// Names the last write that it shows.
    pub(super) last_write: String,
}

impl State {
    /// The world, as the primary publishes it.
    pub(super) fn world(&self) -> World {
        self.world.clone().owned(self.owned.clone(), self.world.files)
    }

    /// What its generation was compiled from.
    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    fn totals(&self) -> Totals {
        let World { entities, revocations, suspensions, .. } = &self.world;
        Totals { entities: entities.len(), revoked: revocations.len(), suspended: suspensions.len() }
    }
}

impl Mirror {
    pub(super) fn new(options: Options, workers: Workers) -> Self {
        let compiler = Compiler::new(options.clone(), workers);
        Self { options, compiler, primary: None, state: None }
    }

    /// Learns whose state is told from now on.
    pub(super) fn greet(&mut self, greeting: Greeting) -> Result<(), StepError> {
        let Greeting { process, log, key, settings: theirs, .. } = greeting;
        self.primary = None;
        let ours: Settings = settings(self.options.on_policy_error, &self.options.domain);
        if let Some((key, ours, theirs)) = super::settings::difference(&ours, &theirs) {
            let (key, ours, theirs) = (key.to_owned(), ours.to_owned(), theirs.to_owned());
            return Err(StepError::Setting { key, ours, theirs });
        }
        self.primary = Some(Primary { signer: Arc::new(Signer::new(key, log)), process });
        Ok(())
    }

    /// The world of the primary's that is known.
    pub(super) fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// Takes a step.
    ///
    /// # Errors
    /// [`StepError`]; what is known is what was.
    pub(super) fn take(&mut self, step: Step) -> Result<&State, StepError> {
        let primary = self.primary.clone().ok_or(StepError::NoGreeting)?;
        let named = primary.signer.read(&step.revision)?;
        let theirs = step.totals;
        let state = if step.whole {
            self.check_not_older(&primary, &named)?;
            self.whole(step, primary, named)?
        } else {
            self.onwards(step, primary, named)?
        };
        let hash = &state.world.generation.hash;
        if !named.is_of(hash) {
            return Err(StepError::OtherGeneration(Arc::clone(hash)));
        }
        let ours = state.totals();
        if ours != theirs {
            return Err(StepError::Totals { ours, theirs });
        }
        Ok(self.state.insert(state))
    }

    /// Within one log sequences grow.
    fn check_not_older(&self, primary: &Primary, named: &Named) -> Result<(), StepError> {
        let Some(known) = self.state.as_ref().filter(|known| known.signer.is_of_log(&primary.signer)) else {
            return Ok(());
        };
        if named.sequence < known.sequence {
            return Err(StepError::Older { ours: known.sequence, theirs: named.sequence });
        }
        Ok(())
    }

    /// Everything anew, beside what is known, which stays until all of it fits.
    fn whole(&mut self, step: Step, primary: Primary, named: Named) -> Result<State, StepError> {
        let mut owned = Ownership::default();
        let mut lines = String::with_capacity(step.put.iter().map(|(_, text)| text.len() + 1).sum());
        for (uid, text) in step.put {
            lines.push_str(&text);
            lines.push('\n');
            owned.insert(uid);
        }
        step.of_files.iter().for_each(|uid| owned.remove(uid));
        let sources = step.generation.unwrap_or_default();
        self.compiler.store_beside(Beside::Lines(lines.into()));
        let mut world = self.compile(&sources)?;
        world.revocations = Revocations::of(step.revoked);
        world.suspensions = Suspensions::default();
        for (suspended, reason) in step.suspended {
            world.suspensions.suspend(suspended, reason);
        }
        let (Primary { signer, process }, sequence) = (primary, named.sequence);
        let (number, last_write) = (step.world, step.last_write);
        Ok(State { world, owned, sources, signer, process, sequence, number, last_write })
    }

    /// What is known, and what became of it.
    fn onwards(&mut self, step: Step, primary: Primary, named: Named) -> Result<State, StepError> {
        let mut state = self.state.clone().ok_or(StepError::NoState)?;
        // Whoever comes back may know of it already.
        let deleted = step.deleted.into_iter().filter(|uid| state.world.stores(uid)).collect::<Vec<_>>();
        for (uid, _) in &step.put {
            state.owned.insert(uid.clone());
        }
        step.of_files.iter().chain(&deleted).for_each(|uid| state.owned.remove(uid));
        let puts = step.put.into_iter().map(|(_, text)| Edit::Put(text));
        let edits: Vec<_> = puts.chain(deleted.into_iter().map(Edit::Delete)).collect();
        if !edits.is_empty() {
            state.world = state.world.edit(&edits, Grants::Kept)?.world;
        }
        if let Some(sources) = step.generation {
            self.compiler.store_beside(Beside::of(&state.world));
            let World { revocations, suspensions, .. } = &state.world;
            let world = self.compile(&sources)?;
            state.world = world.with_revocations(revocations.clone()).with_suspensions(suspensions.clone());
            state.sources = sources;
        }
        step.revoked.into_iter().for_each(|grant| state.world.revocations.revoke(grant));
        for lifted in &step.lifted {
            state.world.suspensions.lift(lifted);
        }
        for (suspended, reason) in step.suspended {
            state.world.suspensions.suspend(suspended, reason);
        }
        let Primary { signer, process } = primary;
        let (number, last_write) = (step.world, step.last_write);
        Ok(State { signer, process, sequence: named.sequence, number, last_write, ..state })
    }

    fn compile(&mut self, sources: &Sources) -> Result<World, StepError> {
        let told = |report: Report| {
            let first = report.errors().next().map_or_else(String::new, ToString::to_string);
            StepError::Generation(match report.errors().count() {
                0 | 1 => first,
                count => format!("{first}, and {} problems more", count - 1),
            })
        };
        self.compiler.compile(sources).map(|loaded| loaded.world).map_err(told)
    }
}

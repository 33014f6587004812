//! A replica of another server's worlds: what a follower is told is compiled and published here, world after world as its
//! primary published them. Nothing of it is written to disk: a restart begins with nothing, and answers nothing before it has
//! been told everything.
//!
//! [`following`] is what the process knows of its primary, [`lease`] until when it may answer; `mirror` is the primary's state,
//! `denials` what of it need not wait; one thread (`keeper`) brings one to the next.

mod denials;
pub mod following;
mod keeper;
pub mod lease;
mod mirror;
mod settings;

#[cfg(test)]
mod replica_tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cedar_policy::EntityUid;
use tokio::sync::{mpsc, watch};

use super::Store;
use super::revision::{LOG, RevisionKey};
use crate::engine::compile::Sources;
use crate::engine::suspensions::Suspended;
use denials::Denials;
use following::Following;
pub use keeper::{Replica, ReplicaConfig};
use lease::Moment;
pub use settings::{Settings, settings};

/// Steps that wait for the one before. With more, the primary waits, and tells many as one.
const WAITING: usize = 64;

/// What a primary says of itself before anything else.
#[derive(Debug, Clone)]
pub struct Greeting {
    /// The version of its build.
    pub version: String,
    /// Names its process, which counts its worlds.
    pub process: Vec<u8>,
    /// Names its entity log.
    pub log: [u8; LOG],
    /// What its revisions are authenticated with.
    pub key: RevisionKey,
    /// What of its configuration says what policies mean.
    pub settings: Settings,
}

/// What leads from one world of the primary's to the next; or, `whole`, from nothing.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// Whether nothing of before counts.
    pub whole: bool,
    /// Another generation's sources.
    pub generation: Option<Sources>,
    /// Entities that were put, each with its text as an entity file writes it.
    pub put: Vec<(EntityUid, String)>,
    /// Those of them that entity files own.
    pub of_files: Vec<EntityUid>,
    /// Entities that are gone.
    pub deleted: Vec<EntityUid>,
    /// Delegations that were revoked.
    pub revoked: Vec<EntityUid>,
    /// Who was suspended, and why.
    pub suspended: Vec<(Suspended, Arc<str>)>,
    /// Whose suspension ended.
    pub lifted: Vec<Suspended>,
    /// Revision of the world it leads to.
    pub revision: String,
    /// Which of the process's worlds that is.
    pub world: u64,
    /// Names the last write that it shows.
    pub last_write: String,
    /// What there is then.
    pub totals: Totals,
}

/// How much there is in a world.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Entities.
    pub entities: usize,
    /// Delegations that are revoked.
    pub revoked: usize,
    /// Suspensions.
    pub suspended: usize,
}

/// What a primary said was served when it was asked.
#[derive(Debug, Clone)]
pub struct Vouched {
    /// When it was asked, no later.
    pub asked: Moment,
    /// Whose count of worlds.
    pub process: Vec<u8>,
    /// Which of them.
    pub world: u64,
    /// For how long whoever has it may answer from it.
    pub lease: Duration,
}

/// What reaches the keeper.
#[derive(Debug)]
enum Told {
    Greeting(Box<Greeting>),
    Step(u64, Box<Step>),
    Vouched(Vouched),
    Stop,
}

/// Where what a primary says is handed in, in its order.
#[derive(Debug, Clone)]
pub struct Inbox {
    store: Arc<Store>,
    following: Arc<Following>,
    denials: Arc<Mutex<Denials>>,
    told: mpsc::Sender<Told>,
    refused: watch::Receiver<Option<Arc<str>>>,
    resume: Arc<Mutex<Resume>>,
}

/// Where a conversation goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resume {
    /// The revision that is served; empty: everything is to be told anew.
    pub revision: String,
    /// Names the last write that is known, whatever is told anew: a primary that lacks it was put back.
    pub last_write: String,
}

/// The keeper has ended, and with it the process is about to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what keeps the replica has ended")]
pub struct KeeperGone;

impl Inbox {
    /// What the process knows of its primary.
    #[must_use]
    pub fn following(&self) -> &Arc<Following> {
        &self.following
    }

    /// Where to go on.
    #[must_use]
    pub fn resume(&self) -> Resume {
        self.resume.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same, for a conversation that begins: what was refused in the one before is forgotten.
    #[must_use]
    pub fn begun(&self) -> Self {
        let mut begun = self.clone();
        begun.refused.mark_unchanged();
        begun
    }

    /// Takes what a primary says of itself.
    ///
    /// # Errors
    /// [`KeeperGone`].
    pub async fn greet(&self, greeting: Greeting) -> Result<(), KeeperGone> {
        self.told.send(Told::Greeting(Box::new(greeting))).await.map_err(|_gone| KeeperGone)
    }

    /// Takes a step. What it denies is in force before this returns, whatever waits to be compiled.
    ///
    /// # Errors
    /// [`KeeperGone`].
    pub async fn take(&self, step: Step) -> Result<(), KeeperGone> {
        let number = denials::deny(&self.denials, &self.store, &step);
        self.told.send(Told::Step(number, Box::new(step))).await.map_err(|_gone| KeeperGone)
    }

    /// Takes the primary's word for what is current.
    ///
    /// # Errors
    /// [`KeeperGone`].
    pub async fn vouched(&self, vouched: Vouched) -> Result<(), KeeperGone> {
        self.following.heard(vouched.world, vouched.lease);
        self.told.send(Told::Vouched(vouched)).await.map_err(|_gone| KeeperGone)
    }

    /// Completes when a step or greeting is refused, and says why: the conversation is to begin anew.
    pub async fn refused(&mut self) -> String {
        loop {
            if self.refused.changed().await.is_err() {
                return KeeperGone.to_string();
            }
            if let Some(problem) = self.refused.borrow_and_update().clone() {
                return problem.to_string();
            }
        }
    }
}

//! Delegations that were served once, by what they said: none is ever changed, nor its id given to another (D3).
//!
//! Outlives the process and every rollback, for a decision may have rested on any of them. What is known is a digest, so
//! that a delegation that is taken away may come back as it was.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cedar_policy::EntityUid;
use serde::{Deserialize, Serialize};

use super::sealed::{self, Damaged};
use crate::engine::compile::Sources;
use crate::engine::compile::entities::problems_at;
use crate::engine::grants::digests;
use crate::engine::problem::{Place, Problem, Report};
use crate::engine::world::World;

const KIND: &str = "grants";

/// Most delegations that are remembered.
const MAX_KNOWN: usize = 1_000_000;

/// What to do instead of changing a delegation.
const HELP: &str =
    "give what is to be delegated now an id of its own; under the old one only what it said may come back";

/// Delegations that were never served before: names as Cedar writes them, and digests.
pub(super) type NewGrants = Vec<(String, String)>;

/// Every delegation that was served since there is this data directory.
#[derive(Debug)]
pub(super) struct KnownGrants {
    file: PathBuf,
    served: Arc<ServedGrants>,
    /// Whether the disk has them all.
    saved: bool,
}

/// Digests of delegations by their names, as Cedar writes them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ServedGrants(BTreeMap<String, String>);

impl KnownGrants {
    /// What the processes before this one served.
    ///
    /// # Errors
    /// [`Damaged`]: which delegations may not change is not known.
    pub(super) fn open(file: &Path) -> Result<Self, Damaged> {
        let served: Option<ServedGrants> = sealed::read(file, KIND)?;
        Ok(Self { file: file.to_owned(), served: Arc::new(served.unwrap_or_default()), saved: true })
    }

    /// All of them, to hold a world to.
    pub(super) fn served(&self) -> Arc<ServedGrants> {
        Arc::clone(&self.served)
    }

    /// Remembers delegations that are served from now on.
    pub(super) fn learn(&mut self, grants: NewGrants) {
        if !grants.is_empty() {
            Arc::make_mut(&mut self.served).0.extend(grants);
            self.saved = false;
        }
    }

    /// Brings the disk up to date with what is known.
    pub(super) fn save(&mut self) -> io::Result<()> {
        if !self.saved {
            sealed::write(&self.file, KIND, &*self.served)?;
            self.saved = true;
        }
        Ok(())
    }
}

impl ServedGrants {
    /// Holds a world that was compiled from `sources` to what was served before, and tells which of its delegations are new.
    ///
    /// # Errors
    /// A [`Report`] that names each delegation that says something else, and where it stands.
    pub(super) fn check(&self, world: &World, sources: &Sources) -> Result<NewGrants, Report> {
        let (mut changed, mut new) = (Vec::new(), NewGrants::new());
        for (uid, digest) in digests(world) {
            let name = uid.to_string();
            match self.0.get(&name) {
                None => new.push((name, digest)),
                Some(served) if *served == digest => {}
                Some(_) => changed.push(uid.clone()),
            }
        }
        let mut report = Report::default();
        let (known, coming) = (self.0.len(), new.len());
        if known + coming > MAX_KNOWN {
            let message =
                format!("{coming} delegations are new, and {known} are remembered of at most {MAX_KNOWN}");
            let help = "begin a new data directory, and with it new ids";
            report.push(Problem::error(&Place::new("entities", ""), message).help(help));
        }
        if !changed.is_empty() {
            let found = changed.into_iter().map(differs).collect();
            report.problems.extend(problems_at(&sources.entities, &world.generation.catalog, found)?);
        }
        if report.rejects() { Err(report) } else { Ok(new) }
    }
}

fn differs(uid: EntityUid) -> (EntityUid, String, &'static str) {
    let message =
        format!("{uid} says something else than when it was first served, and a delegation is never changed");
    (uid, message, HELP)
}

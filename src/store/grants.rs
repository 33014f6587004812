//! Delegations that were served once, by what they said: none is ever changed, nor its id given to another (D3).
//!
//! Outlives the process and every rollback, for a decision may have rested on any of them. What is known is a digest, so
//! that a delegation that is taken away may come back as it was.

use cedar_policy::EntityUid;
use foldhash::fast::RandomState;
use rpds::HashTrieMapSync;

use crate::engine::compile::Sources;
use crate::engine::compile::entities::problems_at;
use crate::engine::grants::digests;
use crate::engine::problem::{Place, Problem, Report};
use crate::engine::world::World;

/// Most delegations that are remembered.
const MAX_KNOWN: usize = 1_000_000;

/// What to do instead of changing a delegation.
const HELP: &str =
    "give what is to be delegated now an id of its own; under the old one only what it said may come back";

/// Delegations that were never served before: names as Cedar writes them, and digests.
pub(super) type NewGrants = Vec<(String, String)>;

/// Digests of every delegation that was served, by their names as Cedar writes them. A copy costs nothing.
#[derive(Debug, Clone)]
pub(super) struct ServedGrants(HashTrieMapSync<String, String, RandomState>);

impl Default for ServedGrants {
    fn default() -> Self {
        Self(HashTrieMapSync::new_with_hasher_and_ptr_kind(RandomState::default()))
    }
}

impl ServedGrants {
    /// Remembers a delegation that is served from now on.
    pub(super) fn learn(&mut self, name: String, digest: String) {
        self.0.insert_mut(name, digest);
    }

    /// Whether a delegation of that name was served.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.0.size()
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, digest)| (name.as_str(), digest.as_str()))
    }

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
        let (known, coming) = (self.len(), new.len());
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

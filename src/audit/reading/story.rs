//! One session, told: what was asked, on whose authority, what was decided, what became of it, and what happened meanwhile to
//! whoever took part.

use std::collections::BTreeSet;
use std::path::PathBuf;

use uuid::Uuid;

use super::gathered::Gathered;
use super::query::{Field, Query, Term};
use super::search::{Hit, Indexes};
use super::seen::{Name, Seen};
use crate::audit::spool::reader::ReadError;

/// Most decisions of a session that are told.
pub const MAX_DECISIONS: usize = 10_000;

/// What happens to a service beside its decisions.
const MEANWHILE: [&str; 5] = ["change", "generation", "start", "stop", "gap"];

/// A session's records, and those that bear on it, in the order of time.
#[derive(Debug, Default)]
pub struct Story {
    /// The records.
    pub moments: Vec<Hit>,
    /// What could not be read.
    pub problems: Vec<ReadError>,
    /// There are more decisions than are told.
    pub is_cut: bool,
}

/// Who takes part in a session, and where.
#[derive(Debug, Default)]
struct Parts {
    decisions: BTreeSet<String>,
    entities: BTreeSet<(String, String)>,
    logs: BTreeSet<Uuid>,
}

impl Story {
    /// Tells a session from the logs in these folders.
    ///
    /// # Errors
    /// [`ReadError::Folder`].
    pub fn of(session: &str, folders: &[PathBuf], indexes: Indexes) -> Result<Self, ReadError> {
        let mut story = Self::default();
        let mut parts = Parts::default();
        let asked = Query { terms: vec![Term::new(Field::Session, session)], ..Query::default() };
        for found in Gathered::new(folders, &asked, indexes)? {
            if parts.decisions.len() == MAX_DECISIONS {
                story.is_cut = true;
                break;
            }
            story.take(found, |hit| parts.add(hit));
        }
        if story.moments.is_empty() {
            return Ok(story);
        }
        let of = Term::one_of(Field::DecisionId, parts.decisions.iter().cloned());
        let outcomes = Query { terms: vec![Term::new(Field::Kind, "outcome"), of], ..Query::default() };
        Gathered::new(folders, &outcomes, indexes)?.for_each(|found| story.take(found, |_outcome| true));
        let times = story.moments.iter().map(|hit| hit.micros);
        let (from, to) = (times.clone().min(), times.max().map(|last| last.saturating_add(1)));
        let kinds = Term::one_of(Field::Kind, MEANWHILE.map(str::to_owned));
        let meanwhile = Query { terms: vec![kinds], from, to };
        Gathered::new(folders, &meanwhile, indexes)?
            .for_each(|found| story.take(found, |hit| parts.concern(hit)));
        story.moments.sort_by_key(|hit| (hit.micros, hit.log, hit.sequence));
        Ok(story)
    }

    /// Takes what belongs here.
    fn take(&mut self, found: Result<Hit, ReadError>, mut belongs: impl FnMut(&Hit) -> bool) {
        match found {
            Ok(hit) if belongs(&hit) => self.moments.push(hit),
            Ok(_) => {}
            // Each search meets the same ones.
            Err(error) => {
                let text = error.to_string();
                if self.problems.iter().all(|known| known.to_string() != text) {
                    self.problems.push(error);
                }
            }
        }
    }
}

impl Parts {
    /// Takes note of a record of the session.
    fn add(&mut self, hit: &Hit) -> bool {
        let seen = Seen::read(&hit.line);
        self.logs.insert(hit.log);
        self.decisions.insert(seen.decision_id.to_string());
        let grants = seen.hops.iter().map(|hop| &hop.grant);
        for name in [&seen.principal, &seen.resource].into_iter().chain(&seen.chain).chain(grants) {
            self.entities.insert(owned(name));
        }
        true
    }

    /// Whether something that happened meanwhile bears on the session: it changed one of its parts, or what decides.
    fn concern(&self, hit: &Hit) -> bool {
        let seen = Seen::read(&hit.line);
        if seen.kind != "change" {
            return self.logs.contains(&hit.log);
        }
        // Without a name everybody is meant.
        seen.entities.is_empty()
            || seen.entities.iter().any(|changed| self.entities.contains(&owned(&changed.uid)))
    }
}

fn owned(name: &Name<'_>) -> (String, String) {
    (name.type_name.to_string(), name.id.to_string())
}

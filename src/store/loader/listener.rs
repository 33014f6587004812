//! Telling whoever keeps a record what becomes of what is served.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::Loader;
use super::status::Source;
use crate::engine::compile::Provenance;

/// A change of what is served, or an attempt at one, as it is told to whoever keeps a record.
#[derive(Debug, Clone)]
pub struct LoadEvent {
    /// When.
    pub at: SystemTime,
    /// What happened.
    pub what: LoadWhat,
    /// Where the world that is served now comes from.
    pub source: Source,
    /// Its generation.
    pub generation: Arc<str>,
    /// Its revision.
    pub revision: Arc<str>,
    /// Digest of the files it was compiled from.
    pub files: String,
    /// Where the set comes from that was published or rejected.
    pub provenance: Provenance,
    /// How many policies it has.
    pub policies: usize,
    /// What rejected a set, at most twenty, each with file and line.
    pub problems: Vec<String>,
}

/// What happened to what is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadWhat {
    /// Another generation is served.
    Published,
    /// Files were rejected: what was served still is.
    Rejected,
    /// A kept set is served again, because somebody asked.
    RolledBack,
}

/// Hears of everything that becomes of what is served.
pub(in crate::store) struct Listener(Box<dyn Fn(LoadEvent) + Send>);

impl Listener {
    pub(in crate::store) fn new(listener: impl Fn(LoadEvent) + Send + 'static) -> Self {
        Self(Box::new(listener))
    }

    pub(in crate::store) fn tell(&self, event: LoadEvent) {
        self.0(event);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

impl Loader {
    /// The same, which tells this of what is served, and of everything that becomes of it. It must not wait.
    #[must_use]
    pub fn telling(mut self, listener: impl Fn(LoadEvent) + Send + 'static) -> Self {
        self.listener = Some(Listener::new(listener));
        self.tell(LoadWhat::Published);
        self
    }

    /// Tells whoever keeps a record what happened to the set that is served.
    pub(super) fn tell(&self, what: LoadWhat) {
        self.tell_of(what, &self.served.sources.provenance);
    }

    /// Tells whoever keeps a record what happened to a set that comes from there.
    pub(super) fn tell_of(&self, what: LoadWhat, provenance: &Provenance) {
        let Some(listener) = &self.listener else { return };
        let published = self.store.current();
        listener.tell(LoadEvent {
            at: SystemTime::now(),
            what,
            source: self.source,
            generation: Arc::clone(&published.world.generation.hash),
            revision: Arc::clone(&published.revision),
            files: self.served.digest.clone(),
            provenance: provenance.clone(),
            policies: published.world.generation.policies.len(),
            problems: if what == LoadWhat::Rejected { self.last_load.problems.clone() } else { Vec::new() },
        });
    }
}

//! What became of what decisions are made with.

use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;

/// Another generation is served, or one was not to be.
#[derive(Debug, Serialize)]
pub struct GenerationRecord {
    /// When.
    #[serde(skip)]
    pub at: SystemTime,
    /// What happened: `published`, `rejected`, `rolled_back`.
    pub event: &'static str,
    /// Where the one that is served comes from: `files`, `last_known_good`, `rollback`, `primary`.
    pub source: &'static str,
    /// The one that is served.
    pub generation: Arc<str>,
    /// Name of its world.
    pub revision: Arc<str>,
    /// Digest of the files it was compiled from.
    pub files: String,
    /// How many policies it has.
    pub policies: usize,
    /// What rejected a set, with file and line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

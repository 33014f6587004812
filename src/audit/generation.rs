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
    /// The commit that the set was made from which was published or rejected, as its manifest says.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub commit: String,
    /// Who signed its manifest: verified.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub signer: String,
    /// How many policies it has.
    pub policies: usize,
    /// What rejected a set, with file and line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

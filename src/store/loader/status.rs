//! What the loader says of itself, for people, `GetStatus` and metrics.

use std::time::SystemTime;

use serde::{Serialize, Serializer};

use super::super::Published;
use crate::engine::problem::{Problem, Report};

/// Most problems of one load that are told; the rest are counted.
const MAX_TOLD: usize = 20;

/// One moment of the loader.
#[derive(Debug, Clone, Serialize)]
pub struct LoaderStatus {
    /// Where the world that is served comes from.
    pub source: Source,
    /// Its generation, `sha256:…`.
    pub generation: String,
    /// Its revision, as [`super::super::Published::revision`].
    pub revision: String,
    /// How many worlds this process has published.
    pub sequence: u64,
    /// When it was published.
    #[serde(serialize_with = "rfc3339")]
    pub published_at: SystemTime,
    /// The rollback that is held to, if one is.
    pub pinned: Option<Pinned>,
    /// Sets that can be rolled back to, latest publication first.
    pub kept: Vec<KeptSet>,
    /// The last time the files were loaded, or asked to be.
    pub last_load: LastLoad,
    /// The emergency forbids.
    pub emergency: EmergencyStatus,
    /// The revoked delegations.
    pub revocations: RevocationStatus,
    /// Loads since the start.
    pub reloads: Reloads,
    /// What could not be written to the data directory, which a restart will miss; none when all is written.
    pub keep_error: Option<String>,
    /// Whether something else is served than what the files say now: they were rejected, or a rollback holds.
    pub serving_stale: bool,
}

/// Where the world that is served comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The folders, as they are or were.
    Files,
    /// The kept sets, because the files were broken at the start or when a rollback ended.
    LastKnownGood,
    /// The kept sets, because somebody asked.
    Rollback,
    /// The primary that is followed.
    Primary,
}

/// A rollback that is held to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pinned {
    /// The generation it went back to. Emergency forbids may have made another one of the same files since.
    pub generation: String,
    /// When, in RFC 3339.
    pub since: String,
}

/// A set that can be rolled back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptSet {
    /// Digest of its files, 64 hex digits: names it exactly where several sets share a generation.
    pub set: String,
    /// Generations it was published as, the latest last.
    pub generations: Vec<String>,
    /// When it was published last.
    #[serde(serialize_with = "rfc3339")]
    pub at: SystemTime,
    /// How many files it has.
    pub files: usize,
}

/// How a load ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastLoad {
    /// When.
    #[serde(serialize_with = "rfc3339")]
    pub at: SystemTime,
    /// How.
    pub outcome: Outcome,
    /// What rejected it, at most twenty, each with file and line.
    pub problems: Vec<String>,
    /// What somebody should look at, at most twenty.
    pub warnings: Vec<String>,
}

/// How a load ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What the files say is served.
    Published,
    /// They are broken; what was served before still is.
    Rejected,
    /// They say what is served already, or what a rollback holds off.
    Unchanged,
}

/// The revoked delegations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RevocationStatus {
    /// How many there are, those included that the file no longer names.
    pub count: usize,
    /// What is wrong with the file, at most twenty.
    pub problems: Vec<String>,
}

/// The emergency forbids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EmergencyStatus {
    /// Files in force.
    pub files: Vec<String>,
    /// Forbids in force.
    pub policies: usize,
    /// Files that could not be read or put in force, and why, at most twenty.
    pub problems: Vec<String>,
}

/// Loads since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Reloads {
    /// Worlds published after the first.
    pub published: u64,
    /// Sets rejected.
    pub rejected: u64,
}

/// The problems as text, each with what to do; of many, the first twenty.
pub(super) fn texts<'a>(problems: impl Iterator<Item = &'a Problem>) -> Vec<String> {
    let mut texts = Vec::new();
    let mut untold = 0_usize;
    for problem in problems {
        if texts.len() == MAX_TOLD {
            untold += 1;
            continue;
        }
        texts.push(match &problem.help {
            Some(help) => format!("{problem} ({help})"),
            None => problem.to_string(),
        });
    }
    if untold > 0 {
        texts.push(format!("and {untold} more"));
    }
    texts
}

impl LoaderStatus {
    /// What can be said before the loader says more.
    pub(in crate::store) fn first(published: &Published, source: Source, last_load: LastLoad) -> Self {
        Self {
            source,
            generation: published.world.generation.hash.to_string(),
            revision: published.revision.to_string(),
            sequence: published.sequence,
            published_at: published.at,
            pinned: None,
            kept: Vec::new(),
            last_load,
            emergency: EmergencyStatus::default(),
            revocations: RevocationStatus::default(),
            reloads: Reloads::default(),
            keep_error: None,
            serving_stale: !matches!(source, Source::Files | Source::Primary),
        }
    }
}

impl LastLoad {
    pub(in crate::store) fn now(outcome: Outcome, report: &Report) -> Self {
        let (problems, warnings) = (texts(report.errors()), texts(report.warnings()));
        Self { at: SystemTime::now(), outcome, problems, warnings }
    }
}

/// A time as text.
pub(super) fn rfc3339_text(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at).map(|time| time.to_string()).unwrap_or_default()
}

fn rfc3339<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339_text(*at))
}

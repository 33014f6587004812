//! The entity log of a data directory, whichever build made that.

use serde::Deserialize;

use super::atomic;
use super::data_dir::{DataDir, DataDirError};
use super::entity_log::{EntityLog, EntityLogConfig, EntityLogError};
use super::grants::ServedGrants;
use super::revocations::uid_of;
use super::sealed::{self, Damaged, Defect};

/// Why there is no entity log to begin with.
#[derive(Debug, thiserror::Error)]
pub enum LogUnavailable {
    /// It cannot be used.
    #[error(transparent)]
    Log(#[from] EntityLogError),
    /// What an earlier build kept in its place cannot be read.
    #[error("{0}; put it back, for it holds what must never be forgotten")]
    Earlier(#[from] Damaged),
    /// The directory cannot be written.
    #[error(transparent)]
    Data(#[from] DataDirError),
}

#[derive(Debug, Deserialize)]
struct KnownRevocations {
    revoked: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct KnownGrants(std::collections::BTreeMap<String, String>);

/// Opens the log. A directory that never had one gets one, with what an earlier build kept in files of their own.
///
/// # Errors
/// [`LogUnavailable`].
pub(super) fn open_log(data: &DataDir, config: EntityLogConfig) -> Result<EntityLog, LogUnavailable> {
    let path = data.entity_log();
    if data.has_entity_log() {
        return Ok(EntityLog::open(&path, false, config)?);
    }
    let (revocations, grants) = (data.known_revocations(), data.known_grants());
    let damaged = |text: &str| Damaged {
        path: revocations.clone(),
        defect: Defect::Content(format!("`{}` is no entity", text.escape_debug())),
    };
    let revoked: Option<KnownRevocations> = sealed::read(&revocations, "revocations")?;
    let revoked = revoked.map(|known| known.revoked).unwrap_or_default();
    let revoked = revoked.iter().map(|text| uid_of(text).ok_or_else(|| damaged(text)));
    let revoked: Vec<_> = revoked.collect::<Result<_, _>>()?;
    let known: Option<KnownGrants> = sealed::read(&grants, "grants")?;
    let mut served = ServedGrants::default();
    known.into_iter().flat_map(|known| known.0).for_each(|(name, digest)| served.learn(name, digest));
    let mut log = EntityLog::open(&path, true, config)?;
    let failed = |error| EntityLogError { path: path.clone(), error };
    log.take_over(revoked, &served).map_err(failed)?;
    data.note_format()?;
    for file in [revocations, grants] {
        // It is in the log now; should it stay, nobody reads it.
        drop(atomic::remove(&file));
    }
    Ok(log)
}

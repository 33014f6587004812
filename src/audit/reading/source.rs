//! The log of this process, for whoever reads it while it is written.

use std::path::PathBuf;

use tokio::sync::watch;

use super::contents::Sealed;
use crate::audit::spool::Progress;

/// Where the log is, and how far it has come.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its folder.
    pub directory: PathBuf,
    /// How far it has come.
    pub progress: watch::Receiver<Progress>,
    /// What is known of segments that were sealed, for whoever makes their indexes.
    pub sealed: Sealed,
}

impl Source {
    /// The sequence below which every record is on disk.
    pub fn synced(&self) -> u64 {
        self.progress.borrow().synced
    }
}

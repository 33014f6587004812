//! The pin that a rollback sets: which set is served, and which state of the files it is served instead of (W5).

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::atomic;
use super::sealed::{self, Damaged};

const KIND: &str = "pin";

/// A rollback that holds until the files change or it is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pin {
    /// Name of the kept set that is served.
    pub(super) set: String,
    /// The generation it was rolled back to.
    pub(super) generation: String,
    /// Name of what the folders held then, good or broken: that no longer loads.
    pub(super) files: String,
    /// When, in RFC 3339.
    pub(super) since: String,
}

/// Where the pin outlives the process.
#[derive(Debug)]
pub(super) struct PinFile(PathBuf);

impl PinFile {
    /// The file, and the pin in it.
    pub(super) fn open(path: &Path) -> Result<(Self, Option<Pin>), Damaged> {
        Ok((Self(path.to_owned()), sealed::read(path, KIND)?))
    }

    /// Writes the pin, or takes it away.
    pub(super) fn set(&self, pin: Option<&Pin>) -> io::Result<()> {
        match pin {
            Some(pin) => sealed::write(&self.0, KIND, pin),
            None => atomic::remove(&self.0),
        }
    }
}

//! The pin that a rollback sets: which set is served, and which state of the files it is served instead of (W5).

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::atomic;
use super::directory::Reading;
use super::sealed::{self, Damaged};
use crate::engine::problem::{Place, Problem, Report};

const KIND: &str = "pin";

/// A rollback that holds until the files change or it is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pin {
    /// Name of the kept set that is served.
    pub(super) set: String,
    /// The generation it was rolled back to.
    pub(super) generation: String,
    /// Name of the set that the folders held then, good or broken: that no longer loads. None while no whole set has
    /// been seen since: the first one is it.
    pub(super) files: Option<String>,
    /// Whether that set came with a folder of entities.
    #[serde(default)]
    pub(super) entities: bool,
    /// When, in RFC 3339.
    pub(super) since: String,
}

/// What the files as they were read mean for a rollback.
#[derive(Debug)]
pub(super) enum Verdict {
    /// They are what it was set against.
    Same,
    /// They are the first whole set since: the rollback, as it is from now on, is against them.
    Adopted(Pin),
    /// They cannot be read, or an update is under way: nobody knows whether they changed. It holds.
    Unclear(Report),
    /// They are another set.
    Changed,
}

impl Pin {
    /// A rollback that is against the files as they were read, if they were a set.
    pub(super) fn against(mut self, reading: &Reading, digest: &str) -> Self {
        self.files = reading.is_set().then(|| digest.to_owned());
        self.entities = reading.fingerprint.as_ref().is_some_and(|seen| !seen.lacks_entities());
        self
    }

    /// Only a whole set that is another one ends a rollback: an error never does.
    pub(super) fn judge(&self, reading: &Reading, digest: &str) -> Verdict {
        if !reading.is_set() {
            return Verdict::Unclear(reading.report.clone());
        }
        match &self.files {
            None => Verdict::Adopted(self.clone().against(reading, digest)),
            Some(files) if files == digest => Verdict::Same,
            Some(_)
                if self.entities
                    && reading.fingerprint.as_ref().is_some_and(|seen| seen.lacks_entities()) =>
            {
                let place = Place::new("entities", "");
                let problem = Problem::error(&place, "the folder is gone, and a rollback holds");
                let help = "restore it; or release the rollback, which loads the files without entities";
                Verdict::Unclear(Report { problems: vec![problem.help(help)] })
            }
            Some(_) => Verdict::Changed,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::super::support_tests::Site;
    use super::*;

    #[test]
    fn files_that_never_stood_still_say_nothing_of_a_rollback() {
        let site = Site::new();
        let pin = Pin {
            set: String::new(),
            generation: String::new(),
            files: Some("before".to_owned()),
            entities: true,
            since: String::new(),
        };
        let whole = || Reading::take(&site.folders());
        let torn = Reading { fingerprint: None, ..whole() };
        assert!(matches!(pin.judge(&torn, "other"), Verdict::Unclear(_)));
        assert!(matches!(pin.judge(&whole(), "other"), Verdict::Changed));
        assert!(matches!(pin.judge(&whole(), "before"), Verdict::Same));
        assert_eq!(pin.clone().against(&torn, "other").files, None);
        assert_eq!(pin.against(&whole(), "other").files.as_deref(), Some("other"));
    }
}

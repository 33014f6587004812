//! What was done while nobody enforced, kept as policies that would have allowed it: for a person to read, and never loaded by
//! the proxy itself.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::held::Held;
use super::learned;
use crate::server::pb;

/// Most ways of doing one thing that are told apart; with more of them, none is.
const MAX_WAYS: usize = 20;
/// Most policies.
const MAX_POLICIES: usize = 2000;

/// Who did what to what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Doing {
    pub(super) principal: (String, String),
    pub(super) action: (String, String),
    /// Whether the action stands for all that are below it: nobody knows which of them decides.
    pub(super) with_children: bool,
    pub(super) resource: (String, String),
}

/// How it was done.
#[derive(Debug, Default)]
pub(super) struct Ways {
    pub(super) times: u64,
    /// Each with all that a policy can be held to; empty once there were too many.
    pub(super) held: Vec<Held>,
    pub(super) is_open: bool,
    /// Names of arguments that came, and that no condition is about.
    pub(super) free: Vec<String>,
}

/// Everything that was done, and the file that says it.
#[derive(Debug)]
pub struct Learner {
    file: PathBuf,
    seen: BTreeMap<Doing, Ways>,
}

impl Learner {
    /// Begins a file.
    ///
    /// # Errors
    /// It is there already: what somebody may have read and changed is not written over.
    pub fn begin(file: &Path) -> io::Result<Self> {
        create(file)?.write_all(learned::text(&BTreeMap::new()).as_bytes())?;
        Ok(Self { file: file.to_owned(), seen: BTreeMap::new() })
    }

    /// Keeps what was done, on every principal's part whose right to it counts.
    pub(super) fn see(
        &mut self,
        principals: &[pb::EntityRef],
        (action, with_children): (&pb::EntityRef, bool),
        resource: &pb::EntityRef,
        held: &Held,
        free: &[String],
    ) {
        let named = |uid: &pb::EntityRef| (uid.r#type.clone(), uid.id.clone());
        let mut is_new = false;
        for principal in principals {
            let doing = Doing {
                principal: named(principal),
                action: named(action),
                with_children,
                resource: named(resource),
            };
            if self.seen.len() < MAX_POLICIES || self.seen.contains_key(&doing) {
                is_new |= self.seen.entry(doing).or_default().see(held, free);
            }
        }
        if is_new {
            self.write();
        }
    }

    /// Writes what is known by now; the file is whole at any time.
    pub(super) fn write(&self) {
        if let Err(error) = self.try_write() {
            tracing::warn!(%error, file = %self.file.display(), "what was learned cannot be written");
        }
    }

    fn try_write(&self) -> io::Result<()> {
        let mut part = self.file.clone().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        let _stale = fs::remove_file(&part);
        let mut file = create(&part)?;
        file.write_all(learned::text(&self.seen).as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, &self.file)
    }
}

/// A new file that its owner alone reads: arguments stand in it.
fn create(file: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)
}

impl Ways {
    /// Whether that says anything new.
    fn see(&mut self, held: &Held, free: &[String]) -> bool {
        self.times += 1;
        let mut is_new = self.times == 1;
        for name in free {
            if !self.free.contains(name) && self.free.len() < MAX_WAYS {
                self.free.push(name.clone());
                is_new = true;
            }
        }
        if self.is_open || self.held.contains(held) {
            return is_new;
        }
        self.held.push(held.clone());
        if self.held.len() > MAX_WAYS {
            self.held.clear();
            self.is_open = true;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_may_have_read_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("learned.cedar");
        let learner = Learner::begin(&file).unwrap();
        learner.write();
        assert!(fs::read_to_string(&file).unwrap().contains("Nothing was seen"));
        assert_eq!(Learner::begin(&file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn too_many_ways_are_no_way() {
        let mut ways = Ways::default();
        for number in 0..=MAX_WAYS {
            let held = Held::text("uri", &number.to_string());
            assert!(ways.see(&held, &[]));
            assert!(!ways.see(&held, &[]), "known");
        }
        assert!(ways.is_open && ways.held.is_empty());
    }
}

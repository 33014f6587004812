//! Revoked delegations: what their file says, and everything it ever said (W4, D3).
//!
//! Revocations are taken from the file as soon as they are seen, whatever becomes of the other files, and never given up
//! again: not when the file loses them, breaks or goes, not after a restart or a rollback. Who was revoked by mistake gets a
//! new delegation.

mod parse;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cedar_policy::EntityUid;
use serde::{Deserialize, Serialize};

use super::folder::{Stamp, TICK, Unread, read_file};
use super::sealed::{self, Damaged, Defect};
use super::settling::{Settling, Verdict};
use crate::engine::problem::{Place, Problem, SourceFile};
use crate::engine::revocations::Revocations;
use parse::{Parsed, parse, uid_of};

const KIND: &str = "revocations";

/// Longest file, in bytes.
const MAX_FILE_BYTES: usize = 32 * 1024 * 1024;
/// Most delegations that are remembered as revoked.
const MAX_REVOKED: usize = 1_000_000;
/// How often a file that changes while it is read is read again at once, at the start.
const ATTEMPTS: usize = 5;

/// What stands under the file's name; none: nothing.
type State = Option<Stamp>;

/// The revoked delegations of this process.
#[derive(Debug)]
pub(super) struct RevocationList {
    path: PathBuf,
    file: PathBuf,
    /// Type of delegations: others may be named, and are then said.
    type_name: String,
    revoked: BTreeSet<EntityUid>,
    /// The same, as worlds hold them.
    current: Arc<Revocations>,
    /// Whether anything is known from before this process.
    is_remembered: bool,
    settling: Settling<State>,
    /// What is wrong with the file.
    found: Vec<Problem>,
    /// Whether the disk has all of them.
    saved: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Written {
    /// Names as Cedar writes them.
    revoked: Vec<String>,
}

/// What one look at the file came to.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Whether delegations were revoked that were not before.
    pub(super) changed: bool,
    /// When to look again, if before the next poll.
    pub(super) wait: Option<Duration>,
    /// Whether it changed while it was read.
    torn: bool,
}

impl RevocationList {
    /// What was revoked when the process before this one ended.
    ///
    /// # Errors
    /// [`Damaged`]: what was revoked is not known.
    pub(super) fn open(path: &Path, file: &Path, type_name: String) -> Result<Self, Damaged> {
        let damaged = |text: &str| Damaged {
            path: file.to_owned(),
            defect: Defect::Content(format!("`{}` is no entity", text.escape_debug())),
        };
        let written: Option<Written> = sealed::read(file, KIND)?;
        let is_remembered = written.is_some();
        let texts = written.map(|written| written.revoked).unwrap_or_default();
        let revoked: BTreeSet<_> =
            texts.iter().map(|text| uid_of(text).ok_or_else(|| damaged(text))).collect::<Result<_, _>>()?;
        Ok(Self {
            path: path.to_owned(),
            file: file.to_owned(),
            type_name,
            current: Arc::new(Revocations::of(revoked.iter().cloned())),
            revoked,
            is_remembered,
            settling: Settling::after(None),
            found: Vec::new(),
            // An empty record says that the file was read once.
            saved: is_remembered,
        })
    }

    /// Reads the file as it is, at the start.
    ///
    /// # Errors
    /// What is wrong with it, if nothing is known from before either: what is revoked is not known then.
    pub(super) fn start(&mut self) -> Result<(), Problem> {
        for _ in 0..ATTEMPTS {
            if !self.follow(Duration::ZERO).torn {
                let first = self.found.iter().find(|_| !self.is_remembered).cloned();
                return first.map_or(Ok(()), Err);
            }
        }
        if self.is_remembered { Ok(()) } else { Err(self.problem("is still changing")) }
    }

    /// What is revoked, for a world.
    pub(super) fn current(&self) -> Arc<Revocations> {
        Arc::clone(&self.current)
    }

    /// Everything that somebody should look at.
    pub(super) fn problems(&self) -> &[Problem] {
        &self.found
    }

    /// Looks at the file, and takes what it says.
    pub(super) fn follow(&mut self, settle: Duration) -> Look {
        let state = self.state();
        let verdict = self.settling.see(&state, settle, Instant::now());
        let mut look = Look { wait: verdict.wait(), ..Look::default() };
        let settled = match verdict {
            Verdict::Same | Verdict::Doubtful(_) => return look,
            Verdict::Wait(_) => false,
            Verdict::Ready => true,
        };
        match state {
            None if settled => self.lose(),
            None => {}
            Some(_) => self.read(state, settled, &mut look),
        }
        look
    }

    fn state(&self) -> State {
        std::fs::symlink_metadata(&self.path).ok().map(|_| Stamp::of(&self.path))
    }

    /// There is no file: what was revoked stays.
    fn lose(&mut self) {
        self.settling.handled(Some(None));
        self.found = match self.revoked.len() {
            0 => Vec::new(),
            count => vec![self.problem(&format!("is not there; the {count} revocations known from it stay"))],
        };
    }

    /// Takes what the file says. What is new denies more, so that nobody waits for it to stand still; what is wrong may be
    /// half of an update, and is told of when it does.
    fn read(&mut self, state: State, settled: bool, look: &mut Look) {
        let read = read_file(&self.path, MAX_FILE_BYTES);
        if self.state() != state {
            look.torn = true;
            look.wait = Some(TICK);
            return;
        }
        let (found, handled) = match read {
            Ok(bytes) => {
                let file = SourceFile { name: self.path.display().to_string(), bytes };
                let Parsed { grants, problems } = parse(&file, &self.type_name);
                (self.revoke(grants, look).into_iter().chain(problems).collect(), Some(state))
            }
            Err(error) => {
                let Unread { problem, .. } = Unread::new(&self.path, &error);
                // It may be read next time without looking any different.
                (vec![problem.help("what is revoked already stays so")], None)
            }
        };
        if settled {
            self.settling.handled(handled);
            self.found = found;
        }
    }

    fn revoke(&mut self, grants: Vec<EntityUid>, look: &mut Look) -> Option<Problem> {
        let before = self.revoked.len();
        let mut left_out = 0_usize;
        for grant in grants {
            if self.revoked.len() < MAX_REVOKED || self.revoked.contains(&grant) {
                self.revoked.insert(grant);
            } else {
                left_out += 1;
            }
        }
        if self.revoked.len() > before {
            self.current = Arc::new(Revocations::of(self.revoked.iter().cloned()));
            self.saved = false;
            look.changed = true;
        }
        (left_out > 0).then(|| {
            let message = format!("{left_out} revocations are not taken: {MAX_REVOKED} are the most");
            self.problem(&message).help("delete the delegations themselves")
        })
    }

    fn problem(&self, message: &str) -> Problem {
        Problem::error(&Place::new(&self.path.display().to_string(), ""), message)
    }

    /// Brings the disk up to date with what is revoked.
    pub(super) fn save(&mut self) -> io::Result<()> {
        if self.saved {
            return Ok(());
        }
        let revoked = self.revoked.iter().map(ToString::to_string).collect();
        sealed::write(&self.file, KIND, &Written { revoked })?;
        (self.saved, self.is_remembered) = (true, true);
        Ok(())
    }
}

//! Revoked delegations: what their file says, and everything it ever said (W4, D3).
//!
//! Revocations are taken from the file as soon as they are seen, whatever becomes of the other files, and never given up
//! again: not when the file loses them, breaks or goes, not after a restart or a rollback. Who was revoked by mistake gets a
//! new delegation.

mod parse;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cedar_policy::EntityUid;

use super::folder::{Stamp, TICK, Unread, read_file};
use super::settling::{Settling, Verdict};
use crate::engine::problem::{Place, Problem, SourceFile};
use crate::engine::revocations::Revocations;
pub(super) use parse::uid_of;
pub use parse::{Parsed, parse};

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
    /// Type of delegations: others may be named, and are then said.
    type_name: String,
    /// What it said, and what the log says.
    revoked: Revocations,
    /// Whether a process before this one has read the file.
    is_remembered: bool,
    settling: Settling<State>,
    /// What is wrong with the file.
    found: Vec<Problem>,
}

/// What one look at the file came to.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Delegations that were not revoked before.
    pub(super) revoked: Vec<EntityUid>,
    /// When to look again, if before the next poll.
    pub(super) wait: Option<Duration>,
    /// Whether it changed while it was read.
    torn: bool,
}

impl RevocationList {
    /// A list of what the log says is revoked, to which the file at `path` adds.
    pub(super) fn new(path: &Path, revoked: Revocations, is_remembered: bool, type_name: String) -> Self {
        let (path, settling) = (path.to_owned(), Settling::after(None));
        Self { path, type_name, revoked, is_remembered, settling, found: Vec::new() }
    }

    /// Reads the file as it is, at the start, and says what it revokes.
    ///
    /// # Errors
    /// What is wrong with it, if nothing is known from before either: what is revoked is not known then.
    pub(super) fn start(&mut self) -> Result<Vec<EntityUid>, Problem> {
        let mut revoked = Vec::new();
        for _ in 0..ATTEMPTS {
            let look = self.follow(Duration::ZERO);
            revoked.extend(look.revoked);
            if !look.torn {
                let first = self.found.iter().find(|_| !self.is_remembered).cloned();
                return first.map_or(Ok(revoked), Err);
            }
        }
        if self.is_remembered { Ok(revoked) } else { Err(self.problem("is still changing")) }
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
        let mut left_out = 0_usize;
        for grant in grants {
            if self.revoked.revokes(&grant) {
                continue;
            }
            if self.revoked.len() < MAX_REVOKED {
                self.revoked.revoke(grant.clone());
                look.revoked.push(grant);
            } else {
                left_out += 1;
            }
        }
        (left_out > 0).then(|| {
            let message = format!("{left_out} revocations are not taken: {MAX_REVOKED} are the most");
            self.problem(&message).help("delete the delegations themselves")
        })
    }

    fn problem(&self, message: &str) -> Problem {
        Problem::error(&Place::new(&self.path.display().to_string(), ""), message)
    }
}

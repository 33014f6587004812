//! Following the folder of emergency forbids, each file by itself: what else is in the folder keeps none from being put
//! in force, and none of them another.
//!
//! A new file can only deny more: it is taken at once if it parses. One that changes or goes may lift something, so that
//! it must stand still first, unless the folder is a mount whose files are swapped as one.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::super::folder::{Look, Stamp, TICK, Unread, Unreadable, unreadable};
use super::super::settling::{Seen, Settling, Verdict};
use super::Emergency;
use crate::engine::compile::is_emergency;
use crate::engine::guard::MAX_FILE_BYTES;
use crate::engine::problem::{Place, Problem, SourceFile};

const SUFFIX: &str = ".cedar";
/// How often files that change while they are read are read again at once, at the start.
const ATTEMPTS: usize = 5;

/// What stands under a name; none: nothing.
type State = Option<Stamp>;

impl Seen for State {
    fn is_recent(&self, now: SystemTime) -> bool {
        self.is_some_and(|stamp| stamp.is_recent(now))
    }
}

/// What is known of a name.
#[derive(Debug)]
pub(super) struct Followed {
    settling: Settling<State>,
    /// Why its file could not be read when it should have been.
    unread: Option<Problem>,
}

impl Followed {
    pub(super) fn unread(&self) -> Option<&Problem> {
        self.unread.as_ref()
    }
}

/// What one look at the folder came to.
#[derive(Debug, Default)]
pub(in super::super) struct Step {
    /// Whether the folder asks for something else than before.
    pub(in super::super) changed: bool,
    /// When to look again, if before the next poll.
    pub(in super::super) wait: Option<Duration>,
    /// Whether something changed while it was read, and was not taken.
    torn: bool,
    /// Whether the folder is there and could not be listed.
    unlisted: bool,
}

impl Step {
    fn wait(&mut self, wait: Duration) {
        self.wait = Some(self.wait.map_or(wait, |before| before.min(wait)));
    }

    fn tear(&mut self) {
        self.torn = true;
        self.wait(TICK);
    }
}

/// A file whose turn it is.
struct Due {
    name: String,
    state: State,
    /// Whether it has stood still. If not, it is new.
    settled: bool,
}

impl Emergency {
    /// Reads the folder as it is, at the start.
    ///
    /// # Errors
    /// A problem that names what cannot be read, or does not stand still: which forbids must hold is not known.
    pub(in super::super) fn start(&mut self) -> Result<(), Problem> {
        for _ in 0..ATTEMPTS {
            let step = self.follow(Duration::ZERO);
            if step.unlisted {
                return self.found.first().cloned().map_or(Ok(()), Err);
            }
            if !step.torn {
                let mut files = self.followed.iter().filter(|(name, _)| !self.in_force.contains_key(*name));
                return files.find_map(|(_, file)| file.unread.clone()).map_or(Ok(()), Err);
            }
        }
        let place = Place::new(&self.folder.display().to_string(), "");
        Err(Problem::error(&place, "the emergency forbids are still changing"))
    }

    /// Looks at the folder, and takes from it what may be taken.
    pub(in super::super) fn follow(&mut self, settle: Duration) -> Step {
        let seen = Look::at(&self.folder);
        if let Err(error) = &seen.place {
            return self.keep_all(&seen, error);
        }
        let states = self.name_files(&seen);
        let mut step = Step::default();
        self.keep_beside(&seen, &states, &mut step);
        let settle = if seen.mounted { Duration::ZERO } else { settle };
        let due = self.due(&states, settle, &mut step);
        let read = |due: &Due| due.state.map(|_| seen.read(&OsString::from(&due.name), MAX_FILE_BYTES));
        let read: Vec<_> = due.into_iter().map(|due| (read(&due), due)).collect();
        if seen.mounted && !read.is_empty() && Look::at(&self.folder).place != seen.place {
            step.tear();
            return step;
        }
        for (file, due) in read {
            self.take(file, due, &seen, &mut step);
        }
        step
    }

    /// A folder that cannot be listed lifts nothing.
    fn keep_all(&mut self, seen: &Look, error: &Unreadable) -> Step {
        let is_missing = seen.is_missing();
        self.found.clear();
        if !is_missing || !self.in_force.is_empty() {
            let help = "the emergency forbids in force stay; an empty folder lifts them";
            self.found.push(unreadable(&self.folder, &error.message).help(help));
        }
        // What comes back with the folder may have changed meanwhile.
        self.followed.clear();
        let changed = self.wanted != self.in_force;
        self.wanted.clone_from(&self.in_force);
        Step { changed, unlisted: !is_missing, ..Step::default() }
    }

    /// The files in the folder by name, and what is wrong with the other names.
    fn name_files(&mut self, seen: &Look) -> BTreeMap<String, Stamp> {
        self.found.clear();
        let mut states = BTreeMap::new();
        for entry in &seen.entries {
            match plain_name(&entry.name) {
                Ok(name) => drop(states.insert(name.to_owned(), entry.stamp)),
                Err(why) => self.found.push(why.problem(&seen.path_of(&entry.name))),
            }
        }
        let hidden = seen.hidden(SUFFIX);
        self.found.extend(hidden.iter().map(|name| Misnamed::Hidden.problem(&seen.path_of(name))));
        states
    }

    /// Files that stand beside a mount are not read: what is in force under their names stays.
    fn keep_beside(&mut self, seen: &Look, states: &BTreeMap<String, Stamp>, step: &mut Step) {
        self.beside.clear();
        for stray in &seen.strays {
            let path = seen.path_of(stray);
            let name = stray.to_string_lossy().into_owned();
            let in_force = self.in_force.get(&name).filter(|_| !states.contains_key(&name)).cloned();
            let why = if in_force.is_some() { Misnamed::BesideInForce } else { Misnamed::Beside };
            self.found.push(why.problem(&path));
            if let Some(file) = in_force {
                step.changed |= self.wanted.get(&name) != Some(&file);
                self.wanted.insert(name.clone(), file);
                self.followed.remove(&name);
                self.beside.insert(name);
            }
        }
    }

    /// The files whose turn it is.
    fn due(&mut self, states: &BTreeMap<String, Stamp>, settle: Duration, step: &mut Step) -> Vec<Due> {
        let now = Instant::now();
        let known = self.followed.keys().chain(self.wanted.keys()).chain(self.in_force.keys());
        let names: BTreeSet<String> = states.keys().chain(known).cloned().collect();
        let mut due = Vec::new();
        for name in names.difference(&self.beside) {
            let (name, state) = (name.clone(), states.get(name).copied());
            let is_new = state.is_some() && !self.in_force.contains_key(&name);
            let followed = self
                .followed
                .entry(name.clone())
                .or_insert_with(|| Followed { settling: Settling::after(None), unread: None });
            let verdict = followed.settling.see(&state, settle, now);
            verdict.wait().into_iter().for_each(|wait| step.wait(wait));
            match verdict {
                Verdict::Ready => due.push(Due { name, state, settled: true }),
                Verdict::Wait(_) if is_new => due.push(Due { name, state, settled: false }),
                Verdict::Wait(_) | Verdict::Doubtful(_) | Verdict::Same => {}
            }
        }
        due
    }

    fn take(&mut self, file: Option<Result<SourceFile, Unread>>, due: Due, seen: &Look, step: &mut Step) {
        let Due { name, state, settled } = due;
        let Some(file) = file else {
            self.followed.remove(&name);
            step.changed |= self.wanted.remove(&name).is_some();
            return;
        };
        if seen.stamp_of(&OsString::from(&name)) != state {
            return step.tear();
        }
        let Some(followed) = self.followed.get_mut(&name) else { return };
        match file {
            // Half of a new file may be there, and the whole be good.
            Ok(file) if !settled && !is_emergency(&file) => {}
            Err(_) if !settled => {}
            Ok(file) => {
                *followed = Followed { settling: Settling::after(Some(state)), unread: None };
                step.changed |= self.wanted.get(&name) != Some(&file);
                self.wanted.insert(name, file);
            }
            Err(Unread { problem, .. }) => {
                // It may be read next time without looking any different.
                *followed = Followed { settling: Settling::after(None), unread: Some(problem) };
                let kept = self.in_force.get(&name);
                step.changed |= self.wanted.get(&name) != kept;
                match kept.cloned() {
                    Some(file) => self.wanted.insert(name, file),
                    None => self.wanted.remove(&name),
                };
            }
        }
    }
}

/// Why a file is not taken by its name.
enum Misnamed {
    Other,
    NotText,
    Backslash,
    Hidden,
    Beside,
    BesideInForce,
}

/// The name of a file of forbids.
fn plain_name(name: &OsString) -> Result<&str, Misnamed> {
    if !name.as_encoded_bytes().ends_with(SUFFIX.as_bytes()) {
        return Err(Misnamed::Other);
    }
    match name.to_str() {
        None => Err(Misnamed::NotText),
        Some(name) if name.contains('\\') => Err(Misnamed::Backslash),
        Some(name) => Ok(name),
    }
}

impl Misnamed {
    fn problem(&self, path: &Path) -> Problem {
        let place = Place::new(&path.display().to_string(), "");
        match self {
            Self::Other => {
                Problem::warning(&place, "is not read: emergency forbids are in files named `*.cedar`")
            }
            Self::NotText => {
                Problem::error(&place, "is not read: its name is not UTF-8 text").help("rename it")
            }
            Self::Backslash => {
                Problem::error(&place, "is not read: its name holds a backslash").help("rename it")
            }
            Self::Hidden => Problem::warning(&place, "is not read: its name begins with a dot")
                .help("rename it, if it is to be in force"),
            Self::Beside => Problem::error(&place, "is not read: it is no part of the mount it stands in")
                .help("put it into the volume that is mounted"),
            Self::BesideInForce => {
                Problem::error(&place, "is not read: it is no part of the mount it stands in")
                    .help("what is in force under its name stays; delete it to lift that")
            }
        }
    }
}

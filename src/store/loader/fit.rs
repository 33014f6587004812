//! Compiling a set together with the emergency forbids: whatever is served, they are part of it.

use super::super::emergency::{Emergency, Files};
use crate::engine::compile::{Loaded, Options, Sources, compile};
use crate::engine::problem::{Problem, Report};

/// Changed emergency files that are tried one by one at most, when no other way shows which of them do not fit.
const MAX_SINGLE: usize = 32;

/// A set that compiled, and the emergency forbids it compiled with.
#[derive(Debug)]
pub(super) struct Fitted {
    pub(super) loaded: Loaded,
    pub(super) in_force: Files,
    /// Why changed emergency files are not among them.
    pub(super) refused: Vec<Problem>,
}

/// Compiles `sources` with the emergency forbids that their folder asks for. A changed file that is broken, or does not
/// fit, stays as it is in force.
///
/// # Errors
/// The set is broken, or does not fit the forbids in force: they are never left out to make it fit.
pub(super) fn fit(sources: &mut Sources, options: &Options, emergency: &Emergency) -> Result<Fitted, Report> {
    let mut attempt = Attempt { sources, options, emergency, refused: Vec::new() };
    let mut files = emergency.wanted().clone();
    let first = match attempt.compile(&files) {
        Ok(loaded) => return Ok(attempt.fitted(loaded, files)),
        Err(report) => report,
    };
    if !attempt.concerns_emergency_only(&first) {
        return Err(first);
    }
    attempt.put_back_broken(&mut files, &first);
    match attempt.compile(&files) {
        Ok(loaded) => Ok(attempt.fitted(loaded, files)),
        Err(_) => attempt.one_by_one(),
    }
}

struct Attempt<'a> {
    sources: &'a mut Sources,
    options: &'a Options,
    emergency: &'a Emergency,
    refused: Vec<Problem>,
}

impl Attempt<'_> {
    fn compile(&mut self, files: &Files) -> Result<Loaded, Report> {
        self.sources.emergency = files.values().cloned().collect();
        compile(self.sources, self.options)
    }

    fn fitted(self, loaded: Loaded, in_force: Files) -> Fitted {
        Fitted { loaded, in_force, refused: self.refused }
    }

    fn concerns_emergency_only(&self, report: &Report) -> bool {
        let names =
            |problem: &Problem| self.emergency.wanted().values().any(|file| file.name == problem.file());
        report.errors().all(names)
    }

    /// Names of files that are not in force as they are wanted.
    fn changed(&self) -> Vec<String> {
        let in_force = self.emergency.in_force();
        let wanted = self.emergency.wanted().iter();
        wanted
            .filter(|(name, file)| in_force.get(*name) != Some(file))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Puts the changed files that the report names back to what is in force.
    fn put_back_broken(&mut self, files: &mut Files, report: &Report) {
        for name in self.changed() {
            let path = files.get(&name).map(|file| file.name.clone()).unwrap_or_default();
            let found: Vec<_> = report.errors().filter(|problem| problem.file() == path).cloned().collect();
            if !found.is_empty() {
                self.refused.extend(found);
                put_back(files, self.emergency.in_force(), &name);
            }
        }
    }

    /// Begins with what is in force, less what was taken away, and adds one changed file after the other.
    fn one_by_one(mut self) -> Result<Fitted, Report> {
        self.refused.clear();
        let changed = self.changed();
        let mut files = self.emergency.wanted().clone();
        changed.iter().for_each(|name| put_back(&mut files, self.emergency.in_force(), name));
        let mut loaded = self.compile(&files)?;
        for name in changed.iter().take(MAX_SINGLE) {
            let mut more = files.clone();
            more.extend(self.emergency.wanted().get(name).map(|file| (name.clone(), file.clone())));
            match self.compile(&more) {
                Ok(better) => (loaded, files) = (better, more),
                Err(report) => self.refused.extend(report.errors().cloned()),
            }
        }
        self.sources.emergency = files.values().cloned().collect();
        Ok(self.fitted(loaded, files))
    }
}

fn put_back(files: &mut Files, in_force: &Files, name: &str) {
    match in_force.get(name) {
        Some(file) => files.insert(name.to_owned(), file.clone()),
        None => files.remove(name),
    };
}

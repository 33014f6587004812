//! Compiling a set together with the emergency forbids: whatever is served, they are part of it.

use super::super::emergency::{Files, Forbids};
use super::super::grants::{NewGrants, ServedGrants};
use crate::engine::compile::{Compiler, Loaded, Sources};
use crate::engine::problem::{Problem, Report};

/// A set that compiled, and the emergency forbids it compiled with.
#[derive(Debug)]
pub(super) struct Fitted {
    pub(super) loaded: Loaded,
    pub(super) in_force: Files,
    /// Why changed emergency files are not among them.
    pub(super) refused: Vec<Problem>,
    /// Delegations that were never served before.
    pub(super) new_grants: NewGrants,
    /// Sequence of the world whose entities it was compiled beside.
    pub(super) base: u64,
}

/// Compiles `sources` as [`fit`] does, and holds them to the delegations that were served before.
///
/// # Errors
/// As [`fit`]; or a delegation is not what it was.
pub(super) fn fit_known(
    sources: &mut Sources,
    compiler: &mut Compiler,
    forbids: &Forbids,
    grants: &ServedGrants,
) -> Result<Fitted, Report> {
    let fitted = fit(sources, compiler, forbids)?;
    let new_grants = grants.check(&fitted.loaded.world, sources)?;
    Ok(Fitted { new_grants, ..fitted })
}

/// Compiles `sources` with the emergency forbids that their folder asks for. A changed file that is broken, or does not
/// fit, stays as it is in force.
///
/// # Errors
/// The set is broken, or does not fit the forbids in force, which are never left out to make it fit; or it changes a
/// delegation that was served.
pub(super) fn fit(
    sources: &mut Sources,
    compiler: &mut Compiler,
    forbids: &Forbids,
) -> Result<Fitted, Report> {
    let mut attempt = Attempt { sources, compiler, forbids, refused: Vec::new() };
    let mut files = forbids.wanted.clone();
    loop {
        let report = match attempt.compile(&files) {
            Ok(loaded) => return Ok(attempt.fitted(loaded, files)),
            Err(report) => report,
        };
        if !attempt.concerns_emergency_only(&report) {
            return Err(report);
        }
        if !attempt.put_back_broken(&mut files, &report) {
            return attempt.part_by_part();
        }
    }
}

struct Attempt<'a> {
    sources: &'a mut Sources,
    compiler: &'a mut Compiler,
    forbids: &'a Forbids,
    refused: Vec<Problem>,
}

impl Attempt<'_> {
    fn compile(&mut self, files: &Files) -> Result<Loaded, Report> {
        self.sources.emergency = files.values().cloned().collect();
        self.compiler.compile(self.sources)
    }

    fn fitted(self, loaded: Loaded, in_force: Files) -> Fitted {
        Fitted { loaded, in_force, refused: self.refused, new_grants: NewGrants::new(), base: 0 }
    }

    fn concerns_emergency_only(&self, report: &Report) -> bool {
        let names = |problem: &Problem| self.forbids.wanted.values().any(|file| file.name == problem.file());
        report.errors().all(names)
    }

    /// Names of files that are not as they are in force.
    fn changed(&self, files: &Files) -> Vec<String> {
        let in_force = &self.forbids.in_force;
        let changed = files.iter().filter(|(name, file)| in_force.get(*name) != Some(file));
        changed.map(|(name, _)| name.clone()).collect()
    }

    /// Puts the changed files that the report names back to what is in force. Whether it names any.
    fn put_back_broken(&mut self, files: &mut Files, report: &Report) -> bool {
        let mut any = false;
        for name in self.changed(files) {
            let path = files.get(&name).map(|file| file.name.clone()).unwrap_or_default();
            let found: Vec<_> = report.errors().filter(|problem| problem.file() == path).cloned().collect();
            if !found.is_empty() {
                self.refused.extend(found);
                put_back(files, &self.forbids.in_force, &name);
                any = true;
            }
        }
        any
    }

    /// Begins with what is in force, less what was taken away, and adds every changed file that fits.
    fn part_by_part(mut self) -> Result<Fitted, Report> {
        self.refused.clear();
        let mut files = self.forbids.wanted.clone();
        let changed = self.changed(&files);
        changed.iter().for_each(|name| put_back(&mut files, &self.forbids.in_force, name));
        let loaded = self.compile(&files)?;
        let mut fitted =
            Fitted { loaded, in_force: files, refused: Vec::new(), new_grants: NewGrants::new(), base: 0 };
        self.add(&changed, &mut fitted);
        fitted.refused.append(&mut self.refused);
        self.sources.emergency = fitted.in_force.values().cloned().collect();
        Ok(fitted)
    }

    /// Adds files together, or else each half of them: down to single ones, so that a bad one takes no good one with it.
    fn add(&mut self, names: &[String], fitted: &mut Fitted) {
        let mut files = fitted.in_force.clone();
        let wanted = &self.forbids.wanted;
        files.extend(names.iter().filter_map(|name| Some((name.clone(), wanted.get(name)?.clone()))));
        match (self.compile(&files), names) {
            (Ok(loaded), _) => (fitted.loaded, fitted.in_force) = (loaded, files),
            (Err(report), [] | [_]) => self.refused.extend(report.errors().cloned()),
            (Err(_), names) => {
                let (first, second) = names.split_at(names.len() / 2);
                self.add(first, fitted);
                self.add(second, fitted);
            }
        }
    }
}

fn put_back(files: &mut Files, in_force: &Files, name: &str) {
    match in_force.get(name) {
        Some(file) => files.insert(name.to_owned(), file.clone()),
        None => files.remove(name),
    };
}

#[cfg(test)]
mod tests {
    use super::super::super::directory::read;
    use super::super::super::support_tests::{Site, forbid};
    use super::*;
    use crate::engine::compile::{Options, Workers};

    #[test]
    fn part_by_part_finds_every_file_that_fits() {
        let site = Site::new();
        for number in 10..80 {
            site.write(&format!("emergency/f{number}.cedar"), forbid("same"));
        }
        for number in [12, 13, 40, 79] {
            site.write(&format!("emergency/f{number}.cedar"), "forbid (");
        }
        let mut emergency = super::super::super::emergency::Emergency::open(
            &site.path("emergency"),
            &site.path("emergency.set"),
        )
        .unwrap();
        emergency.start().unwrap();
        let mut sources = read(&site.folders()).unwrap();
        let mut compiler = Compiler::new(Options::default(), Workers::default());
        let attempt = Attempt {
            sources: &mut sources,
            compiler: &mut compiler,
            forbids: &emergency.forbids(),
            refused: Vec::new(),
        };
        let fitted = attempt.part_by_part().unwrap();
        assert_eq!((fitted.in_force.len(), fitted.refused.len()), (66, 4));
        assert!(fitted.refused[3].to_string().contains("f79.cedar"), "{:?}", fitted.refused);
        assert_eq!(fitted.loaded.world.generation.policies.len(), 67);
        assert_eq!(sources.emergency.len(), 66);
    }
}

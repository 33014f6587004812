//! Emergency forbids: which are in force, and what their folder says now (W5).
//!
//! A forbid in force stays until its file is replaced by a good one or is taken away from a folder that can be read.
//! Nothing else lifts it: no error, no restart, no reload of what it joins.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::folder::{Look, Unread, unreadable};
use super::history::Text;
use super::sealed::{self, Damaged};
use crate::engine::compile::base_name;
use crate::engine::problem::{Place, Problem, SourceFile};

const KIND: &str = "emergency";
const SUFFIX: &str = ".cedar";

/// Files by their names without the folder.
pub(super) type Files = BTreeMap<String, SourceFile>;

/// The emergency forbids of this process.
#[derive(Debug)]
pub(super) struct Emergency {
    folder: PathBuf,
    file: PathBuf,
    /// What is part of the world that is served.
    in_force: Files,
    /// What the folder asks for: files that can be read as they are, others as they are in force.
    wanted: Files,
    /// What of the folder could not be read.
    unread: Vec<Problem>,
    /// What of it could be read and not be put in force.
    refused: Vec<Problem>,
    /// Whether the disk has what is in force.
    saved: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Written {
    files: Vec<Text>,
}

impl Emergency {
    /// What was in force when the process before this one ended.
    ///
    /// # Errors
    /// [`Damaged`]: which forbids must hold is not known.
    pub(super) fn open(folder: &Path, file: &Path) -> Result<Self, Damaged> {
        let written: Option<Written> = sealed::read(file, KIND)?;
        let texts = written.map(|written| written.files).unwrap_or_default();
        let in_force: Files = texts
            .into_iter()
            .map(|text| {
                let file = text.into_file();
                let name = base_name(&file.name).to_owned();
                (name.clone(), SourceFile { name: folder.join(name).display().to_string(), ..file })
            })
            .collect();
        Ok(Self {
            folder: folder.to_owned(),
            file: file.to_owned(),
            wanted: in_force.clone(),
            in_force,
            unread: Vec::new(),
            refused: Vec::new(),
            saved: true,
        })
    }

    /// Where the files come from.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is part of the world that is served.
    pub(super) fn in_force(&self) -> &Files {
        &self.in_force
    }

    /// What the folder asks for.
    pub(super) fn wanted(&self) -> &Files {
        &self.wanted
    }

    /// Everything that somebody should look at.
    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.unread.iter().chain(&self.refused)
    }

    /// Reads the folder as it was seen. False if it changed meanwhile: then nothing was taken from it.
    pub(super) fn read(&mut self, seen: &Look) -> bool {
        let mut unread = Vec::new();
        let wanted = match &seen.place {
            Ok(_) => self.read_files(seen, &mut unread),
            Err(error) => {
                if !seen.is_missing() || !self.in_force.is_empty() {
                    let problem = unreadable(&self.folder, &error.message);
                    unread.push(
                        problem.help("the emergency forbids in force stay; an empty folder lifts them"),
                    );
                }
                self.in_force.clone()
            }
        };
        if Look::at(&self.folder) != *seen {
            return false;
        }
        (self.wanted, self.unread) = (wanted, unread);
        true
    }

    fn read_files(&self, seen: &Look, unread: &mut Vec<Problem>) -> Files {
        let mut wanted = Files::new();
        for stray in &seen.strays {
            unread.push(not_read(&seen.path_of(stray)));
        }
        for entry in &seen.entries {
            let name = entry.name.to_string_lossy().into_owned();
            if !name.ends_with(SUFFIX) {
                unread.push(not_read(&seen.path_of(&entry.name)));
                continue;
            }
            match seen.read(&entry.name) {
                Ok(file) => drop(wanted.insert(name, file)),
                Err(Unread { problem, .. }) => {
                    unread.push(problem);
                    wanted.extend(self.in_force.get(&name).map(|file| (name, file.clone())));
                }
            }
        }
        wanted
    }

    /// Notes what became part of the world that is served, and what was refused.
    pub(super) fn accept(&mut self, in_force: Files, refused: Vec<Problem>) {
        self.saved &= self.in_force == in_force;
        self.in_force = in_force;
        self.refused = refused;
    }

    /// Notes what was refused; what is in force stays.
    pub(super) fn refuse(&mut self, refused: Vec<Problem>) {
        self.refused = refused;
    }

    /// Brings the disk up to date with what is in force.
    pub(super) fn save(&mut self) -> io::Result<()> {
        if self.saved {
            return Ok(());
        }
        let files = self.in_force.values().map(Text::of).collect::<io::Result<Vec<_>>>()?;
        sealed::write(&self.file, KIND, &Written { files })?;
        self.saved = true;
        Ok(())
    }
}

fn not_read(path: &Path) -> Problem {
    let place = Place::new(&path.display().to_string(), "");
    Problem::warning(&place, "is not read: emergency forbids are in files named `*.cedar`")
}

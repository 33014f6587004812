//! Emergency forbids: which are in force, and what their folder says now (W5).
//!
//! A forbid in force stays until its file is replaced by a good one or is taken away from a folder that can be read.
//! Nothing else lifts it: no error, no restart, no reload of what it joins.

mod follow;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::sealed::{self, Damaged};
use crate::engine::compile::base_name;
use crate::engine::problem::{Problem, SourceFile};
use follow::Followed;

const KIND: &str = "emergency";

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
    /// What is known of each name in the folder.
    followed: BTreeMap<String, Followed>,
    /// Names in force whose files stand beside a mount: those are not followed.
    beside: BTreeSet<String>,
    /// What is wrong with the folder and the names in it.
    found: Vec<Problem>,
    /// What of it could be read and not be put in force.
    refused: Vec<Problem>,
    /// Whether the disk has what is in force.
    saved: bool,
}

/// Which forbids there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Forbids {
    /// Part of the world that is served.
    pub(super) in_force: Files,
    /// What the folder asks for.
    pub(super) wanted: Files,
}

#[derive(Debug, Serialize, Deserialize)]
struct Written {
    files: Vec<Text>,
}

/// A file that compiled: it is text.
#[derive(Debug, Serialize, Deserialize)]
struct Text {
    name: String,
    text: String,
}

impl Text {
    fn of(file: &SourceFile) -> io::Result<Self> {
        let text = String::from_utf8(file.bytes.to_vec()).map_err(io::Error::other)?;
        Ok(Self { name: file.name.clone(), text })
    }
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
                let name = base_name(&text.name).to_owned();
                let path = folder.join(&name).display().to_string();
                (name, SourceFile { name: path, bytes: text.text.into() })
            })
            .collect();
        Ok(Self {
            folder: folder.to_owned(),
            file: file.to_owned(),
            wanted: in_force.clone(),
            in_force,
            followed: BTreeMap::new(),
            beside: BTreeSet::new(),
            found: Vec::new(),
            refused: Vec::new(),
            saved: true,
        })
    }

    /// What is part of the world that is served.
    pub(super) fn in_force(&self) -> &Files {
        &self.in_force
    }

    /// What the folder asks for.
    pub(super) fn wanted(&self) -> &Files {
        &self.wanted
    }

    /// Both as they are now.
    pub(super) fn forbids(&self) -> Forbids {
        Forbids { in_force: self.in_force.clone(), wanted: self.wanted.clone() }
    }

    /// Everything that somebody should look at.
    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        let unread = self.followed.values().filter_map(Followed::unread);
        self.found.iter().chain(unread).chain(&self.refused)
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

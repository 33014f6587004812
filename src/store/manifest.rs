//! `mandate.sum`: what a complete set consists of, in the format of `sha256sum`.
//!
//! Where a manifest covers a folder, no decision is ever made from a half-written or half-updated set: until every
//! file is there with the sum that is listed, nothing of it loads.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use crate::engine::digest;
use crate::engine::problem::{Place, Problem, Report, SourceFile};
use crate::verifiers::SIGNATURE;

/// Hex digits of a sum.
const DIGITS: usize = 64;

/// What a comment begins with that names the commit which a set was made from.
const COMMIT: &str = "# commit:";
/// Longest name of a commit, in bytes.
const MAX_COMMIT_BYTES: usize = 256;

/// A manifest that could be read: sums by path, relative to the manifest.
#[derive(Debug)]
pub(super) struct Manifest {
    place: Place,
    commit: String,
    sums: BTreeMap<String, Listed>,
}

/// What a manifest lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// A source by its name, which ought to have been read.
    Source,
    /// Something below a source folder that is never read: whoever listed it thinks that it is.
    Unreadable,
    /// Something else.
    Other,
}

#[derive(Debug)]
struct Listed {
    /// As in [`digest::of_bytes`].
    sum: String,
    /// Byte offset of the line.
    offset: usize,
}

impl Manifest {
    /// Reads every line, or reports each that cannot be read.
    pub(super) fn parse(file: &SourceFile, report: &mut Report) -> Option<Self> {
        let Ok(text) = std::str::from_utf8(&file.bytes) else {
            report.push(Problem::error(&Place::new(&file.name, ""), "not UTF-8 text"));
            return None;
        };
        let mut manifest =
            Self { place: Place::new(&file.name, text), commit: String::new(), sums: BTreeMap::new() };
        let mut offset = 0;
        let mut sound = true;
        for line in text.split_inclusive('\n') {
            if let Err(message) = manifest.add(line.trim_end_matches(['\r', '\n']), offset) {
                let problem = Problem::error(&manifest.place, message).at(offset..offset + line.len(), None);
                report.push(problem.help("write it with `sha256sum`: 64 hex digits, two spaces, a path"));
                sound = false;
            }
            offset += line.len();
        }
        sound.then_some(manifest)
    }

    fn add(&mut self, line: &str, offset: usize) -> Result<(), String> {
        if let Some(commit) = line.strip_prefix(COMMIT) {
            return self.name_commit(commit.trim());
        }
        // Who signed is looked at by itself.
        if line.trim().is_empty() || line.starts_with('#') || line.starts_with(SIGNATURE) {
            return Ok(());
        }
        let malformed = || "not a line of `sha256sum`".to_owned();
        let (sum, rest) = line.split_at_checked(DIGITS).ok_or_else(malformed)?;
        if !sum.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(malformed());
        }
        let written = rest.strip_prefix("  ").or_else(|| rest.strip_prefix(" *")).ok_or_else(malformed)?;
        let path = relative(written)?;
        let listed = Listed { sum: format!("sha256:{}", sum.to_ascii_lowercase()), offset };
        match self.sums.insert(path, listed) {
            None => Ok(()),
            Some(_) => Err(format!("`{written}` is listed twice")),
        }
    }

    fn name_commit(&mut self, commit: &str) -> Result<(), String> {
        if !self.commit.is_empty() {
            return Err("a second commit: a set is made from one".to_owned());
        }
        if commit.len() > MAX_COMMIT_BYTES || commit.chars().any(char::is_control) {
            return Err(format!("the commit has more than {MAX_COMMIT_BYTES} bytes, or control characters"));
        }
        commit.clone_into(&mut self.commit);
        Ok(())
    }

    /// The commit that the set was made from, where it says so.
    pub(super) fn commit(&self) -> &str {
        &self.commit
    }

    /// Holds files to their sums. `files` are what was read, each with its path from the manifest; `kind` says of the
    /// other paths listed what they are.
    pub(super) fn check<'a>(
        &self,
        files: impl Iterator<Item = (String, &'a SourceFile)>,
        kind: impl Fn(&str) -> Listing,
        report: &mut Report,
    ) {
        let mut unread: BTreeMap<_, _> = self.sums.iter().collect();
        for (path, file) in files {
            let place = Place::new(&file.name, "");
            unread.remove(&path);
            match self.sums.get(&path) {
                None => report.push(
                    Problem::error(&place, "is not listed in mandate.sum")
                        .help(self.advice("lists no such file")),
                ),
                Some(listed) if listed.sum != digest::named(file.bytes.sum()) => {
                    let line = self.place.locate(listed.offset);
                    let help = format!("{line} has another sum: finish the update, or run `sha256sum` again");
                    report.push(Problem::error(&place, "does not match mandate.sum").help(help));
                }
                Some(_) => {}
            }
        }
        for (path, listed) in unread {
            let (saying, help) = match kind(path) {
                Listing::Other => continue,
                Listing::Source => ("is listed in mandate.sum and missing", "finish the update"),
                Listing::Unreadable => (
                    "is listed in mandate.sum and is no source by its name and place",
                    "sources stand directly in their folder; list nothing else below it",
                ),
            };
            let problem = Problem::error(&self.place, format!("`{path}` {saying}"));
            report.push(problem.at(listed.offset..listed.offset, None).help(help));
        }
    }

    fn advice(&self, said: &str) -> String {
        format!("{} {said}: finish the update, or run `sha256sum` again", self.place.name())
    }
}

/// A path that stays below the manifest, in its one spelling.
fn relative(written: &str) -> Result<String, String> {
    if written.contains('\\') || written.chars().any(char::is_control) {
        return Err(format!("`{}` holds a backslash or a control character", written.escape_debug()));
    }
    if written.contains("//") || written.ends_with('/') {
        return Err(format!("`{written}` is no path of a file"));
    }
    let mut names = Vec::new();
    for component in Path::new(written).components() {
        match component {
            Component::Normal(name) => names.push(name.to_string_lossy()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(format!("`{written}` leads out of the manifest's folder"));
            }
        }
    }
    if names.is_empty() { Err("a sum without a path".to_owned()) } else { Ok(names.join("/")) }
}

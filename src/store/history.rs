//! Sets that were served, kept on disk so that they can be served again: the last known good, and rollbacks.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::sealed::{self, Damaged, Defect};
use super::{atomic, set_digest};
use crate::engine::compile::Sources;
use crate::engine::problem::SourceFile;

/// Sets kept at most, unless what is served or pinned would have to go.
const MAX_KEPT: usize = 10;
/// Generation hashes remembered of one set: options and emergency forbids make new ones of the same files.
const MAX_GENERATIONS: usize = 64;
const KIND: &str = "generation";
const SUFFIX: &str = ".set";
/// Fewest hex digits by which a generation can be named.
const MIN_PREFIX: usize = 8;

/// The kept sets, latest publication first. Their files stay on disk until one is asked for.
#[derive(Debug)]
pub(super) struct History {
    folder: PathBuf,
    entries: Vec<Kept>,
}

/// What is known of a kept set without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// Name of the set.
    pub(super) digest: String,
    /// When it was published last.
    pub(super) at: SystemTime,
    /// Hashes it was published under, the latest last.
    pub(super) generations: Vec<String>,
    /// How many files it has.
    pub(super) files: usize,
    order: u64,
}

/// A kept set as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    digest: String,
    /// Counts publications: clocks go back, this does not.
    order: u64,
    /// Milliseconds since 1970.
    at: u64,
    generations: Vec<String>,
    policies: Vec<Text>,
    links: Vec<Text>,
    schemas: Vec<Text>,
    definitions: Vec<Text>,
    entities: Vec<Text>,
}

/// A file that compiled: it is text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Text {
    name: String,
    text: String,
}

impl Text {
    pub(super) fn of(file: &SourceFile) -> io::Result<Self> {
        let text = String::from_utf8(file.bytes.clone()).map_err(io::Error::other)?;
        Ok(Self { name: file.name.clone(), text })
    }

    pub(super) fn into_file(self) -> SourceFile {
        SourceFile { name: self.name, bytes: self.text.into_bytes() }
    }
}

/// Why no kept set is meant by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotFound {
    Malformed,
    Unknown,
    Ambiguous,
}

impl History {
    /// Looks through the kept sets. What is damaged is left out, and said.
    pub(super) fn open(folder: &Path) -> (Self, Vec<Damaged>) {
        let mut history = Self { folder: folder.to_owned(), entries: Vec::new() };
        let mut damaged = Vec::new();
        match fs::read_dir(folder) {
            Ok(listed) => {
                let paths = listed.filter_map(|entry| Some(entry.ok()?.path()));
                for path in paths.filter(|path| is_entry(path)) {
                    match Written::read(&path) {
                        Ok(written) => history.entries.push(written.kept()),
                        Err(error) => damaged.push(error),
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => damaged
                .push(Damaged { path: folder.to_owned(), defect: Defect::Unreadable(error.to_string()) }),
        }
        history.sort();
        (history, damaged)
    }

    /// The kept sets, latest publication first.
    pub(super) fn entries(&self) -> &[Kept] {
        &self.entries
    }

    /// Keeps a set that was just published as `generation`. Of more than ten the one published longest ago goes,
    /// except those `protected`.
    pub(super) fn keep(
        &mut self,
        sources: &Sources,
        generation: &str,
        at: SystemTime,
        protected: &[&str],
    ) -> io::Result<()> {
        let digest = set_digest::of_sources(sources);
        let mut generations = self.entry(&digest).map(|kept| kept.generations.clone()).unwrap_or_default();
        generations.retain(|known| known != generation);
        generations.push(generation.to_owned());
        let surplus = generations.len().saturating_sub(MAX_GENERATIONS);
        generations.drain(..surplus);
        let order = self.entries.iter().map(|kept| kept.order).max().unwrap_or(0) + 1;
        let written = Written::new(digest, order, at, generations, sources)?;
        atomic::create_folder(&self.folder)?;
        sealed::write(&self.path(&written.digest), KIND, &written)?;
        self.entries.retain(|kept| kept.digest != written.digest);
        self.entries.push(written.kept());
        self.sort();
        self.prune(protected)
    }

    fn prune(&mut self, protected: &[&str]) -> io::Result<()> {
        while self.entries.len() > MAX_KEPT {
            let oldest = self.entries.iter().rposition(|kept| !protected.contains(&kept.digest.as_str()));
            let Some(oldest) = oldest else { break };
            let gone = self.entries.remove(oldest);
            atomic::remove(&self.path(&gone.digest))?;
        }
        Ok(())
    }

    /// The files of a kept set.
    pub(super) fn load(&self, digest: &str) -> Result<Sources, Damaged> {
        Written::read(&self.path(digest)).map(Written::into_sources)
    }

    pub(super) fn entry(&self, digest: &str) -> Option<&Kept> {
        self.entries.iter().find(|kept| kept.digest == digest)
    }

    /// The set that a name means: the hash of a generation it was published under, or its own digest, or the
    /// beginning of either. Sets that differ in entities only share a generation: the one published last is meant.
    pub(super) fn find(&self, name: &str) -> Result<&Kept, NotFound> {
        let digits = name.strip_prefix("sha256:").unwrap_or(name).to_ascii_lowercase();
        if digits.len() < MIN_PREFIX || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotFound::Malformed);
        }
        let hash = format!("sha256:{digits}");
        let generations = self.entries.iter().flat_map(|kept| &kept.generations);
        let meant: BTreeSet<_> = generations.filter(|known| known.starts_with(&hash)).collect();
        let mut sets = self.entries.iter().filter(|kept| kept.digest.starts_with(&digits));
        match (meant.len(), meant.first(), sets.next(), sets.next()) {
            (1, Some(one), ..) => {
                self.entries.iter().find(|kept| kept.generations.contains(one)).ok_or(NotFound::Unknown)
            }
            (0, None, Some(kept), None) => Ok(kept),
            (0, None, None, _) => Err(NotFound::Unknown),
            _ => Err(NotFound::Ambiguous),
        }
    }

    fn sort(&mut self) {
        self.entries.sort_by_key(|kept| std::cmp::Reverse(kept.order));
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}{SUFFIX}"))
    }
}

fn is_entry(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    !name.starts_with('.') && name.ends_with(SUFFIX)
}

impl Written {
    fn new(
        digest: String,
        order: u64,
        at: SystemTime,
        generations: Vec<String>,
        sources: &Sources,
    ) -> io::Result<Self> {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let texts = |files: &[SourceFile]| files.iter().map(Text::of).collect::<io::Result<Vec<_>>>();
        Ok(Self {
            digest,
            order,
            at: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            generations,
            policies: texts(&sources.policies)?,
            links: texts(&sources.links)?,
            schemas: texts(&sources.schemas)?,
            definitions: texts(&sources.definitions)?,
            entities: texts(&sources.entities)?,
        })
    }

    /// Reads an entry, and holds it to its name.
    fn read(path: &Path) -> Result<Self, Damaged> {
        let damaged = |defect| Damaged { path: path.to_owned(), defect };
        let written: Self = sealed::read(path, KIND)?
            .ok_or_else(|| damaged(Defect::Unreadable("it is no longer there".to_owned())))?;
        let named = path.file_stem().is_some_and(|stem| stem.to_string_lossy() == written.digest);
        if !named {
            return Err(damaged(Defect::Content(format!("it holds the set {}", written.digest))));
        }
        Ok(written)
    }

    fn kept(&self) -> Kept {
        let kinds = [&self.policies, &self.links, &self.schemas, &self.definitions, &self.entities];
        Kept {
            digest: self.digest.clone(),
            at: UNIX_EPOCH.checked_add(Duration::from_millis(self.at)).unwrap_or(UNIX_EPOCH),
            generations: self.generations.clone(),
            files: kinds.into_iter().map(Vec::len).sum(),
            order: self.order,
        }
    }

    fn into_sources(self) -> Sources {
        let files = |texts: Vec<Text>| texts.into_iter().map(Text::into_file).collect();
        Sources {
            policies: files(self.policies),
            links: files(self.links),
            schemas: files(self.schemas),
            definitions: files(self.definitions),
            entities: files(self.entities),
            ..Sources::default()
        }
    }
}

//! Sets that were served, kept on disk so that they can be served again: the last known good, and rollbacks.
//!
//! A set is a list of names and sums. Each content is a file of its own, named by its sum, that sets share: to keep a set
//! takes as much as is new in it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::sealed::{self, Damaged, Defect};
use super::{atomic, set_digest};
use crate::engine::compile::{Provenance, Sources};
use crate::engine::content::Content;
use crate::engine::digest;
use crate::engine::problem::SourceFile;

/// Sets kept at most, unless what is served or pinned would have to go.
const MAX_KEPT: usize = 10;
/// Generation hashes remembered of one set: options and emergency forbids make new ones of the same files.
const MAX_GENERATIONS: usize = 64;
const KIND: &str = "generation";
const SUFFIX: &str = ".set";
/// Of contents.
const CONTENT_SUFFIX: &str = ".content";
/// Fewest hex digits by which a generation can be named.
const MIN_PREFIX: usize = 8;

/// The kept sets, latest publication first. Their files stay on disk until one is asked for.
#[derive(Debug, Clone)]
pub(super) struct History {
    folder: PathBuf,
    entries: Vec<Kept>,
    /// Names of the contents on disk that are what they should be.
    contents: HashSet<String>,
    /// Whether some of the contents may be of sets that this build cannot read.
    others: bool,
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
    /// Names of their contents.
    contents: Vec<String>,
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
    policies: Vec<Listed>,
    links: Vec<Listed>,
    schemas: Vec<Listed>,
    definitions: Vec<Listed>,
    entities: Vec<Listed>,
    /// What the manifest said of where it comes from; sets that were kept before this was kept say nothing.
    #[serde(default)]
    commit: String,
    #[serde(default)]
    signer: String,
}

/// A file of a set.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listed {
    name: String,
    /// The name of its content: 64 hex digits.
    sum: String,
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
        let mut history = Self::empty(folder);
        let mut damaged = Vec::new();
        match fs::read_dir(folder) {
            Ok(listed) => {
                let paths: Vec<_> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
                let contents = paths.iter().filter_map(|path| name_of(path, CONTENT_SUFFIX));
                history.contents = contents.filter(|name| history.read(name).is_ok()).collect();
                for path in paths.iter().filter(|path| name_of(path, SUFFIX).is_some()) {
                    match Written::read(path).and_then(|written| history.check(written.kept())) {
                        Ok(kept) => history.entries.push(kept),
                        Err(error) => damaged.push(error),
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => damaged
                .push(Damaged { path: folder.to_owned(), defect: Defect::Unreadable(error.to_string()) }),
        }
        history.others = !damaged.is_empty();
        history.sort();
        (history, damaged)
    }

    fn empty(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), entries: Vec::new(), contents: HashSet::new(), others: false }
    }

    /// A set all of whose contents are there.
    fn check(&self, kept: Kept) -> Result<Kept, Damaged> {
        match kept.contents.iter().find(|name| !self.contents.contains(*name)) {
            None => Ok(kept),
            Some(name) => Err(self.read(name).err().unwrap_or_else(|| self.damaged(name, Defect::Checksum))),
        }
    }

    /// A content, held to its name.
    fn read(&self, name: &str) -> Result<Content, Damaged> {
        let unreadable = |text: String| self.damaged(name, Defect::Unreadable(text));
        let bytes = atomic::read(&self.content_path(name)).map_err(|error| unreadable(error.to_string()))?;
        let content = Content::from(bytes.ok_or_else(|| unreadable("it is not there".to_owned()))?);
        let is_same = digest::hex(content.sum()) == name;
        is_same.then_some(content).ok_or_else(|| self.damaged(name, Defect::Checksum))
    }

    fn damaged(&self, name: &str, defect: Defect) -> Damaged {
        Damaged { path: self.content_path(name), defect }
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
        let written = Written::new(digest, order, at, generations, sources);
        atomic::create_folder(&self.folder)?;
        self.keep_contents(sources)?;
        sealed::write(&self.path(&written.digest), KIND, &written)?;
        self.entries.retain(|kept| kept.digest != written.digest);
        self.entries.push(written.kept());
        self.sort();
        self.prune(protected)
    }

    /// Writes the contents that the disk does not have, or has no more.
    fn keep_contents(&mut self, sources: &Sources) -> io::Result<()> {
        let files = kinds(sources).into_iter().flatten();
        let named = files.map(|file| (digest::hex(file.bytes.sum()), &*file.bytes));
        let is_there = |name: &String| self.contents.contains(name) && self.content_path(name).exists();
        let new: BTreeMap<_, _> = named.filter(|(name, _)| !is_there(name)).collect();
        atomic::write_all(&self.folder, new.iter().map(|(name, bytes)| (content_name(name), *bytes)))?;
        self.contents.extend(new.into_keys());
        Ok(())
    }

    fn prune(&mut self, protected: &[&str]) -> io::Result<()> {
        while self.entries.len() > MAX_KEPT {
            let oldest = self.entries.iter().rposition(|kept| !protected.contains(&kept.digest.as_str()));
            let Some(oldest) = oldest else { break };
            let gone = self.entries.remove(oldest);
            atomic::remove(&self.path(&gone.digest))?;
        }
        self.forget_contents()
    }

    /// Takes away the contents that no set has any more.
    fn forget_contents(&mut self) -> io::Result<()> {
        if self.others {
            return Ok(());
        }
        let used: HashSet<&String> = self.entries.iter().flat_map(|kept| &kept.contents).collect();
        let unused: Vec<_> = self.contents.iter().filter(|name| !used.contains(name)).cloned().collect();
        for name in unused {
            atomic::remove(&self.content_path(&name))?;
            self.contents.remove(&name);
        }
        Ok(())
    }

    /// The files of a kept set.
    pub(super) fn load(&self, digest: &str) -> Result<Sources, Damaged> {
        let written = Written::read(&self.path(digest))?;
        let files = |listed: Vec<Listed>| {
            let files = listed
                .into_iter()
                .map(|Listed { name, sum }| Ok(SourceFile { name, bytes: self.read(&sum)? }));
            files.collect::<Result<Vec<_>, Damaged>>()
        };
        Ok(Sources {
            policies: files(written.policies)?,
            links: files(written.links)?,
            schemas: files(written.schemas)?,
            definitions: files(written.definitions)?,
            entities: files(written.entities)?,
            provenance: Provenance { commit: written.commit, signer: written.signer },
            ..Sources::default()
        })
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

    fn content_path(&self, name: &str) -> PathBuf {
        self.folder.join(content_name(name))
    }
}

fn content_name(name: &str) -> String {
    format!("{name}{CONTENT_SUFFIX}")
}

/// The name of a file with that suffix, less the suffix; hidden ones are no such files.
fn name_of(path: &Path, suffix: &str) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    name.strip_suffix(suffix).filter(|name| !name.starts_with('.')).map(str::to_owned)
}

/// The files of a set, kind by kind.
fn kinds(sources: &Sources) -> [&[SourceFile]; 5] {
    let Sources { policies, links, schemas, definitions, entities, .. } = sources;
    [policies, links, schemas, definitions, entities]
}

impl Written {
    fn new(digest: String, order: u64, at: SystemTime, generations: Vec<String>, sources: &Sources) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let [policies, links, schemas, definitions, entities] =
            kinds(sources).map(|files| files.iter().map(Listed::of).collect());
        Self {
            digest,
            order,
            at: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            generations,
            policies,
            links,
            schemas,
            definitions,
            entities,
            commit: sources.provenance.commit.clone(),
            signer: sources.provenance.signer.clone(),
        }
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
            contents: kinds.into_iter().flatten().map(|listed| listed.sum.clone()).collect(),
        }
    }
}

impl Listed {
    fn of(file: &SourceFile) -> Self {
        Self { name: file.name.clone(), sum: digest::hex(file.bytes.sum()) }
    }
}

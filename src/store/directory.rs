//! Reading sources from folders: one whole state of them, or what is wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::folder::{Look, MANIFEST, Remembered, Stamp, Unread, read_file, unreadable};
use super::manifest::{Listing, Manifest};
use super::provenance::Signers;
use super::set_digest;
use crate::engine::compile::Sources;
use crate::engine::guard::{MAX_ENTITY_FILE_BYTES, MAX_FILE_BYTES};
use crate::engine::problem::{Place, Problem, Report, SourceFile};

/// How often files that change while they are read are read again at once.
const ATTEMPTS: usize = 5;

/// Where the sources are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// `*.cedar` and `*.links.json`.
    pub policies: PathBuf,
    /// `*.cedarschema`, `*.cedarschema.json` and `*.tools.json`.
    pub schemas: PathBuf,
    /// `*.json` and `*.jsonl`. A folder that does not exist holds no entities.
    pub entities: PathBuf,
}

/// Reads every source file directly in the folders, by name, and holds them to their manifests.
///
/// # Errors
/// A [`Report`] naming each path that cannot be read or that a manifest does not vouch for.
pub fn read(folders: &Folders) -> Result<Sources, Report> {
    read_signed(folders, &Signers::default())
}

/// Reads sources as [`read`] does, and holds them to a signature, where one is asked for.
///
/// # Errors
/// As [`read`], and that nobody of these has signed.
pub fn read_signed(folders: &Folders, signers: &Signers) -> Result<Sources, Report> {
    let reading = Reading::take(folders).signed(signers);
    if reading.report.rejects() { Err(reading.report) } else { Ok(reading.sources) }
}

/// Suffixes of source files, by folder. The longer one first: a definition is no entity, and a JSON schema no
/// definition.
const POLICIES: &[&str] = &[".links.json", ".cedar"];
const SCHEMAS: &[&str] = &[".tools.json", ".cedarschema.json", ".cedarschema"];
const ENTITIES: &[&str] = &[".json", ".jsonl"];

/// What all the folders looked like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint {
    policies: Look,
    schemas: Look,
    entities: Look,
    /// The manifest in the folder that holds all three.
    common: Option<(PathBuf, Stamp)>,
}

impl Fingerprint {
    /// Looks at every file, and reads none.
    pub(super) fn of(folders: &Folders) -> Self {
        let common = common_manifest(folders).filter(|path| fs::symlink_metadata(path).is_ok());
        Self {
            policies: Look::at(&folders.policies),
            schemas: Look::at(&folders.schemas),
            entities: Look::at(&folders.entities),
            common: common.map(|path| (path.clone(), Stamp::of(&path))),
        }
    }

    /// Whether a half-written or half-updated set would be noticed: one manifest covers all of it, or it is swapped as
    /// one, or a single folder changed since `handled` and that one is vouched for. Folders that are vouched for each
    /// by itself say nothing of each other.
    pub(super) fn is_vouched(&self, handled: Option<&Self>) -> bool {
        self.common.is_some() || self.is_swapped_as_one() || self.is_one_vouched_folder_after(handled)
    }

    fn is_swapped_as_one(&self) -> bool {
        let [first, others @ ..] = self.looks();
        first.swap.is_some() && others.into_iter().all(|look| look.swap == first.swap)
    }

    fn is_one_vouched_folder_after(&self, handled: Option<&Self>) -> bool {
        let Some(handled) = handled.filter(|handled| handled.common == self.common) else { return false };
        let looks = self.looks().into_iter().zip(handled.looks());
        let mut changed = looks.filter(|(now, before)| now != before).map(|(now, _)| now);
        let one = changed.next().is_some_and(|look| look.mounted || look.has_manifest());
        one && changed.next().is_none()
    }

    /// Whether there is no folder of entities, which is what a set without entities looks like, and a lost folder too.
    pub(super) fn lacks_entities(&self) -> bool {
        self.entities.is_missing()
    }

    /// Whether a file changed so shortly ago that the next change could look the same.
    pub(super) fn is_recent(&self, now: SystemTime) -> bool {
        self.looks().into_iter().any(|look| look.is_recent(now))
    }

    /// Each folder, and the suffixes of its sources.
    fn kinds(&self) -> [(&Look, &'static [&'static str]); 3] {
        [(&self.policies, POLICIES), (&self.schemas, SCHEMAS), (&self.entities, ENTITIES)]
    }

    fn looks(&self) -> [&Look; 3] {
        [&self.policies, &self.schemas, &self.entities]
    }
}

/// The path of a manifest that covers all folders: beside them, if they stand side by side.
fn common_manifest(folders: &Folders) -> Option<PathBuf> {
    let parent = |folder: &Path| std::path::absolute(folder).ok()?.parent().map(Path::to_owned);
    let common = parent(&folders.policies)?;
    let same = |folder: &Path| parent(folder).is_some_and(|parent| parent == common);
    (same(&folders.schemas) && same(&folders.entities)).then(|| common.join(MANIFEST))
}

/// What one attempt to read the folders found.
#[derive(Debug)]
pub(super) struct Reading {
    /// Whatever could be read.
    pub(super) sources: Sources,
    /// What could not, and what a manifest does not vouch for.
    pub(super) report: Report,
    /// The manifest over all folders.
    pub(super) manifest: Option<SourceFile>,
    /// What the files looked like; none if they would not stand still, or the system would not give one of them: then
    /// nothing is known of the files, and they are read again.
    pub(super) fingerprint: Option<Fingerprint>,
    /// Whether they would not stand still.
    pub(super) is_moving: bool,
    /// The files, for the next reading.
    pub(super) remembered: Arc<Remembered>,
    /// Names what was found, good or broken.
    pub(super) digest: String,
}

/// What reading finds wrong.
#[derive(Debug, Default)]
struct Findings {
    report: Report,
    /// Whether the system failed to give a file.
    transient: bool,
    remembered: Remembered,
    /// The manifest over all folders.
    manifest: Option<SourceFile>,
}

impl Findings {
    fn unread(&mut self, unread: Unread) {
        self.transient |= unread.transient;
        self.report.push(unread.problem);
    }
}

impl Reading {
    /// Reads the folders. Files that change meanwhile are read again, a few times.
    pub(super) fn take(folders: &Folders) -> Self {
        Self::after(folders, &Remembered::default())
    }

    /// Reads them as [`Reading::take`] does, but for files that look as they did when they were read last.
    pub(super) fn after(folders: &Folders, known: &Remembered) -> Self {
        let mut before = Fingerprint::of(folders);
        for _ in 0..ATTEMPTS {
            let (sources, Findings { report, transient, remembered, manifest }) = read_once(&before, known);
            let after = Fingerprint::of(folders);
            if before == after {
                let fingerprint = Some(after).filter(|_| !transient);
                return Self { manifest, ..Self::new(sources, report, fingerprint, remembered) };
            }
            before = after;
        }
        let place = Place::new(&folders.policies.display().to_string(), "");
        let mut report = Report::default();
        report.push(Problem::error(&place, "the files are still changing").help("they are looked at again"));
        Self { is_moving: true, ..Self::new(Sources::default(), report, None, Remembered::default()) }
    }

    fn new(
        sources: Sources,
        report: Report,
        fingerprint: Option<Fingerprint>,
        remembered: Remembered,
    ) -> Self {
        let digest = set_digest::of_reading(&sources, &report);
        let (remembered, manifest) = (Arc::new(remembered), None);
        Self { sources, report, fingerprint, remembered, digest, manifest, is_moving: false }
    }

    /// The same, held to a signature, where one is asked for.
    pub(super) fn signed(mut self, signers: &Signers) -> Self {
        // Files that are not a whole set yet have nobody to vouch for them.
        if self.report.rejects() {
            return self;
        }
        match signers.of(self.manifest.as_ref()) {
            Ok(signer) => self.sources.provenance.signer = signer,
            Err(problem) => {
                self.report.push(problem);
                self.digest = set_digest::of_reading(&self.sources, &self.report);
            }
        }
        self
    }

    /// Whether this is all of a set, good or bad, rather than files that cannot be read, or an update under way.
    pub(super) fn is_set(&self) -> bool {
        self.fingerprint.is_some() && !self.report.rejects()
    }
}

fn read_once(seen: &Fingerprint, known: &Remembered) -> (Sources, Findings) {
    let mut findings = Findings::default();
    let mut sources = Sources::default();
    let Sources { policies, links, schemas, definitions, entities, unread, .. } = &mut sources;
    let (most, most_entities) = (MAX_FILE_BYTES, MAX_ENTITY_FILE_BYTES);
    let mut reader = Reader { known, unread, findings: &mut findings };
    reader.read(&seen.policies, POLICIES, most, &mut [links, policies]);
    let (mut cedar, mut json) = (Vec::new(), Vec::new());
    reader.read(&seen.schemas, SCHEMAS, most, &mut [definitions, &mut json, &mut cedar]);
    schemas.extend(cedar.into_iter().chain(json));
    if !seen.entities.is_missing() {
        let mut lines = Vec::new();
        reader.read(&seen.entities, ENTITIES, most_entities, &mut [entities, &mut lines]);
        entities.append(&mut lines);
    }
    check_folders(seen, &sources, &mut findings);
    if let Some((path, _)) = &seen.common {
        let commit = check_common(path, seen, &sources, &mut findings);
        sources.provenance.commit = commit.unwrap_or_default();
    }
    (sources, findings)
}

/// Reads folders, and notes what it finds.
struct Reader<'a> {
    known: &'a Remembered,
    unread: &'a mut Vec<String>,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    /// Reads a folder's files, none of which may be longer than `limit` bytes, each to the kind whose suffix it has. The
    /// folder `tests`, Markdown and the manifest are meant for others; what else has no kind is noted as unread.
    fn read(&mut self, look: &Look, suffixes: &[&str], limit: usize, kinds: &mut [&mut Vec<SourceFile>]) {
        if let Err(error) = &look.place {
            return self.findings.report.push(unreadable(&look.folder, &error.message));
        }
        self.unread.extend(look.strays.iter().map(|name| look.path_of(name).display().to_string()));
        for entry in &look.entries {
            let name = entry.name.to_string_lossy();
            if name == "tests" || name.ends_with(".md") || name == MANIFEST {
                continue;
            }
            let kind = kind_of(&name, suffixes).and_then(|kind| kinds.get_mut(kind));
            let Some(files) = kind else {
                self.unread.push(look.path_of(&entry.name).display().to_string());
                continue;
            };
            match look.read_changed(&entry.name, limit, self.known) {
                Ok(read) => {
                    self.findings.remembered.add(&read);
                    files.push(read.file);
                }
                Err(unread) => self.findings.unread(unread),
            }
        }
    }
}

/// Which of the suffixes a name has; hidden names have none.
fn kind_of(name: &str, suffixes: &[&str]) -> Option<usize> {
    suffixes.iter().position(|suffix| name.ends_with(suffix)).filter(|_| !name.starts_with('.'))
}

/// What a path below a source folder is. The folder `tests`, Markdown and the manifest are meant for others.
fn listing(seen: &Fingerprint, folder: &Path, path: &str) -> Listing {
    // One folder may hold several kinds.
    let kinds = seen.kinds().into_iter().filter(|(look, _)| look.folder == folder);
    let mut suffixes = kinds.map(|(_, suffixes)| suffixes);
    if path.starts_with("tests/") || path.ends_with(".md") || path == MANIFEST {
        Listing::Other
    } else if !path.contains('/') && suffixes.any(|suffixes| kind_of(path, suffixes).is_some()) {
        Listing::Source
    } else {
        Listing::Unreadable
    }
}

/// Holds the files of folders with a manifest in them to it.
fn check_folders(seen: &Fingerprint, sources: &Sources, findings: &mut Findings) {
    for look in seen.looks().into_iter().filter(|look| look.has_manifest()) {
        match look.read(&MANIFEST.into(), MAX_FILE_BYTES) {
            Ok(file) => {
                let Some(manifest) = Manifest::parse(&file, &mut findings.report) else { continue };
                let files = all_files(sources).filter(|file| is_in(look, file));
                let named = files.map(|file| (relative_to(&look.folder, file), file));
                manifest.check(named, |path| listing(seen, &look.folder, path), &mut findings.report);
            }
            Err(unread) => findings.unread(unread),
        }
    }
}

/// Holds the files of all folders to the manifest beside the folders, and tells the commit that it names.
fn check_common(
    path: &Path,
    seen: &Fingerprint,
    sources: &Sources,
    findings: &mut Findings,
) -> Option<String> {
    let file = match read_file(path, MAX_FILE_BYTES) {
        Ok(bytes) => SourceFile { name: path.display().to_string(), bytes },
        Err(error) => {
            findings.unread(Unread::new(path, &error));
            return None;
        }
    };
    let manifest = Manifest::parse(&file, &mut findings.report);
    findings.manifest = Some(file);
    let manifest = manifest?;
    let folders = seen.looks().map(|look| (look, format!("{}/", base_name(&look.folder))));
    let named = all_files(sources).filter_map(|file| {
        let (look, prefix) = folders.iter().find(|(look, _)| is_in(look, file))?;
        Some((format!("{prefix}{}", relative_to(&look.folder, file)), file))
    });
    let kind = |path: &str| {
        let below =
            folders.iter().find_map(|(look, prefix)| Some((look, path.strip_prefix(prefix.as_str())?)));
        below.map_or(Listing::Other, |(look, path)| listing(seen, &look.folder, path))
    };
    manifest.check(named, kind, &mut findings.report);
    Some(manifest.commit().to_owned())
}

fn is_in(look: &Look, file: &SourceFile) -> bool {
    Path::new(&file.name).starts_with(&look.folder)
}

fn all_files(sources: &Sources) -> impl Iterator<Item = &SourceFile> {
    let Sources { policies, links, schemas, definitions, entities, .. } = sources;
    [policies, links, schemas, definitions, entities].into_iter().flatten()
}

fn base_name(folder: &Path) -> String {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_error| folder.to_owned());
    absolute.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn relative_to(folder: &Path, file: &SourceFile) -> String {
    let path = Path::new(&file.name);
    path.strip_prefix(folder).unwrap_or(path).display().to_string()
}

//! One look at a folder: where it really is and what its files looked like, without reading them.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::engine::content::Content;
use crate::engine::problem::{Place, Problem, SourceFile};

/// Most files in one folder.
const MAX_FILES: usize = 10_000;
/// The link of a mounted ConfigMap or Secret that all of its files go through, swapped as one.
pub(super) const MOUNT: &str = "..data";
/// What a folder's manifest is called.
pub(super) const MANIFEST: &str = "mandate.sum";
/// Two changes closer together than this can leave the same times behind: file systems count in ticks.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// What a folder looked like. Two equal looks, one before and one after reading, mean that nothing changed between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    /// The folder as it was configured: names of files begin with it.
    pub(super) folder: PathBuf,
    /// Where its files are read from, links resolved.
    pub(super) place: Result<PathBuf, Unreadable>,
    /// Whether it is a mount whose files are swapped as one.
    pub(super) mounted: bool,
    /// Where the `..data` link leads that all of its files are read through, its own or that of the folder above.
    pub(super) swap: Option<PathBuf>,
    /// What is in it, by name; hidden names are left out.
    pub(super) entries: Vec<Entry>,
    /// Files that stand in a mount's folder and are no part of the mount: never read, which should be said.
    pub(super) strays: Vec<OsString>,
}

/// Why a folder cannot be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) kind: io::ErrorKind,
    pub(super) message: String,
}

/// A name in a folder, and what stood under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) stamp: Stamp,
}

/// What tells two states of a file apart without reading it. The time of the last change of the inode is among it: a
/// copy that keeps the time of modification cannot hide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Something that can be looked at.
    There {
        /// Device and inode.
        identity: (u64, u64),
        /// In bytes.
        size: u64,
        /// Last modification, in seconds and nanoseconds.
        modified: (i64, i64),
        /// Last change of the inode, in seconds and nanoseconds.
        changed: (i64, i64),
    },
    /// A name that leads nowhere, or may not be followed.
    Lost(io::ErrorKind),
}

impl Stamp {
    /// Looks at a path, through links.
    pub(super) fn of(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(metadata) => Self::from(&metadata),
            Err(error) => Self::Lost(error.kind()),
        }
    }

    /// Whether it may have changed again within the same tick of the file system's clock.
    pub(super) fn is_recent(&self, now: SystemTime) -> bool {
        let Self::There { changed: (seconds, nanos), .. } = self else { return false };
        let (Ok(seconds), Ok(nanos)) = (u64::try_from(*seconds), u64::try_from(*nanos)) else { return false };
        let changed = UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_nanos(nanos);
        match now.duration_since(changed) {
            Ok(age) => age < TICK,
            Err(ahead) => ahead.duration() < TICK,
        }
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self::There {
            identity: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Look {
    /// Looks at a folder. What cannot be seen is part of the look.
    pub(super) fn at(folder: &Path) -> Self {
        let mounted = is_link(&folder.join(MOUNT));
        let target = if mounted { folder.join(MOUNT) } else { folder.to_owned() };
        let listed = fs::canonicalize(target).and_then(|place| Ok((list(&place)?, place)));
        let (entries, place) = match listed {
            Ok((entries, place)) => (entries, Ok(place)),
            Err(error) => (Vec::new(), Err(Unreadable { kind: error.kind(), message: error.to_string() })),
        };
        let strays = if mounted { strays(folder) } else { Vec::new() };
        let swap = place.as_ref().ok().and_then(|place: &PathBuf| {
            if mounted { Some(place.clone()) } else { swap_above(folder, place) }
        });
        Self { folder: folder.to_owned(), place, mounted, swap, entries, strays }
    }

    /// Whether a manifest of its own covers the folder.
    pub(super) fn has_manifest(&self) -> bool {
        self.entries.iter().any(|entry| entry.name == MANIFEST)
    }

    /// Whether it was not there at all.
    pub(super) fn is_missing(&self) -> bool {
        !self.mounted && self.place.as_ref().is_err_and(|error| error.kind == io::ErrorKind::NotFound)
    }

    /// Whether a file changed so shortly ago that the next change could look the same.
    pub(super) fn is_recent(&self, now: SystemTime) -> bool {
        self.entries.iter().any(|entry| entry.stamp.is_recent(now))
    }

    /// What one of its files looks like now; none if there is nothing under the name.
    pub(super) fn stamp_of(&self, name: &OsString) -> Option<Stamp> {
        let path = self.place.as_ref().ok()?.join(name);
        fs::symlink_metadata(&path).ok().map(|_| Stamp::of(&path))
    }

    /// Hidden names with that suffix, which are not among the entries.
    pub(super) fn hidden(&self, suffix: &str) -> Vec<OsString> {
        let mut names = BTreeSet::new();
        let above = self.mounted.then_some(&self.folder);
        for place in self.place.iter().chain(above) {
            let listed = fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.file_name());
            names.extend(listed.filter(|name| {
                let name = name.as_encoded_bytes();
                name.starts_with(b".") && name.ends_with(suffix.as_bytes())
            }));
        }
        names.into_iter().collect()
    }

    /// The path that people know a file by.
    pub(super) fn path_of(&self, name: &OsString) -> PathBuf {
        self.folder.join(name)
    }

    /// Reads one of its files.
    pub(super) fn read(&self, name: &OsString, limit: usize) -> Result<SourceFile, Unread> {
        self.read_changed(name, limit, &Remembered::default()).map(|read| read.file)
    }

    /// Reads one of its files, unless it is remembered and has not changed since.
    pub(super) fn read_changed(
        &self,
        name: &OsString,
        limit: usize,
        remembered: &Remembered,
    ) -> Result<Read, Unread> {
        let path = self.path_of(name);
        let place = self
            .place
            .as_ref()
            .map_err(|error| Unread { problem: unreadable(&path, &error.message), transient: false })?;
        let now = SystemTime::now();
        let name_of_file = path.display().to_string();
        let known = remembered.0.get(&name_of_file);
        let (bytes, stamp) =
            read_unless(known, &place.join(name), limit).map_err(|error| Unread::new(&path, &error))?;
        let file = SourceFile { name: name_of_file, bytes };
        Ok(Read { file, stamp: Some(stamp).filter(|stamp| !stamp.is_recent(now)) })
    }
}

/// A file as it was read.
pub(super) struct Read {
    pub(super) file: SourceFile,
    /// What it looked like; none if the next change could look the same.
    stamp: Option<Stamp>,
}

/// Files as they were read last, by their names: what still looks the same is not read again.
#[derive(Debug, Clone, Default)]
pub(super) struct Remembered(HashMap<String, (Stamp, Content)>);

impl Remembered {
    /// Remembers a file that was read, if it can be told from its next state.
    pub(super) fn add(&mut self, read: &Read) {
        if let Some(stamp) = read.stamp {
            self.0.insert(read.file.name.clone(), (stamp, read.file.bytes.clone()));
        }
    }
}

/// A file that was not read.
#[derive(Debug)]
pub(super) struct Unread {
    /// What is wrong, naming it.
    pub(super) problem: Problem,
    /// Whether the system failed rather than the file: it may be read next time without looking any different.
    pub(super) transient: bool,
}

impl Unread {
    pub(super) fn new(path: &Path, error: &io::Error) -> Self {
        let transient = error.raw_os_error().is_some() && error.kind() != io::ErrorKind::NotFound;
        Self { problem: unreadable(path, &error.to_string()), transient }
    }
}

/// The problem of a path that cannot be read.
pub(super) fn unreadable(path: &Path, message: &str) -> Problem {
    Problem::error(&Place::new(&path.display().to_string(), ""), format!("cannot be read: {message}"))
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_symlink())
}

/// Where `..data` beside the folder leads, if the folder is read through it: one volume holds several folders.
fn swap_above(folder: &Path, place: &Path) -> Option<PathBuf> {
    let link = std::path::absolute(folder).ok()?.parent()?.join(MOUNT);
    let swap = is_link(&link).then(|| fs::canonicalize(&link).ok())??;
    place.starts_with(&swap).then_some(swap)
}

/// Everything in a folder by name, less what is hidden: editors' temporary files come and go.
fn list(place: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(place)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entries.len() == MAX_FILES {
            return Err(io::Error::other(format!("it holds more than {MAX_FILES} files")));
        }
        // Looked up from the open folder, which is quicker than by path; links only are followed.
        let stamp = match entry.metadata() {
            Ok(metadata) if !metadata.is_symlink() => Stamp::from(&metadata),
            Ok(_) => Stamp::of(&entry.path()),
            Err(error) => Stamp::Lost(error.kind()),
        };
        entries.push(Entry { name, stamp });
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

/// What in a mount's folder is not one of the mount's links.
fn strays(folder: &Path) -> Vec<OsString> {
    let is_of_mount =
        |name: &OsString| fs::read_link(folder.join(name)).is_ok_and(|target| target.starts_with(MOUNT));
    let names = list(folder).unwrap_or_default().into_iter().map(|entry| entry.name);
    names.filter(|name| !is_of_mount(name)).collect()
}

/// Reads a regular file of at most so many bytes. Anything else that a name can stand for (a pipe, a device) might never end.
pub(super) fn read_file(path: &Path, limit: usize) -> io::Result<Content> {
    read_unless(None, path, limit).map(|(bytes, _stamp)| bytes)
}

/// Reads such a file, unless it still looks as it did when it was read. It is opened in any case: some file systems tell
/// of changes made elsewhere only then.
fn read_unless(known: Option<&(Stamp, Content)>, path: &Path, limit: usize) -> io::Result<(Content, Stamp)> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let (length, stamp) = (metadata.len(), Stamp::from(&metadata));
    if let Some((seen, bytes)) = known
        && *seen == stamp
    {
        return Ok((bytes.clone(), stamp));
    }
    if length > limit {
        return Err(io::Error::other(format!("it is {length} bytes long; the limit is {limit}")));
    }
    // Room for all of it and the end, or a large file is copied again and again while it is read.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0).saturating_add(1));
    // A file that grows while it is read still ends.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.into(), stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_system_refuses_is_worth_another_try() {
        let transient = |error: io::Error| Unread::new(Path::new("a.cedar"), &error).transient;
        let (no_more_files, input_output, not_there) = (24, 5, 2);
        assert!(transient(io::Error::from_raw_os_error(no_more_files)));
        assert!(transient(io::Error::from_raw_os_error(input_output)));
        assert!(!transient(io::Error::from_raw_os_error(not_there)));
        assert!(!transient(io::Error::other("it is not a regular file")));
    }
}

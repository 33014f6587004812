//! Lines to a file that rotates.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::runtime::Runtime;

use super::config::FileConfig;
use super::lines::{self, Lines, Target};
use super::{Batch, Sink, SinkError};

/// The file that lines go to.
pub const FILE_NAME: &str = "decisions.jsonl";
/// How often to look whether the file is still where it was, and whether what failed works again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How much of an unfinished last line is measured, for the message.
const MAX_MEASURED: u64 = 1024 * 1024;

/// Appends to `decisions.jsonl` in a folder, and starts it anew when it grows too large or somebody moves it.
#[derive(Debug)]
pub struct FileSink {
    config: FileConfig,
    path: PathBuf,
    /// None if the file could not be opened again: the next write tries.
    file: Option<Lines<File>>,
    looked: Instant,
    /// When a rotation failed, if the last one did.
    rotation_failed: Option<Instant>,
}

impl FileSink {
    /// Opens the file, creating folder and file where they do not exist, for this user alone.
    ///
    /// # Errors
    /// Either cannot be created or opened, with its path.
    pub fn open(config: &FileConfig) -> io::Result<Self> {
        let path = config.directory.join(FILE_NAME);
        let at = |path: &Path, error: &io::Error| {
            io::Error::new(error.kind(), format!("decision log `{}`: {error}", path.display()))
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&config.directory)
            .map_err(|error| at(&config.directory, &error))?;
        let file = open(&path).map_err(|error| at(&path, &error))?;
        let config = config.clone();
        Ok(Self { config, path, file: Some(file), looked: Instant::now(), rotation_failed: None })
    }

    /// Opens the file again if it is no longer the one at its path.
    fn look(&mut self) {
        if self.looked.elapsed() < LOOK_AGAIN {
            return;
        }
        self.looked = Instant::now();
        let still = self.file.as_ref().is_some_and(|file| is_at(file.target(), &self.path));
        if !still {
            self.file = None;
        }
    }

    /// The file, with room for so many bytes below its limit.
    fn file(&mut self, bytes: usize) -> io::Result<&mut Lines<File>> {
        self.look();
        let length = self.file.as_ref().map_or(Ok(0), |file| file.target().end())?;
        let grown = length.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if length > 0 && grown > self.config.rotate_bytes {
            self.rotate();
        }
        match &mut self.file {
            Some(file) => Ok(file),
            none => Ok(none.insert(open(&self.path)?)),
        }
    }

    /// Moves the file aside. If that fails, it goes on growing: no record is lost for it.
    fn rotate(&mut self) {
        if self.rotation_failed.is_some_and(|at| at.elapsed() < LOOK_AGAIN) {
            return;
        }
        let synced = self.file.as_ref().map_or(Ok(()), |file| file.target().sync_data());
        let moved = synced
            .and_then(|()| free_name(&self.config.directory))
            .and_then(|name| fs::rename(&self.path, name));
        match moved {
            Ok(()) => {
                self.file = None;
                self.rotation_failed = None;
                self.prune();
            }
            Err(error) => {
                if self.rotation_failed.replace(Instant::now()).is_none() {
                    let path = self.path.display();
                    tracing::error!(%error, "the decision log `{path}` cannot be rotated, so it grows");
                }
            }
        }
    }

    /// Removes the oldest rotated files beyond those to keep.
    fn prune(&self) {
        let pruned = rotated(&self.config.directory).and_then(|names| {
            let over = names.len().saturating_sub(self.config.keep);
            names.iter().take(over).try_for_each(|(_, path)| fs::remove_file(path))
        });
        if let Err(error) = pruned {
            let folder = self.config.directory.display();
            tracing::error!(%error, "old decision logs in `{folder}` cannot be removed");
        }
    }
}

impl Sink for FileSink {
    fn deliver(&mut self, batch: &Batch<'_>, _runtime: &Runtime) -> Result<(), SinkError> {
        let lines = lines::of(batch);
        let written = self.file(lines.len()).and_then(|file| file.append(&lines));
        written.map_err(|error| SinkError::later(format!("`{}`: {error}", self.path.display())))
    }

    fn settle(&mut self) -> Result<(), SinkError> {
        let synced = self.file.as_ref().map_or(Ok(()), |file| file.target().sync_data());
        synced.map_err(|error| SinkError::later(format!("`{}`: {error}", self.path.display())))
    }
}

/// Opens the file to append to it, and ends a line that a crash left unfinished.
fn open(path: &Path) -> io::Result<Lines<File>> {
    // A pipe would wait for a reader.
    let other = fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
    if other {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let unfinished = unfinished(&mut file)?;
    if unfinished > 0 {
        let path = path.display();
        tracing::warn!(
            "`{path}` ended in a line of {unfinished} bytes without an end, which a crash may leave"
        );
    }
    Ok(Lines::new(file, unfinished > 0))
}

/// Bytes after the last line's end, as far back as [`MAX_MEASURED`].
fn unfinished(file: &mut File) -> io::Result<usize> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_MEASURED)))?;
    let mut tail = Vec::new();
    file.take(MAX_MEASURED).read_to_end(&mut tail)?;
    Ok(tail.iter().rev().take_while(|byte| **byte != b'\n').count())
}

/// Whether the file is the one that the path names.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => identity(open) == identity(named),
        _ => false,
    }
}

/// A name in the folder that nothing has: `decisions-20261123T143000Z-0.jsonl`. It stands after every other, even if the
/// clock went back: the oldest are removed by name.
fn free_name(folder: &Path) -> io::Result<PathBuf> {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let (time, number) = match rotated(folder)?.pop() {
        Some(((latest, number), _)) if latest >= now => {
            (latest, number.checked_add(1).ok_or(ErrorKind::AlreadyExists)?)
        }
        _ => (now, 0),
    };
    Ok(folder.join(format!("decisions-{time}-{number}.jsonl")))
}

/// When a file was rotated, and which of that second.
type Age = (String, u32);

/// The rotated files, oldest first.
fn rotated(folder: &Path) -> io::Result<Vec<(Age, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Some(age) = entry.file_name().to_str().and_then(age) {
            found.push((age, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// What a rotated file's name says, if it is one.
fn age(name: &str) -> Option<Age> {
    let (time, number) = name.strip_prefix("decisions-")?.strip_suffix(".jsonl")?.split_once('-')?;
    let shape = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    let is_time = time.len() == 16 && time.bytes().enumerate().all(shape);
    is_time.then(|| Some((time.to_owned(), number.parse().ok()?))).flatten()
}

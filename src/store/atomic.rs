//! Files that are there whole or not at all, whenever the machine stops.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// One at a time: work that is begun again may write the same file twice at once, under one temporary name.
static WRITING: Mutex<()> = Mutex::new(());

/// Replaces a file, readable by its owner only: a temporary one is written, forced to disk and renamed, and the
/// folder forced to disk, before this returns. One process writes in a data directory, so one temporary name is enough.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::other("it has no name"));
    };
    write_all(folder, [(name.to_string_lossy().into_owned(), bytes)])
}

/// Writes files of a folder that have such names, each whole or not at all, and forces all of them to disk before this
/// returns.
pub(super) fn write_all<'b>(
    folder: &Path,
    files: impl IntoIterator<Item = (String, &'b [u8])>,
) -> io::Result<()> {
    let _one_at_a_time = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut any = false;
    for (name, bytes) in files {
        let temporary = folder.join(format!(".{name}.tmp"));
        if let Err(error) = write_and_rename(&temporary, &folder.join(name), bytes) {
            // It only takes room, which may be what is missing.
            drop(fs::remove_file(&temporary));
            return Err(error);
        }
        any = true;
    }
    if any { sync(folder) } else { Ok(()) }
}

fn write_and_rename(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What is left of an attempt that was cut short, or a link that somebody put there: neither is written through.
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)
}

/// The file's bytes; none if there is no such file.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Takes a file away for good. One that is not there is gone already.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => path.parent().map_or(Ok(()), sync),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a folder that only its owner can enter, with whatever is missing above it.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

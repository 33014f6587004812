//! The end of the log: the one segment that is written to.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::segment::{self, Header};

/// Appends whole frames, each batch of them or nothing, as far as the disk lets it.
#[derive(Debug)]
pub(in crate::audit) struct Appender {
    /// The log's folder.
    directory: PathBuf,
    open: Option<Open>,
    /// Why nothing is written any more: what was synced in vain may be lost though the system would say later that it is
    /// not.
    poisoned: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Where the next frame goes, in bytes.
    end: u64,
    /// There may be something of a failed write behind the end.
    torn: bool,
    first: u64,
    since: Instant,
}

impl Appender {
    /// Appends to the log in this folder: to its last segment, which ends with a whole frame at `end`, if there is one.
    pub(in crate::audit) fn new(directory: &Path, last: Option<(File, u64, u64)>) -> Self {
        let since = Instant::now();
        let open = last.map(|(file, first, end)| Open { file, end, torn: false, first, since });
        Self { directory: directory.to_owned(), open, poisoned: false }
    }

    /// Whether a segment is open.
    pub(in crate::audit) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Bytes of the open segment, and since when it has been written to.
    pub(in crate::audit) fn extent(&self) -> Option<(u64, Instant)> {
        self.open.as_ref().map(|open| (open.end, open.since))
    }

    /// Sequence of the first record of the open segment.
    pub(in crate::audit) fn first(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.first)
    }

    /// Begins a segment. What is open must have been synced.
    ///
    /// # Errors
    /// It cannot be made; the one that was open stays.
    pub(in crate::audit) fn begin(&mut self, header: &Header) -> io::Result<()> {
        let folder = self.directory.join(segment::FOLDER);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let mut bytes = Vec::new();
        segment::begin(header, &mut bytes)?;
        let path = folder.join(segment::file_name(header.first));
        let beside = folder.join(format!(".{}.new", segment::file_name(header.first)));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        // Whole before it has its name: nobody finds half a header.
        file.write_all_at(&bytes, 0)?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)?;
        File::open(&folder)?.sync_all()?;
        let (end, since) = (bytes.len() as u64, Instant::now());
        self.open = Some(Open { file, end, torn: false, first: header.first, since });
        Ok(())
    }

    /// Appends frames, all of them or none, and says at which byte of the segment they begin.
    ///
    /// # Errors
    /// The disk takes no more, or nothing is open.
    pub(in crate::audit) fn append(&mut self, frames: &[u8]) -> io::Result<u64> {
        self.check()?;
        let open = self.open.as_mut().ok_or_else(|| io::Error::other("no segment is open"))?;
        if open.torn {
            open.file.set_len(open.end)?;
            open.torn = false;
        }
        let begin = open.end;
        let written = open.file.write_all_at(frames, begin);
        match written {
            Ok(()) => open.end += frames.len() as u64,
            Err(_) => open.torn = open.file.set_len(begin).is_err(),
        }
        written.map(|()| begin)
    }

    /// Makes what was appended last.
    ///
    /// # Errors
    /// It may be lost. Nothing is appended from then on, and nothing called safe: a disk that failed once says of the same
    /// bytes later that they are, whether they are or not.
    pub(in crate::audit) fn sync(&mut self) -> io::Result<()> {
        self.check()?;
        let Some(open) = &self.open else { return Ok(()) };
        let synced = open.file.sync_data();
        self.poisoned |= synced.is_err();
        synced
    }

    fn check(&self) -> io::Result<()> {
        let said = "the disk failed to keep what it was given: restart the service to look at what is there";
        if self.poisoned { Err(io::Error::other(said)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_disk_failed_to_keep_is_never_called_safe_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        // There is nothing behind this file that could be synced.
        let failing = OpenOptions::new().write(true).open("/dev/null").unwrap();
        let mut appender = Appender::new(folder.path(), Some((failing, 0, 0)));
        appender.append(b"a frame").unwrap();
        appender.sync().unwrap_err();
        appender.open.as_mut().unwrap().file = File::create(folder.path().join("better")).unwrap();
        appender.sync().unwrap_err();
        appender.append(b"a frame").unwrap_err();
    }
}

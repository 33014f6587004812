//! A file of frames: eight bytes that name the format, a header, records.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::frame::{self, Found};
use crate::engine::digest;

/// What every segment begins with.
pub const MAGIC: [u8; 8] = *b"MANDLOG1";
/// Version of the header and of what follows it.
pub const FORMAT: u32 = 1;
/// The folder of the segments, in the log's.
pub const FOLDER: &str = "segments";
/// How a segment's name ends.
pub const EXTENSION: &str = "mlog";
/// How much is read at once, in bytes.
const READ_BYTES: usize = 256 * 1024;

/// The first frame of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: u32,
    /// The log's id, which never changes.
    pub log: Uuid,
    /// The process that began the segment.
    pub instance: Uuid,
    /// Sequence of the first record here.
    pub first: u64,
    /// When it was begun: RFC 3339.
    pub opened: String,
    /// Hashes of the perfect subtrees over all records before the first one here, largest first, in lower-case
    /// hexadecimal: what the tree needs of segments that are kept no longer (RFC 6962 §2.1).
    pub frontier: Vec<String>,
}

impl Header {
    /// SHA-256 of its bytes as they stand in a segment that [`begin`] began, in hexadecimal.
    ///
    /// # Errors
    /// It cannot be written as JSON: a defect.
    pub fn digest(&self) -> io::Result<String> {
        Ok(digest::hex(&Sha256::digest(serde_json::to_vec(self)?)))
    }
}

/// A segment of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentFile {
    /// Sequence of its first record, by its name.
    pub first: u64,
    /// Where it is.
    pub path: PathBuf,
}

/// Why a segment cannot be read, or not further.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The system refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It does not begin as a segment does.
    #[error("this is no segment of a decision log: it does not begin with `MANDLOG1`")]
    Foreign,
    /// Its header is of a later format.
    #[error("this segment has format {0}, and this build reads format {FORMAT}: use a later build")]
    Format(u32),
    /// Its header cannot be read.
    #[error("the segment's header cannot be read: {0}")]
    Header(String),
    /// The file ends within a frame: a write that was cut short, or one that is under way.
    #[error("the file ends within the frame at byte {offset}")]
    Torn {
        /// Where the frame begins.
        offset: u64,
    },
    /// What stands there is no frame.
    #[error("the frame at byte {offset} is damaged: its length or its checksum is wrong")]
    Damaged {
        /// Where it begins.
        offset: u64,
    },
}

/// A record as it stands in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framed<'a> {
    /// Its number in the log.
    pub sequence: u64,
    /// Where its frame begins, in bytes from the file's beginning.
    pub offset: u64,
    /// The record: one line of JSON without its end.
    pub line: &'a [u8],
}

/// A segment, read from its beginning to its end. What another process appends meanwhile is read too.
#[derive(Debug)]
pub struct Segment {
    file: File,
    header: Header,
    header_digest: String,
    /// What was read of the file and not returned yet begins at `start`.
    buffer: Vec<u8>,
    start: usize,
    /// Where in the file `start` is.
    offset: u64,
    sequence: u64,
}

/// Name of the segment whose first record has this sequence.
pub fn file_name(first: u64) -> String {
    format!("{first:020}.{EXTENSION}")
}

/// The segments of a log's folder, in order. Other files are none of its business; no folder means no segments.
///
/// # Errors
/// The folder cannot be read.
pub fn list(directory: &Path) -> io::Result<Vec<SegmentFile>> {
    let entries = match fs::read_dir(directory.join(FOLDER)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if let Some(first) = first_of(&path) {
            found.push(SegmentFile { first, path });
        }
    }
    found.sort_by_key(|segment| segment.first);
    Ok(found)
}

/// The sequence in a segment's name, if it is one.
fn first_of(path: &Path) -> Option<u64> {
    let first = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    if first.len() != 20 || !first.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    first.parse().ok()
}

/// Appends what a segment begins with.
///
/// # Errors
/// The header cannot be written as JSON: a defect.
pub fn begin(header: &Header, out: &mut Vec<u8>) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    out.extend_from_slice(&MAGIC);
    frame::append(&header, out).map_err(io::Error::other)
}

impl Segment {
    /// Opens a segment and reads its header.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn open(path: &Path) -> Result<Self, SegmentError> {
        Self::of(File::open(path)?)
    }

    fn of(mut file: File) -> Result<Self, SegmentError> {
        let mut magic = [0; MAGIC.len()];
        match file.read_exact(&mut magic) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(SegmentError::Torn { offset: 0 });
            }
            other => other?,
        }
        if magic != MAGIC {
            return Err(SegmentError::Foreign);
        }
        let offset = MAGIC.len() as u64;
        let none = Header {
            format: 0,
            log: Uuid::nil(),
            instance: Uuid::nil(),
            first: 0,
            opened: String::new(),
            frontier: Vec::new(),
        };
        let mut segment = Self {
            file,
            header: none,
            header_digest: String::new(),
            buffer: Vec::new(),
            start: 0,
            offset,
            sequence: 0,
        };
        let Some((_at, length)) = segment.advance()? else { return Err(SegmentError::Torn { offset }) };
        let payload = segment.payload(length);
        let (header, digest) = (header(payload)?, digest::hex(&Sha256::digest(payload)));
        (segment.header, segment.header_digest) = (header, digest);
        segment.sequence = segment.header.first;
        Ok(segment)
    }

    /// What it begins with.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// SHA-256 of the bytes of that header, in hexadecimal: what checkpoints say of it.
    pub fn header_digest(&self) -> &str {
        &self.header_digest
    }

    /// Sequence of the record that [`next`](Self::next) returns next.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Where that record's frame begins, in bytes from the file's beginning.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next record; none at the end. After an error, or at the end, it may be asked again: where the file has grown,
    /// it goes on.
    ///
    /// # Errors
    /// [`SegmentError::Torn`] or [`SegmentError::Damaged`] with the place, or the system refuses.
    #[expect(clippy::should_implement_trait, reason = "what it returns is borrowed")]
    pub fn next(&mut self) -> Result<Option<Framed<'_>>, SegmentError> {
        let Some((offset, length)) = self.advance()? else { return Ok(None) };
        let sequence = self.sequence;
        self.sequence += 1;
        Ok(Some(Framed { sequence, offset, line: self.payload(length) }))
    }

    /// Goes on at a frame that is known to begin at `offset` and to hold the record `sequence`.
    ///
    /// # Errors
    /// The system refuses.
    pub fn seek(&mut self, offset: u64, sequence: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.buffer.clear();
        (self.start, self.offset, self.sequence) = (0, offset, sequence);
        Ok(())
    }

    /// Goes behind the next frame and says where it begins and how long its payload is; none at the end of the file.
    fn advance(&mut self) -> Result<Option<(u64, usize)>, SegmentError> {
        loop {
            let left = self.buffer.get(self.start..).unwrap_or_default();
            match frame::first(left) {
                Found::Whole(payload) => {
                    let (at, length) = (self.offset, payload.len());
                    let size = frame::HEAD_BYTES + length;
                    self.start += size;
                    self.offset += size as u64;
                    return Ok(Some((at, length)));
                }
                Found::Damaged => return Err(SegmentError::Damaged { offset: self.offset }),
                Found::Short(needed) => {
                    let had = left.len();
                    if !self.fill(needed)? {
                        return if had == 0 && self.start == self.buffer.len() {
                            Ok(None)
                        } else {
                            Err(SegmentError::Torn { offset: self.offset })
                        };
                    }
                }
            }
        }
    }

    /// The payload that ends where the next frame begins.
    fn payload(&self, length: usize) -> &[u8] {
        self.buffer.get(self.start.saturating_sub(length)..self.start).unwrap_or_default()
    }

    /// Reads until `needed` bytes are there; false if the file ends before.
    fn fill(&mut self, needed: usize) -> io::Result<bool> {
        self.buffer.drain(..self.start);
        self.start = 0;
        while self.buffer.len() < needed {
            let wanted = needed.saturating_sub(self.buffer.len()).max(READ_BYTES);
            let taken = (&self.file).take(wanted as u64).read_to_end(&mut self.buffer)?;
            if taken == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn header(payload: &[u8]) -> Result<Header, SegmentError> {
    /// What every format's header has.
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let unread = |error: serde_json::Error| SegmentError::Header(error.to_string());
    let Version { format } = serde_json::from_slice(payload).map_err(unread)?;
    if format != FORMAT {
        return Err(SegmentError::Format(format));
    }
    serde_json::from_slice(payload).map_err(unread)
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;

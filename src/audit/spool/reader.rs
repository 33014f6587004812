//! All records of a log's folder, in order, from any of them on, while it is written.

use std::io;
use std::path::{Path, PathBuf};

use super::segment::{self, Header, Segment, SegmentError};

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the log.
    pub sequence: u64,
    /// The record: one line of JSON without its end.
    pub line: Vec<u8>,
}

/// Why a log cannot be read further.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The folder cannot be read.
    #[error("the segments of {} cannot be listed: {error}", directory.display())]
    Folder {
        /// The log's folder.
        directory: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The records asked for are kept no longer.
    #[error("record {asked} is not kept any more: the oldest is {oldest}")]
    Gone {
        /// The first asked for.
        asked: u64,
        /// The first that is there.
        oldest: u64,
    },
    /// Between two segments something is missing.
    #[error("records from {expected} on are missing: the next segment is {}", next.display())]
    Missing {
        /// The first missing one.
        expected: u64,
        /// The segment that begins later.
        next: PathBuf,
    },
    /// A segment cannot be read.
    #[error("{}: {error}", path.display())]
    Segment {
        /// Which.
        path: PathBuf,
        /// Why.
        error: SegmentError,
    },
}

/// Reads a log's folder forward.
#[derive(Debug)]
pub struct LogReader {
    directory: PathBuf,
    next: u64,
    current: Option<(PathBuf, Segment)>,
}

impl LogReader {
    /// Reads from the record `from` on, which need not be there yet. Nothing is opened before it is needed.
    pub fn new(directory: &Path, from: u64) -> Self {
        Self { directory: directory.to_owned(), next: from, current: None }
    }

    /// Sequence of the next record.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Header of the segment that is being read, if one is.
    pub fn header(&self) -> Option<&Header> {
        self.current.as_ref().map(|(_, segment)| segment.header())
    }

    /// The records that are there, below `until`, at most `records` of them and not many more than `bytes` bytes; none
    /// if there are no more yet.
    ///
    /// # Errors
    /// [`ReadError`]; what was read before it is returned first, and the error when asked again. A frame that is not
    /// whole in the last segment is one that is being written: no error.
    pub fn read(&mut self, until: u64, records: usize, bytes: usize) -> Result<Vec<Entry>, ReadError> {
        let (mut found, mut size) = (Vec::new(), 0);
        while self.next < until && found.len() < records && size < bytes {
            match self.one() {
                Ok(Some(entry)) => {
                    size += entry.line.len();
                    found.push(entry);
                }
                Ok(None) => break,
                Err(_later) if !found.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    fn one(&mut self) -> Result<Option<Entry>, ReadError> {
        loop {
            let Some((path, segment)) = &mut self.current else {
                if self.enter()? {
                    continue;
                }
                return Ok(None);
            };
            let read = segment.next();
            match read {
                Ok(Some(framed)) if framed.sequence < self.next => {}
                Ok(Some(framed)) => {
                    self.next = framed.sequence + 1;
                    return Ok(Some(Entry { sequence: framed.sequence, line: framed.line.to_vec() }));
                }
                Ok(None) | Err(SegmentError::Torn { .. }) => {
                    let whole = matches!(read, Ok(None));
                    if !self.leave(whole)? {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(ReadError::Segment { path: path.clone(), error }),
            }
        }
    }

    /// Opens the segment that holds the next record; false if it is not there yet.
    fn enter(&mut self) -> Result<bool, ReadError> {
        let segments = self.segments()?;
        let Some(oldest) = segments.first() else { return Ok(false) };
        if self.next < oldest.first {
            return Err(ReadError::Gone { asked: self.next, oldest: oldest.first });
        }
        let Some(holding) = segments.iter().rfind(|segment| segment.first <= self.next) else {
            return Ok(false);
        };
        let is_last = segments.last() == Some(holding);
        match Segment::open(&holding.path) {
            Ok(segment) => {
                self.current = Some((holding.path.clone(), segment));
                Ok(true)
            }
            // It is being begun.
            Err(SegmentError::Torn { .. }) if is_last => Ok(false),
            Err(error) => Err(ReadError::Segment { path: holding.path.clone(), error }),
        }
    }

    /// Goes from the end of a segment, which ends with a whole frame or not, to the next one; false if there is none yet.
    fn leave(&mut self, whole: bool) -> Result<bool, ReadError> {
        let segments = self.segments()?;
        let Some((path, segment)) = &self.current else { return Ok(false) };
        let (path, reached, offset) = (path.clone(), segment.sequence(), segment.offset());
        let first = segment.header().first;
        let Some(next) = segments.iter().find(|later| later.first > first) else { return Ok(false) };
        // It may have been written to between the look at its end and the look at the folder.
        if self.has_more()? {
            return Ok(true);
        }
        if !whole {
            return Err(ReadError::Segment { path, error: SegmentError::Torn { offset } });
        }
        if next.first != reached {
            let is_oldest = segments.first() == Some(next);
            return Err(if is_oldest {
                ReadError::Gone { asked: reached, oldest: next.first }
            } else {
                ReadError::Missing { expected: reached, next: next.path.clone() }
            });
        }
        self.current = None;
        self.next = self.next.max(next.first);
        Ok(true)
    }

    /// Whether the segment that is being read has grown since its end was reached.
    fn has_more(&mut self) -> Result<bool, ReadError> {
        let Some((path, segment)) = &mut self.current else { return Ok(false) };
        let (offset, sequence) = (segment.offset(), segment.sequence());
        let more = match segment.next() {
            Ok(more) => more.is_some(),
            Err(SegmentError::Torn { .. }) => false,
            Err(error) => return Err(ReadError::Segment { path: path.clone(), error }),
        };
        let back = segment.seek(offset, sequence);
        back.map_err(|error| ReadError::Segment { path: path.clone(), error: error.into() })?;
        Ok(more)
    }

    fn segments(&self) -> Result<Vec<segment::SegmentFile>, ReadError> {
        let directory = &self.directory;
        segment::list(directory).map_err(|error| ReadError::Folder { directory: directory.clone(), error })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write as _;

    use uuid::Uuid;

    use super::*;
    use crate::audit::spool::frame;

    /// A log's folder with segments that begin at these records, each of them its number.
    fn log(segments: &[std::ops::Range<u64>]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(segment::FOLDER)).unwrap();
        for records in segments {
            add(folder.path(), records.clone());
        }
        folder
    }

    fn path(directory: &Path, first: u64) -> PathBuf {
        directory.join(segment::FOLDER).join(segment::file_name(first))
    }

    fn add(directory: &Path, records: std::ops::Range<u64>) {
        let mut bytes = Vec::new();
        let header = Header {
            format: segment::FORMAT,
            log: Uuid::nil(),
            instance: Uuid::nil(),
            first: records.start,
            opened: String::new(),
            frontier: Vec::new(),
        };
        segment::begin(&header, &mut bytes).unwrap();
        fs::write(path(directory, records.start), &bytes).unwrap();
        for record in records.clone() {
            append(directory, records.start, &framed(record));
        }
    }

    fn framed(record: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame::append(record.to_string().as_bytes(), &mut bytes).unwrap();
        bytes
    }

    fn append(directory: &Path, first: u64, bytes: &[u8]) {
        OpenOptions::new().append(true).open(path(directory, first)).unwrap().write_all(bytes).unwrap();
    }

    fn read(reader: &mut LogReader) -> Vec<u64> {
        let entries = reader.read(u64::MAX, usize::MAX, usize::MAX).unwrap();
        for entry in &entries {
            assert_eq!(entry.line, entry.sequence.to_string().as_bytes());
        }
        entries.into_iter().map(|entry| entry.sequence).collect()
    }

    #[test]
    fn a_log_is_read_over_its_segments_from_any_record_on() {
        let log = log(&[0..3, 3..4, 4..9]);
        for from in 0..9 {
            let mut reader = LogReader::new(log.path(), from);
            assert_eq!(read(&mut reader), (from..9).collect::<Vec<_>>());
            assert_eq!(reader.next(), 9);
        }
    }

    #[test]
    fn no_more_is_read_than_was_asked_for() {
        let log = log(&[0..3, 3..9]);
        let mut reader = LogReader::new(log.path(), 0);
        let mut count = |until, records, bytes| reader.read(until, records, bytes).unwrap().len();
        assert_eq!(count(u64::MAX, 2, 100), 2);
        assert_eq!(count(4, 100, 100), 2);
        assert_eq!(count(4, 100, 100), 0);
        assert_eq!(count(9, 100, 3), 3);
    }

    #[test]
    fn what_is_written_later_is_read_later() {
        let log = log(&[]);
        let mut reader = LogReader::new(log.path(), 0);
        assert!(read(&mut reader).is_empty());
        add(log.path(), 0..2);
        assert_eq!(read(&mut reader), [0, 1]);
        let frame = framed(2);
        append(log.path(), 0, &frame[..5]);
        assert!(read(&mut reader).is_empty());
        append(log.path(), 0, &frame[5..]);
        add(log.path(), 3..5);
        assert_eq!(read(&mut reader), [2, 3, 4]);
        assert!(read(&mut reader).is_empty());
    }

    #[test]
    fn what_is_kept_no_longer_is_told() {
        let log = log(&[5..7, 7..8]);
        let gone = LogReader::new(log.path(), 3).read(u64::MAX, 9, 9);
        assert!(matches!(gone, Err(ReadError::Gone { asked: 3, oldest: 5 })));
        let mut reader = LogReader::new(log.path(), 5);
        assert_eq!(reader.read(6, 9, 9).unwrap().len(), 1);
        fs::remove_file(path(log.path(), 5)).unwrap();
        assert_eq!(read(&mut reader), [6, 7]);
    }

    #[test]
    fn a_segment_that_is_missing_or_torn_before_another_is_told() {
        let log = log(&[0..3, 4..6]);
        let mut reader = LogReader::new(log.path(), 0);
        assert_eq!(read(&mut reader), [0, 1, 2]);
        assert!(matches!(reader.read(9, 9, 9), Err(ReadError::Missing { expected: 3, .. })));
        append(log.path(), 0, &framed(3)[..5]);
        let torn = reader.read(9, 9, 9);
        assert!(matches!(torn, Err(ReadError::Segment { error: SegmentError::Torn { .. }, .. })), "{torn:?}");
    }
}

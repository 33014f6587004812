//! The records of one log that are meant, in its order. Sealed segments are looked into by their indexes; the last one, and
//! whatever has no index that can be used, is read through.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::index::Index;
use super::pick::Pick;
use super::query::{Key, Query, Term};
use super::seen::Seen;
use crate::audit::spool::reader::ReadError;
use crate::audit::spool::segment::{self, Segment, SegmentError, SegmentFile};

/// A record that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The log it is in.
    pub log: Uuid,
    /// Its number there.
    pub sequence: u64,
    /// When it was made, in microseconds since 1970; where it does not say, 0.
    pub micros: i64,
    /// The record: one line of JSON without its end.
    pub line: Vec<u8>,
}

/// Whether indexes are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indexes {
    /// They are, and are made where they are missing.
    Use,
    /// Every record is read, whatever an index says.
    Ignore,
}

/// A search under way. After an error it goes on with what can be read: each error says what is missing.
#[derive(Debug)]
pub struct Search {
    directory: PathBuf,
    query: Query,
    /// Where indexes have each term that they have.
    keys: Vec<Vec<Key>>,
    indexes: Indexes,
    /// Records from here on are not looked at.
    until: u64,
    segments: VecDeque<SegmentFile>,
    /// The sequence that the next segment must begin with, if that is known.
    expected: Option<u64>,
    part: Option<Part>,
}

/// The segment that is looked into.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    is_last: bool,
    log: Uuid,
    first: u64,
    /// Records before this one were looked at.
    next: u64,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Through(Box<Segment>),
    Picked(Box<Pick>),
}

impl Search {
    /// Looks through the log in a folder, as it is now, below the sequence `until`.
    ///
    /// # Errors
    /// [`ReadError::Folder`].
    pub fn new(directory: &Path, query: Query, until: u64, indexes: Indexes) -> Result<Self, ReadError> {
        let listed = segment::list(directory);
        let segments =
            listed.map_err(|error| ReadError::Folder { directory: directory.to_owned(), error })?;
        let keys = query.terms.iter().filter_map(Term::keys).collect();
        let directory = directory.to_owned();
        Ok(Self {
            directory,
            query,
            keys,
            indexes,
            until,
            segments: segments.into(),
            expected: None,
            part: None,
        })
    }

    fn advance(&mut self) -> Result<Option<Hit>, ReadError> {
        loop {
            match self.part.take() {
                Some(mut part) => match part.next(&self.query, self.until) {
                    Ok(Some(hit)) => {
                        self.part = Some(part);
                        return Ok(Some(hit));
                    }
                    Ok(None) => self.expected = part.end(self.until).or(self.expected),
                    Err(error) => {
                        self.expected = None;
                        return Err(ReadError::Segment { path: part.path, error });
                    }
                },
                None => match self.segments.pop_front() {
                    Some(file) => self.enter(file)?,
                    None => return Ok(None),
                },
            }
        }
    }

    /// Goes into a segment, or past it if its index says that nothing in it is meant.
    fn enter(&mut self, file: SegmentFile) -> Result<(), ReadError> {
        let is_last = self.segments.is_empty();
        let expected = self.expected.take();
        let segment = match Segment::open(&file.path) {
            Ok(segment) => segment,
            // It is being begun.
            Err(SegmentError::Torn { .. }) if is_last => return Ok(()),
            Err(error) if is_gone(&error) && self.is_kept_no_longer(&file) => return Ok(()),
            Err(error) => return Err(ReadError::Segment { path: file.path, error }),
        };
        let (log, first) = (segment.header().log, segment.header().first);
        let path = file.path;
        let index = if is_last { None } else { self.index(&path) };
        let way = match index {
            Some(index) => {
                self.expected = Some(first + index.records());
                self.way(&path, index, segment)
            }
            None => Some(Way::Through(Box::new(segment))),
        };
        self.part = way.map(|way| Part { path: path.clone(), is_last, log, first, next: first, way });
        match expected {
            Some(expected) if expected != first => Err(ReadError::Missing { expected, next: path }),
            _ => Ok(()),
        }
    }

    /// The index of a sealed segment, if it is of use. A segment that cannot be read to its end is read through, which tells why.
    fn index(&self, path: &Path) -> Option<Index> {
        let is_of_use = !self.keys.is_empty() || self.query.from.is_some() || self.query.to.is_some();
        if self.indexes == Indexes::Ignore || !is_of_use {
            return None;
        }
        Index::open_or_make(path).ok().flatten()
    }

    /// How to look into a sealed segment; none if there is nothing in it.
    fn way(&self, path: &Path, index: Index, segment: Segment) -> Option<Way> {
        if !index.touches(&self.query) {
            return None;
        }
        let through = Way::Through(Box::new(segment));
        if self.keys.is_empty() {
            return Some(through);
        }
        // One that turns out to be damaged is made anew.
        let picked = Pick::new(path, index, &self.keys).ok();
        let picked = picked.or_else(|| Pick::new(path, Index::make(path).ok()??, &self.keys).ok());
        Some(picked.map_or(through, |pick| Way::Picked(Box::new(pick))))
    }

    /// Whether a segment has been deleted since the folder was listed, because it was the oldest.
    fn is_kept_no_longer(&self, file: &SegmentFile) -> bool {
        let now = segment::list(&self.directory).unwrap_or_default();
        now.first().is_some_and(|oldest| oldest.first > file.first)
    }
}

fn is_gone(error: &SegmentError) -> bool {
    matches!(error, SegmentError::Io(error) if error.kind() == io::ErrorKind::NotFound)
}

impl Part {
    fn next(&mut self, query: &Query, until: u64) -> Result<Option<Hit>, SegmentError> {
        let (log, first) = (self.log, self.first);
        if let Way::Picked(pick) = &mut self.way {
            let hit = |seen: &Seen<'_>, line: &[u8]| (seen.micros().unwrap_or(0), line.to_vec());
            if let Ok(found) = pick.next(query, hit) {
                return Ok(found.map(|(place, (micros, line))| {
                    let sequence = first + u64::from(place);
                    self.next = sequence + 1;
                    Hit { log, sequence, micros, line }
                }));
            }
            // What it says is not so.
            drop(Index::make(&self.path));
            self.way = Way::Through(Box::new(Segment::open(&self.path)?));
        }
        self.through(query, until)
    }

    fn through(&mut self, query: &Query, until: u64) -> Result<Option<Hit>, SegmentError> {
        let Way::Through(segment) = &mut self.way else { return Ok(None) };
        loop {
            let framed = match segment.next() {
                Ok(Some(framed)) => framed,
                Ok(None) => return Ok(None),
                // It is being written.
                Err(SegmentError::Torn { .. }) if self.is_last => return Ok(None),
                Err(error) => return Err(error),
            };
            if framed.sequence >= until {
                return Ok(None);
            }
            if framed.sequence < self.next {
                continue;
            }
            self.next = framed.sequence + 1;
            let seen = Seen::read(framed.line);
            if query.holds(&seen) {
                let (sequence, micros) = (framed.sequence, seen.micros().unwrap_or(0));
                return Ok(Some(Hit { log: self.log, sequence, micros, line: framed.line.to_vec() }));
            }
        }
    }

    /// The sequence behind its last record, if it was read to its end.
    fn end(&self, until: u64) -> Option<u64> {
        match &self.way {
            Way::Through(segment) => Some(segment.sequence()).filter(|end| *end <= until),
            Way::Picked(_) => None,
        }
    }
}

impl Iterator for Search {
    type Item = Result<Hit, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

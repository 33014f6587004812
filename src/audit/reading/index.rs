//! Where the records of a sealed segment stand, by what is said in them.
//!
//! A file beside the segment, `<first>.index`, that can be made again at any time: 8 bytes magic `MANDIDX1`, a frame that
//! says of which segment it is, zeros up to 4096 bytes, then two arrays in blocks of 4096 bytes: where each record's frame
//! begins (64 bits, little-endian), and for each thing a record says its key (64 bits, big-endian) and the record's place in
//! the segment (32 bits, big-endian), sorted. An index whose segment is another, that is cut short or damaged is made anew.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::contents::Contents;
use super::index_file::{BLOCK_BYTES, Bytes, Column, Unusable};
use super::query::{Key, Query};
use crate::audit::replace;
use crate::audit::spool::frame::{self, Found};
use crate::audit::spool::segment::{Segment, SegmentError};
use crate::engine::digest;

const MAGIC: [u8; 8] = *b"MANDIDX1";
const FORMAT: u32 = 2;
/// Bytes of a segment's end that an index holds it to. A sealed segment ends with a checkpoint over all of it.
const END_BYTES: u64 = 4096;

/// Which segment an index is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    log: Uuid,
    first: u64,
    bytes: u64,
    header: String,
    end: String,
}

/// What stands at the beginning of an index.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct About {
    format: u32,
    segment: Identity,
    records: u64,
    terms: u64,
    /// The earliest and latest time of a record, in microseconds since 1970; none if no record has one.
    times: Option<(i64, i64)>,
}

/// An index that can be looked into.
#[derive(Debug)]
pub struct Index {
    about: About,
    bytes: Bytes,
}

impl Identity {
    /// Of an open segment at this path.
    fn of(path: &Path, segment: &Segment) -> io::Result<Self> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let size = bytes.min(END_BYTES);
        let mut end = vec![0; usize::try_from(size).unwrap_or_default()];
        file.read_exact_at(&mut end, bytes - size)?;
        let header = segment.header();
        Ok(Self {
            log: header.log,
            first: header.first,
            bytes,
            header: segment.header_digest().to_owned(),
            end: digest::hex(&Sha256::digest(&end)),
        })
    }
}

impl Index {
    /// The index of a sealed segment: the one beside it, or one that is made now, and written beside it where that is
    /// possible. None if the segment says more than an index holds.
    ///
    /// # Errors
    /// The segment cannot be read to its end.
    pub fn open_or_make(path: &Path) -> Result<Option<Self>, SegmentError> {
        if let Some(index) = Self::open(path)? {
            return Ok(Some(index));
        }
        Self::make(path)
    }

    /// The index beside a segment, if it is there and is its.
    ///
    /// # Errors
    /// The segment cannot be read.
    pub fn open(path: &Path) -> Result<Option<Self>, SegmentError> {
        let Ok(file) = File::open(path.with_extension("index")) else { return Ok(None) };
        let segment = Identity::of(path, &Segment::open(path)?)?;
        let read = Self::read(Bytes::File(file)).ok();
        Ok(read.filter(|index| index.about.segment == segment))
    }

    /// Makes the index of a segment, and writes it beside it where that is possible.
    ///
    /// # Errors
    /// As [`open_or_make`](Self::open_or_make).
    pub fn make(path: &Path) -> Result<Option<Self>, SegmentError> {
        let Some(bytes) = built(path)? else { return Ok(None) };
        // Where it cannot be written it is made again the next time.
        let _written = replace::replace(&path.with_extension("index"), &bytes);
        let read = Self::read(Bytes::Memory(bytes)).map_err(io::Error::from)?;
        Ok(Some(read))
    }

    /// Writes the index of a sealed segment beside it, from what was gathered of it while it was so many bytes long.
    ///
    /// # Errors
    /// The segment cannot be read, is of another length, or the index not written.
    pub(super) fn keep(path: &Path, (bytes, contents): (u64, Contents)) -> Result<(), SegmentError> {
        let segment = Identity::of(path, &Segment::open(path)?)?;
        if segment.bytes != bytes {
            return Err(io::Error::other("the segment is not as it was gathered").into());
        }
        let bytes = bytes_of(segment, contents)?;
        Ok(replace::replace(&path.with_extension("index"), &bytes)?)
    }

    fn read(bytes: Bytes) -> Result<Self, Unusable> {
        let mut head = [0; BLOCK_BYTES];
        bytes.read(0, &mut head)?;
        let about = head.strip_prefix(&MAGIC).ok_or(Unusable)?;
        let Found::Whole(about) = frame::first(about) else { return Err(Unusable) };
        let about: About = serde_json::from_slice(about).map_err(|_error| Unusable)?;
        if about.format == FORMAT { Ok(Self { about, bytes }) } else { Err(Unusable) }
    }

    /// How many records the segment holds.
    pub fn records(&self) -> u64 {
        self.about.records
    }

    /// Whether a record of the segment may lie in a query's span of time.
    pub(super) fn touches(&self, query: &Query) -> bool {
        let Some((first, last)) = self.about.times else { return query.from.is_none() && query.to.is_none() };
        query.touches(first, last)
    }

    /// Places of the records that may be meant, in order: those that have one of the keys of the rarest of these terms.
    pub(super) fn rarest(&self, terms: &[Vec<Key>]) -> Result<Vec<u32>, Unusable> {
        let mut rarest: Option<(u64, Vec<Range<u64>>)> = None;
        for keys in terms {
            let ranges = keys.iter().map(|key| self.range(*key)).collect::<Result<Vec<_>, _>>()?;
            let count = ranges.iter().map(|range| range.end - range.start).sum();
            if rarest.as_ref().is_none_or(|(least, _)| count < *least) {
                rarest = Some((count, ranges));
            }
        }
        let mut terms = self.about.terms().look(&self.bytes);
        let place = |item: &[u8]| item.last_chunk().copied().map(u32::from_be_bytes).ok_or(Unusable);
        let found = rarest.into_iter().flat_map(|(_, ranges)| ranges).flatten();
        let mut places = found.map(|at| place(terms.item(at)?)).collect::<Result<Vec<_>, _>>()?;
        places.sort_unstable();
        // A record may say the same twice.
        places.dedup();
        Ok(places)
    }

    fn range(&self, key: Key) -> Result<Range<u64>, Unusable> {
        let mut terms = self.about.terms().look(&self.bytes);
        let of = |item: &[u8]| item.first_chunk().copied().map_or(0, Key::from_be_bytes);
        let start = terms.first_not(|item| of(item) < key)?;
        let end = terms.first_not(|item| of(item) <= key)?;
        if start <= end { Ok(start..end) } else { Err(Unusable) }
    }

    /// Where the frame of the record at this place begins.
    pub(super) fn offset(&self, place: u32) -> Result<u64, Unusable> {
        let mut offsets = self.about.offsets().look(&self.bytes);
        offsets.item(place.into())?.first_chunk().copied().map(u64::from_le_bytes).ok_or(Unusable)
    }
}

impl About {
    fn offsets(&self) -> Column {
        Column { first_block: 1, width: 8, length: self.records }
    }

    fn terms(&self) -> Column {
        Column { first_block: self.offsets().end(), width: 12, length: self.terms }
    }
}

/// The bytes of a segment's index; none if it would be too large.
fn built(path: &Path) -> Result<Option<Vec<u8>>, SegmentError> {
    let segment = Identity::of(path, &Segment::open(path)?)?;
    let contents = Contents::read(path, segment.bytes)?;
    Ok(contents.map(|contents| bytes_of(segment, contents)).transpose()?)
}

/// The bytes of an index that says this.
fn bytes_of(segment: Identity, contents: Contents) -> io::Result<Vec<u8>> {
    let Contents { offsets, mut terms, times } = contents;
    terms.sort_unstable();
    let (records, count) = (offsets.len() as u64, terms.len() as u64);
    let about = About { format: FORMAT, segment, records, terms: count, times };
    let mut bytes = Vec::from(MAGIC);
    let head = serde_json::to_vec(&about).map_err(io::Error::other)?;
    frame::append(&head, &mut bytes).map_err(io::Error::other)?;
    bytes.resize(BLOCK_BYTES, 0);
    about.offsets().write(offsets.iter().map(|offset| offset.to_le_bytes()), &mut bytes);
    about.terms().write(terms.iter().map(|(key, place)| term(*key, *place)), &mut bytes);
    Ok(bytes)
}

fn term(key: Key, place: u32) -> [u8; 12] {
    let mut item = [0; 12];
    let both = key.to_be_bytes().into_iter().chain(place.to_be_bytes());
    item.iter_mut().zip(both).for_each(|(byte, value)| *byte = value);
    item
}

/// Deletes what is left of indexes whose segment is kept no longer.
///
/// # Errors
/// The folder cannot be read, or a file not deleted.
pub(super) fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_index = path.extension().is_some_and(|extension| extension == "index");
        if is_index && !path.with_extension("mlog").try_exists()? {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

//! Where the records of a segment stand and what they say: read from it, or gathered while it is written.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::query::{self, Key};
use super::seen::Seen;
use crate::audit::spool::segment::{Segment, SegmentError};

/// Most that an index says; a segment with more is read through.
const MAX_TERMS: usize = 32 * 1024 * 1024;
/// Most that is gathered: a segment that says more is read once it is sealed.
const MAX_GATHERED: usize = 1024 * 1024;
/// Most segments whose contents wait for whoever makes indexes of them.
const MAX_WAITING: usize = 4;

/// About how long a record is, and how many things it says: room made at once, and not by copying.
const USUAL_BYTES: u64 = 1024;
const USUAL_TERMS: usize = 8;

/// What stands in a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::audit) struct Contents {
    /// Where each record's frame begins.
    pub(super) offsets: Vec<u64>,
    /// What is said, by the record's place.
    pub(super) terms: Vec<(Key, u32)>,
    /// The earliest and latest time of a record, in microseconds since 1970; none if no record has one.
    pub(super) times: Option<(i64, i64)>,
}

impl Contents {
    /// Reads a segment; none if it says too much.
    pub(super) fn read(path: &Path, bytes: u64) -> Result<Option<Self>, SegmentError> {
        let mut segment = Segment::open(path)?;
        let about_so_many = usize::try_from(bytes / USUAL_BYTES).unwrap_or_default();
        let mut contents = Self {
            offsets: Vec::with_capacity(about_so_many),
            terms: Vec::with_capacity(about_so_many.saturating_mul(USUAL_TERMS).min(MAX_TERMS)),
            times: None,
        };
        while let Some(framed) = segment.next()? {
            if contents.read_line(framed.offset, framed.line).is_none() || contents.terms.len() > MAX_TERMS {
                return Ok(None);
            }
        }
        Ok(Some(contents))
    }

    /// Adds a record whose frame begins there; none if there are too many.
    fn read_line(&mut self, offset: u64, line: &[u8]) -> Option<()> {
        let seen = Seen::read(line);
        let place = self.place(offset, seen.micros())?;
        query::keys(&seen, |key| self.terms.push((key, place)));
        Some(())
    }

    fn place(&mut self, offset: u64, micros: Option<i64>) -> Option<u32> {
        let place = u32::try_from(self.offsets.len()).ok()?;
        self.offsets.push(offset);
        if let Some(at) = micros {
            self.times = Some(self.times.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        }
        Some(place)
    }
}

/// What a record says, told where its line is made: to read every line once more costs far more.
#[derive(Debug, Clone, Copy)]
pub(in crate::audit) struct Said {
    keys: [Key; Self::MOST],
    count: usize,
    /// When it was made, in microseconds since 1970.
    pub(in crate::audit) micros: i64,
}

impl Said {
    /// Most that is told so; of a record that says more the line is read.
    const MOST: usize = 16;

    /// A record of this time, in microseconds since 1970, that says nothing yet.
    pub(in crate::audit) fn at(micros: i64) -> Self {
        Self { keys: [0; Self::MOST], count: 0, micros }
    }

    /// It says this as well; none if it says too much.
    pub(in crate::audit) fn add(&mut self, key: Key) -> Option<()> {
        *self.keys.get_mut(self.count)? = key;
        self.count += 1;
        Some(())
    }

    /// Appends it to the line that says it, to be handed over in one buffer.
    pub(in crate::audit) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.micros.to_ne_bytes());
        self.keys().iter().for_each(|key| out.extend_from_slice(&key.to_ne_bytes()));
    }

    /// What was handed over; none if nothing was.
    pub(in crate::audit) fn read(bytes: &[u8]) -> Option<Self> {
        let (words, _whole) = bytes.as_chunks();
        let (micros, keys) = words.split_first()?;
        let mut said = Self::at(i64::from_ne_bytes(*micros));
        keys.iter().try_for_each(|key| said.add(Key::from_ne_bytes(*key)))?;
        Some(said)
    }

    /// The keys of what it says.
    pub(in crate::audit) fn keys(&self) -> &[Key] {
        self.keys.get(..self.count).unwrap_or_default()
    }
}

/// The contents of the segment that is written to, from its first record on; nothing, if some of it is not known.
#[derive(Debug, Default)]
pub(in crate::audit) struct Gathering(Option<Contents>);

impl Gathering {
    /// Of a segment that begins now, and will say about as much as the one before.
    pub(in crate::audit) fn after(before: &Self) -> Self {
        let (records, terms) =
            before.0.as_ref().map_or((0, 0), |before| (before.offsets.len(), before.terms.len()));
        let (offsets, terms) = (Vec::with_capacity(records), Vec::with_capacity(terms));
        Self(Some(Contents { offsets, terms, times: None }))
    }

    /// Adds a line that was written, whose frame begins there; it is read unless it is known what it says.
    pub(in crate::audit) fn add(&mut self, offset: u64, line: &[u8], said: Option<&Said>) {
        let Some(contents) = &mut self.0 else { return };
        let added = match said {
            None => contents.read_line(offset, line),
            Some(said) => contents.place(offset, Some(said.micros)).map(|place| {
                contents.terms.extend(said.keys().iter().map(|key| (*key, place)));
            }),
        };
        if added.is_none() || contents.terms.len() > MAX_GATHERED {
            self.0 = None;
        }
    }
}

/// Contents of sealed segments, on their way from the thread that writes to the one that makes indexes. Who writes waits for nobody:
/// of too many the oldest are dropped, and their segments read.
#[derive(Debug, Clone, Default)]
pub struct Sealed(Arc<Mutex<VecDeque<(u64, u64, Contents)>>>);

impl Sealed {
    /// Hands over what was gathered of the segment that begins with this sequence and is so many bytes long.
    pub(in crate::audit) fn hand_over(&self, first: u64, bytes: u64, gathering: Gathering) {
        let Some(contents) = gathering.0 else { return };
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == MAX_WAITING {
            waiting.pop_front();
        }
        waiting.push_back((first, bytes, contents));
    }

    /// What was gathered of the segment that begins with this sequence, and how long it was.
    pub(super) fn take(&self, first: u64) -> Option<(u64, Contents)> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = waiting.iter().position(|(of, ..)| *of == first)?;
        waiting.remove(at).map(|(_, bytes, contents)| (bytes, contents))
    }
}

#[cfg(test)]
#[path = "contents_tests.rs"]
mod tests;

//! Single records of a sealed segment, where an index says they stand.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::vec;

use super::index::Index;
use super::index_file::Unusable;
use super::query::{Key, Query};
use super::seen::Seen;
use crate::audit::spool::frame::{self, Found};

/// Bytes that are read at a time: most records are shorter.
const READ_BYTES: usize = 4096;

/// Records that are picked out of a segment, in order.
#[derive(Debug)]
pub(super) struct Pick {
    file: File,
    index: Index,
    places: vec::IntoIter<u32>,
    buffer: Vec<u8>,
}

impl Pick {
    /// Those that say the rarest of these terms, as far as the index knows.
    pub(super) fn new(path: &Path, index: Index, terms: &[Vec<Key>]) -> Result<Self, Unusable> {
        let places = index.rarest(terms)?.into_iter();
        let file = File::open(path).map_err(|_error| Unusable)?;
        Ok(Self { file, index, places, buffer: Vec::new() })
    }

    /// The next that is meant: its place in the segment, and what `take` makes of it; none at the end.
    ///
    /// # Errors
    /// [`Unusable`]: no record stands where the index says, or one that does not say what the index has of it.
    pub(super) fn next<T>(
        &mut self,
        query: &Query,
        take: impl Fn(&Seen<'_>, &[u8]) -> T,
    ) -> Result<Option<(u32, T)>, Unusable> {
        for place in self.places.by_ref() {
            let offset = self.index.offset(place)?;
            let line =
                read(&self.file, offset, &mut self.buffer).map_err(|_error| Unusable)?.ok_or(Unusable)?;
            let seen = Seen::read(line);
            // The index has it under one of the terms that can be looked up.
            if !query.terms.iter().any(|term| term.keys().is_some() && term.holds_by_value(&seen)) {
                return Err(Unusable);
            }
            if query.holds(&seen) {
                return Ok(Some((place, take(&seen, line))));
            }
        }
        Ok(None)
    }
}

/// The record whose frame begins at `offset`; none if no whole frame does.
fn read<'b>(file: &File, offset: u64, buffer: &'b mut Vec<u8>) -> io::Result<Option<&'b [u8]>> {
    let mut wanted = READ_BYTES;
    loop {
        buffer.resize(wanted, 0);
        let mut had = 0;
        while let Some(rest) = buffer.get_mut(had..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset + had as u64)? {
                0 => break,
                more => had += more,
            }
        }
        buffer.truncate(had);
        match frame::first(buffer) {
            Found::Short(needed) if needed > wanted => wanted = needed,
            Found::Whole(_) => break,
            Found::Short(_) | Found::Damaged => return Ok(None),
        }
    }
    Ok(match frame::first(buffer) {
        Found::Whole(line) => Some(line),
        Found::Short(_) | Found::Damaged => None,
    })
}

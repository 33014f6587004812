//! Sorted numbers in blocks that each carry a checksum: an index is looked into, block by block, and never read whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crc32fast::Hasher;

/// Bytes of a block. Its last four are the checksum over its number and the bytes before.
pub(super) const BLOCK_BYTES: usize = 4096;
const HELD_BYTES: usize = BLOCK_BYTES - 4;

/// Where an index is.
#[derive(Debug)]
pub(super) enum Bytes {
    /// In a file.
    File(File),
    /// In memory: there is nowhere to write it.
    Memory(Vec<u8>),
}

/// An array of items of the same size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// The number of its first block.
    pub(super) first_block: u64,
    /// Bytes of an item.
    pub(super) width: usize,
    /// How many items there are.
    pub(super) length: u64,
}

/// A column that is looked into.
#[derive(Debug)]
pub(super) struct Look<'b> {
    bytes: &'b Bytes,
    column: Column,
    block: Option<(u64, Vec<u8>)>,
}

/// What an index says cannot be believed.
#[derive(Debug, thiserror::Error)]
#[error("the index cannot be used")]
pub(super) struct Unusable;

impl Bytes {
    /// Fills `into` from `at` on.
    pub(super) fn read(&self, at: u64, into: &mut [u8]) -> Result<(), Unusable> {
        match self {
            Self::File(file) => file.read_exact_at(into, at).map_err(|_error| Unusable),
            Self::Memory(bytes) => {
                let start = usize::try_from(at).map_err(|_larger| Unusable)?;
                let end = start.checked_add(into.len()).ok_or(Unusable)?;
                into.copy_from_slice(bytes.get(start..end).ok_or(Unusable)?);
                Ok(())
            }
        }
    }
}

impl Column {
    fn in_a_block(self) -> usize {
        HELD_BYTES / self.width.max(1)
    }

    /// The number of the first block behind it.
    pub(super) fn end(self) -> u64 {
        self.first_block.saturating_add(self.length.div_ceil(self.in_a_block().max(1) as u64))
    }

    /// Appends blocks of such items.
    pub(super) fn write(self, items: impl Iterator<Item = impl AsRef<[u8]>>, out: &mut Vec<u8>) {
        let mut items = items.peekable();
        let mut number = self.first_block;
        while items.peek().is_some() {
            let start = out.len();
            for item in items.by_ref().take(self.in_a_block()) {
                out.extend_from_slice(item.as_ref());
            }
            out.resize(start + HELD_BYTES, 0);
            let sum = checksum(number, out.get(start..).unwrap_or_default());
            out.extend_from_slice(&sum.to_le_bytes());
            number += 1;
        }
    }

    /// Looks into it.
    pub(super) fn look(self, bytes: &Bytes) -> Look<'_> {
        Look { bytes, column: self, block: None }
    }
}

impl Look<'_> {
    /// An item by its place.
    pub(super) fn item(&mut self, place: u64) -> Result<&[u8], Unusable> {
        let in_a_block = self.column.in_a_block() as u64;
        if place >= self.column.length {
            return Err(Unusable);
        }
        let number = self.column.first_block + place / in_a_block;
        let within = usize::try_from(place % in_a_block).map_err(|_larger| Unusable)?;
        let start = within * self.column.width;
        let range = start..start + self.column.width;
        self.load(number)?.get(range).ok_or(Unusable)
    }

    fn load(&mut self, number: u64) -> Result<&[u8], Unusable> {
        if self.block.as_ref().is_none_or(|(loaded, _)| *loaded != number) {
            let mut block = vec![0; BLOCK_BYTES];
            let at = number.checked_mul(BLOCK_BYTES as u64).ok_or(Unusable)?;
            self.bytes.read(at, &mut block)?;
            let (held, sum) = block.split_at_checked(HELD_BYTES).ok_or(Unusable)?;
            if checksum(number, held).to_le_bytes() != sum {
                return Err(Unusable);
            }
            self.block = Some((number, block));
        }
        self.block.as_ref().map(|(_, block)| block.as_slice()).ok_or(Unusable)
    }

    /// The first place whose item does not come before: items are sorted by this.
    pub(super) fn first_not(&mut self, before: impl Fn(&[u8]) -> bool) -> Result<u64, Unusable> {
        let (mut low, mut high) = (0, self.column.length);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.item(middle)?) { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }
}

fn checksum(number: u64, held: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(held);
    hasher.finalize()
}

impl From<Unusable> for io::Error {
    fn from(unusable: Unusable) -> Self {
        Self::other(unusable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(length: u64) -> (Column, Vec<u8>) {
        let column = Column { first_block: 1, width: 12, length };
        let mut bytes = vec![0; BLOCK_BYTES];
        let item = |n: u64| [n.to_be_bytes().as_slice(), &[7; 4]].concat();
        column.write((0..length).map(|n| item(n * 2)), &mut bytes);
        (column, bytes)
    }

    fn place(column: Column, bytes: Vec<u8>, of: u64) -> Result<u64, Unusable> {
        let bytes = Bytes::Memory(bytes);
        column.look(&bytes).first_not(|item| item[..8] < of.to_be_bytes()[..])
    }

    #[test]
    fn what_is_looked_for_is_found_at_every_place_of_every_block() {
        for length in [0, 1, 340, 341, 342, 1000] {
            let (column, bytes) = written(length);
            assert_eq!(bytes.len() as u64, column.end() * BLOCK_BYTES as u64);
            for n in 0..length {
                assert_eq!(place(column, bytes.clone(), n * 2).unwrap(), n);
            }
            assert_eq!(place(column, bytes, u64::MAX).unwrap(), length);
        }
    }

    #[test]
    fn a_block_that_is_damaged_or_stands_elsewhere_is_not_used() {
        let (column, bytes) = written(1000);
        let mut damaged = bytes.clone();
        damaged[BLOCK_BYTES + 8] ^= 1;
        assert!(place(column, damaged, 0).is_err());
        let mut swapped = bytes.clone();
        let (one, other) =
            (bytes[BLOCK_BYTES..2 * BLOCK_BYTES].to_vec(), bytes[2 * BLOCK_BYTES..3 * BLOCK_BYTES].to_vec());
        swapped[BLOCK_BYTES..2 * BLOCK_BYTES].copy_from_slice(&other);
        swapped[2 * BLOCK_BYTES..3 * BLOCK_BYTES].copy_from_slice(&one);
        assert!(place(column, swapped, 0).is_err());
        assert!(place(column, bytes[..BLOCK_BYTES].to_vec(), 0).is_err());
    }
}

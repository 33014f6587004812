//! The numbers in the file of counters, and how they are raised.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::fstatfs;
use vm_memory::{FileOffset, MmapRegion, VolatileMemory as _};

use super::{FILE_BYTES, HEADER_BYTES, SHARD_BYTES, SHARDS, SLOTS};

/// What `fstatfs` says of a file in memory (`linux/magic.h`: `TMPFS_MAGIC`).
const IN_MEMORY: i64 = 0x0102_1994;

/// The numbers of the threads that count.
#[derive(Debug)]
pub(super) enum Numbers {
    /// Of a file in memory, which is mapped: to count is an instruction.
    Mapped(MmapRegion),
    /// Of any other file: to count is a call of the system. A page that is mapped and that a disk does not take ends the process.
    Written(File, Box<[Shard]>),
}

/// The numbers of a shard, as they are in the file.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Shard(Mutex<[u64; SLOTS]>);

impl Numbers {
    /// Those of a file, which are all nought.
    ///
    /// # Errors
    /// The system has no second descriptor.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        if cfg!(target_endian = "little") && fstatfs(file).is_ok_and(|system| system.f_type == IN_MEMORY) {
            let mapped = MmapRegion::from_file(FileOffset::new(file.try_clone()?, 0), FILE_BYTES);
            if let Ok(mapped) = mapped {
                return Ok(Self::Mapped(mapped));
            }
        }
        Ok(Self::Written(file.try_clone()?, (0..SHARDS).map(|_| Shard::default()).collect()))
    }

    /// Raises a number of a shard. It is in the file afterwards.
    ///
    /// # Errors
    /// The file takes nothing.
    pub(super) fn raise(&self, shard: usize, slot: usize, by: u64) -> io::Result<()> {
        let offset = HEADER_BYTES + shard * SHARD_BYTES + slot * 8;
        match self {
            Self::Mapped(region) => {
                let number = region.get_atomic_ref::<AtomicU64>(offset).map_err(io::Error::other)?;
                number.fetch_add(by, Ordering::Relaxed);
                Ok(())
            }
            Self::Written(file, shards) => {
                let outside = || io::Error::other("there is no such number");
                let shard = shards.get(shard).ok_or_else(outside)?;
                let mut slots = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
                let number = slots.get_mut(slot).ok_or_else(outside)?;
                *number = number.wrapping_add(by);
                file.write_all_at(&number.to_le_bytes(), u64::try_from(offset).unwrap_or(u64::MAX))
            }
        }
    }
}

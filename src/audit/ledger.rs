//! The counters of the account, kept where they outlive the process: what was issued and dropped is known after `kill -9` too.
//!
//! A file of eight-byte little-endian numbers (`numbers.rs`). Every thread adds in a shard of its own, so that none waits for another, and
//! a count is in the file before [`Ledger::add`] returns. The file is in memory (`/dev/shm`) unless told otherwise: it
//! lasts as long as the machine runs, and a disk that stands still cannot hold up an answer. It is as large when made as it
//! will ever be, so that no full file system refuses a count.
//!
//! ```text
//! 0    MANDCNT1
//! 8    id of the log, 16 bytes
//! 24   id of the process (its instance), 16 bytes
//! 40   id of the machine's boot, 16 bytes
//! 128  64 shards of 16 numbers: issued, then what was dropped, by reason; the rest is zero
//! ```

mod numbers;

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::OFlags;
use rustix::process::geteuid;
use uuid::Uuid;

use super::counts::DropReason;
use numbers::Numbers;

/// Where the counters are, unless told otherwise: memory, as a folder.
pub const FOLDER: &str = "/dev/shm";

/// What the file begins with.
const MAGIC: [u8; 8] = *b"MANDCNT1";
/// Bytes before the first shard.
const HEADER_BYTES: usize = 128;
/// Threads that count without meeting each other.
const SHARDS: usize = 64;
/// Numbers in a shard: two lines of a processor's cache.
const SLOTS: usize = 16;
/// Bytes of a shard.
const SHARD_BYTES: usize = SLOTS * 8;
/// Bytes of the file.
const FILE_BYTES: usize = HEADER_BYTES + SHARDS * SHARD_BYTES;
/// The machine's word for the time since it was last started.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Records that answers made.
    Issued,
    /// Records that were not written.
    Dropped(DropReason),
}

/// What a process that ended without closing its counters left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The process.
    pub instance: Uuid,
    /// Records that it issued.
    pub issued: u64,
    /// Records that it dropped, for every reason of [`DropReason::ALL`], in that order.
    pub dropped: Vec<(DropReason, u64)>,
}

/// The counters of this process, in a file.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    path: PathBuf,
    numbers: Numbers,
    failed: AtomicBool,
}

impl Counter {
    /// Which number of a shard it is. A place is never used for something else: an older build may have left it.
    fn slot(self) -> usize {
        match self {
            Self::Issued => 0,
            Self::Dropped(DropReason::QueueFull) => 1,
            Self::Dropped(DropReason::IoError) => 2,
            Self::Dropped(DropReason::WriterGone) => 3,
            Self::Dropped(DropReason::Unwritable) => 4,
            Self::Dropped(DropReason::Overload) => 5,
        }
    }
}

impl Left {
    /// Records that it dropped, for whatever reason.
    pub fn all_dropped(&self) -> u64 {
        self.dropped.iter().map(|(_, records)| records).sum()
    }
}

impl Ledger {
    /// New counters in a folder for a log and a process, and what others left: the one before, unless it closed its own,
    /// and one that was killed before it began. Nothing of what was there before the machine was started.
    ///
    /// Until [`begin`](Self::begin) the old counters stay, so that what they say is not lost if this process ends before
    /// it is written down.
    ///
    /// # Errors
    /// The folder refuses, or what is there is not ours to read; with the path and what to do.
    pub fn open(folder: &Path, log: Uuid, instance: Uuid) -> io::Result<(Self, Vec<Left>)> {
        let path = folder.join(format!("mandate-{log}.counts"));
        let boot = boot();
        let next = next(&path);
        let before = left(&path, log, boot).map_err(|error| about(&path, &error))?;
        // It is about to be replaced: what is not in order says nothing.
        let unbegun = left(&next, log, boot).unwrap_or(None);
        let left = before.into_iter().chain(unbegun).collect();
        let file = create(&next, &header(log, instance, boot)).map_err(|error| about(&next, &error))?;
        let numbers = Numbers::of(&file).map_err(|error| about(&next, &error))?;
        Ok((Self { file, path, numbers, failed: AtomicBool::new(false) }, left))
    }

    /// Puts these counters in the place of those that the process before left. Before the first answer, and after what
    /// they said has been written down.
    ///
    /// # Errors
    /// The folder refuses, with the path.
    pub fn begin(&self) -> io::Result<()> {
        // A folder on a disk must not have the name before the content.
        let begun = self.file.sync_all().and_then(|()| fs::rename(next(&self.path), &self.path));
        begun.map_err(|error| about(&self.path, &error))
    }

    /// Counts. What was counted is in the file afterwards, and there if this process is killed.
    pub fn add(&self, counter: Counter, records: u64) {
        if let Err(error) = self.numbers.raise(number() % SHARDS, counter.slot(), records)
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            let path = self.path.display();
            tracing::error!(%path, %error, "the log's counters cannot be written: after a crash its account may not balance");
        }
    }

    /// Whether a count could not be written: the file says too little.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Removes the file. For an orderly end, when the log itself says what became of every record.
    ///
    /// # Errors
    /// The folder refuses, with the path. The next process then finds the counters as after a crash, and they balance.
    pub fn close_clean(&self) -> io::Result<()> {
        fs::remove_file(&self.path).map_err(|error| about(&self.path, &error))
    }
}

/// The number of the thread: one after another.
fn number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    // A thread that is being torn down counts with the first.
    NUMBER.try_with(Cell::get).unwrap_or(0)
}

/// Where counters are until they begin.
fn next(path: &Path) -> PathBuf {
    path.with_extension("counts.next")
}

fn header(log: Uuid, instance: Uuid, boot: Option<Uuid>) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    for id in [log, instance, boot.unwrap_or_default()] {
        header.extend_from_slice(id.as_bytes());
    }
    header
}

/// Since when the machine runs: none if it does not say.
fn boot() -> Option<Uuid> {
    fs::read_to_string(BOOT_ID).ok()?.trim().parse().ok()
}

/// A file of zeros after this header, for us alone.
fn create(path: &Path, header: &[u8]) -> io::Result<File> {
    // What a process left that ended before it began. Of a link this removes the link.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    let mut content = header.to_vec();
    content.resize(FILE_BYTES, 0);
    file.write_all_at(&content, 0)?;
    Ok(file)
}

/// What the file says of the process that made it.
fn left(path: &Path, log: Uuid, boot: Option<Uuid>) -> io::Result<Option<Left>> {
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).map_err(io::Error::other)?;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    check(&file)?;
    let mut content = vec![0; FILE_BYTES];
    file.read_exact_at(&mut content, 0)?;
    let Some((header, shards)) = content.split_at_checked(HEADER_BYTES) else { return Ok(None) };
    if !header.starts_with(&MAGIC) {
        return Err(invalid("it is no file of counters of this format"));
    }
    let id = |from: usize| header.get(from..from + 16).and_then(|bytes| Uuid::from_slice(bytes).ok());
    let (Some(of), Some(instance), Some(booted)) = (id(8), id(24), id(40)) else { return Ok(None) };
    // What a disk has kept over a power cut is what happened to be on it.
    Ok((of == log && boot == Some(booted)).then(|| sum(shards, instance)))
}

/// Refuses what somebody else may have written.
fn check(file: &File) -> io::Result<()> {
    let metadata = file.metadata()?;
    let size = u64::try_from(FILE_BYTES).unwrap_or(u64::MAX);
    if !metadata.is_file() {
        return Err(invalid("it is no regular file"));
    }
    if metadata.uid() != geteuid().as_raw() || metadata.nlink() != 1 {
        return Err(invalid("it belongs to another user, or has a second name"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(invalid("others than its owner have rights to it"));
    }
    if metadata.len() != size {
        return Err(invalid(&format!("it has {} bytes, not {size}", metadata.len())));
    }
    Ok(())
}

fn sum(shards: &[u8], instance: Uuid) -> Left {
    let mut sums = [0_u64; SLOTS];
    for shard in shards.chunks_exact(SHARD_BYTES) {
        for (sum, number) in sums.iter_mut().zip(shard.as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*number));
        }
    }
    let of = |counter: Counter| sums.get(counter.slot()).copied().unwrap_or(0);
    let dropped = DropReason::ALL.map(|reason| (reason, of(Counter::Dropped(reason)))).to_vec();
    Left { instance, issued: of(Counter::Issued), dropped }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    let message = format!(
        "the log's counters `{}` cannot be used: {error}; if no other process uses them, remove the file, after which \
         the next start says of the process before only how much it lost at most, or name another folder as `[log] \
         counters`",
        path.display()
    );
    io::Error::new(error.kind(), message)
}

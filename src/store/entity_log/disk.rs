//! The log's file: an embedded store of B-trees, each commit of which is synced before it counts.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use redb::{
    Builder, CommitError, Database, DatabaseError, Durability, ReadableDatabase as _, ReadableTable as _,
    StorageError, TableDefinition, TableError, TransactionError, WriteTransaction,
};

use sha2::{Digest as _, Sha256};

use super::super::revision::LOG;
use super::facts::{Entry, Fact, Row, pair, party};

/// Layout that this build writes, and the newest it reads.
const FORMAT: u64 = 1;
/// Bytes of the file that are kept in memory. Decisions read none of it: worlds hold everything.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// How long to wait for another writer of this process to end.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const ENTITIES: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("entities");
pub(super) const REVOKED: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("revoked");
pub(super) const SUSPENDED: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("suspended");
pub(super) const KNOWN: TableDefinition<'_, &str, &str> = TableDefinition::new("known_grants");
pub(super) const HISTORY: TableDefinition<'_, u64, &str> = TableDefinition::new("history");

/// Why the log's file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// It is not what was written.
    #[error("is damaged: {0}")]
    Damaged(String),
    /// A later build wrote it.
    #[error("is of format {0}; this build reads formats up to {FORMAT}: use a newer build")]
    Newer(u64),
    /// The system refuses.
    #[error("{0}")]
    Io(String),
}

/// What names a log, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Made with the log.
    pub(super) log: [u8; LOG],
    /// No world of this log has a greater sequence, in whatever process.
    pub(super) reserved: u64,
    /// Sequence of the last entry.
    pub(super) last: u64,
}

/// Where the file's bytes are.
pub(super) type Opening = Arc<dyn Fn(&Builder) -> Result<Database, DatabaseError> + Send + Sync>;

/// The file. After an error it is opened anew before it is used again, which finds out what of the last commit counts.
pub(super) struct Disk {
    opening: Opening,
    database: Option<Arc<Database>>,
    #[cfg(test)]
    durability: Durability,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("open", &self.database.is_some()).finish_non_exhaustive()
    }
}

/// How a file is opened that only its owner reads. It is made if there is none and `create` says so.
pub(super) fn file(path: &Path, create: bool) -> Opening {
    let path: PathBuf = path.to_owned();
    Arc::new(move |builder| {
        let start = Instant::now();
        loop {
            match builder.create_file(open_file(&path, create)?) {
                // The writer of a store that was just given up, for the directory is this process's alone.
                Err(DatabaseError::DatabaseAlreadyOpen) if start.elapsed() < PATIENCE => thread::sleep(PAUSE),
                opened => return opened,
            }
        }
    })
}

fn open_file(path: &Path, create: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(0o600).open(path)
}

impl Disk {
    /// Opens a log. If there is nothing in it yet, begins one of that name, if one is given.
    ///
    /// # Errors
    /// [`DiskError`]. What is damaged is never repaired by giving up what was acknowledged.
    pub(super) fn open(opening: Opening, new_log: Option<[u8; LOG]>) -> Result<(Self, Head), DiskError> {
        let mut disk = Self {
            opening,
            database: None,
            #[cfg(test)]
            durability: Durability::Immediate,
        };
        disk.reopen()?;
        let head = match (disk.head()?, new_log) {
            (Some(head), _) => head,
            (None, Some(log)) => disk.begin(log)?,
            (None, None) => return Err(DiskError::Damaged("nothing is in it".to_owned())),
        };
        Ok((disk, head))
    }

    /// Opens the file anew.
    ///
    /// # Errors
    /// [`DiskError`].
    pub(super) fn reopen(&mut self) -> Result<(), DiskError> {
        self.database = None;
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        // After a crash this looks at every page's checksum; else the sum of all rows is held to what was written of it.
        self.database = Some(Arc::new(soundly(|| Ok((self.opening)(&builder)?))?));
        Ok(())
    }

    /// Commits without a sync, to show that somebody notices.
    #[cfg(test)]
    pub(super) fn commit_as(&mut self, durability: Durability) {
        self.durability = durability;
    }

    /// Gives back what nothing uses any more.
    pub(super) fn compact(&mut self) {
        // It only takes room: the next start tries again.
        let _done = self.database.as_mut().and_then(Arc::get_mut).map(Database::compact);
    }

    /// The database, opened anew if need be.
    pub(super) fn database(&mut self) -> Result<Arc<Database>, DiskError> {
        if self.database.is_none() {
            self.reopen()?;
        }
        self.database.clone().ok_or_else(|| DiskError::Io("it is not open".to_owned()))
    }

    /// Where the log stands; none if nothing was ever written.
    pub(super) fn head(&mut self) -> Result<Option<Head>, DiskError> {
        let read = self.database()?.begin_read()?;
        let meta = match read.open_table(META) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            opened => opened?,
        };
        let bytes = |name: &str| Ok::<_, DiskError>(meta.get(name)?.map(|bytes| bytes.value().to_vec()));
        let missing = || DiskError::Damaged("its head is missing".to_owned());
        let number = |name: &str| {
            let bytes: [u8; 8] = bytes(name)?.and_then(|bytes| bytes.try_into().ok()).ok_or_else(missing)?;
            Ok::<_, DiskError>(u64::from_be_bytes(bytes))
        };
        let format = number("format")?;
        if format > FORMAT {
            return Err(DiskError::Newer(format));
        }
        let log = bytes("log")?.and_then(|bytes| bytes.try_into().ok()).ok_or_else(missing)?;
        Ok(Some(Head { log, reserved: number("reserved")?, last: number("last")? }))
    }

    fn begin(&mut self, log: [u8; LOG]) -> Result<Head, DiskError> {
        let head = Head { log, reserved: 0, last: 0 };
        self.write(|transaction| {
            for table in [ENTITIES, REVOKED, SUSPENDED] {
                transaction.open_table(table)?;
            }
            transaction.open_table(KNOWN)?;
            transaction.open_table(HISTORY)?;
            let mut meta = transaction.open_table(META)?;
            meta.insert("format", FORMAT.to_be_bytes().as_slice())?;
            meta.insert("log", log.as_slice())?;
            meta.insert("reserved", head.reserved.to_be_bytes().as_slice())?;
            meta.insert("last", head.last.to_be_bytes().as_slice())?;
            meta.insert("sum", 0_u128.to_be_bytes().as_slice())?;
            Ok(())
        })?;
        Ok(head)
    }

    /// Writes entries, and that sequences up to `reserved` may be used, and forgets history before `floor`: all of it, on
    /// disk, before this returns.
    ///
    /// # Errors
    /// [`DiskError`]: whether it counts is known once the file was opened anew.
    pub(super) fn commit(&mut self, entries: &[Entry], reserved: u64, floor: u64) -> Result<(), DiskError> {
        self.write(|transaction| {
            let mut meta = transaction.open_table(META)?;
            let mut sum = Sum::read(&meta)?;
            entries.iter().try_for_each(|entry| write_entry(transaction, entry, &mut sum))?;
            let mut history = transaction.open_table(HISTORY)?;
            while history.first()?.is_some_and(|(sequence, _)| sequence.value() < floor) {
                if let Some((sequence, row)) = history.pop_first()? {
                    sum.remove(weight("history", &sequence.value().to_string(), "", row.value()));
                }
            }
            meta.insert("reserved", reserved.to_be_bytes().as_slice())?;
            meta.insert("sum", sum.0.to_be_bytes().as_slice())?;
            if let Some(last) = entries.last() {
                meta.insert("last", last.sequence.to_be_bytes().as_slice())?;
            }
            Ok(())
        })
    }

    fn write(
        &mut self,
        work: impl FnOnce(&WriteTransaction) -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        let database = self.database()?;
        let written = (|| {
            let mut transaction = database.begin_write()?;
            #[cfg(not(test))]
            let durability = Durability::Immediate;
            #[cfg(test)]
            let durability = self.durability;
            transaction.set_durability(durability).map_err(|error| DiskError::Io(error.to_string()))?;
            work(&transaction)?;
            Ok(transaction.commit()?)
        })();
        if written.is_err() {
            self.database = None;
        }
        written
    }
}

fn write_entry(transaction: &WriteTransaction, entry: &Entry, sum: &mut Sum) -> Result<(), DiskError> {
    for fact in &entry.facts {
        match fact {
            Fact::Put(uid, text) => set(transaction, ENTITIES, &pair(uid), Some(text), sum)?,
            Fact::Delete(uid) => set(transaction, ENTITIES, &pair(uid), None, sum)?,
            Fact::Revoked(uid, reason) => set(transaction, REVOKED, &pair(uid), Some(reason), sum)?,
            Fact::Suspended(suspended, reason) => {
                set(transaction, SUSPENDED, &party(suspended), Some(reason), sum)?;
            }
            Fact::Lifted(suspended) => set(transaction, SUSPENDED, &party(suspended), None, sum)?,
            Fact::Known(name, digest) => {
                let mut table = transaction.open_table(KNOWN)?;
                let before = table.insert(&**name, &**digest)?;
                before
                    .into_iter()
                    .for_each(|before| sum.remove(weight("known_grants", name, "", before.value())));
                sum.add(weight("known_grants", name, "", digest));
            }
        }
    }
    let row = serde_json::to_string(&Row::of(entry)).map_err(|error| DiskError::Io(error.to_string()))?;
    sum.add(weight("history", &entry.sequence.to_string(), "", &row));
    transaction.open_table(HISTORY)?.insert(entry.sequence, &*row)?;
    Ok(())
}

/// Sets what a table holds under a name, or takes it away.
fn set(
    transaction: &WriteTransaction,
    table: TableDefinition<'_, (&str, &str), &str>,
    (type_name, id): &(String, String),
    value: Option<&str>,
    sum: &mut Sum,
) -> Result<(), DiskError> {
    let name = redb::TableHandle::name(&table).to_owned();
    let mut table = transaction.open_table(table)?;
    let key = (type_name.as_str(), id.as_str());
    let before = match value {
        Some(value) => table.insert(key, value)?,
        None => table.remove(key)?,
    };
    before.into_iter().for_each(|before| sum.remove(weight(&name, type_name, id, before.value())));
    value.into_iter().for_each(|value| sum.add(weight(&name, type_name, id, value)));
    Ok(())
}

/// The sum of all rows' weights: tells a log that lacks a row, or has another, from the one that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum(u128);

impl Sum {
    fn read(meta: &impl redb::ReadableTable<&'static str, &'static [u8]>) -> Result<Self, DiskError> {
        let bytes = meta.get("sum")?.and_then(|bytes| bytes.value().try_into().ok());
        let bytes = bytes.ok_or_else(|| DiskError::Damaged("its sum is missing".to_owned()))?;
        Ok(Self(u128::from_be_bytes(bytes)))
    }

    pub(super) fn add(&mut self, weight: u128) {
        self.0 = self.0.wrapping_add(weight);
    }

    fn remove(&mut self, weight: u128) {
        self.0 = self.0.wrapping_sub(weight);
    }
}

/// What a row adds to the sum: the beginning of its digest.
pub(super) fn weight(table: &str, first: &str, second: &str, value: &str) -> u128 {
    let mut hash = Sha256::new();
    for part in [table, first, second, value] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let bytes: [u8; 32] = hash.finalize().into();
    let (first, _rest) = bytes.split_first_chunk().unwrap_or((&[0; 16], &[]));
    u128::from_be_bytes(*first)
}

/// What was written of the sum of all rows.
pub(super) fn written_sum(database: &Database) -> Result<Sum, DiskError> {
    Sum::read(&database.begin_read()?.open_table(META)?)
}

/// Reads what may be damaged in ways that the store itself takes for defects of its own.
pub(super) fn soundly<T>(read: impl FnOnce() -> Result<T, DiskError>) -> Result<T, DiskError> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read,
        Err(_panic) => Err(DiskError::Damaged("what it holds makes no sense".to_owned())),
    }
}

impl From<StorageError> for DiskError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Corrupted(what) => Self::Damaged(what),
            other => Self::Io(other.to_string()),
        }
    }
}

impl From<DatabaseError> for DiskError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Storage(error) => error.into(),
            DatabaseError::UpgradeRequired(version) => {
                Self::Damaged(format!("it is of the store's own format {version}"))
            }
            DatabaseError::RepairAborted => Self::Damaged("it cannot be repaired".to_owned()),
            other => Self::Io(other.to_string()),
        }
    }
}

impl From<TableError> for DiskError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Storage(error) => error.into(),
            // Another build's tables, or a damaged catalogue of them.
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<TransactionError> for DiskError {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Storage(error) => error.into(),
            other => Self::Io(other.to_string()),
        }
    }
}

impl From<CommitError> for DiskError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Storage(error) => error.into(),
            other => Self::Io(other.to_string()),
        }
    }
}

//! `[log]`: the decision log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::fields::{Fields, LogDisclose, LogFields};
use super::notary::{WrittenNotary, WrittenWitness};
use super::sinks::{self, WrittenSink};
use super::written::named;
use super::{ConfigError, Log, LogMode, LogOverflow};
use crate::audit::spool::retention::Limits;

const MAX_QUEUE: usize = 10_000_000;
const MIN_SEGMENT_BYTES: u64 = 64 * 1024;
const MAX_SEGMENT_BYTES: u64 = 4 * 1024 * 1024 * 1024;
const SECONDS_A_DAY: u64 = 24 * 3600;

/// What is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DecisionLog {
    /// `async`: answers do not wait for their records. `durable`: they wait until their record is on disk.
    /// `off`: nothing is recorded.
    ///
    /// Default `"async"`.
    mode: LogMode,
    /// Folder of the log. One process at a time.
    ///
    /// Default `"data/log"`, in the data directory.
    directory: Option<PathBuf>,
    /// How many records may wait to be written.
    ///
    /// Default `65536`, from `1` to `10000000`.
    queue: Option<usize>,
    /// Without room, or with a disk that takes nothing. `drop`: the record is dropped and counted. `block`: the
    /// answer waits. `deny`: the record is dropped and the answer is a denial.
    ///
    /// Default `"drop"`, `block` with mode `durable`.
    overflow: Option<LogOverflow>,
    /// A segment that is this long is closed, and the next begun.
    ///
    /// Default `67108864`, from `65536` to `4294967296`.
    segment_bytes: Option<u64>,
    /// Likewise one that is this old.
    ///
    /// Default `3600`, at least `1`.
    segment_seconds: Option<u64>,
    /// How much all segments may take; the oldest go, delivered or not. Not written: no limit.
    retain_bytes: Option<u64>,
    /// How long a segment is kept after its last record, once every sink has it. Not written: for good.
    retain_days: Option<u64>,
    /// Folder of the counters that outlive the process. Not written: in memory that does, where there is such a
    /// folder.
    counters: Option<PathBuf>,
    /// Where the log is delivered to as well, by names of yours: 1 to 64 of `a` to `z`, `0` to `9`, `-` and
    /// `_`. At most 16.
    sinks: BTreeMap<String, WrittenSink>,
    /// How much is written of what callers send. `listed`: what the schema's `@log` and `log.fields` list.
    /// `nothing`, `everything`.
    ///
    /// Default `"listed"`.
    disclose: LogDisclose,
    /// What is listed, besides the schema's `@log`: a path, and `clear`, `masked` or `hmac`.
    fields: Fields,
    /// Folder of the keys of keyed digests, one a month.
    ///
    /// Default `"data/salts"`, in the data directory.
    salts: Option<PathBuf>,
    /// File of the key that signs the log; the first start makes it (Ed25519, PKCS#8 in PEM).
    ///
    /// Default `"data/keys/log.key"`, in the data directory.
    key: Option<PathBuf>,
    /// File of the key before, after a change.
    previous_key: Option<PathBuf>,
    /// What signatures are under: neither spaces nor `+`. Not written: `mandate/<log id>`.
    name: Option<String>,
    /// How often new records are signed.
    ///
    /// Default `5`, from `1` to `3600`.
    checkpoint_seconds: Option<u64>,
    /// Where checkpoints are kept that this machine cannot change; at most 8. Each has either `directory` or
    /// `url`.
    witnesses: Vec<WrittenWitness>,
}

impl DecisionLog {
    /// What it means.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub(super) fn meaning(self, data_directory: &Path) -> Result<Log, ConfigError> {
        let refuse = |key, value: String, limit| Err(ConfigError::OutOfRange { key, value, limit });
        let notary = WrittenNotary {
            key: named(self.key),
            previous_key: named(self.previous_key),
            name: self.name,
            checkpoint_seconds: self.checkpoint_seconds,
            witnesses: self.witnesses,
        };
        let queue = self.queue.unwrap_or(65_536);
        if !(1..=MAX_QUEUE).contains(&queue) {
            return refuse("log.queue", queue.to_string(), "it must be between 1 and 10,000,000 records");
        }
        let segment_bytes = self.segment_bytes.unwrap_or(64 * 1024 * 1024);
        if !(MIN_SEGMENT_BYTES..=MAX_SEGMENT_BYTES).contains(&segment_bytes) {
            let limit = "it must be between 65536 and 4294967296 bytes";
            return refuse("log.segment_bytes", segment_bytes.to_string(), limit);
        }
        let segment_seconds = self.segment_seconds.unwrap_or(3600);
        if segment_seconds == 0 {
            return refuse("log.segment_seconds", "0".to_owned(), "it must be at least 1");
        }
        let days = |days: u64| Duration::from_secs(days.saturating_mul(SECONDS_A_DAY));
        Ok(Log {
            mode: self.mode,
            directory: named(self.directory).unwrap_or_else(|| data_directory.join("log")),
            queue,
            overflow: self.overflow.unwrap_or(match self.mode {
                // Whoever has answers wait for their records wants none without.
                LogMode::Durable => LogOverflow::Block,
                LogMode::Async | LogMode::Off => LogOverflow::Drop,
            }),
            limits: Limits {
                segment_bytes,
                segment_age: Duration::from_secs(segment_seconds),
                retain_bytes: self.retain_bytes,
                retain_age: self.retain_days.map(days),
            },
            counters: named(self.counters),
            sinks: sinks::meaning(self.sinks, &data_directory.join("decisions"))?,
            fields: LogFields {
                disclose: self.disclose,
                rules: self.fields.rules()?,
                salts: named(self.salts).unwrap_or_else(|| data_directory.join("salts")),
            },
            notary: notary.meaning(data_directory)?,
        })
    }
}

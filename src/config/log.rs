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
    mode: LogMode,
    directory: Option<PathBuf>,
    queue: Option<usize>,
    overflow: Option<LogOverflow>,
    segment_bytes: Option<u64>,
    segment_seconds: Option<u64>,
    retain_bytes: Option<u64>,
    retain_days: Option<u64>,
    counters: Option<PathBuf>,
    sinks: BTreeMap<String, WrittenSink>,
    disclose: LogDisclose,
    fields: Fields,
    salts: Option<PathBuf>,
    key: Option<PathBuf>,
    previous_key: Option<PathBuf>,
    name: Option<String>,
    checkpoint_seconds: Option<u64>,
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

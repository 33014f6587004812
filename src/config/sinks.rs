//! `[log.sinks.NAME]`: where the decision log is delivered to.

mod nats;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ConfigError;
use super::destination::{Headers, Wrong, destination, timeout};
use super::written::Span;
use crate::audit::sinks::config::{BodyFormat, FileConfig, HttpConfig, SinkConfig, SinkKind};
use crate::collector::CollectorConfig;
use nats::Nats;

/// Most sinks: each is a thread.
const MAX_SINKS: usize = 16;
/// Longest name of a sink, in bytes: it names a file and a series of metrics.
const MAX_NAME_BYTES: usize = 64;
/// Most records of a batch. More are not worth a longer time without an answer.
const MAX_BATCH_RECORDS: usize = 4096;
const MIN_BATCH_BYTES: usize = 4 * 1024;
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;
/// What is sent, as messages name it.
const WHAT: &str = "the decision log";
const MIN_ROTATE_BYTES: u64 = 64 * 1024;

/// A sink, as it is written.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum WrittenSink {
    Stdout(Stdout),
    File(File),
    Http(Http),
    Otlp(Otlp),
    Nats(Nats),
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    /// Most records of a delivery.
    ///
    /// Default `512`, from `1` to `4096`.
    records: Option<usize>,
    /// Most bytes of one.
    ///
    /// Default `1048576`, from `4096` to `16777216`.
    bytes: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stdout {
    /// How much is delivered at once.
    #[serde(default)]
    batch: Limits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// How much is delivered at once.
    #[serde(default)]
    batch: Limits,
    /// Folder of the files.
    ///
    /// Default `"data/decisions"`, in the data directory.
    directory: Option<PathBuf>,
    /// A file that is this long is rotated.
    ///
    /// Default `67108864`, at least `65536`.
    rotate_bytes: Option<u64>,
    /// How many rotated files are kept.
    ///
    /// Default `10`.
    keep: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Http {
    /// How much is delivered at once.
    #[serde(default)]
    batch: Limits,
    /// Where records are posted to: https, or http on this host.
    ///
    /// Required.
    url: String,
    /// `json`: an array. `ndjson`: lines.
    ///
    /// Default `"json"`.
    #[serde(default)]
    format: BodyFormat,
    /// Whether bodies are compressed.
    ///
    /// Default `true`.
    gzip: Option<bool>,
    /// Headers to send. No secrets: those are in files.
    #[serde(default)]
    headers: Headers,
    /// Headers whose values are in files.
    #[serde(default)]
    header_files: BTreeMap<String, PathBuf>,
    /// File of the token that is sent as `Authorization: Bearer`.
    token_file: Option<PathBuf>,
    /// Authorities to trust, in PEM, instead of the system's.
    ca_file: Option<PathBuf>,
    /// How long a delivery may take.
    ///
    /// Default `"10s"`, from `"100ms"` to `"5m"`.
    timeout: Option<Span>,
    /// Whether the log may cross a network unencrypted.
    ///
    /// Default `false`.
    #[serde(default)]
    insecure_plaintext: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Otlp {
    /// How much is delivered at once.
    #[serde(default)]
    batch: Limits,
    /// The collector, for gRPC: scheme, host and port.
    ///
    /// Required.
    url: String,
    /// Headers to send. No secrets: those are in files.
    #[serde(default)]
    headers: Headers,
    /// Headers whose values are in files.
    #[serde(default)]
    header_files: BTreeMap<String, PathBuf>,
    /// File of the token that is sent as `Authorization: Bearer`.
    token_file: Option<PathBuf>,
    /// Authorities to trust, in PEM, instead of the system's.
    ca_file: Option<PathBuf>,
    /// How long a delivery may take.
    ///
    /// Default `"10s"`, from `"100ms"` to `"5m"`.
    timeout: Option<Span>,
    /// Whether the log may cross a network unencrypted.
    ///
    /// Default `false`.
    #[serde(default)]
    insecure_plaintext: bool,
}

/// What sinks mean. `default_directory` is the folder of files where none is named.
///
/// # Errors
/// [`ConfigError::Sink`] naming the sink and the key.
pub(super) fn meaning(
    written: BTreeMap<String, WrittenSink>,
    default_directory: &Path,
) -> Result<Vec<SinkConfig>, ConfigError> {
    let count = written.len();
    let mut places = HashSet::new();
    let sinks = written.into_iter().enumerate().map(|(at, (name, sink))| {
        let of_sink = |(key, problem)| ConfigError::Sink { sink: name.clone(), key, problem };
        check_name(&name).map_err(of_sink)?;
        if at >= MAX_SINKS {
            let problem = format!("belongs to one of {count} sinks; there may be {MAX_SINKS}");
            return Err(of_sink(("kind", problem)));
        }
        let sink = sink.meaning(&name, default_directory).map_err(of_sink)?;
        let (place, key) = match &sink.kind {
            SinkKind::Stdout => (Path::new("stdout"), "kind"),
            SinkKind::File(file) => (file.directory.as_path(), "directory"),
            SinkKind::Http(_) | SinkKind::Otlp(_) | SinkKind::Nats(_) => return Ok(sink),
        };
        if !places.insert((key, place.to_owned())) {
            let problem = "leads to where another sink writes: their lines would mix".to_owned();
            return Err(of_sink((key, problem)));
        }
        Ok(sink)
    });
    sinks.collect()
}

fn check_name(name: &str) -> Result<(), Wrong> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_plain) {
        let problem = format!(
            "belongs to a sink whose name must be 1 to {MAX_NAME_BYTES} of a to z, 0 to 9, `-` and `_`: it names its cursor"
        );
        return Err(("kind", problem));
    }
    Ok(())
}

impl WrittenSink {
    fn meaning(self, name: &str, default_directory: &Path) -> Result<SinkConfig, Wrong> {
        let (limits, kind) = match self {
            Self::Stdout(stdout) => (stdout.batch, SinkKind::Stdout),
            Self::File(file) => (file.batch, SinkKind::File(file.meaning(default_directory)?)),
            Self::Http(http) => (http.batch, SinkKind::Http(http.meaning()?)),
            Self::Otlp(otlp) => (otlp.batch, SinkKind::Otlp(otlp.meaning()?)),
            Self::Nats(nats) => (nats.batch, SinkKind::Nats(nats.meaning()?)),
        };
        let batch_records = limits.records.unwrap_or(512);
        let batch_bytes = limits.bytes.unwrap_or(1024 * 1024);
        if !(1..=MAX_BATCH_RECORDS).contains(&batch_records) {
            return Err((
                "batch.records",
                format!("is {batch_records}; it must be between 1 and {MAX_BATCH_RECORDS}"),
            ));
        }
        if !(MIN_BATCH_BYTES..=MAX_BATCH_BYTES).contains(&batch_bytes) {
            let problem =
                format!("is {batch_bytes}; it must be between {MIN_BATCH_BYTES} and {MAX_BATCH_BYTES}");
            return Err(("batch.bytes", problem));
        }
        Ok(SinkConfig { name: name.to_owned(), batch_records, batch_bytes, kind })
    }
}

impl File {
    fn meaning(self, default_directory: &Path) -> Result<FileConfig, Wrong> {
        let rotate_bytes = self.rotate_bytes.unwrap_or(64 * 1024 * 1024);
        if rotate_bytes < MIN_ROTATE_BYTES {
            return Err((
                "rotate_bytes",
                format!("is {rotate_bytes}; it must be at least {MIN_ROTATE_BYTES}"),
            ));
        }
        let directory = self.directory.filter(|path| !path.as_os_str().is_empty());
        Ok(FileConfig {
            directory: directory.unwrap_or_else(|| default_directory.to_owned()),
            rotate_bytes,
            keep: self.keep.unwrap_or(10),
        })
    }
}

impl Http {
    fn meaning(self) -> Result<HttpConfig, Wrong> {
        let destination = destination!(self, WHAT);
        Ok(HttpConfig {
            url: destination.url()?,
            headers: destination.headers()?,
            timeout: timeout(destination.timeout)?,
            ca_file: destination.ca_file,
            format: self.format,
            gzip: self.gzip.unwrap_or(true),
        })
    }
}

impl Otlp {
    fn meaning(self) -> Result<CollectorConfig, Wrong> {
        let destination = destination!(self, WHAT);
        destination.collector()
    }
}

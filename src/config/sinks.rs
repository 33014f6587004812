//! `[log.sinks.NAME]`: where the decision log is delivered to.

mod nats;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use serde::Deserialize;

use super::ConfigError;
use super::written::{Span, or};
use crate::audit::sinks::config::{
    BodyFormat, FileConfig, HeaderConfig, HttpConfig, OtlpConfig, SinkConfig, SinkKind,
};
use crate::outbound;
use nats::Nats;

/// Most sinks: each is a thread.
const MAX_SINKS: usize = 16;
/// Longest name of a sink, in bytes: it names a file and a series of metrics.
const MAX_NAME_BYTES: usize = 64;
/// Most records of a batch. More are not worth a longer time without an answer.
const MAX_BATCH_RECORDS: usize = 4096;
const MIN_BATCH_BYTES: usize = 4 * 1024;
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;
const MIN_TIMEOUT: Duration = Duration::from_millis(100);
const MAX_TIMEOUT: Duration = Duration::from_secs(300);
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

/// Headers that are no secret. Still they are not shown: somebody may take a secret for none.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Headers(BTreeMap<String, String>);

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A key that is wrong, and why.
type Wrong = (&'static str, String);

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
        Ok(HttpConfig {
            url: url(&self.url, self.ca_file.is_some(), self.insecure_plaintext)?,
            format: self.format,
            gzip: self.gzip.unwrap_or(true),
            headers: headers(&self.headers, self.header_files, self.token_file)?,
            ca_file: self.ca_file,
            timeout: timeout(self.timeout)?,
        })
    }
}

impl Otlp {
    fn meaning(self) -> Result<OtlpConfig, Wrong> {
        let url = url(&self.url, self.ca_file.is_some(), self.insecure_plaintext)?;
        if url.path() != "/" {
            let problem = "has a path, which gRPC has no use for: write it as https://collector.example:4317";
            return Err(("url", problem.to_owned()));
        }
        Ok(OtlpConfig {
            url,
            headers: headers(&self.headers, self.header_files, self.token_file)?,
            ca_file: self.ca_file,
            timeout: timeout(self.timeout)?,
        })
    }
}

fn url(text: &str, has_authorities: bool, insecure: bool) -> Result<Uri, Wrong> {
    let url = outbound::url(text).map_err(|problem| ("url", problem.to_owned()))?;
    if !outbound::is_private(&url) && !insecure {
        let problem = "must be https: over plain http everybody on the way reads the decision log. \
             Plain is for this host alone, unless `insecure_plaintext = true` accepts the risk";
        return Err(("url", problem.to_owned()));
    }
    if has_authorities && url.scheme_str() == Some("http") {
        return Err(("ca_file", "is for https".to_owned()));
    }
    Ok(url)
}

fn timeout(written: Option<Span>) -> Result<Duration, Wrong> {
    let timeout = or(written, Duration::from_secs(10));
    if (MIN_TIMEOUT..=MAX_TIMEOUT).contains(&timeout) {
        return Ok(timeout);
    }
    Err(("timeout", format!("is {} s; it must be between 100 ms and 5 minutes", timeout.as_secs_f64())))
}

/// Headers that this process sets itself, or that are secret by their meaning.
const RESERVED: [&str; 8] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "content-type",
    "content-length",
    "content-encoding",
    "host",
    "transfer-encoding",
];

fn headers(
    plain: &Headers,
    files: BTreeMap<String, PathBuf>,
    token_file: Option<PathBuf>,
) -> Result<HeaderConfig, Wrong> {
    let named = |key: &'static str, name: &str| -> Result<HeaderName, Wrong> {
        let parsed = HeaderName::try_from(name);
        parsed.map_err(|_error| (key, format!("names `{name}`, which is no header's name")))
    };
    let mut config = HeaderConfig { token_file, ..HeaderConfig::default() };
    for (name, value) in &plain.0 {
        let header = named("headers", name)?;
        if RESERVED.contains(&header.as_str()) {
            let problem =
                format!("must not set `{header}`: secrets are in files, see `token_file` and `header_files`");
            return Err(("headers", problem));
        }
        let value = HeaderValue::try_from(value).map_err(|_shows_it| {
            ("headers", format!("has a value of `{header}` that cannot stand in a header"))
        })?;
        config.plain.push((header, value));
    }
    for (name, file) in files {
        let header = named("header_files", &name)?;
        if RESERVED.get(2..).is_some_and(|own| own.contains(&header.as_str())) {
            return Err(("header_files", format!("must not set `{header}`")));
        }
        if header == http::header::AUTHORIZATION && config.token_file.is_some() {
            return Err(("header_files", "must not set `authorization` besides `token_file`".to_owned()));
        }
        config.files.push((header, file));
    }
    Ok(config)
}

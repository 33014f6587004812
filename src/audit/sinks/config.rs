//! What is configured of a sink.

use std::path::PathBuf;
use std::time::Duration;

use ::http::Uri;

use crate::collector::CollectorConfig;
use crate::outbound::headers::HeaderConfig;

/// A sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkConfig {
    /// Its name: of its cursor, and in metrics.
    pub name: String,
    /// Most records of a batch.
    pub batch_records: usize,
    /// About how many bytes a batch has at most.
    pub batch_bytes: usize,
    /// Where it delivers to.
    pub kind: SinkKind,
}

/// Where a sink delivers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkKind {
    /// Lines to standard output.
    Stdout,
    /// Lines to files that rotate.
    File(FileConfig),
    /// Batches to an HTTP server.
    Http(HttpConfig),
    /// Batches to an OpenTelemetry collector.
    Otlp(CollectorConfig),
    /// Messages to a stream of NATS JetStream.
    Nats(NatsConfig),
}

impl SinkKind {
    /// Its name, as in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::File(_) => "file",
            Self::Http(_) => "http",
            Self::Otlp(_) => "otlp",
            Self::Nats(_) => "nats",
        }
    }
}

/// Files of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileConfig {
    /// The folder, which is created where it does not exist.
    pub directory: PathBuf,
    /// Size a file has at most before another begins, in bytes.
    pub rotate_bytes: u64,
    /// How many rotated files are kept.
    pub keep: usize,
}

/// An HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where to post to.
    pub url: Uri,
    /// How a batch is written.
    pub format: BodyFormat,
    /// Whether it is compressed.
    pub gzip: bool,
    /// What else is said with it.
    pub headers: HeaderConfig,
    /// Authorities whose word for the server counts, in PEM; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// Longest time a delivery may take.
    pub timeout: Duration,
}

/// How a batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyFormat {
    /// One JSON array.
    #[default]
    Json,
    /// One JSON object a line.
    Ndjson,
}

/// A stream of NATS JetStream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsConfig {
    /// Servers of the cluster: `nats://host:4222`, or `tls://host:4222`.
    pub servers: Vec<String>,
    /// What records are published to.
    pub subject: String,
    /// The stream that must take them; none: any that does.
    pub stream: Option<String>,
    /// How this process says who it is.
    pub credentials: NatsCredentials,
    /// Whether connections must be encrypted.
    pub tls: bool,
    /// Authorities whose word for the server counts, in PEM; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// Longest time a delivery may take.
    pub timeout: Duration,
}

/// How this process says who it is to NATS. Secrets are in files, which are read for every connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NatsCredentials {
    /// Not at all.
    None,
    /// A user's JWT and the seed of its key, as `nsc` writes them.
    File(PathBuf),
    /// A token.
    Token(PathBuf),
    /// A name, and its password.
    Password(String, PathBuf),
}

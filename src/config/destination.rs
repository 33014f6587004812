//! A server that something is sent to, as it is written: where it is, what is said with each request, whose word for it
//! counts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use serde::Deserialize;

use super::written::{Span, or};
use crate::collector::CollectorConfig;
use crate::outbound;
use crate::outbound::headers::HeaderConfig;

const MIN_TIMEOUT: Duration = Duration::from_millis(100);
const MAX_TIMEOUT: Duration = Duration::from_secs(300);

/// A key that is wrong, and why.
pub(super) type Wrong = (&'static str, String);

/// What is written of a server.
#[derive(Debug)]
pub(super) struct Destination {
    /// What it is sent, as messages name it.
    pub(super) what: &'static str,
    pub(super) url: String,
    pub(super) headers: Headers,
    pub(super) header_files: BTreeMap<String, PathBuf>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) timeout: Option<Span>,
    pub(super) insecure_plaintext: bool,
}

/// The destination that a section names which has these keys beside others of its own: serde does not refuse unknown keys of
/// a section that has those of another flattened in.
macro_rules! destination {
    ($section:expr, $what:expr) => {
        $crate::config::destination::Destination {
            what: $what,
            url: $section.url,
            headers: $section.headers,
            header_files: $section.header_files,
            token_file: $section.token_file,
            ca_file: $section.ca_file,
            timeout: $section.timeout,
            insecure_plaintext: $section.insecure_plaintext,
        }
    };
}
pub(super) use destination;

/// Headers that are no secret. Still they are not shown: somebody may take a secret for none.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Headers(BTreeMap<String, String>);

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Destination {
    /// The OpenTelemetry collector that is meant.
    ///
    /// # Errors
    /// The key that is wrong.
    pub(super) fn collector(self) -> Result<CollectorConfig, Wrong> {
        let url = self.url()?;
        if url.path() != "/" {
            let problem = "has a path, which gRPC has no use for: write it as https://collector.example:4317";
            return Err(("url", problem.to_owned()));
        }
        let (headers, timeout) = (self.headers()?, timeout(self.timeout)?);
        Ok(CollectorConfig { url, headers, ca_file: self.ca_file, timeout })
    }

    /// Its address: encrypted, on this host, or at an accepted risk.
    ///
    /// # Errors
    /// The key that is wrong.
    pub(super) fn url(&self) -> Result<Uri, Wrong> {
        let url = outbound::url(&self.url).map_err(|problem| ("url", problem.to_owned()))?;
        if !outbound::is_private(&url) && !self.insecure_plaintext {
            let problem = format!(
                "must be https: over plain http everybody on the way reads {}. \
                 Plain is for this host alone, unless `insecure_plaintext = true` accepts the risk",
                self.what
            );
            return Err(("url", problem));
        }
        if self.ca_file.is_some() && url.scheme_str() == Some("http") {
            return Err(("ca_file", "is for https".to_owned()));
        }
        Ok(url)
    }

    /// What is said with each request.
    ///
    /// # Errors
    /// The key that is wrong.
    pub(super) fn headers(&self) -> Result<HeaderConfig, Wrong> {
        let named = |key: &'static str, name: &str| -> Result<HeaderName, Wrong> {
            let parsed = HeaderName::try_from(name);
            parsed.map_err(|_error| (key, format!("names `{name}`, which is no header's name")))
        };
        let mut config = HeaderConfig { token_file: self.token_file.clone(), ..HeaderConfig::default() };
        for (name, value) in &self.headers.0 {
            let header = named("headers", name)?;
            if RESERVED.contains(&header.as_str()) {
                let problem = format!(
                    "must not set `{header}`: secrets are in files, see `token_file` and `header_files`"
                );
                return Err(("headers", problem));
            }
            let value = HeaderValue::try_from(value).map_err(|_shows_it| {
                ("headers", format!("has a value of `{header}` that cannot stand in a header"))
            })?;
            config.plain.push((header, value));
        }
        for (name, file) in &self.header_files {
            let header = named("header_files", name)?;
            if RESERVED.get(2..).is_some_and(|own| own.contains(&header.as_str())) {
                return Err(("header_files", format!("must not set `{header}`")));
            }
            if header == http::header::AUTHORIZATION && config.token_file.is_some() {
                return Err(("header_files", "must not set `authorization` besides `token_file`".to_owned()));
            }
            config.files.push((header, file.clone()));
        }
        Ok(config)
    }
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

/// How long a request may take.
///
/// # Errors
/// It is out of its range.
pub(super) fn timeout(written: Option<Span>) -> Result<Duration, Wrong> {
    let timeout = or(written, Duration::from_secs(10));
    if (MIN_TIMEOUT..=MAX_TIMEOUT).contains(&timeout) {
        return Ok(timeout);
    }
    Err(("timeout", format!("is {} s; it must be between 100 ms and 5 minutes", timeout.as_secs_f64())))
}

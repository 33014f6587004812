//! `[telemetry]`: what the process says of itself, and to whom.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use super::destination::{Headers, Wrong, destination};
use super::written::{Span, or};
use crate::telemetry::push::PushConfig;
use crate::telemetry::traces::export::TracesConfig;
use crate::telemetry::traces::ratio::Ratio;

const MIN_INTERVAL: Duration = Duration::from_secs(1);
const MAX_INTERVAL: Duration = Duration::from_secs(3600);
/// Most attributes of the resource, and how long a name or a value of one may be, in bytes.
const MAX_ATTRIBUTES: usize = 32;
const MAX_ATTRIBUTE_BYTES: usize = 256;

/// What the process says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// How its own log is written, on standard error.
    pub format: LogFormat,
    /// What is in it: a level, or directives such as `info,mandate::store=debug`.
    pub level: String,
    /// What OpenTelemetry collectors are told of this service, besides or instead of what it says itself.
    pub resource: BTreeMap<String, String>,
    /// Where spans go; none: there are none.
    pub traces: Option<TracesConfig>,
    /// Where metrics are pushed to; none: they are only answered to whoever asks.
    pub metrics: Option<PushConfig>,
}

/// How the process's own log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// What is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    /// The process's own log on standard error: `pretty` for people, `json` for machines: one object a line.
    ///
    /// Default `"pretty"`.
    format: LogFormat,
    /// What is in it: a level, or directives such as `info,mandate::store=debug`.
    ///
    /// Default `"info"`.
    level: Option<String>,
    /// What OpenTelemetry collectors are told of this server besides, or instead of, its name, version and instance; at
    /// most 32 attributes.
    resource: BTreeMap<String, String>,
    /// Where spans go. Not written: there are none.
    traces: Option<Traces>,
    /// Where the numbers of `/metrics` are pushed to. Not written: nowhere.
    metrics: Option<Metrics>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Traces {
    /// The collector, for gRPC: scheme, host and port.
    ///
    /// Required.
    url: String,
    /// Of the traces that begin here, the part that is recorded: from 0, none, to 1, all. Those that callers begin are
    /// recorded as they say.
    ///
    /// Default `0.01`.
    ratio: Option<f64>,
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
    /// How long an export may take.
    ///
    /// Default `"10s"`, from `"100ms"` to `"5m"`.
    timeout: Option<Span>,
    /// Whether spans may cross a network unencrypted.
    ///
    /// Default `false`.
    #[serde(default)]
    insecure_plaintext: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metrics {
    /// The collector, for gRPC: scheme, host and port.
    ///
    /// Required.
    url: String,
    /// How often they are pushed.
    ///
    /// Default `"30s"`, from `"1s"` to `"1h"`.
    interval: Option<Span>,
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
    /// How long an export may take.
    ///
    /// Default `"10s"`, from `"100ms"` to `"5m"`.
    timeout: Option<Span>,
    /// Whether they may cross a network unencrypted.
    ///
    /// Default `false`.
    #[serde(default)]
    insecure_plaintext: bool,
}

impl Written {
    /// What it means.
    ///
    /// # Errors
    /// [`ConfigError::Telemetry`] naming the key.
    pub(super) fn meaning(self) -> Result<Telemetry, ConfigError> {
        let of = |signal: &str, (key, problem): Wrong| ConfigError::Telemetry {
            key: format!("{signal}{key}"),
            problem,
        };
        check_resource(&self.resource).map_err(|wrong| of("", wrong))?;
        Ok(Telemetry {
            format: self.format,
            level: self.level.unwrap_or_else(|| "info".to_owned()),
            resource: self.resource,
            traces: self.traces.map(Traces::meaning).transpose().map_err(|wrong| of("traces.", wrong))?,
            metrics: self.metrics.map(Metrics::meaning).transpose().map_err(|wrong| of("metrics.", wrong))?,
        })
    }
}

fn check_resource(attributes: &BTreeMap<String, String>) -> Result<(), Wrong> {
    let count = attributes.len();
    if count > MAX_ATTRIBUTES {
        return Err(("resource", format!("has {count} attributes; there may be {MAX_ATTRIBUTES}")));
    }
    let is_short = |text: &str| !text.is_empty() && text.len() <= MAX_ATTRIBUTE_BYTES;
    match attributes.iter().find(|(name, value)| !is_short(name) || !is_short(value)) {
        Some((name, _)) => {
            let name: String = name.chars().take(MAX_ATTRIBUTE_BYTES).collect();
            let problem =
                format!("has `{name}`: names and values of attributes have 1 to {MAX_ATTRIBUTE_BYTES} bytes");
            Err(("resource", problem))
        }
        None => Ok(()),
    }
}

impl Traces {
    fn meaning(self) -> Result<TracesConfig, Wrong> {
        let written = self.ratio.unwrap_or(0.01);
        let ratio = Ratio::of(written).ok_or_else(|| {
            ("ratio", format!("is {written}; it must be between 0, no trace that begins here, and 1, all"))
        })?;
        let destination = destination!(self, "spans");
        Ok(TracesConfig { collector: destination.collector()?, ratio })
    }
}

impl Metrics {
    fn meaning(self) -> Result<PushConfig, Wrong> {
        let interval = or(self.interval, Duration::from_secs(30));
        if !(MIN_INTERVAL..=MAX_INTERVAL).contains(&interval) {
            let seconds = interval.as_secs_f64();
            return Err(("interval", format!("is {seconds} s; it must be between 1 second and 1 hour")));
        }
        let destination = destination!(self, "metrics");
        Ok(PushConfig { collector: destination.collector()?, interval })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Overrides};

    fn load(toml: &str) -> Result<Telemetry, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        Config::load(Some(file.path()), Overrides::default()).map(|config| config.telemetry)
    }

    #[test]
    fn nothing_is_exported_unless_it_is_said_where_to() {
        let telemetry = load("").unwrap();
        assert_eq!((telemetry.traces, telemetry.metrics), (None, None));
    }

    #[test]
    fn signals_are_read_with_their_defaults() {
        let telemetry = load(
            "[telemetry]\nresource = { 'deployment.environment.name' = 'prod' }\n\
             [telemetry.traces]\nurl = 'https://otel.example:4317'\ntoken_file = '/run/token'\n\
             [telemetry.metrics]\nurl = 'http://127.0.0.1:4317'\ntimeout = '2s'\n",
        )
        .unwrap();
        assert_eq!(telemetry.resource.len(), 1);
        let (traces, metrics) = (telemetry.traces.unwrap(), telemetry.metrics.unwrap());
        assert_eq!(Some(traces.ratio), Ratio::of(0.01));
        assert_eq!(traces.collector.timeout, Duration::from_secs(10));
        assert_eq!(traces.collector.headers.token_file, Some("/run/token".into()));
        assert_eq!((metrics.interval.as_secs(), metrics.collector.timeout.as_secs()), (30, 2));
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_key() {
        const TRACES: &str = "[telemetry.traces]\nurl = 'https://otel.example:4317'\n";
        const METRICS: &str = "[telemetry.metrics]\nurl = 'https://otel.example:4317'\n";
        for (written, says) in [
            ("[telemetry.traces]\nratio = 1.0\n".to_owned(), "url"),
            (format!("{TRACES}ratio = 1.5\n"), "`telemetry.traces.ratio` is 1.5"),
            (format!("{TRACES}interval = '5s'\n"), "interval"),
            (format!("{TRACES}headers = {{ Authorization = 'Bearer canary' }}\n"), "see `token_file`"),
            (format!("{METRICS}interval = '10ms'\n"), "`telemetry.metrics.interval` is 0.01 s"),
            (format!("{METRICS}timeout = '1h'\n"), "`telemetry.metrics.timeout`"),
            (TRACES.replace("https", "http"), "everybody on the way reads spans"),
            (METRICS.replace("4317", "4317/v1/metrics"), "has a path"),
            (
                "[telemetry.resource]\n'service.name' = ''\n".to_owned(),
                "`telemetry.resource` has `service.name`",
            ),
        ] {
            let error = load(&written).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("canary"), "{written}: {error}");
        }
    }
}

//! `[tls]`: where the server's certificate comes from, and which listeners show it.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use spiffe::transport::Endpoint;

use super::ConfigError;
use super::written::{Span, or};

/// Where whoever starts a workload says its Workload API is (SPIFFE Workload Endpoint §4).
const ENDPOINT: &str = "SPIFFE_ENDPOINT_SOCKET";

/// How connections are secured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// Where the certificate comes from.
    pub source: CertificateSource,
    /// Whether the ops listener shows it as well, which is plain otherwise.
    pub ops: bool,
}

/// Where the server's certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateSource {
    /// Files.
    Files(TlsFiles),
    /// A SPIFFE Workload API.
    WorkloadApi {
        /// Where it is: `unix:///run/spire/agent.sock`.
        endpoint: String,
        /// How long a start waits for the first certificate.
        within: Duration,
    },
}

/// The server's certificate, as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by those between it and its authority, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

impl TlsConfig {
    /// Whether a Workload API gives the certificate, and bundles with it.
    #[must_use]
    pub fn is_of_workload_api(&self) -> bool {
        matches!(self.source, CertificateSource::WorkloadApi { .. })
    }
}

/// `[tls]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    /// The certificate, followed by those between it and its authority, in PEM.
    certificate: Option<PathBuf>,
    /// Its private key, in PEM.
    key: Option<PathBuf>,
    /// The SPIFFE Workload API that gives both, instead: `unix:///run/spire/agent.sock`. Where none of the three is written,
    /// `SPIFFE_ENDPOINT_SOCKET` says where it is.
    workload_api: Option<String>,
    /// How long a start waits for its first certificate.
    ///
    /// Default `"30s"`, from `"1s"` to `"10m"`.
    workload_api_timeout: Option<Span>,
    /// Whether `ops` speaks TLS as well.
    ///
    /// Default `false`.
    ops: bool,
}

impl Written {
    /// What it means.
    ///
    /// # Errors
    /// It names no certificate, or two, or a Workload API that cannot be.
    pub(super) fn meaning(self) -> Result<TlsConfig, ConfigError> {
        let Self { certificate, key, workload_api, workload_api_timeout, ops } = self;
        let within = or(workload_api_timeout, Duration::from_secs(30));
        if !(Duration::from_secs(1)..=Duration::from_secs(600)).contains(&within) {
            let (key, value) = ("tls.workload_api_timeout", format!("{} ms", within.as_millis()));
            return Err(ConfigError::OutOfRange {
                key,
                value,
                limit: "it must be between 1 s and 10 minutes",
            });
        }
        let source = match (certificate, key, workload_api) {
            (Some(certificate), Some(key), None) => CertificateSource::Files(TlsFiles { certificate, key }),
            (None, None, Some(endpoint)) => of_workload_api(endpoint, within)?,
            (None, None, None) => match std::env::var(ENDPOINT) {
                Ok(endpoint) => of_workload_api(endpoint, within)?,
                Err(_) => {
                    return refuse(
                        "names no certificate: write `certificate` and `key`, or `workload_api`, or set SPIFFE_ENDPOINT_SOCKET",
                    );
                }
            },
            (_, _, Some(_)) => {
                return refuse("names two certificates: write `certificate` and `key`, or `workload_api`");
            }
            _ => return refuse("has one of `certificate` and `key`, and needs both"),
        };
        Ok(TlsConfig { source, ops })
    }
}

fn refuse<T>(problem: &str) -> Result<T, ConfigError> {
    Err(ConfigError::Tls(problem.to_owned()))
}

/// Keys are given over it: it must be on this host.
fn of_workload_api(endpoint: String, within: Duration) -> Result<CertificateSource, ConfigError> {
    let wrong = |why: &str| {
        refuse(&format!(
            "has a `workload_api`, `{endpoint}`, that cannot be: {why}; write unix:///run/spire/agent.sock"
        ))
    };
    match Endpoint::parse(&endpoint) {
        Err(error) => wrong(&error.to_string()),
        Ok(Endpoint::Tcp { host, .. }) if !host.is_loopback() => {
            wrong("it is on another host, and private keys are given over it")
        }
        Ok(_) => Ok(CertificateSource::WorkloadApi { endpoint, within }),
    }
}

//! `[follow]`: whose replica this server is. `[followers]`: what it promises to those that follow it.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use super::tls::TlsFiles;
use super::written::{Span, named, or};
use crate::outbound;

/// For how long followers may answer from what they were told, unless written.
const LEASE: Duration = Duration::from_secs(10);
/// Shorter ones would be lost to a busy processor.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);
/// Longer ones would be no promise.
const LONGEST_LEASE: Duration = Duration::from_secs(300);

/// Whose replica a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowConfig {
    /// URL of the primary's control listener.
    pub primary: String,
    /// Authorities that vouch for it; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// The name that its certificate must have; none: the URL's host.
    pub server_name: Option<String>,
    /// The certificate that is shown to it.
    pub shown: Option<TlsFiles>,
    /// File of the bearer token that is shown to it.
    pub token_file: Option<PathBuf>,
}

/// `[follow]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    /// URL of the control listener of the server that is followed; or `--follow`. Then `sources` may name nothing but
    /// `pep`.
    primary: Option<String>,
    /// Certificates of the authorities that vouch for it (PEM). Not written: the system's.
    ca_file: Option<PathBuf>,
    /// The name that its certificate must have. Not written: the host in `primary`.
    server_name: Option<String>,
    /// What is shown to it (PEM): the certificate of a caller that may `watch`.
    certificate: Option<PathBuf>,
    /// The certificate's private key (PEM).
    key: Option<PathBuf>,
    /// File of a bearer token that is shown to it. This or `certificate` is needed.
    token_file: Option<PathBuf>,
    /// Whether it may be an `http` URL beyond this host, where everybody on the way reads what it tells.
    ///
    /// Default `false`.
    insecure_plaintext: bool,
}

/// `[followers]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Followers {
    /// How long a follower may answer after it asked this server what is served, and anybody else who watches go by
    /// what was told.
    ///
    /// Default `"10s"`, from `"1s"` to `"5m"`.
    lease: Option<Span>,
}

impl Followers {
    /// How long a follower may answer from what it was told.
    pub(super) fn lease(&self) -> Result<Duration, ConfigError> {
        let lease = or(self.lease, LEASE);
        if (SHORTEST_LEASE..=LONGEST_LEASE).contains(&lease) {
            return Ok(lease);
        }
        let value = format!("{} ms", lease.as_millis());
        let limit = "it must be between 1 second and 5 minutes";
        Err(ConfigError::OutOfRange { key: "followers.lease", value, limit })
    }
}

impl Written {
    /// Whose replica this is, if it is one. `flag` is what the command line says.
    pub(super) fn meaning(self, flag: Option<String>) -> Result<Option<FollowConfig>, ConfigError> {
        let wrong = |key: &'static str, problem: String| ConfigError::Follow { key, problem };
        let text = |written: Option<String>| written.filter(|text| !text.is_empty());
        let server_name = text(self.server_name);
        let (ca_file, token_file) = (named(self.ca_file), named(self.token_file));
        let (certificate, key) = (named(self.certificate), named(self.key));
        let Some(primary) = flag.or(self.primary).filter(|primary| !primary.is_empty()) else {
            let said = [
                ("ca_file", ca_file.is_some()),
                ("server_name", server_name.is_some()),
                ("certificate", certificate.is_some()),
                ("key", key.is_some()),
                ("token_file", token_file.is_some()),
                ("insecure_plaintext", self.insecure_plaintext),
            ];
            return match said.iter().find(|(_, said)| *said) {
                Some((key, _)) => Err(wrong(key, "is of no use without `follow.primary`".to_owned())),
                None => Ok(None),
            };
        };
        let url = outbound::url(&primary).map_err(|problem| {
            wrong("primary", format!("is `{}`, which {problem}", primary.escape_debug()))
        })?;
        if url.path() != "/" || url.query().is_some() {
            let problem = format!("is `{primary}`: it names a server, such as https://pdp-primary:4469");
            return Err(wrong("primary", problem));
        }
        if !outbound::is_private(&url) && !self.insecure_plaintext {
            let problem = format!(
                "is `{primary}`: what a primary tells would cross a network in the clear; use https, or accept that \
                 with `follow.insecure_plaintext`"
            );
            return Err(wrong("primary", problem));
        }
        let secured = url.scheme_str() == Some("https");
        let of_tls = [("ca_file", ca_file.is_some()), ("certificate", certificate.is_some())];
        if let Some((key, _)) = of_tls.iter().find(|(_, said)| *said && !secured) {
            return Err(wrong(key, "is of no use where `follow.primary` is no https URL".to_owned()));
        }
        let shown = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                return Err(wrong("key", "is missing: the certificate's private key".to_owned()));
            }
            (None, Some(_)) => {
                return Err(wrong("certificate", "is missing: `follow.key` is for one".to_owned()));
            }
        };
        if shown.is_none() && token_file.is_none() {
            let problem = "or `follow.certificate` is needed: a primary tells nobody that it does not know";
            return Err(wrong("token_file", problem.to_owned()));
        }
        let primary = primary.trim_end_matches('/').to_owned();
        Ok(Some(FollowConfig { primary, ca_file, server_name, shown, token_file }))
    }
}

//! Connections that this process opens to others: which addresses it may call, and whose word for a server counts. No
//! proxy is asked.

pub mod backoff;
pub mod headers;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Why no server can ever be believed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The authorities cannot be read.
    #[error("`ca_file` {0} cannot be read as PEM certificates: {1}")]
    Authorities(PathBuf, String),
    /// The system trusts nobody.
    #[error("this system has no trusted certificates: set `ca_file`")]
    Untrusting,
    /// TLS lacks what it needs: a defect of the build.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A whole `https` or `http` URL without a user name or password.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn url(text: &str) -> Result<Uri, &'static str> {
    let url: Uri = text.parse().map_err(|_error| "is no URL")?;
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err("must be a whole URL, such as https://host.example/path");
    };
    if authority.as_str().contains('@') {
        return Err("must not hold a user name or password");
    }
    match scheme {
        "https" | "http" => Ok(url),
        _ => Err("must be an https URL"),
    }
}

/// Whether a connection to it is encrypted, or stays on this host.
pub fn is_private(url: &Uri) -> bool {
    url.scheme_str() == Some("https") || url.host().is_some_and(is_this_host)
}

/// Whether a name or address of a URL's is this host's own.
pub fn is_this_host(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Those whose word for a server counts: of a PEM file, or the system's.
///
/// # Errors
/// [`TrustError`].
pub fn authorities(file: Option<&Path>) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(file) => {
            let wrong = |error: String| TrustError::Authorities(file.to_owned(), error);
            for certificate in
                CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))?
            {
                let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
                roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(wrong("it holds none".to_owned()));
            }
        }
        None => {
            // One that cannot be read is as good as absent, which is what counts below.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TrustError::Untrusting);
            }
        }
    }
    Ok(roots)
}

/// Connects to `url`, over TLS where it says so, and takes no longer than `within` for the TCP connection.
///
/// # Errors
/// [`TrustError`].
pub fn connector(
    url: &Uri,
    ca_file: Option<&Path>,
    within: Duration,
) -> Result<HttpsConnector<HttpConnector>, TrustError> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(within));
    let trusted = match ca_file {
        // Nobody is asked for a certificate in the clear.
        None if url.scheme_str() == Some("http") => RootCertStore::empty(),
        file => authorities(file)?,
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let builder = HttpsConnectorBuilder::new().with_tls_config(config);
    Ok(builder.https_or_http().enable_http1().wrap_connector(connector))
}

/// What an error comes down to: the last of its causes.
pub fn innermost(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source()).last().unwrap_or(error).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_whole_url_that_holds_no_secret() {
        for good in ["https://siem.example/logs", "http://127.0.0.1:1/", "http://siem.example"] {
            assert!(url(good).is_ok(), "{good}");
        }
        for wrong in ["https://user:secret@siem.example/", "ftp://siem.example/", "/logs", "", "https://"] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_leaves_this_host_in_the_clear_is_not_private() {
        for (address, private) in [
            ("https://siem.example/logs", true),
            ("http://127.0.0.1:1/jwks", true),
            ("http://[::1]/k", true),
            ("http://localhost:8/k", true),
            ("http://siem.example/logs", false),
            ("http://127.0.0.1.siem.example/logs", false),
            ("http://169.254.169.254/", false),
        ] {
            assert_eq!(is_private(&url(address).unwrap()), private, "{address}");
        }
    }

    #[test]
    fn a_file_without_a_certificate_trusts_nobody() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = authorities(Some(file.path())).unwrap_err().to_string();
        assert!(error.contains("ca_file") && error.contains("holds none"), "{error}");
    }
}

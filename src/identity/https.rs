//! Fetching a document of keys over HTTPS. Redirects are not followed, and no proxy is asked: keys come from the address
//! that was configured, or not at all.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::jwks::MAX_JWKS_BYTES;
use crate::outbound::{self, TrustError, innermost};

/// Longest time one fetch may take.
const MAX_FETCH: Duration = Duration::from_secs(5);
/// Longest time to connect.
const MAX_CONNECT: Duration = Duration::from_secs(2);

/// Where an issuer publishes its keys, and how it is reached.
#[derive(Debug, Clone)]
pub struct Endpoint {
    url: Uri,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

/// A document that was fetched.
#[derive(Debug)]
pub struct Fetched {
    /// Its bytes.
    pub document: Bytes,
    /// How long it may be kept, as its server says (RFC 9111 §5.2.2.1).
    pub max_age: Option<Duration>,
}

impl Endpoint {
    /// A client of one address. `authorities` is a PEM file of those whose word for the server counts; none: the system's.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn new(url: Uri, authorities: Option<&Path>) -> Result<Self, TrustError> {
        let connector = outbound::connector(&url, authorities, MAX_CONNECT)?;
        Ok(Self { url, client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// Fetches the document.
    ///
    /// # Errors
    /// What went wrong, for the process's log.
    pub async fn fetch(&self) -> Result<Fetched, String> {
        let late = |_| format!("no answer within {} s", MAX_FETCH.as_secs());
        tokio::time::timeout(MAX_FETCH, self.get()).await.map_err(late)?
    }

    async fn get(&self) -> Result<Fetched, String> {
        let request = Request::get(self.url.clone())
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .header(header::USER_AGENT, concat!("mandate/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let answered = self.client.request(request).await.map_err(|error| innermost(&error))?;
        let status = answered.status();
        if status.is_redirection() {
            return Err(format!("answered {status}, and redirects are not followed: set the final address"));
        }
        if status != StatusCode::OK {
            return Err(format!("answered {status}"));
        }
        let max_age = max_age(answered.headers());
        let body = Limited::new(answered.into_body(), MAX_JWKS_BYTES).collect().await;
        let document = body.map_err(|error| format!("cannot be read: {error}"))?.to_bytes();
        Ok(Fetched { document, max_age })
    }
}

/// `max-age` of `Cache-Control`; nought if the document must not be kept.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get_all(header::CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<&str> = said.flat_map(|value| value.split(',')).map(str::trim).collect();
    if directives
        .iter()
        .any(|said| said.eq_ignore_ascii_case("no-store") || said.eq_ignore_ascii_case("no-cache"))
    {
        return Some(Duration::ZERO);
    }
    let seconds =
        directives.iter().find_map(|said| said.to_ascii_lowercase().strip_prefix("max-age=")?.parse().ok());
    seconds.map(Duration::from_secs)
}

/// An address that keys may come from: HTTPS, or plain HTTP on this host.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn address(text: &str) -> Result<Uri, &'static str> {
    let url = outbound::url(text)?;
    if !outbound::is_private(&url) {
        return Err(
            "must be https; plain http is for loopback alone, for whoever can change keys can be anybody",
        );
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_host() {
        for good in
            ["https://idp.example/jwks", "http://127.0.0.1:1/jwks", "http://[::1]/k", "http://localhost:8/k"]
        {
            assert!(address(good).is_ok(), "{good}");
        }
        for wrong in [
            "http://idp.example/jwks",
            "http://127.0.0.1.idp.example/jwks",
            "http://169.254.169.254/",
            "https://user:secret@idp.example/jwks",
            "ftp://idp.example/",
            "/jwks",
            "",
        ] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_server_says_how_long_its_keys_may_be_kept() {
        for (said, expected) in [
            ("public, max-age=600", Some(600)),
            ("MAX-AGE=7", Some(7)),
            ("no-store", Some(0)),
            ("max-age=9, no-cache", Some(0)),
            ("max-age=-1", None),
            ("private", None),
        ] {
            let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, said.parse().unwrap())]);
            assert_eq!(max_age(&headers), expected.map(Duration::from_secs), "{said}");
        }
    }
}

//! Batches to an HTTP server. Redirects are not followed: records go where the configuration says, or nowhere.

use std::io::Write as _;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use tokio::runtime::Runtime;

use super::config::{BodyFormat, HttpConfig};
use super::{Batch, OpenError, Sink, SinkError, lines};
use crate::outbound::{self, innermost};

/// Longest time to connect.
const MAX_CONNECT: Duration = Duration::from_secs(5);
/// How much of an answer is read, in bytes: none of it matters, but the connection is used again.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(60);

/// Posts batches.
#[derive(Debug)]
pub(super) struct HttpSink {
    config: HttpConfig,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpSink {
    /// A client of the server that is configured; it is not connected to yet.
    ///
    /// # Errors
    /// Nobody could vouch for the server.
    pub(super) fn open(config: &HttpConfig) -> Result<Self, OpenError> {
        let connector = outbound::connector(&config.url, config.ca_file.as_deref(), MAX_CONNECT)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self { config: config.clone(), client })
    }

    fn request(&self, batch: &Batch<'_>) -> Result<Request<Full<Bytes>>, SinkError> {
        let mut request = Request::post(self.config.url.clone())
            .body(Full::new(self.body(batch)?))
            .map_err(|error| SinkError::later(error.to_string()))?;
        let headers = request.headers_mut();
        headers.extend(self.config.headers.read()?);
        let content_type = match self.config.format {
            BodyFormat::Json => "application/json",
            BodyFormat::Ndjson => "application/x-ndjson",
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("mandate/", env!("CARGO_PKG_VERSION"))),
        );
        if self.config.gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let first = batch.first();
        let key = format!("{}:{first}:{}", batch.log, batch.entries.len());
        for (name, value) in [
            ("mandate-log", batch.log.to_string()),
            ("mandate-first-sequence", first.to_string()),
            ("mandate-records", batch.entries.len().to_string()),
            ("idempotency-key", key),
        ] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        Ok(request)
    }

    fn body(&self, batch: &Batch<'_>) -> Result<Bytes, SinkError> {
        let text = match self.config.format {
            BodyFormat::Json => array(batch),
            BodyFormat::Ndjson => lines::of(batch),
        };
        if !self.config.gzip {
            return Ok(text.into());
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let compressed = encoder.write_all(&text).and_then(|()| encoder.finish());
        compressed.map(Bytes::from).map_err(|error| SinkError::later(error.to_string()))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(), SinkError> {
        let answered = self.client.request(request).await;
        let answered = answered.map_err(|error| SinkError::later(innermost(&error)))?;
        let (parts, body) = answered.into_parts();
        // What it says besides is nobody's business, and too much of it costs the connection only.
        drop(Limited::new(body, MAX_ANSWER_BYTES).collect().await);
        judge(parts.status, &parts.headers)
    }
}

impl Sink for HttpSink {
    fn deliver(&mut self, batch: &Batch<'_>, runtime: &Runtime) -> Result<(), SinkError> {
        let request = self.request(batch)?;
        let limit = self.config.timeout;
        let exchanged = runtime.block_on(async { tokio::time::timeout(limit, self.exchange(request)).await });
        exchanged.map_err(|_late| SinkError::later(format!("no answer within {} s", limit.as_secs_f64())))?
    }
}

/// The records as one JSON array.
fn array(batch: &Batch<'_>) -> Vec<u8> {
    let mut text = Vec::with_capacity(batch.bytes() + batch.entries.len() + 1);
    for (place, entry) in batch.entries.iter().enumerate() {
        text.push(if place == 0 { b'[' } else { b',' });
        text.extend_from_slice(&entry.line);
    }
    text.push(b']');
    text
}

/// What an answer means (RFC 9110 §15): what speaks of the records is for good; what speaks of the server, of who asks or
/// of the address may become right, and no record is given up for it.
fn judge(status: StatusCode, headers: &HeaderMap) -> Result<(), SinkError> {
    if status.is_success() {
        return Ok(());
    }
    let about = match status.as_u16() {
        301 | 302 | 303 | 307 | 308 => "redirects are not followed: set the final address as `url`",
        401 | 403 | 407 => "it does not accept who asks: see `token_file` and `header_files`",
        404 | 405 | 410 | 421 => "nobody takes records there: see `url`",
        408 | 425 | 429 | 300..=399 | 500..=599 => "it is asked again",
        _ => return Err(SinkError::Refused { why: format!("answered {status}") }),
    };
    Err(SinkError::Later { why: format!("answered {status}; {about}"), after: retry_after(headers) })
}

/// How long the server asks to be left alone (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = said.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = rfc2822::DateTimeParser::new().parse_timestamp(said).ok()?;
    at.duration_since(Timestamp::now()).try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_speaks_of_the_records_gives_them_up() {
        let judged = |status: u16| judge(StatusCode::from_u16(status).unwrap(), &HeaderMap::new());
        for taken in [200, 201, 202, 204] {
            assert_eq!(judged(taken), Ok(()), "{taken}");
        }
        for later in [301, 304, 307, 401, 403, 404, 405, 407, 408, 421, 425, 429, 500, 502, 503, 504, 599] {
            assert!(matches!(judged(later), Err(SinkError::Later { .. })), "{later}");
        }
        for refused in [400, 406, 409, 411, 413, 414, 415, 417, 422, 431, 451] {
            assert!(matches!(judged(refused), Err(SinkError::Refused { .. })), "{refused}");
        }
    }

    #[test]
    fn a_server_says_when_to_come_again_in_seconds_or_as_a_date() {
        let after = |said: &'static str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(said))]);
            match judge(StatusCode::SERVICE_UNAVAILABLE, &headers) {
                Err(SinkError::Later { after, .. }) => after,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert!(after("Fri, 31 Dec 2100 23:59:59 GMT").unwrap() > Duration::from_secs(86_400));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), None);
        assert_eq!(after("soon"), None);
    }
}

//! HTTP for the SDK's transport, over connections that are opened and trusted like all that Mandate opens.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{
    HttpStatusError, SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    StreamableHttpResponseLimits,
};
use sse_stream::{Sse, SseStream};

use super::message::MAX_MESSAGE_BYTES;
use super::subject::Subject;
use super::tap::Tap;
use crate::outbound::{self, TrustError};

/// Longest time for a TCP connection.
const CONNECT: Duration = Duration::from_secs(10);

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const SESSION: &str = "mcp-session-id";
const LAST_EVENT: &str = "last-event-id";

type Body = hyper::body::Incoming;
type Failed = StreamableHttpError<HttpError>;

/// Why a request came to nothing. Says nothing of what was shown, and nothing of what a server wrote.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("{0}")]
    Connect(String),
    #[error("{0}")]
    Token(std::io::Error),
    #[error("the request cannot be written: {0}")]
    Request(#[from] http::Error),
    #[error("the answer cannot be read: {0}")]
    Body(String),
    #[error("the server answered {0}")]
    Status(StatusCode),
}

impl From<HttpError> for Failed {
    fn from(error: HttpError) -> Self {
        Self::Client(error)
    }
}

/// A client of one server.
#[derive(Debug, Clone)]
pub(super) struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Who holds the token that is shown to the server.
    shown: Subject,
    tap: Tap,
}

impl HttpClient {
    pub(super) fn new(
        uri: &Uri,
        ca_file: Option<&Path>,
        token_file: Option<PathBuf>,
        tap: Tap,
    ) -> Result<Self, TrustError> {
        let connector = outbound::connector(uri, ca_file, CONNECT)?;
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, shown: Subject { token_file, ..Subject::default() }, tap })
    }

    async fn send(
        &self,
        method: Method,
        uri: &str,
        headers: HashMap<HeaderName, HeaderValue>,
        named: [(&'static str, Option<&str>); 3],
        body: Vec<u8>,
    ) -> Result<Response<Body>, Failed> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        for (name, value) in named {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let token = self.shown.token().map_err(HttpError::Token)?;
        if !token.is_empty() {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(HttpError::Request)?;
        let answered = self.client.request(request).await;
        Ok(answered.map_err(|error| HttpError::Connect(outbound::innermost(&error)))?)
    }

    /// What came, read to its end, unless it is too long.
    async fn whole(body: Body, limit: usize) -> Result<Bytes, Failed> {
        match Limited::new(body, limit).collect().await {
            Ok(read) => Ok(read.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(StreamableHttpError::ResponseBodyTooLarge { max_size: limit })
            }
            Err(error) => Err(HttpError::Body(error.to_string()).into()),
        }
    }

    /// Events as they come, the answers among them kept.
    fn events(&self, body: Body, limit: usize) -> BoxStream<'static, Result<Sse, SseError>> {
        let tap = self.tap.clone();
        let events = SseStream::from_bytes_stream(bounded(body.into_data_stream(), limit));
        let seen = events.inspect(move |event| {
            if let Ok(Sse { data: Some(data), .. }) = event {
                tap.see(data.as_bytes());
            }
        });
        seen.boxed()
    }

    /// An answer to something that was posted.
    async fn posted(
        &self,
        message: &ClientJsonRpcMessage,
        has_session: bool,
        response: Response<Body>,
        limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let status = response.status();
        let awaits_answer = matches!(message, ClientJsonRpcMessage::Request(_));
        if status == StatusCode::NOT_FOUND && has_session {
            return Err(StreamableHttpError::SessionExpired);
        }
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            return Err(HttpStatusError::new(status.as_u16(), None).into());
        }
        if status.is_success() && !awaits_answer {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let (kind, session) = (header(CONTENT_TYPE.as_str()), header(SESSION));
        let kind = kind.as_deref().and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if status.is_success() && kind.eq_ignore_ascii_case(EVENTS) {
            let events = self.events(response.into_body(), limits.max_sse_event_size);
            return Ok(StreamableHttpPostResponse::Sse(events, session));
        }
        if !kind.eq_ignore_ascii_case(JSON) {
            return Err(HttpError::Status(status).into());
        }
        let body = Self::whole(response.into_body(), limits.max_json_response_size).await?;
        let read = serde_json::from_slice(&body);
        let read = read.map_err(|_unread| {
            Failed::UnexpectedServerResponse(Cow::Owned(format!("HTTP {status}, no message")))
        })?;
        self.tap.see(&body);
        Ok(StreamableHttpPostResponse::Json(read, session))
    }
}

impl StreamableHttpClient for HttpClient {
    type Error = HttpError;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let limits = StreamableHttpResponseLimits::default();
        self.post_message_with_response_limits(uri, message, session_id, auth_header, custom_headers, limits)
            .await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let body = serde_json::to_vec(&message)?;
        let accept = format!("{JSON}, {EVENTS}");
        let named = [
            (CONTENT_TYPE.as_str(), Some(JSON)),
            (ACCEPT.as_str(), Some(&*accept)),
            (SESSION, session_id.as_deref()),
        ];
        let response = self.send(Method::POST, &uri, custom_headers, named, body).await?;
        self.posted(&message, session_id.is_some(), response, limits).await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failed> {
        let named = [(SESSION, Some(&*session_id)), (ACCEPT.as_str(), None), (LAST_EVENT, None)];
        let response = self.send(Method::DELETE, &uri, custom_headers, named, Vec::new()).await?;
        match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => Err(StreamableHttpError::ServerDoesNotSupportDeleteSession),
            status if status.is_success() => Ok(()),
            status => Err(HttpError::Status(status).into()),
        }
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        let named = [
            (ACCEPT.as_str(), Some(EVENTS)),
            (SESSION, session_id.as_deref()),
            (LAST_EVENT, last_event_id.as_deref()),
        ];
        let response = self.send(Method::GET, &uri, custom_headers, named, Vec::new()).await?;
        match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => Err(StreamableHttpError::ServerDoesNotSupportSse),
            StatusCode::NOT_FOUND if session_id.is_some() => Err(StreamableHttpError::SessionExpired),
            status if status.is_success() => Ok(self.events(response.into_body(), MAX_MESSAGE_BYTES)),
            status => Err(HttpError::Status(status).into()),
        }
    }
}

/// Bytes of events, until one event is too long: it would be held whole until its end.
fn bounded<E: std::error::Error + Send + Sync + 'static>(
    bytes: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    limit: usize,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
    let mut since_an_end = 0_usize;
    bytes.map(move |chunk| {
        let chunk = chunk.map_err(std::io::Error::other)?;
        since_an_end = match last_end(&chunk) {
            Some(end) => chunk.len() - end,
            None => since_an_end.saturating_add(chunk.len()),
        };
        if since_an_end > limit {
            return Err(std::io::Error::other(format!("an event is longer than {limit} bytes")));
        }
        Ok(chunk)
    })
}

/// Where the last empty line of a chunk ends.
fn last_end(chunk: &[u8]) -> Option<usize> {
    let ends: [&[u8]; 3] = [b"\n\n", b"\r\n\r\n", b"\r\r"];
    let found = ends
        .iter()
        .filter_map(|end| chunk.windows(end.len()).rposition(|bytes| bytes == *end).map(|at| at + end.len()));
    found.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_event_without_end_is_not_held_for_ever() {
        fn chunk(text: &'static str) -> Result<Bytes, std::io::Error> {
            Ok(Bytes::from_static(text.as_bytes()))
        }
        let short = [chunk("data: a\n\ndata: "), chunk("bbb\n\n"), chunk("data: c\n\n")];
        let read: Vec<_> = bounded(futures_util::stream::iter(short), 10).collect().await;
        assert!(read.iter().all(Result::is_ok));
        let endless = std::iter::repeat_with(|| chunk("data: x")).take(3);
        let read: Vec<_> = bounded(futures_util::stream::iter(endless), 16).collect().await;
        assert!(read.last().unwrap().is_err());
    }
}

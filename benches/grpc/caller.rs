//! gRPC with as little around it as there can be: HTTP/2, the five bytes before a message, the status behind it.
//!
//! A client that takes longer over an answer than the server took to give it measures itself. tonic's hands every call to a task of its
//! own, balances, and buffers; this one does what a call cannot do without, and leaves no answer unread.

use std::marker::PhantomData;

use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use prost::Message;
use prost::bytes::{Buf as _, Bytes, BytesMut};
use tokio::net::TcpStream;
use tonic::codegen::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use tonic::codegen::http::uri::{Authority, PathAndQuery, Scheme};
use tonic::codegen::http::{Request, Uri, Version};

use crate::Attempt;

/// What a server may send before it is told that some of it was taken, on a connection and on each call: enough for never having to wait.
const WINDOW: u32 = 16 * 1024 * 1024;
/// A message's flag and its length.
const PREFIX: usize = 5;

/// A connection on which calls are made, many at once.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    calls: SendRequest<Bytes>,
    authority: Authority,
}

impl Caller {
    /// Connects.
    ///
    /// # Errors
    /// The server cannot be reached, or speaks no HTTP/2.
    pub(crate) async fn connect(url: &str) -> Attempt<Self> {
        let uri: Uri = url.parse()?;
        let authority = uri.authority().ok_or("the URL names no server")?.clone();
        let stream = TcpStream::connect(authority.as_str()).await?;
        stream.set_nodelay(true)?;
        let mut builder = Builder::new();
        builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW).enable_push(false);
        let (calls, connection) = builder.handshake(stream).await?;
        // How it ends, whoever waits for an answer is told.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { calls, authority })
    }

    /// Makes one call with a message that is encoded already; the answer is decoded as `M`, which may leave out fields that nobody looks at.
    ///
    /// # Errors
    /// The connection is broken, or the server answers with an error.
    pub(crate) async fn call<M: Message + Default>(
        &mut self,
        method: &'static str,
        message: &[u8],
    ) -> Attempt<M> {
        let mut under_way = self.begin::<M>(method).await?;
        under_way.send(message, true)?;
        let answer = under_way.next().await?.ok_or("there is no answer")?;
        match under_way.next().await? {
            None => Ok(answer),
            Some(_) => Err("there is more than one answer".into()),
        }
    }

    /// Begins a call of any number of messages, whose answers are decoded as `M`.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) async fn begin<M>(&mut self, method: &'static str) -> Attempt<UnderWay<M>> {
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query(PathAndQuery::from_static(method))
            .build()?;
        let request = Request::post(uri)
            .version(Version::HTTP_2)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
            .header(TE, HeaderValue::from_static("trailers"))
            .body(())?;
        self.calls = self.calls.clone().ready().await?;
        let (response, sending) = self.calls.send_request(request, false)?;
        Ok(UnderWay {
            sending,
            answers: Answers::Awaited(response),
            received: BytesMut::new(),
            of: PhantomData,
        })
    }
}

/// A call that was begun.
#[derive(Debug)]
pub(crate) struct UnderWay<M> {
    sending: SendStream<Bytes>,
    answers: Answers,
    /// Of answers, what is not decoded yet.
    received: BytesMut,
    of: PhantomData<M>,
}

#[derive(Debug)]
enum Answers {
    /// The server has not begun to answer.
    Awaited(ResponseFuture),
    Coming(RecvStream),
}

impl<M> UnderWay<M> {
    /// Sends a message that is encoded already.
    ///
    /// # Errors
    /// The call has ended.
    pub(crate) fn send(&mut self, message: &[u8], last: bool) -> Attempt<()> {
        Ok(self.sending.send_data(framed(message)?.into(), last)?)
    }

    /// The next answer; none behind the last.
    ///
    /// # Errors
    /// The call failed, or an answer is none.
    pub(crate) async fn next(&mut self) -> Attempt<Option<M>>
    where
        M: Message + Default,
    {
        loop {
            if let Some(message) = message(&mut self.received)? {
                return Ok(Some(M::decode(message)?));
            }
            let body = match &mut self.answers {
                Answers::Coming(body) => body,
                Answers::Awaited(response) => {
                    let (head, body) = response.await?.into_parts();
                    if body.is_end_stream() {
                        status(&head.headers)?;
                    }
                    self.answers = Answers::Coming(body);
                    continue;
                }
            };
            let Some(chunk) = body.data().await.transpose()? else {
                let trailers = body.trailers().await?.ok_or("the answer ends without a status")?;
                status(&trailers)?;
                return if self.received.is_empty() { Ok(None) } else { Err("an answer is cut off".into()) };
            };
            body.flow_control().release_capacity(chunk.len())?;
            self.received.extend_from_slice(&chunk);
        }
    }
}

/// Takes a whole message, if there is one.
fn message(received: &mut BytesMut) -> Attempt<Option<BytesMut>> {
    let Some((prefix, rest)) = received.split_first_chunk::<PREFIX>() else { return Ok(None) };
    let [0, length @ ..] = *prefix else {
        return Err("an answer is compressed, and nobody asked for that".into());
    };
    let length = usize::try_from(u32::from_be_bytes(length))?;
    if rest.len() < length {
        return Ok(None);
    }
    received.advance(PREFIX);
    Ok(Some(received.split_to(length)))
}

/// A message as gRPC frames it: not compressed, its length, itself.
///
/// # Errors
/// It is longer than a length can say.
pub(crate) fn framed(message: &[u8]) -> Attempt<Vec<u8>> {
    let length = u32::try_from(message.len())?;
    Ok([&[0], length.to_be_bytes().as_slice(), message].concat())
}

/// Anything but success is an error.
fn status(trailers: &HeaderMap) -> Attempt<()> {
    let text = |name| trailers.get(name).map(HeaderValue::to_str).transpose();
    match text("grpc-status")? {
        Some("0") => Ok(()),
        code => {
            Err(format!("status {}: {}", code.unwrap_or("none"), text("grpc-message")?.unwrap_or("")).into())
        }
    }
}

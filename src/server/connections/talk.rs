//! What is known of a connection by what is said on it: its protocol, and whether a request is on its way.
//!
//! Headers have a time of their own, from their first byte: HTTP/1 clients may keep quiet between requests for longer than a
//! request may take to arrive, and a client of HTTP/2 that never ends its preface would be neither.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::{HeaderValue, Response, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// What every HTTP/2 connection begins with (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is known of a connection. The stream that reads it tells, and the service that answers on it.
#[derive(Debug, Default)]
pub(super) struct Talk {
    http2: AtomicBool,
    /// Requests whose headers are complete.
    requests: AtomicU64,
    answering: AtomicBool,
    leaving: AtomicBool,
    late: AtomicBool,
}

impl Talk {
    /// Whether it is HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
    }

    /// Whether headers took too long.
    pub(super) fn is_late(&self) -> bool {
        self.late.load(Ordering::Relaxed)
    }

    /// The next answer over HTTP/1 says that it is the last.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// The headers of a request are complete.
    pub(super) fn asked(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.answering.store(true, Ordering::Relaxed);
    }

    /// It is answered.
    pub(super) fn answered<B>(&self, response: &mut Response<B>) {
        self.answering.store(false, Ordering::Relaxed);
        if !self.is_http2() && self.leaving.load(Ordering::Relaxed) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// A connection's bytes, watched.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    talk: Arc<Talk>,
    /// How many bytes of the preface have come; none once it is known whether it is HTTP/2.
    preface: Option<usize>,
    /// Longest time for headers.
    within: Duration,
    /// When those that have begun must be there, and how many requests there were by then.
    end: Option<(u64, Pin<Box<Sleep>>)>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, talk: Arc<Talk>, within: Duration) -> Self {
        Self { stream, talk, preface: Some(0), within, end: None }
    }

    /// Notes what came.
    fn came(&mut self, bytes: &[u8]) {
        if let Some(known) = self.preface {
            let expected = PREFACE.iter().skip(known);
            let same = expected.zip(bytes).take_while(|(expected, came)| expected == came).count();
            let complete = known + same == PREFACE.len();
            self.talk.http2.store(complete, Ordering::Relaxed);
            self.preface = (same == bytes.len() && !complete).then_some(known + same);
        }
        if self.talk.is_http2() {
            self.end = None;
        } else if self.end.is_none() && !self.talk.answering.load(Ordering::Relaxed) {
            let requests = self.talk.requests.load(Ordering::Relaxed);
            self.end = Some((requests, Box::pin(sleep(self.within))));
        }
    }

    /// Whether headers that have begun are still to come, and how long they have taken.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let Some((requests, end)) = self.end.as_mut() else { return Poll::Pending };
        if self.talk.requests.load(Ordering::Relaxed) != *requests {
            self.end = None;
            return Poll::Pending;
        }
        ready!(end.as_mut().poll(context));
        self.talk.late.store(true, Ordering::Relaxed);
        Poll::Ready(io::Error::from(io::ErrorKind::TimedOut))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let watched = self.get_mut();
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut watched.stream).poll_read(context, buffer) {
            let came = buffer.filled().get(before..).unwrap_or_default();
            if !came.is_empty() {
                watched.came(came);
            }
            // Bytes that come one by one must not put the end off.
            if let Poll::Ready(late) = watched.poll_late(context) {
                return Poll::Ready(Err(late));
            }
            return Poll::Ready(read);
        }
        watched.poll_late(context).map(Err)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::timeout;

    use super::*;

    const WITHIN: Duration = Duration::from_millis(200);

    fn watched(within: Duration) -> (DuplexStream, Watched<DuplexStream>) {
        let (client, server) = duplex(4096);
        (client, Watched::new(server, Arc::default(), within))
    }

    async fn say(client: &mut DuplexStream, watched: &mut Watched<DuplexStream>, bytes: &[u8]) {
        client.write_all(bytes).await.unwrap();
        let mut read = vec![0; bytes.len()];
        watched.read_exact(&mut read).await.unwrap();
    }

    async fn waits(watched: &mut Watched<DuplexStream>) -> bool {
        timeout(2 * WITHIN, watched.read_u8()).await.is_err()
    }

    #[tokio::test]
    async fn headers_and_prefaces_that_do_not_end_are_late_however_slowly_they_come() {
        for begun in [&b"G"[..], b"POST / HTTP/1.1\r\nhost: a\r\n", b"PRI * HT", b"PRI * HTTP/1.1"] {
            let (mut client, mut watched) = watched(WITHIN);
            assert!(waits(&mut watched).await, "nothing has begun");
            client.write_all(begun).await.unwrap();
            let late = loop {
                let mut read = [0; 64];
                match timeout(Duration::from_secs(60), watched.read(&mut read)).await.unwrap() {
                    Ok(_some) => tokio::time::sleep(WITHIN / 10).await,
                    Err(late) => break late,
                }
                client.write_all(b"x").await.unwrap();
            };
            assert_eq!(late.kind(), io::ErrorKind::TimedOut);
            assert!(watched.talk.is_late(), "{begun:?}");
        }
    }

    #[tokio::test]
    async fn a_body_and_the_time_between_requests_are_not_headers() {
        let (mut client, mut watched) = watched(WITHIN);
        for _ in 0..2 {
            say(&mut client, &mut watched, b"POST / HTTP/1.1\r\n\r\n").await;
            watched.talk.asked();
            say(&mut client, &mut watched, b"body").await;
            watched.talk.answered(&mut Response::new(()));
            assert!(waits(&mut watched).await);
        }
        assert!(!watched.talk.is_http2());
    }

    #[tokio::test]
    async fn a_preface_is_known_in_one_piece_and_in_many() {
        for pieces in [24, 1, 7] {
            let (mut client, mut watched) = watched(Duration::from_secs(600));
            for piece in PREFACE.chunks(pieces) {
                assert!(!watched.talk.is_http2());
                say(&mut client, &mut watched, piece).await;
            }
            assert!(watched.talk.is_http2());
            say(&mut client, &mut watched, b"frames").await;
            assert!(watched.end.is_none());
        }
    }

    #[test]
    fn only_a_connection_that_leaves_says_so_and_only_over_http1() {
        let talk = Talk::default();
        let close = || {
            let mut response = Response::new(());
            talk.answered(&mut response);
            response.headers().contains_key(header::CONNECTION)
        };
        assert!(!close());
        talk.leave();
        assert!(close());
        talk.http2.store(true, Ordering::Relaxed);
        assert!(!close());
    }
}

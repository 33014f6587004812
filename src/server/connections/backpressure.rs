//! Who does not read is not read.
//!
//! What a client sends makes the server owe it something: answers, and over HTTP/2 a frame for each call that it may not begin, which
//! is kept until it can be sent and takes twenty times the memory of what it answers. So that nobody can have the server remember
//! all that was asked, nothing more is taken from a client until it has been sent what waits, and what waits is sent before much
//! more is taken. What a client sends meanwhile waits with the system, and then with the client.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are read before what they led to may be sent: some tens of calls.
const TURN: usize = 4 * 1024;

/// A connection that is not read while what is sent over it waits.
#[derive(Debug)]
pub struct Backpressure<S> {
    stream: S,
    /// Whether the last that was to be sent had to wait.
    waits: bool,
    /// Who wanted to read meanwhile.
    reader: Option<Waker>,
    /// Bytes that were read since something could last be sent.
    read: usize,
}

impl<S> Backpressure<S> {
    /// A connection over this stream.
    pub fn new(stream: S) -> Self {
        Self { stream, waits: false, reader: None, read: 0 }
    }

    /// Notes whether something that was to be sent has to wait.
    fn note<T>(&mut self, sent: Poll<T>) -> Poll<T> {
        self.waits = sent.is_pending();
        if !self.waits
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
        sent
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Backpressure<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.waits {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        if self.read >= TURN {
            self.read = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        // Who has nothing to read sends.
        self.read = if read.is_ready() { self.read + (buffer.filled().len() - before) } else { 0 };
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Backpressure<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(sent)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = Pin::new(&mut self.stream).poll_flush(context);
        self.note(sent)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    /// As much as a stream takes that nobody reads.
    const ROOM: usize = 64;
    /// As much as is read at once.
    const PIECE: usize = TURN / 4;

    #[derive(Debug, Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read(server: &mut Backpressure<DuplexStream>, context: &mut Context<'_>) -> Option<usize> {
        let mut bytes = [0; PIECE];
        let mut buffer = ReadBuf::new(&mut bytes);
        match Pin::new(server).poll_read(context, &mut buffer) {
            Poll::Ready(read) => read.map(|()| buffer.filled().len()).ok(),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn a_client_is_read_again_once_it_reads() {
        let (mut client, server) = duplex(ROOM);
        let mut server = Backpressure::new(server);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let context = &mut Context::from_waker(&waker);
        server.write_all(&[b'a'; ROOM]).await.unwrap();
        client.write_all(b"one").await.unwrap();
        let mut bytes = [0; ROOM];
        assert_eq!(server.read(&mut bytes).await.unwrap(), 3, "nothing waits yet");

        assert!(Pin::new(&mut server).poll_write(context, b"b").is_pending());
        client.write_all(b"another").await.unwrap();
        assert_eq!(read(&mut server, context), None, "it has not read what waits");

        client.read_exact(&mut bytes).await.unwrap();
        let before = woken.0.load(Ordering::Relaxed);
        assert!(Pin::new(&mut server).poll_write(context, b"b").is_ready());
        assert_eq!(woken.0.load(Ordering::Relaxed), before + 1, "who wanted to read is told");
        assert_eq!(read(&mut server, context), Some("another".len()));
    }

    #[tokio::test]
    async fn what_waits_may_be_sent_before_much_more_is_read() {
        let (mut client, server) = duplex(2 * TURN);
        let mut server = Backpressure::new(server);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let context = &mut Context::from_waker(&waker);
        client.write_all(&vec![b'x'; 2 * TURN]).await.unwrap();
        for turn in 1..=2 {
            for _ in 0..TURN / PIECE {
                assert_eq!(read(&mut server, context), Some(PIECE));
            }
            assert_eq!((read(&mut server, context), woken.0.load(Ordering::Relaxed)), (None, turn));
        }
    }
}

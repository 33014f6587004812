//! Sending what is ready together.
//!
//! To send is a call of the system, which costs more than an answer. Each answer is made by a task of its own, which wakes its
//! connection's, and tokio runs that one next: every answer would be sent by itself. Here a connection that has something to send
//! lets the tasks run first that are ready. Where none is, that takes a look at the sockets, about a microsecond; and never longer
//! than until the next such look, which comes after some sixty polls.

use std::future::Future as _;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that sends what is ready together.
///
/// It takes one buffer at a time, and says so: HTTP/2 then puts answers of up to a kilobyte into one.
#[derive(Debug)]
pub struct Together<S> {
    stream: S,
    turn: Turn,
    others: Arc<Others>,
}

/// Whether it may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It has nothing to send.
    Unasked,
    /// The others have theirs.
    Asked,
    /// Until all is sent.
    Here,
}

/// The tasks that are ready.
#[derive(Debug, Default)]
struct Others {
    have_run: AtomicBool,
    waits: AtomicWaker,
}

impl Wake for Others {
    fn wake(self: Arc<Self>) {
        self.have_run.store(true, Ordering::Release);
        self.waits.wake();
    }
}

impl<S> Together<S> {
    /// A connection over this stream.
    pub fn new(stream: S) -> Self {
        Self { stream, turn: Turn::Unasked, others: Arc::default() }
    }

    /// Waits until those that are ready have run.
    fn poll_turn(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.turn == Turn::Here {
            return Poll::Ready(());
        }
        // In this order: whoever wakes it now has not missed it.
        self.others.waits.register(context.waker());
        if self.turn == Turn::Unasked {
            self.turn = Turn::Asked;
            self.others.have_run.store(false, Ordering::Release);
            let told = Waker::from(Arc::clone(&self.others));
            // The first poll has the runtime tell of it; outside a runtime, at once.
            let _later = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(&told));
        }
        if !self.others.have_run.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        self.turn = Turn::Here;
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Together<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Together<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_turn(context));
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.turn == Turn::Here {
            self.turn = Turn::Unasked;
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// Notes what is sent by one call.
    #[derive(Debug, Default)]
    struct Calls(Arc<Mutex<Vec<usize>>>);

    impl AsyncWrite for Calls {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.0.lock().unwrap().push(bytes.len());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn who_is_ready_runs_before_anything_is_sent() {
        let calls = Calls::default();
        let seen = Arc::clone(&calls.0);
        let ready: Vec<_> = (0..10)
            .map(|_| {
                let seen = Arc::clone(&seen);
                tokio::spawn(async move { seen.lock().unwrap().push(0) })
            })
            .collect();
        let mut together = Together::new(calls);
        for round in 1..=3 {
            together.write_all(&[b'x'; 7]).await.unwrap();
            together.write_all(&[b'x'; 8]).await.unwrap();
            together.flush().await.unwrap();
            let sent = seen.lock().unwrap().clone();
            assert_eq!(sent.len(), 10 + 2 * round);
            assert!(sent.iter().take(10).all(|bytes| *bytes == 0), "{sent:?}");
        }
        for task in ready {
            task.await.unwrap();
        }
    }

    #[test]
    fn outside_a_runtime_nothing_is_waited_for() {
        let mut together = Together::new(Calls::default());
        let context = &mut Context::from_waker(Waker::noop());
        assert!(matches!(Pin::new(&mut together).poll_write(context, b"x"), Poll::Ready(Ok(1))));
    }
}

//! Messages over a pair of pipes: one line of JSON each (MCP, "stdio").

use std::io;

use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

use super::message::MAX_MESSAGE_BYTES;

/// Why there are no more lines.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("a message is longer than {MAX_MESSAGE_BYTES} bytes")]
    TooLong,
    #[error("reading failed: {0}")]
    Io(#[from] io::Error),
}

/// Lines as they come.
pub(super) struct Lines<R>(FramedRead<R, LinesCodec>);

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(pipe: R) -> Self {
        Self(FramedRead::new(pipe, LinesCodec::new_with_max_length(MAX_MESSAGE_BYTES)))
    }

    /// The next line that is not empty; none at the end. May be dropped and called again.
    ///
    /// # Errors
    /// One is too long, or no text, or cannot be read. What is to come cannot be told apart from it: nobody reads on.
    pub(super) async fn next(&mut self) -> Result<Option<String>, LineError> {
        loop {
            match self.0.next().await {
                None => return Ok(None),
                Some(Ok(line)) if line.trim().is_empty() => {}
                Some(Ok(line)) => return Ok(Some(line)),
                Some(Err(LinesCodecError::MaxLineLengthExceeded)) => return Err(LineError::TooLong),
                Some(Err(LinesCodecError::Io(error))) => return Err(error.into()),
            }
        }
    }
}

/// Writes one message, and has it sent.
pub(super) async fn write(pipe: &mut (impl AsyncWrite + Unpin), message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    pipe.write_all(&line).await?;
    pipe.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_end_with_what_is_too_long() {
        let mut pipe = b"{\"a\":1}\r\n\n{\"b\":2}\n".to_vec();
        pipe.extend(vec![b'x'; MAX_MESSAGE_BYTES + 1]);
        pipe.extend(b"\n{}\n");
        let mut lines = Lines::new(pipe.as_slice());
        assert_eq!(lines.next().await.unwrap().unwrap(), "{\"a\":1}");
        assert_eq!(lines.next().await.unwrap().unwrap(), "{\"b\":2}");
        assert!(matches!(lines.next().await, Err(LineError::TooLong)));
    }

    #[tokio::test]
    async fn a_message_is_one_line() {
        let mut pipe = Vec::new();
        write(&mut pipe, &serde_json::json!({"text": "two\nlines"})).await.unwrap();
        assert_eq!(pipe, b"{\"text\":\"two\\nlines\"}\n");
    }
}

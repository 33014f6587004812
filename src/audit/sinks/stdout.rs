//! Lines to standard output.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use tokio::runtime::Runtime;

use super::lines::{self, Lines, Target};
use super::{Batch, Sink, SinkError};

/// Writes to standard output, past its buffer, so that what a pipe took is known.
#[derive(Debug)]
pub struct StdoutSink {
    lines: Lines<Stream>,
}

/// A stream: it takes nothing back.
#[derive(Debug)]
struct Stream(File);

impl StdoutSink {
    /// The process's standard output.
    ///
    /// # Errors
    /// It is closed.
    pub fn open() -> io::Result<Self> {
        let descriptor = io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| io::Error::new(error.kind(), format!("cannot write to stdout: {error}")))?;
        Ok(Self { lines: Lines::new(Stream(descriptor.into()), false) })
    }
}

impl Sink for StdoutSink {
    fn deliver(&mut self, batch: &Batch<'_>, _runtime: &Runtime) -> Result<(), SinkError> {
        // Whoever else prints waits, so that lines stay whole.
        let mut others = io::stdout().lock();
        let written = others.flush().and_then(|()| self.lines.append(&lines::of(batch)));
        written.map_err(|error| SinkError::later(format!("standard output: {error}")))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Target for Stream {
    fn end(&self) -> io::Result<u64> {
        Ok(0)
    }

    fn cut(&mut self, _end: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::os::fd::OwnedFd;

    #[test]
    fn a_pipe_that_nobody_reads_is_an_error_and_no_panic() {
        let (reader, writer) = io::pipe().unwrap();
        let mut lines = Lines::new(Stream(OwnedFd::from(writer).into()), false);
        lines.append(b"{}\n").unwrap();
        drop(reader);
        assert_eq!(lines.append(b"{}\n").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}

//! Appending whole lines to what may take a part of them.

use std::fs::File;
use std::io::{self, ErrorKind, Write};

use super::Batch;

/// The lines of a batch, each with its end.
pub(super) fn of(batch: &Batch<'_>) -> Vec<u8> {
    let mut lines = Vec::with_capacity(batch.bytes() + batch.entries.len());
    for entry in batch.entries {
        lines.extend_from_slice(&entry.line);
        lines.push(b'\n');
    }
    lines
}

/// Something that lines are appended to.
pub(super) trait Target: Write {
    /// Where its end is now.
    fn end(&self) -> io::Result<u64>;

    /// Takes back everything after `end`.
    fn cut(&mut self, end: u64) -> io::Result<()>;
}

impl Target for File {
    fn end(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn cut(&mut self, end: u64) -> io::Result<()> {
        self.set_len(end)
    }
}

/// Keeps half lines out: what a failing write left is taken back, or ended before the next line begins.
#[derive(Debug)]
pub(super) struct Lines<T> {
    target: T,
    /// The target ends within a line.
    torn: bool,
}

impl<T: Target> Lines<T> {
    /// Appends to `target`, which ends within a line if `torn`.
    pub(super) fn new(target: T, torn: bool) -> Self {
        Self { target, torn }
    }

    pub(super) fn target(&self) -> &T {
        &self.target
    }

    /// Appends all of `lines`, or none if the target can take back a part.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        // Asked anew: somebody else may have shortened a file, and cutting it longer would fill it with NULs.
        let end = self.target.end()?;
        let mut taken = 0;
        let ended = if self.torn { self.put(b"\n", &mut taken) } else { Ok(()) };
        let result = ended.and_then(|()| self.put(lines, &mut taken));
        match &result {
            Ok(()) => self.torn = false,
            Err(_) if taken == 0 => {}
            Err(_) => self.torn |= self.target.cut(end).is_err(),
        }
        result
    }

    fn put(&mut self, mut bytes: &[u8], taken: &mut usize) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.target.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    *taken += count;
                    bytes = bytes.get(count..).unwrap_or_default();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    /// Takes this many bytes, then no more.
    #[derive(Debug, Default)]
    struct Small {
        taken: Vec<u8>,
        room: usize,
        cuts: bool,
    }

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room).min(5);
            if count == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= count;
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Target for Small {
        fn end(&self) -> io::Result<u64> {
            Ok(self.taken.len() as u64)
        }

        fn cut(&mut self, end: u64) -> io::Result<()> {
            if !self.cuts {
                return Err(ErrorKind::Unsupported.into());
            }
            self.taken.truncate(usize::try_from(end).unwrap());
            Ok(())
        }
    }

    fn after_a_full_disk(cuts: bool) -> String {
        let mut lines = Lines::new(Small { room: 18, cuts, ..Small::default() }, false);
        lines.append(b"{\"first\":1}\n").unwrap();
        lines.append(b"{\"second\":2}\n").unwrap_err();
        lines.append(b"{\"third\":3}\n").unwrap_err();
        lines.target.room = 100;
        lines.append(b"{\"fourth\":4}\n").unwrap();
        String::from_utf8(lines.target.taken).unwrap()
    }

    #[test]
    fn what_a_full_disk_took_of_a_line_is_taken_back() {
        assert_eq!(after_a_full_disk(true), "{\"first\":1}\n{\"fourth\":4}\n");
    }

    #[test]
    fn what_cannot_be_taken_back_is_ended_before_the_next_line() {
        assert_eq!(after_a_full_disk(false), "{\"first\":1}\n{\"seco\n{\"fourth\":4}\n");
    }

    #[test]
    fn a_device_without_space_refuses_and_stays_whole() {
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut lines = Lines::new(full, false);
        assert_eq!(lines.append(b"{}\n").unwrap_err().kind(), ErrorKind::StorageFull);
        assert!(!lines.torn);
    }

    #[test]
    fn what_somebody_shortened_is_never_cut_longer() {
        let mut lines = Lines::new(Small { room: 30, cuts: true, ..Small::default() }, false);
        lines.append(b"{\"long\":\"a line\"}\n").unwrap();
        lines.target.taken.clear();
        lines.target.room = 3;
        lines.append(b"{\"next\":1}\n").unwrap_err();
        assert_eq!(lines.target.taken, b"");
    }
}

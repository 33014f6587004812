//! Where lines go.

use std::fmt::Debug;
use std::io;

/// Takes the lines of the decision log. Called by one thread, which may wait.
pub trait Sink: Debug {
    /// Takes whole lines, all of them or, as far as the sink can help it, none. After an error the same lines may come
    /// again, or others.
    ///
    /// # Errors
    /// The lines are not written.
    fn write(&mut self, lines: &[u8]) -> io::Result<()>;

    /// Makes what was written last, as far as the sink can.
    ///
    /// # Errors
    /// What was written may not survive a crash of the machine.
    fn flush(&mut self) -> io::Result<()>;
}

//! The thread that indexes the decision log, segment by segment as they are sealed. Nothing depends on it: without an index a
//! search takes longer.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread;
use std::time::Duration;

use crate::audit::reading::indexer::Indexer;
use crate::audit::reading::source::Source;
use crate::store::workers::{self, GiveWay};

/// How often sealed segments are looked for: before more of them were filled than wait.
const EVERY: Duration = Duration::from_secs(1);

/// The thread; it ends soon after this is dropped.
#[derive(Debug)]
pub(super) struct Indexing {
    _until_dropped: Sender<()>,
}

impl Indexing {
    /// Begins to index this log.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(source: &Source) -> io::Result<Self> {
        let (until_dropped, dropped) = mpsc::channel();
        let mut indexer = Indexer::after(&source.directory, source.sealed.clone());
        thread::Builder::new().name("mandate-index".to_owned()).spawn(move || {
            workers::give_way(GiveWay::Wholly);
            while !has_ended(&dropped) {
                indexer.index(|| dropped.try_recv() == Err(TryRecvError::Empty));
            }
        })?;
        Ok(Self { _until_dropped: until_dropped })
    }
}

/// Waits a while, and says whether there is nothing more to do.
fn has_ended(dropped: &Receiver<()>) -> bool {
    dropped.recv_timeout(EVERY) == Err(RecvTimeoutError::Disconnected)
}

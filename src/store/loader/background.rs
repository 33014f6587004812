//! Long work beside the loader: on a thread that gives way to every thread that answers requests.

use std::any::Any;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::super::workers::{self, GiveWay};
use super::watch::Waker;
use crate::engine::guard::PARSER_STACK_BYTES;

/// How long work may wait for a processor before it is asked whether it gets on.
const PATIENCE: Duration = Duration::from_millis(250);
/// It gets on if it has a processor for a tenth of the time in which it wants one.
const LEAST_SHARE: u32 = 10;
/// Names of threads that do such work: of this module's, and of those that the compiler starts.
const THREADS: [&str; 3] = ["mandate-reload", "mandate-parse", "mandate-compile"];

/// Work under way.
pub(super) struct Background<T> {
    work: Arc<dyn Fn() -> T + Send + Sync>,
    waker: Waker,
    sender: Sender<T>,
    results: Receiver<T>,
    began: Instant,
    first: JoinHandle<()>,
    /// Does the same at a better priority, because the first is starved.
    second: Option<JoinHandle<()>>,
}

/// What has become of work.
pub(super) enum Look<T> {
    UnderWay(Background<T>),
    Done(T),
    Panicked(Box<dyn Any + Send>),
}

impl<T: Send + 'static> Background<T> {
    /// Begins, and wakes the loader at the end. `work` may be done twice at once.
    ///
    /// # Errors
    /// The system gives no thread with so large a stack.
    pub(super) fn begin(waker: &Waker, work: &Arc<dyn Fn() -> T + Send + Sync>) -> io::Result<Self> {
        let (sender, results) = mpsc::channel();
        let first = start(GiveWay::Wholly, Arc::clone(work), sender.clone(), waker.clone())?;
        let (work, waker, began) = (Arc::clone(work), waker.clone(), Instant::now());
        Ok(Self { work, waker, sender, results, began, first, second: None })
    }

    /// What has become of it. Whatever gets no processor is begun again where it gets some.
    pub(super) fn look(mut self) -> Look<T> {
        let ended = self.first.is_finished() && self.second.as_ref().is_none_or(JoinHandle::is_finished);
        if let Ok(result) = self.results.try_recv() {
            return Look::Done(result);
        }
        if ended {
            let panic = self.first.join().err();
            return Look::Panicked(panic.unwrap_or_else(|| Box::new("the work has no result")));
        }
        if self.second.is_none() && self.began.elapsed() > PATIENCE && is_starved() {
            tracing::warn!(
                "the processors are busy: a load that got none of them is begun again at a better priority"
            );
            let (work, sender) = (Arc::clone(&self.work), self.sender.clone());
            self.second = start(GiveWay::Mostly, work, sender, self.waker.clone()).ok();
        }
        Look::UnderWay(self)
    }
}

fn start<T: Send + 'static>(
    way: GiveWay,
    work: Arc<dyn Fn() -> T + Send + Sync>,
    sender: Sender<T>,
    waker: Waker,
) -> io::Result<JoinHandle<()>> {
    spawn(way, move || {
        // Nobody waits for the slower one.
        drop(sender.send(work()));
        drop(work);
        waker.tell_done();
    })
}

/// Whether such threads mostly wait for a processor. Where the system does not tell, they may.
fn is_starved() -> bool {
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return true };
    let such = threads.flatten().filter_map(|thread| times(&thread.path()));
    let (ran, waited) =
        such.fold((Duration::ZERO, Duration::ZERO), |sum, times| (sum.0 + times.0, sum.1 + times.1));
    waited > PATIENCE / 2 && ran + waited > ran * LEAST_SHARE
}

/// For how long a thread has had a processor, and has waited for one, if it does such work.
fn times(thread: &Path) -> Option<(Duration, Duration)> {
    let name = fs::read_to_string(thread.join("comm")).ok()?;
    THREADS.contains(&name.trim_end()).then_some(())?;
    let told = fs::read_to_string(thread.join("schedstat")).ok()?;
    let mut nanos = told.split(' ').map(|time| time.parse().map(Duration::from_nanos));
    Some((nanos.next()?.ok()?, nanos.next()?.ok()?))
}

/// Drops what takes long, and a large stack, to drop. If the system gives no thread, it is dropped here.
pub(in crate::store) fn discard(what: impl Send + 'static) {
    drop(spawn(GiveWay::Wholly, move || drop(what)));
}

fn spawn(way: GiveWay, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("mandate-reload".to_owned()).stack_size(PARSER_STACK_BYTES).spawn(move || {
        workers::give_way(way);
        work();
    })
}

//! Requests under way: no more than so many, and no more than so many that wait for a place. Who came last has its turn
//! first: whoever waits longest is closest to giving up.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::overload::Shed;
use super::{Call, Pdp, Refused};

/// How many requests may be decided at once, and wait for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Decided at once; none: as many as the processors are good for.
    pub concurrent: Option<usize>,
    /// Waiting for a place.
    pub queued: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { concurrent: None, queued: 10_000 }
    }
}

/// Requests under way for each processor: decisions take microseconds, but may wait for keys of an issuer or for the disk.
const PER_PROCESSOR: usize = 1_024;
/// Longest that a request waits for a place: who waits longer is turned away while there is still time to ask elsewhere.
const LONGEST: Duration = Duration::from_millis(100);

/// Places for requests under way. Taking and giving back one that is free is one atomic operation each; only who waits, and
/// who gives a place back while others wait, meet at a lock.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_waiting: usize,
    taken: AtomicUsize,
    waiting: AtomicUsize,
    line: Mutex<Vec<oneshot::Sender<Place>>>,
}

/// A place that a request has until this is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Places>);

/// There is none, nor will there be one in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// As many wait as may.
    Full,
    /// None became free in time.
    Late,
}

impl Places {
    /// All of them free.
    pub(super) fn within(bounds: Bounds) -> Arc<Self> {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::new(bounds.concurrent.unwrap_or(PER_PROCESSOR * processors), bounds.queued)
    }

    fn new(most: usize, most_waiting: usize) -> Arc<Self> {
        let (taken, waiting, line) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::default());
        Arc::new(Self { most, most_waiting, taken, waiting, line })
    }

    /// Requests that have a place.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Requests that wait for one.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A place, at once or within some time.
    pub(super) async fn take(self: &Arc<Self>, within: Duration) -> Result<Place, NoPlace> {
        match self.take_free() {
            Some(place) => Ok(place),
            None => self.wait(within).await,
        }
    }

    fn take_free(self: &Arc<Self>) -> Option<Place> {
        // Sequentially consistent, as is what `drop` does: whoever gives a place back and whoever begins to wait cannot both
        // have missed the other.
        let one_more = |taken: usize| (taken < self.most).then_some(taken + 1);
        let taken = self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more);
        taken.ok().map(|_before| Place(Arc::clone(self)))
    }

    async fn wait(self: &Arc<Self>, within: Duration) -> Result<Place, NoPlace> {
        let Some(_waiting) = self.begin_to_wait() else { return Err(NoPlace::Full) };
        let called = {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            if line.len() > 2 * self.most_waiting {
                // Those that have given up.
                line.retain(|waits| !waits.is_closed());
            }
            if let Some(place) = self.take_free() {
                return Ok(place);
            }
            let (call, called) = oneshot::channel();
            line.push(call);
            called
        };
        match timeout(within, called).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(NoPlace::Late),
        }
    }

    /// Counts one that waits; none if as many do as may.
    fn begin_to_wait(&self) -> Option<Waiting<'_>> {
        let before = self.waiting.fetch_add(1, Ordering::SeqCst);
        let waiting = Waiting(self);
        (before < self.most_waiting).then_some(waiting)
    }

    /// Gives free places to those that wait, the last first.
    fn call(self: &Arc<Self>) {
        let mut held = None;
        loop {
            let (next, place) = {
                let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
                if line.is_empty() {
                    break;
                }
                let Some(place) = held.take().or_else(|| self.take_free()) else { return };
                let Some(next) = line.pop() else { return };
                (next, place)
            };
            // Whoever has given up hands it back, for the next.
            held = next.send(place).err();
        }
        // Whoever begins to wait just now is called by what this drops.
        drop(held);
    }
}

/// One that waits, until this is dropped.
#[derive(Debug)]
struct Waiting<'p>(&'p Places);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Pdp {
    /// A place to be decided in, before anything is looked at.
    pub(super) async fn place(&self, call: &Call) -> Result<Place, Refused> {
        let left = call.deadline.saturating_duration_since(Instant::now());
        self.places.take(left.min(LONGEST)).await.map_err(|none| {
            let shed = match none {
                NoPlace::Full => Shed::Full,
                NoPlace::Late if left < LONGEST => Shed::Deadline,
                NoPlace::Late => Shed::Delay,
            };
            self.metrics.load().shed(shed.as_str());
            self.turn_away(call, shed.into())
        })
    }

    /// Requests that are being decided, and requests that wait for that.
    pub fn under_way(&self) -> (usize, usize) {
        (self.places.taken(), self.places.waiting())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::SeqCst);
        if self.0.waiting.load(Ordering::SeqCst) > 0 {
            self.0.call();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn no_more_are_under_way_or_wait_than_may() {
        let places = Places::new(2, 1);
        let first = places.take(LONG).await.unwrap();
        let _second = places.take(LONG).await.unwrap();
        assert_eq!(places.take(SHORT).await.unwrap_err(), NoPlace::Late);
        let waits = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take(LONG).await }
        });
        while places.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(places.take(LONG).await.unwrap_err(), NoPlace::Full);
        drop(first);
        let third = waits.await.unwrap().unwrap();
        assert_eq!((places.taken(), places.waiting()), (2, 0));
        drop(third);
        assert_eq!(places.taken(), 1);
    }

    #[tokio::test]
    async fn who_came_last_has_its_turn_first_and_who_has_gone_has_none() {
        let places = Places::new(1, 10);
        let held = places.take(LONG).await.unwrap();
        let (told, mut turns) = tokio::sync::mpsc::unbounded_channel();
        let mut waits = Vec::new();
        for number in 0..4 {
            let (own, told) = (Arc::clone(&places), told.clone());
            waits.push(tokio::spawn(async move {
                let place = own.take(LONG).await.unwrap();
                told.send(number).unwrap();
                drop(place);
            }));
            while places.waiting() <= number {
                tokio::task::yield_now().await;
            }
        }
        waits[2].abort();
        while !waits[2].is_finished() {
            tokio::task::yield_now().await;
        }
        drop(held);
        let turns = [turns.recv().await, turns.recv().await, turns.recv().await];
        assert_eq!(turns, [Some(3), Some(1), Some(0)]);
        while places.taken() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_place_is_lost_and_nobody_forgotten() {
        let places = Places::new(3, 10_000);
        let tasks: Vec<_> = (0..2_000)
            .map(|_| {
                let places = Arc::clone(&places);
                tokio::spawn(async move {
                    let place = places.take(LONG).await.unwrap();
                    assert!(places.taken() >= 1);
                    tokio::task::yield_now().await;
                    drop(place);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!((places.taken(), places.waiting()), (0, 0));
    }
}

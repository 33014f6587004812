//! How long requests wait for a thread, and whether that is a standing queue.
//!
//! Deciding takes microseconds on the runtime's own threads, so requests do not queue for a permit but for a thread: between
//! the moment their headers were read and the moment somebody looks at them. As in `CoDel` (RFC 8289), waiting is no sign of
//! overload if it passes by itself: a burst, or a process that stood still, is worked off. It is one if it stays, slot after
//! slot, for a whole interval. It is over once nobody had to be turned away for long: those that were turned away come back one by one, and
//! a limit that is lifted between two of them lets so many in that all wait.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Waiting is looked at in slots of so many nanoseconds.
const SLOT: u64 = 10_000_000;
/// For so long waiting must stay, in nanoseconds (RFC 8289 §4.3).
const INTERVAL: u64 = 100_000_000;
/// For so long nobody must have to be turned away, in nanoseconds.
const CALM: u64 = 1_000_000_000;
/// In so many slots at least: those in which a process stood still are few, however long.
const SLOTS: u64 = 4;

/// What requests have waited of late. Times are nanoseconds from one moment on.
#[derive(Debug)]
pub(super) struct QueueDelay {
    target: u64,
    overloaded: AtomicBool,
    slot: AtomicU64,
    waited: AtomicU64,
    seen: AtomicU64,
    shed: AtomicU64,
    /// Of the slot before, on average.
    usual: AtomicU64,
    /// Slots in a row in which requests waited for too long, and since when.
    late_slots: AtomicU64,
    late_since: AtomicU64,
    /// Since when nobody had to be turned away.
    calm_since: AtomicU64,
}

/// What changed with a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Requests have to be turned away from now on.
    Overloaded,
    /// Not any more.
    Recovered,
}

impl QueueDelay {
    pub(super) fn new(target: Duration) -> Self {
        let none = AtomicU64::default;
        Self {
            target: u64::try_from(target.as_nanos()).unwrap_or(u64::MAX),
            overloaded: AtomicBool::default(),
            slot: none(),
            waited: none(),
            seen: none(),
            shed: none(),
            usual: none(),
            late_slots: none(),
            late_since: none(),
            calm_since: none(),
        }
    }

    /// Notes how long a request has waited, which has its turn now.
    pub(super) fn observe(&self, now: u64, waited: u64) -> Option<Change> {
        let change = self.turn(now);
        self.waited.fetch_add(waited, Relaxed);
        self.seen.fetch_add(1, Relaxed);
        change
    }

    /// Whether requests are turned away that have waited for so long.
    pub(super) fn is_too_long(&self, waited: u64) -> bool {
        waited > self.target && self.overloaded.load(Relaxed)
    }

    /// Whether requests are turned away that have waited.
    pub(super) fn is_overloaded(&self) -> bool {
        self.overloaded.load(Relaxed)
    }

    /// Notes that a request was turned away.
    pub(super) fn shed(&self) {
        self.shed.fetch_add(1, Relaxed);
    }

    /// How long requests waited on average, a moment ago.
    pub(super) fn usual(&self) -> u64 {
        self.usual.load(Relaxed)
    }

    /// Begins a new slot if it is time to. One thread does it.
    fn turn(&self, now: u64) -> Option<Change> {
        let (slot, before) = (now / SLOT, self.slot.load(Relaxed));
        if slot <= before || self.slot.compare_exchange(before, slot, Relaxed, Relaxed).is_err() {
            return None;
        }
        let (waited, seen) = (self.waited.swap(0, Relaxed), self.seen.swap(0, Relaxed));
        let shed = self.shed.swap(0, Relaxed);
        let usual = waited / seen.max(1);
        self.usual.store(usual, Relaxed);
        let stays = self.stays(now, usual > self.target);
        if self.is_overloaded() { self.look_for_calm(now, shed) } else { self.look_for_overload(now, stays) }
    }

    /// Whether requests have waited for too long for a whole interval.
    fn stays(&self, now: u64, late: bool) -> bool {
        if !late {
            self.late_slots.store(0, Relaxed);
            return false;
        }
        let slots = self.late_slots.fetch_add(1, Relaxed) + 1;
        if slots == 1 {
            self.late_since.store(now, Relaxed);
        }
        slots >= SLOTS && now.saturating_sub(self.late_since.load(Relaxed)) >= INTERVAL
    }

    fn look_for_overload(&self, now: u64, stays: bool) -> Option<Change> {
        if !stays {
            return None;
        }
        self.calm_since.store(now, Relaxed);
        self.overloaded.store(true, Relaxed);
        Some(Change::Overloaded)
    }

    fn look_for_calm(&self, now: u64, shed: u64) -> Option<Change> {
        if shed > 0 {
            self.calm_since.store(now, Relaxed);
        }
        if now.saturating_sub(self.calm_since.load(Relaxed)) < CALM {
            return None;
        }
        self.late_slots.store(0, Relaxed);
        self.overloaded.store(false, Relaxed);
        Some(Change::Recovered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: u64 = 1_000_000;

    fn delay() -> QueueDelay {
        QueueDelay::new(Duration::from_millis(10))
    }

    /// One request a millisecond, from one moment to another, each of which has waited so long; returns what changed.
    fn waiting(delay: &QueueDelay, span: std::ops::Range<u64>, waited: u64) -> Vec<Change> {
        span.filter_map(|at| {
            let change = delay.observe(at * MILLI, waited * MILLI);
            if delay.is_too_long(waited * MILLI) {
                delay.shed();
            }
            change
        })
        .collect()
    }

    #[test]
    fn waiting_that_stays_is_overload_and_ends_when_nobody_is_turned_away() {
        let delay = delay();
        assert_eq!(waiting(&delay, 1_000..1_100, 12), []);
        assert_eq!(waiting(&delay, 1_100..1_300, 12), [Change::Overloaded]);
        assert!(delay.is_too_long(11 * MILLI) && !delay.is_too_long(9 * MILLI));
        // Some are let in all the time: that alone is no recovery.
        for round in 0..50 {
            let at = 1_300 + 10 * round;
            assert_eq!(waiting(&delay, at..at + 9, 1), []);
            assert_eq!(waiting(&delay, at + 9..at + 10, 30), []);
        }
        assert_eq!(waiting(&delay, 1_800..2_700, 1), []);
        assert_eq!(waiting(&delay, 2_700..2_900, 1), [Change::Recovered]);
        assert!(!delay.is_too_long(11 * MILLI));
    }

    #[test]
    fn a_process_that_stood_still_and_a_burst_are_worked_off() {
        let delay = delay();
        for round in 0..20 {
            let at = 1_000 + 1_000 * round;
            // It stood still for half a second.
            assert_eq!(waiting(&delay, at..at + 5, 500), []);
            assert_eq!(waiting(&delay, at + 5..at + 500, 1), []);
        }
        // A burst that takes eighty milliseconds.
        assert_eq!(waiting(&delay, 30_000..30_080, 40), []);
        assert_eq!(waiting(&delay, 30_080..30_200, 1), []);
    }

    #[test]
    fn a_process_that_runs_a_fifth_of_the_time_is_overloaded_if_it_never_catches_up() {
        let delay = delay();
        let mut changes = Vec::new();
        for period in 10..20 {
            // Twenty milliseconds of every hundred, as the kernel gives a container with a fifth of a processor.
            changes.extend(waiting(&delay, period * 100..period * 100 + 20, 90));
        }
        assert_eq!(changes, [Change::Overloaded]);
        assert_eq!(delay.usual(), 90 * MILLI);
    }
}

//! How fast requests are turned away.
//!
//! To turn one away costs a fraction of what an answer costs, and a caller that is turned away at once asks at once again: so
//! many of them would leave no time for answers. Turning away therefore gets a share of the time: for so many answers given,
//! one request is turned away at once. The others are held back, unread and small, which keeps their callers from asking
//! more: HTTP/2 bounds what a connection may have under way.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Answers for each request that is turned away at once.
const ANSWERS_FOR_ONE: u64 = 2;
/// Requests a second that are turned away at once however few are answered.
const LEAST: u64 = 1_000;
/// Requests turned away at once after a time without any.
const BURST: u64 = 200;
/// Longest that a request is held back, in nanoseconds.
const LONGEST: u64 = 1_000_000_000;
/// Requests that are held back at once: more would take memory for nothing.
const MOST: usize = 20_000;
const SECOND: u64 = 1_000_000_000;

/// When requests are turned away. Times are nanoseconds from one moment on.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    next: AtomicU64,
    held: AtomicUsize,
    answered: AtomicU64,
    /// When the answers were last counted, and how many there were in a second then.
    counted: AtomicU64,
    per_second: AtomicU64,
}

/// A request that is held back until this is dropped.
#[derive(Debug)]
pub(super) struct Held<'p>(&'p Pacing);

impl Pacing {
    /// Counts an answer.
    pub(super) fn answered(&self) {
        self.answered.fetch_add(1, Relaxed);
    }

    /// When a request is to be turned away that is to be now: now, or later.
    pub(super) fn turn(&self, now: u64) -> u64 {
        self.count(now);
        let per_second = (self.per_second.load(Relaxed) / ANSWERS_FOR_ONE).max(LEAST);
        let space = SECOND / per_second;
        let turn = |next: u64| next.max(now.saturating_sub(BURST * space));
        let taken = self.next.fetch_update(Relaxed, Relaxed, |next| {
            (turn(next) < now + LONGEST).then_some(turn(next) + space)
        });
        // Where there are too many even so, none waits for longer.
        taken.map_or(now + LONGEST, turn)
    }

    /// Holds a request back; none if as many are as may be.
    pub(super) fn hold(&self) -> Option<Held<'_>> {
        let held = Held(self);
        (self.held.fetch_add(1, Relaxed) < MOST).then_some(held)
    }

    fn count(&self, now: u64) {
        let counted = self.counted.load(Relaxed);
        let span = now.saturating_sub(counted);
        if span < SECOND / 10 || self.counted.compare_exchange(counted, now, Relaxed, Relaxed).is_err() {
            return;
        }
        let answered = self.answered.swap(0, Relaxed);
        let per_second = answered.saturating_mul(SECOND) / span;
        self.per_second.store(per_second, Relaxed);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of very many requests that come at once are turned away in half a second, with so many answers a second.
    fn turned_away(answers: u64) -> usize {
        let pacing = Pacing::default();
        pacing.turn(SECOND);
        (0..answers).for_each(|_| pacing.answered());
        let turns = (0..20_000).map(|_| pacing.turn(2 * SECOND));
        turns.filter(|turn| *turn < 2 * SECOND + SECOND / 2).count()
    }

    #[test]
    fn a_share_of_the_time_goes_to_turning_away() {
        let (idle, busy) = (turned_away(0), turned_away(20_000));
        assert!((690..=710).contains(&idle), "{idle}");
        assert!((5_100..=5_300).contains(&busy), "{busy}");
    }

    #[test]
    fn a_few_are_turned_away_at_once() {
        let pacing = Pacing::default();
        for now in (SECOND..3 * SECOND).step_by(2_000_000) {
            assert!(pacing.turn(now) <= now);
        }
    }

    #[test]
    fn nobody_is_held_back_for_longer_than_a_second_nor_too_many() {
        let pacing = Pacing::default();
        let latest = (0..100_000).map(|_| pacing.turn(5 * SECOND)).max();
        assert_eq!(latest, Some(6 * SECOND));
        let held: Vec<_> = (0..=MOST).map(|_| pacing.hold()).collect();
        assert_eq!(held.iter().flatten().count(), MOST);
        drop(held);
        assert!(pacing.hold().is_some());
        assert_eq!(pacing.held.load(Relaxed), 0);
    }
}

//! How fast requests are turned away.
//!
//! To turn one away costs about what an answer costs, most of which is HTTP/2 and the system, and a caller that is turned away at once asks
//! at once again: so many of them would leave no time for answers. Turning away therefore gets a share of the time: for so many answers given,
//! one request is turned away at once. The others are held back, unread and small, which keeps their callers from asking
//! more: HTTP/2 bounds what a connection may have under way.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Answers for each request that is turned away at once.
const ANSWERS_FOR_ONE: u64 = 16;
/// Requests a second that are turned away at once however few are answered.
const LEAST: u64 = 100;
/// Requests turned away at once after a time without any.
const BURST: u64 = 200;
/// How long a request is held back at most if there is a turn for it, and at least if there is none, in nanoseconds.
const HELD: u64 = 5_000_000_000;
/// How much longer one is held back at most for which there is no turn. Those that came together do not leave together: they would come back
/// together, and everybody would wait for that.
const SPREAD: u64 = 5_000_000_000;
/// Requests that are held back at once, all that forty connections may have under way: each takes some five kilobytes, and more would
/// take memory for nothing.
const MOST: usize = 4_000;
const SECOND: u64 = 1_000_000_000;

/// When requests are turned away. Times are nanoseconds from one moment on.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    next: AtomicU64,
    without_turn: AtomicU64,
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
        let taken = self
            .next
            .fetch_update(Relaxed, Relaxed, |next| (turn(next) < now + HELD).then_some(turn(next) + space));
        // Where there are too many even so, they leave without a turn.
        taken.map_or_else(|_next| now + HELD + self.spread(), turn)
    }

    /// A part of [`SPREAD`], evenly: each falls into the widest gap of those before it (multiples of the golden ratio).
    fn spread(&self) -> u64 {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let place = self.without_turn.fetch_add(1, Relaxed).wrapping_mul(GOLDEN) >> 32;
        (place * (SPREAD >> 16)) >> 16
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
        assert!((245..=255).contains(&idle), "{idle}");
        assert!((800..=850).contains(&busy), "{busy}");
    }

    #[test]
    fn a_few_are_turned_away_at_once() {
        let pacing = Pacing::default();
        for now in (SECOND..3 * SECOND).step_by(12_000_000) {
            assert!(pacing.turn(now) <= now);
        }
    }

    #[test]
    fn nobody_is_held_back_for_too_long_nor_too_many_and_they_leave_one_by_one() {
        let pacing = Pacing::default();
        let turns: Vec<_> = (0..100_000).map(|_| pacing.turn(5 * SECOND)).collect();
        let within = |from, to| turns.iter().filter(|turn| (from..to).contains(*turn)).count();
        let (first, last) = (5 * SECOND + HELD, 5 * SECOND + HELD + SPREAD);
        assert_eq!(within(5 * SECOND - BURST * SECOND / LEAST, last), turns.len());
        // In the time without turns each hundredth of a second sees as many.
        for begin in (first..last).step_by(10_000_000) {
            let leaving = within(begin, begin + 10_000_000);
            assert!((190..=210).contains(&leaving), "{leaving}");
        }
        let held: Vec<_> = (0..=MOST).map(|_| pacing.hold()).collect();
        assert_eq!(held.iter().flatten().count(), MOST);
        drop(held);
        assert!(pacing.hold().is_some());
        assert_eq!(pacing.held.load(Relaxed), 0);
    }
}

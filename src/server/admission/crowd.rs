//! Who waits, and who is let in before others.
//!
//! Whoever asks little must not be turned away because somebody else asks a thousand. A request is therefore *modest* if its connection has
//! nothing else under way, or if few others of its peer wait: it takes none of the few places that there are for the others, and may have waited
//! for longer. That is bounded twice: no more than so many wait so, for connections and addresses are cheap as well; and for every few of them that
//! are let in though they waited too long, one of the others is.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::peers::Peers;

/// As many others may wait under overload: more would not keep the threads busier.
pub(super) const ENOUGH: usize = 32;
/// As many may wait that are modest.
const MOST_MODEST: usize = 256;
/// For so many that were modest and let in late, one of the others is let in late.
const MODEST_FOR_ONE: usize = 9;

/// Who a request is among those that wait, from its arrival on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its connection has nothing else under way, or few others of its peer wait.
    Modest,
    /// One of the others.
    Other,
    /// One of the others, of which there were enough.
    InExcess,
}

/// Those that wait.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// Who they are of.
    pub(super) peers: Peers,
    modest: AtomicUsize,
    others: AtomicUsize,
    /// Those that were modest and let in late, since one of the others was.
    late: AtomicUsize,
}

impl Crowd {
    /// Counts one that arrives, and says who it is.
    pub(super) fn arrives(&self, is_modest: bool, is_overloaded: bool) -> Standing {
        let one_more = |modest: usize| (modest < MOST_MODEST).then_some(modest + 1);
        if is_modest && self.modest.fetch_update(Relaxed, Relaxed, one_more).is_ok() {
            return Standing::Modest;
        }
        // Under overload no more wait than keep the threads busy: what is turned away for having waited has made the others wait as well, and
        // their answers.
        match self.others.fetch_add(1, Relaxed) {
            ENOUGH.. if is_overloaded => Standing::InExcess,
            _ => Standing::Other,
        }
    }

    /// One that waited has its turn.
    pub(super) fn has_its_turn(&self, standing: Standing) {
        let waiting = if standing == Standing::Modest { &self.modest } else { &self.others };
        waiting.fetch_sub(1, Relaxed);
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.modest.load(Relaxed) + self.others.load(Relaxed)
    }

    /// Whether one that waited for too long is let in all the same.
    pub(super) fn is_let_in_late(&self, standing: Standing) -> bool {
        let late =
            |change: fn(usize) -> Option<usize>| self.late.fetch_update(Relaxed, Relaxed, change).is_ok();
        match standing {
            Standing::Modest => {
                // What nobody took for long is not saved up.
                late(|late| (late < 2 * MODEST_FOR_ONE).then_some(late + 1));
                true
            }
            Standing::Other => late(|late| late.checked_sub(MODEST_FOR_ONE)),
            Standing::InExcess => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_modest_takes_no_place_of_others_and_so_many_are_so_at_most() {
        let crowd = Crowd::default();
        let of =
            |is_modest, count| -> Vec<_> { (0..count).map(|_| crowd.arrives(is_modest, true)).collect() };
        assert!(of(true, MOST_MODEST).iter().all(|standing| *standing == Standing::Modest));
        assert!(of(false, ENOUGH - 1).iter().all(|standing| *standing == Standing::Other));
        assert_eq!(of(true, 2), [Standing::Other, Standing::InExcess]);
        assert_eq!(crowd.arrives(false, false), Standing::Other, "nobody is in excess without overload");
        assert_eq!(crowd.waiting(), MOST_MODEST + ENOUGH + 2);
        crowd.has_its_turn(Standing::Modest);
        assert_eq!(of(true, 1), [Standing::Modest]);
        (0..=2).for_each(|_| crowd.has_its_turn(Standing::InExcess));
        assert_eq!(of(false, 1), [Standing::Other]);
    }

    #[test]
    fn for_every_few_that_are_modest_one_of_the_others_is_let_in_late() {
        let crowd = Crowd::default();
        assert!(!crowd.is_let_in_late(Standing::Other), "nobody was let in before it");
        let others = (0..900)
            .filter(|_| crowd.is_let_in_late(Standing::Modest) && crowd.is_let_in_late(Standing::Other));
        assert_eq!(others.count(), 900 / MODEST_FOR_ONE);
        (0..900).for_each(|_| assert!(crowd.is_let_in_late(Standing::Modest)));
        assert!(!crowd.is_let_in_late(Standing::InExcess));
        let saved = (0..900).filter(|_| crowd.is_let_in_late(Standing::Other));
        assert_eq!(saved.count(), 2);
    }
}

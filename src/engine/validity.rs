//! How long a decision holds: the instants around the one it was made at, over which it comes out the same (C13, K7).

use super::authorize::Now;

/// A span of instants, from one that is within it to one that is not any more. Open at either end where nothing bounds it.
///
/// It says nothing of other changes: a policy or an entity may change before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    from: Now,
    until: Now,
}

impl Validity {
    /// What does not depend on the time.
    pub const ALWAYS: Self = Self { from: Now(i64::MIN), until: Now(i64::MAX) };

    /// What depends on the time in a way nobody foresees: nothing is promised past the instant itself.
    pub fn unforeseen(now: Now) -> Self {
        Self { from: now, until: now }
    }

    /// What holds up to an instant, from whenever.
    pub fn until(until: Now) -> Self {
        Self { until, ..Self::ALWAYS }
    }

    /// What holds from an instant on.
    pub fn from(from: Now) -> Self {
        Self { from, ..Self::ALWAYS }
    }

    /// What holds while both do.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }

    /// Whether it is known to hold at an instant.
    pub fn contains(&self, instant: Now) -> bool {
        self.from <= instant && instant < self.until
    }

    /// The first instant past `now` at which it may hold no more; none if nothing is promised, or nothing bounds it.
    pub fn ends_after(&self, now: Now) -> Option<Now> {
        (self.contains(now) && self.until != Self::ALWAYS.until).then_some(self.until)
    }

    /// For how many milliseconds from `now` it holds at least.
    pub fn left(&self, now: Now) -> u64 {
        if self.contains(now) { self.until.0.abs_diff(now.0) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_outside_and_the_beginning_within() {
        let span = Validity::from(Now(10)).and(Validity::until(Now(20)));
        let within: Vec<_> = (8..22).filter(|at| span.contains(Now(*at))).collect();
        assert_eq!(within, (10..20).collect::<Vec<_>>());
        assert_eq!((span.left(Now(19)), span.left(Now(20)), span.left(Now(9))), (1, 0, 0));
        assert_eq!(span.ends_after(Now(19)), Some(Now(20)));
        assert_eq!(span.ends_after(Now(20)), None);
    }

    #[test]
    fn the_least_of_several_ends_counts() {
        let least = Validity::ALWAYS.and(Validity::until(Now(30))).and(Validity::until(Now(20)));
        assert_eq!(least.ends_after(Now(0)), Some(Now(20)));
        assert_eq!(Validity::ALWAYS.ends_after(Now(0)), None);
        assert_eq!(Validity::ALWAYS.left(Now(0)), u64::try_from(i64::MAX).unwrap());
    }

    #[test]
    fn what_nobody_foresees_spoils_everything() {
        let now = Now(5);
        for other in [Validity::ALWAYS, Validity::until(Now(9)), Validity::from(Now(1))] {
            let both = other.and(Validity::unforeseen(now));
            assert_eq!((both.ends_after(now), both.left(now)), (None, 0), "{other:?}");
        }
    }
}

//! Until when worlds may be answered from, by a clock that no suspended machine stops.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The clock that goes on while the machine sleeps. `std::time::Instant` stands still then, and a lease would outlive it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: ClockId = ClockId::Monotonic;

/// A moment of this machine, in nanoseconds since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub(super) u64);

impl Moment {
    /// Now. A reading of the clock without a system call, on Linux.
    #[must_use]
    pub fn now() -> Self {
        let time = clock_gettime(CLOCK);
        let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
        // A clock that runs since the start is not before it; if it were, every lease would be over.
        let Some(nanos) = seconds
            .ok()
            .zip(nanos.ok())
            .and_then(|(seconds, nanos)| seconds.checked_mul(1_000_000_000)?.checked_add(nanos))
        else {
            return Self(u64::MAX);
        };
        Self(nanos)
    }

    /// So much later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long until another, which may be over.
    #[must_use]
    pub fn until(self, other: Self) -> Duration {
        Duration::from_nanos(other.0.saturating_sub(self.0))
    }
}

/// Until when what is served may be answered from. Read before the world that is answered from, and held to the clock once more
/// with the answer: a renewal in between is for another world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseEnd(Option<Moment>);

impl LeaseEnd {
    /// What a server serves that follows nobody.
    pub const EVER: Self = Self(None);

    /// A lease's end.
    #[must_use]
    pub fn moment(moment: Moment) -> Self {
        Self(Some(moment))
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.0.is_some_and(|end| Moment::now() >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_over_from_its_end_on() {
        let now = Moment::now();
        assert!(LeaseEnd::moment(now).is_over() && LeaseEnd::moment(Moment(0)).is_over());
        assert!(!LeaseEnd::moment(now.after(Duration::from_secs(600))).is_over());
        assert!(!LeaseEnd::EVER.is_over());
        assert_eq!(now.until(now.after(Duration::from_secs(3))), Duration::from_secs(3));
        assert_eq!(now.after(Duration::from_secs(3)).until(now), Duration::ZERO);
        assert!(Moment::now() >= now);
    }
}

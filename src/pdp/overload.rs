//! What is refused because there is too much of it, not for what it asks: it may be asked again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Call, Pdp, Refused};

/// Records a second that tell of refusals for overload. More of them would make a flood of requests one of records; the log
/// says how many there were.
const RECORDS_PER_SECOND: u64 = 100;

/// When a caller may ask again that was turned away for everybody's sake.
const RETRY: Duration = Duration::from_secs(1);

/// Why a request was turned away unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Shed {
    /// It waited for too long as others do, or would have: the threads that decide do not keep up.
    #[error("overloaded: requests wait for longer than `limits.queue_delay`; ask again later, or elsewhere")]
    Delay,
    /// Its deadline would have passed before its turn.
    #[error("overloaded: the deadline would pass before the request's turn; ask again later, or elsewhere")]
    Deadline,
    /// As many are under way and waiting as may be.
    #[error(
        "overloaded: `limits.concurrent_requests` are under way and `limits.queued_requests` wait; ask again later, or elsewhere"
    )]
    Full,
    /// The process's memory is nearly used up.
    #[error("overloaded: memory is nearly used up (`limits.memory_bytes`); ask again later, or elsewhere")]
    Memory,
}

impl Shed {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Delay, Self::Deadline, Self::Full, Self::Memory];

    /// The reason's name, as in the metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delay => "queue_delay",
            Self::Deadline => "deadline",
            Self::Full => "queue_full",
            Self::Memory => "memory",
        }
    }
}

/// A caller asked more than it may in the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the caller asks more than {per_second} questions a second, {burst} at once (`limits.{key}`)")]
pub struct RateLimited {
    /// What it may ask in a second.
    pub per_second: u32,
    /// What it may ask at once, if it asked nothing before.
    pub burst: u32,
    /// Where that is configured.
    pub key: &'static str,
    /// When as many may be asked again; none: never so many at once.
    pub retry: Option<Duration>,
}

impl Refused {
    /// When to ask again, if it is refused because there is too much just now.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Shed(_) => Some(RETRY),
            Self::RateLimited(limited) => limited.retry,
            _ => None,
        }
    }
}

/// How many records of refusals for overload were made in the present second.
#[derive(Debug, Default)]
pub(super) struct RecordBudget {
    second: AtomicU64,
    used: AtomicU64,
}

impl RecordBudget {
    /// Whether one more may be made. Two threads that see a second begin may make a record too many.
    fn take(&self, now: u64) -> bool {
        if self.second.swap(now, Ordering::Relaxed) != now {
            self.used.store(0, Ordering::Relaxed);
        }
        self.used.load(Ordering::Relaxed) < RECORDS_PER_SECOND
            && self.used.fetch_add(1, Ordering::Relaxed) < RECORDS_PER_SECOND
    }
}

impl Pdp {
    /// Refuses a call because there is too much. Its record is made if there are few of them, or else counted as dropped, and so
    /// told of in the log.
    pub fn turn_away(&self, call: &Call, refused: Refused) -> Refused {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.turned_away.take(now) {
            return self.refuse(call, refused);
        }
        self.metrics.refused(call.surface, refused.code().as_str());
        self.audit.leave_out();
        refused
    }

    /// Holds a caller to its rate, for so many questions.
    pub(super) fn hold_to_rate(&self, call: &Call, questions: usize) -> Result<(), Refused> {
        let Some(rates) = &self.rates else { return Ok(()) };
        let name = self.callers.gate().map(|_authenticated| Arc::clone(call.caller.name()));
        rates.take(name, call.origin, questions).map_err(|limited| {
            self.metrics.load().rate_limited();
            self.turn_away(call, Refused::RateLimited(limited))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_flood_are_bounded_by_the_second() {
        let budget = RecordBudget::default();
        let taken = |now| (0..1_000).filter(|_| budget.take(now)).count();
        assert_eq!((taken(7), taken(7), taken(8)), (100, 0, 100));
    }
}

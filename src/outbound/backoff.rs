//! How long to wait before the next attempt: longer each time, and never as long as somebody else does.

use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause of its own.
pub const LONGEST: Duration = Duration::from_secs(30);
/// The longest pause that another side may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// Pauses between attempts.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

impl Backoff {
    /// The first is the shortest.
    #[must_use]
    pub fn new() -> Self {
        Self { next: FIRST }
    }

    /// Things go well again.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }

    /// The next pause: between half of what is due and the whole of it, and no less than was asked for.
    pub fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let due = self.next;
        self.next = (due * 2).min(LONGEST);
        // Without a random number everybody waits as long, which is no more than unfair.
        let share = getrandom::u32().map_or(1.0, |number| f64::from(number) / f64::from(u32::MAX));
        let pause = due.mul_f64(0.5 + share / 2.0);
        asked.map_or(pause, |asked| pause.max(asked.min(LONGEST_ASKED)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_differ() {
        let mut backoff = Backoff::new();
        let mut due = FIRST;
        for _ in 0..20 {
            let pause = backoff.pause(None);
            assert!(pause >= due / 2 && pause <= due, "{pause:?} of {due:?}");
            due = (due * 2).min(LONGEST);
        }
        assert_eq!(due, LONGEST);
        assert_ne!(backoff.pause(None), backoff.pause(None));
        backoff.reset();
        assert!(backoff.pause(None) <= FIRST);
    }

    #[test]
    fn what_was_asked_for_is_honoured_up_to_a_limit() {
        let mut backoff = Backoff::new();
        assert_eq!(backoff.pause(Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(backoff.pause(Some(Duration::from_secs(86_400))), LONGEST_ASKED);
    }
}

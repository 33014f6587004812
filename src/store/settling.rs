//! When files that changed may be read: at once, or when they have stood still for a while.

use std::time::{Duration, Instant, SystemTime};

use super::directory::Fingerprint;
use super::folder::TICK;

/// Something looked at again and again.
pub(super) trait Seen: Clone + PartialEq {
    /// Whether it changed so shortly ago that the next change could look the same.
    fn is_recent(&self, now: SystemTime) -> bool;
}

impl Seen for Fingerprint {
    fn is_recent(&self, now: SystemTime) -> bool {
        Fingerprint::is_recent(self, now)
    }
}

/// What was handled last, and what has been seen since.
#[derive(Debug)]
pub(super) struct Settling<S> {
    handled: Option<S>,
    /// The next change could look like what was handled: it must be read once more.
    doubtful: bool,
    waiting: Option<(S, Instant)>,
}

/// What to do about what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was handled.
    Same,
    /// It was handled, and is read once more in so long.
    Doubtful(Duration),
    /// It changed, and is looked at again in so long.
    Wait(Duration),
    /// It stood still long enough.
    Ready,
}

impl Verdict {
    /// When to look again, if before the next poll.
    pub(super) fn wait(self) -> Option<Duration> {
        match self {
            Self::Doubtful(wait) | Self::Wait(wait) => Some(wait),
            Self::Same | Self::Ready => None,
        }
    }
}

impl<S: Seen> Settling<S> {
    /// Begins with what was read at the start.
    pub(super) fn after(seen: Option<S>) -> Self {
        let mut settling = Self { handled: None, doubtful: false, waiting: None };
        settling.handled(seen);
        settling
    }

    /// Takes a look, which must have been the same for `settle` before it is ready.
    pub(super) fn see(&mut self, seen: &S, settle: Duration, now: Instant) -> Verdict {
        if self.handled.as_ref() == Some(seen) {
            self.waiting = None;
            return match (self.doubtful, seen.is_recent(SystemTime::now())) {
                (false, _) => Verdict::Same,
                (true, true) => Verdict::Doubtful(TICK),
                (true, false) => Verdict::Ready,
            };
        }
        let since = match &self.waiting {
            Some((waiting, since)) if waiting == seen => *since,
            _ => {
                self.waiting = Some((seen.clone(), now));
                now
            }
        };
        let stood = now.saturating_duration_since(since);
        if stood >= settle { Verdict::Ready } else { Verdict::Wait(settle - stood) }
    }

    /// What was handled last, if it stood still.
    pub(super) fn last(&self) -> Option<&S> {
        self.handled.as_ref()
    }

    /// Notes what was read. Nothing, if it would not stand still: then whatever is seen next is new.
    pub(super) fn handled(&mut self, seen: Option<S>) {
        self.doubtful = seen.as_ref().is_some_and(|seen| seen.is_recent(SystemTime::now()));
        self.handled = seen;
        self.waiting = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state of files, and whether it is from just now.
    #[derive(Debug, Clone, Copy)]
    struct State(u8, bool);

    impl PartialEq for State {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    impl Seen for State {
        fn is_recent(&self, _now: SystemTime) -> bool {
            self.1
        }
    }

    const SETTLE: Duration = Duration::from_millis(500);

    #[test]
    fn what_changed_just_before_it_was_read_is_read_once_more() {
        let (recent, old, now) = (State(1, true), State(1, false), Instant::now());
        let mut settling = Settling::after(Some(recent));
        assert_eq!(settling.see(&recent, SETTLE, now), Verdict::Doubtful(TICK));
        assert_eq!(settling.see(&old, SETTLE, now), Verdict::Ready);
        settling.handled(Some(old));
        assert_eq!(settling.see(&old, SETTLE, now), Verdict::Same);
    }

    #[test]
    fn each_change_begins_the_wait_again() {
        let start = Instant::now();
        let mut settling = Settling::after(Some(State(0, false)));
        let later = |millis| start + Duration::from_millis(millis);
        assert_eq!(settling.see(&State(1, false), SETTLE, start), Verdict::Wait(SETTLE));
        assert_eq!(settling.see(&State(2, false), SETTLE, later(400)), Verdict::Wait(SETTLE));
        let rest = Duration::from_millis(100);
        assert_eq!(settling.see(&State(2, false), SETTLE, later(800)), Verdict::Wait(rest));
        assert_eq!(settling.see(&State(2, false), SETTLE, later(900)), Verdict::Ready);
        assert_eq!(settling.see(&State(0, false), SETTLE, later(900)), Verdict::Same, "it went back");
    }
}

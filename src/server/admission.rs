//! Who is let in when there is too much to do: requests are turned away before anything of them is read, and never answered
//! with anything but a refusal.
//!
//! In reading order: `arrival` is when and from where a request came; `crowd` is who waits, and who of them is let in before others; `peers` is whose they are; `delay` says
//! whether requests wait for a thread longer than they should; `pacing` is how fast they are turned away. How many are decided at once is bounded where they are
//! decided: a request whose body is still on its way must keep nobody out.

mod arrival;
mod crowd;
mod delay;
mod pacing;
mod peers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

pub use arrival::{Arrival, Arriving};
use crowd::{Crowd, Standing};
use delay::{Change, QueueDelay};
use pacing::Pacing;

use crate::pdp::Shed;
use crate::server::sizes::Sizes;
use crate::telemetry::metrics::Metrics;

/// So few requests that wait are no queue, however long they do: somebody else has the processors.
const FEW: usize = 64;
/// Least time between two lines in the log that say that requests are turned away, in nanoseconds.
const QUIET: u64 = 10_000_000_000;

/// How much there may be to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long requests may wait for a thread while others do as well.
    pub queue_delay: Duration,
    /// How long a request may take whose caller sets no deadline.
    pub deadline: Duration,
    /// Longest time that a request may take, whatever its caller says.
    pub max_deadline: Duration,
    /// How large it may be.
    pub sizes: Sizes,
}

/// Lets requests in, or turns them away. Shared by all listeners that decide.
#[derive(Debug)]
pub struct Admission {
    settings: Settings,
    begun: Instant,
    delay: QueueDelay,
    /// Requests that have arrived, and that nobody has looked at yet.
    crowd: Crowd,
    pacing: Pacing,
    memory_used_up: AtomicBool,
    metrics: Arc<Metrics>,
    said: AtomicU64,
}

impl Admission {
    /// Nobody has come yet.
    #[must_use]
    pub fn new(settings: Settings, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            delay: QueueDelay::new(settings.queue_delay),
            crowd: Crowd::default(),
            pacing: Pacing::default(),
            memory_used_up: AtomicBool::new(false),
            said: AtomicU64::new(0),
            metrics,
            settings,
        })
    }

    /// How long a request may take that asks for so long, or says nothing.
    #[must_use]
    pub fn span(&self, asked: Option<Duration>) -> Duration {
        asked.unwrap_or(self.settings.deadline).min(self.settings.max_deadline)
    }

    /// How long a request may take that asks for nothing of its own.
    #[must_use]
    pub fn max_deadline(&self) -> Duration {
        self.settings.max_deadline
    }

    /// How large requests may be.
    #[must_use]
    pub fn sizes(&self) -> &Sizes {
        &self.settings.sizes
    }

    /// Says whether memory is used up.
    pub fn set_memory_used_up(&self, used_up: bool) {
        self.memory_used_up.store(used_up, Relaxed);
    }

    /// Lets a request in that has its turn, or says why not.
    ///
    /// # Errors
    /// [`Shed`], which has been counted.
    pub fn admit(&self, arrival: &Arrival, deadline: Option<Instant>) -> Result<(), Shed> {
        let (at, standing, backlog) = (arrival.at(), arrival.standing(), self.crowd.waiting());
        arrival.has_its_turn();
        let now = Instant::now();
        let waited = nanos(now.saturating_duration_since(at));
        self.metrics.load().waited(waited);
        let since = self.since(now);
        if let Some(change) = self.delay.observe(since, waited) {
            self.say(change, since);
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(now));
        let Some(shed) = self.turned_away(standing, waited, backlog, left) else { return Ok(()) };
        self.delay.shed();
        self.metrics.load().shed(shed.as_str());
        Err(shed)
    }

    /// Lets a message of a stream in that is under way already: streams are not read ahead, so messages wait with their caller.
    ///
    /// # Errors
    /// [`Shed`], which has been counted.
    pub fn admit_message(&self) -> Result<(), Shed> {
        if self.memory_used_up.load(Relaxed) {
            self.metrics.load().shed(Shed::Memory.as_str());
            return Err(Shed::Memory);
        }
        Ok(())
    }

    /// Waits until a request may be told that it is turned away: at once, unless too many are. Its caller hears of it while it still
    /// listens: whoever gives up first may take silence for a failure.
    pub async fn turn_to_leave(&self, deadline: Option<Instant>) {
        let now = Instant::now();
        let since = self.since(now);
        let turn = self.pacing.turn(since);
        if turn <= since {
            return;
        }
        if let Some(_held) = self.pacing.hold() {
            let turn = now + Duration::from_nanos(turn - since);
            let half = deadline.map(|deadline| now + deadline.saturating_duration_since(now) / 2);
            tokio::time::sleep_until(half.map_or(turn, |half| turn.min(half)).into()).await;
        }
    }

    /// Counts an answer that was given to a request that was let in.
    pub fn answered(&self) {
        self.pacing.answered();
    }

    /// Counts one that arrives, of somebody who asks little or not, and says who it is.
    fn arrives(&self, is_modest: bool) -> Standing {
        self.crowd.arrives(is_modest, self.delay.is_overloaded())
    }

    /// Why a request is turned away, that has waited so long while so many did, and has so much time left.
    fn turned_away(
        &self,
        standing: Standing,
        waited: u64,
        backlog: usize,
        left: Option<Duration>,
    ) -> Option<Shed> {
        if self.memory_used_up.load(Relaxed) {
            return Some(Shed::Memory);
        }
        if standing == Standing::InExcess {
            return Some(Shed::Delay);
        }
        if backlog <= FEW || !self.delay.is_overloaded() {
            return None;
        }
        // Nobody's standing gets it an answer that would come too late.
        if left.is_some_and(|left| nanos(left) < self.delay.usual()) {
            return Some(Shed::Deadline);
        }
        (self.delay.is_too_long(waited) && !self.crowd.is_let_in_late(standing)).then_some(Shed::Delay)
    }

    fn since(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.begun))
    }

    fn say(&self, change: Change, now: u64) {
        self.metrics.load().overloaded(change == Change::Overloaded);
        let said = self.said.load(Relaxed);
        if change == Change::Overloaded && (said == 0 || now.saturating_sub(said) >= QUIET) {
            self.said.store(now, Relaxed);
            tracing::warn!(
                queue_delay_ms = u64::try_from(self.settings.queue_delay.as_millis()).unwrap_or(u64::MAX),
                "requests wait for longer than `limits.queue_delay`, and some are turned away"
            );
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;

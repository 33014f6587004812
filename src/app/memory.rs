//! The thread that keeps the process within its memory: near the limit less is remembered, and if that does not help, requests
//! are turned away, before the kernel ends the process.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::server::admission::Admission;
use crate::store::Store;
use crate::telemetry::memory::{self, MemoryStatus, Pressure};

/// How often the memory is looked at: it costs some microseconds.
const EVERY: Duration = Duration::from_millis(100);
/// Per cent of the limit from which on less is remembered, and then requests are turned away.
const HIGH: u64 = 85;
/// Per cent of the limit from which on requests are turned away at once.
const CRITICAL: u64 = 95;
/// Per cent of the limit below which more is remembered again, and for how long memory must have been below.
const LOW: (u64, Duration) = (60, Duration::from_secs(60));
/// How long forgetting may take to show.
const SETTLE: Duration = Duration::from_millis(500);
/// How long requests are turned away without less memory being used for it: then it is not they that use it.
const PATIENCE: Duration = Duration::from_secs(5);
/// The least that is remembered, as a part of what was configured: a cache may be configured that is larger than all the memory there is.
const LEAST: u64 = 256;

/// The thread; it ends soon after this is dropped.
#[derive(Debug)]
pub(super) struct MemoryGuard {
    _until_dropped: Sender<()>,
    ended: watch::Receiver<()>,
}

/// What the thread looks at and acts on.
#[derive(Debug)]
pub(super) struct Guarded {
    /// Bytes that the process may use; none: as its control group says.
    pub(super) limit: Option<u64>,
    /// Where decisions are remembered.
    pub(super) store: Arc<Store>,
    /// Who is let in.
    pub(super) admission: Arc<Admission>,
    /// For those who look.
    pub(super) status: Arc<MemoryStatus>,
}

impl MemoryGuard {
    /// Begins to look.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(guarded: Guarded) -> io::Result<Self> {
        let (until_dropped, dropped) = mpsc::channel();
        let (ends, ended) = watch::channel(());
        thread::Builder::new().name("mandate-memory".to_owned()).spawn(move || {
            let _ends = ends;
            Watch::new(guarded).until(&dropped);
        })?;
        Ok(Self { _until_dropped: until_dropped, ended })
    }

    /// Resolves when the thread has ended.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut ended = self.ended.clone();
        async move { while ended.changed().await.is_ok() {} }
    }
}

/// What was seen, and what was done about it.
struct Watch {
    guarded: Guarded,
    limit: Option<u64>,
    pressure: Pressure,
    /// What is remembered: all that was configured, or one part in so many.
    part: u64,
    forgot: Option<Instant>,
    low_since: Option<Instant>,
    away_since: Option<Instant>,
    /// Per cent of the limit that were used in spite of turning requests away.
    in_vain: Option<u64>,
}

impl Watch {
    fn new(guarded: Guarded) -> Self {
        let limit = guarded.limit.or_else(memory::limit_of_group);
        Self {
            guarded,
            limit,
            pressure: Pressure::None,
            part: 1,
            forgot: None,
            low_since: None,
            away_since: None,
            in_vain: None,
        }
    }

    fn until(mut self, dropped: &Receiver<()>) {
        loop {
            // Where the kernel says nothing there is nothing to guard.
            if let Some(used) = memory::resident() {
                self.look(used, Instant::now());
            }
            if dropped.recv_timeout(EVERY) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    fn look(&mut self, used: u64, now: Instant) {
        let limit = self.limit.unwrap_or(0);
        if let Some(share) = used.saturating_mul(100).checked_div(limit) {
            self.forget(share, now);
            self.remember(share, now);
            let pressure = self.pressure_at(share, now);
            if std::mem::replace(&mut self.pressure, pressure) != pressure {
                self.say(used, limit);
            }
            self.guarded.admission.set_memory_used_up(self.pressure == Pressure::TurningAway);
        }
        self.guarded.status.set(used, limit, self.pressure);
    }

    fn pressure_at(&mut self, share: u64, now: Instant) -> Pressure {
        if share < HIGH {
            (self.away_since, self.in_vain) = (None, None);
            return if self.part > 1 { Pressure::Forgetting } else { Pressure::None };
        }
        let forgotten = self.part >= LEAST && self.forgot.is_none_or(|forgot| now - forgot >= SETTLE);
        let in_vain = self.in_vain.is_some_and(|used| share <= used);
        if share < CRITICAL && (!forgotten || in_vain) {
            return Pressure::Forgetting;
        }
        if share < CRITICAL && now - *self.away_since.get_or_insert(now) >= PATIENCE {
            (self.away_since, self.in_vain) = (None, Some(share));
            return Pressure::Forgetting;
        }
        Pressure::TurningAway
    }

    /// Halves what is remembered, step by step, while memory is high.
    fn forget(&mut self, share: u64, now: Instant) {
        let settled = self.forgot.is_none_or(|forgot| now - forgot >= SETTLE);
        if share >= HIGH && self.part < LEAST && settled {
            self.part *= 2;
            self.forgot = Some(now);
            self.guarded.store.remember_one_in(self.part);
        }
    }

    /// Remembers as much as was configured, once memory has been low for a while: what is remembered now is lost with that.
    fn remember(&mut self, share: u64, now: Instant) {
        let (low, long) = LOW;
        if share >= low || self.part == 1 {
            self.low_since = None;
            return;
        }
        if now - *self.low_since.get_or_insert(now) >= long {
            (self.part, self.low_since) = (1, None);
            self.guarded.store.remember_one_in(1);
        }
    }

    fn say(&self, used: u64, limit: u64) {
        match self.pressure {
            Pressure::None => tracing::info!(used, limit, "there is memory enough again"),
            Pressure::Forgetting => {
                tracing::warn!(used, limit, one_in = self.part, "memory is short: fewer decisions are kept");
            }
            Pressure::TurningAway => {
                tracing::error!(used, limit, "memory is nearly used up: requests are turned away");
            }
        }
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;

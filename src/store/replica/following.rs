//! What a process knows of the primary it follows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;

use super::lease::{LeaseEnd, Moment};

/// What is known of the primary. Decisions read the end of the lease, and nothing else.
#[derive(Debug)]
pub struct Following {
    primary: Arc<str>,
    /// End of the lease; nought: there was none yet.
    until: AtomicU64,
    lease_millis: AtomicU64,
    connected: AtomicBool,
    resets: AtomicU64,
    /// The primary's world that was served when it was asked last.
    heard: AtomicU64,
    /// The one that is served here.
    applied: AtomicU64,
    problem: ArcSwap<Option<String>>,
}

/// One moment of it.
#[derive(Debug, Clone, Serialize)]
pub struct FollowingStatus {
    /// URL of the primary.
    pub primary: String,
    /// Whether it is connected to.
    pub connected: bool,
    /// Whether this server may answer.
    pub current: bool,
    /// How long it may answer yet, in seconds.
    pub lease_remaining_seconds: f64,
    /// How long a lease is, in seconds.
    pub lease_seconds: f64,
    /// How often everything was told anew.
    pub resets: u64,
    /// How many of the primary's worlds are not served here yet.
    pub lag_worlds: u64,
    /// What went wrong last, if things have not gone well since.
    pub problem: Option<String>,
}

impl Following {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(primary: &str) -> Self {
        Self {
            primary: primary.into(),
            until: AtomicU64::new(0),
            lease_millis: AtomicU64::new(0),
            connected: AtomicBool::new(false),
            resets: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            applied: AtomicU64::new(0),
            problem: ArcSwap::default(),
        }
    }

    /// URL of the primary.
    #[must_use]
    pub fn primary(&self) -> &Arc<str> {
        &self.primary
    }

    /// Until when may be answered what is loaded from now on.
    #[must_use]
    pub fn until(&self) -> LeaseEnd {
        // Whoever sees a lease sees the world that it was given for.
        LeaseEnd::moment(Moment(self.until.load(Ordering::Acquire)))
    }

    /// Whether this server may answer now.
    #[must_use]
    pub fn is_current(&self) -> bool {
        !self.until().is_over()
    }

    /// What the primary was asked at `asked` is served here: that may be answered from for a lease.
    pub(super) fn renew(&self, asked: Moment, lease: Duration) {
        self.until.fetch_max(asked.after(lease).0, Ordering::AcqRel);
    }

    pub(super) fn heard(&self, world: u64, lease: Duration) {
        self.heard.store(world, Ordering::Relaxed);
        self.lease_millis.store(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn applied(&self, world: u64) {
        self.applied.store(world, Ordering::Relaxed);
    }

    pub(super) fn was_reset(&self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
    }

    /// The primary is connected to, and says what it has to say.
    pub fn connected(&self) {
        self.connected.store(true, Ordering::Relaxed);
    }

    /// It is not, and why.
    pub fn disconnected(&self, problem: &str) {
        self.connected.store(false, Ordering::Relaxed);
        self.problem.store(Arc::new(Some(problem.to_owned())));
    }

    pub(super) fn goes_well(&self) {
        if self.problem.load().is_some() {
            self.problem.store(Arc::default());
        }
    }

    /// How long may be answered yet.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        Moment::now().until(Moment(self.until.load(Ordering::Acquire)))
    }

    /// What there is to say of it.
    #[must_use]
    pub fn status(&self) -> FollowingStatus {
        let remaining = self.remaining();
        let (heard, applied) = (self.heard.load(Ordering::Relaxed), self.applied.load(Ordering::Relaxed));
        FollowingStatus {
            primary: self.primary.to_string(),
            connected: self.connected.load(Ordering::Relaxed),
            current: !remaining.is_zero(),
            lease_remaining_seconds: remaining.as_secs_f64(),
            lease_seconds: Duration::from_millis(self.lease_millis.load(Ordering::Relaxed)).as_secs_f64(),
            resets: self.resets.load(Ordering::Relaxed),
            lag_worlds: heard.saturating_sub(applied),
            problem: self.problem.load().as_ref().clone(),
        }
    }
}
